# pipeline.sh
#	COPY through the door of the staging table, and the whole pipeline; the study
#	of key lengths.  Sourced by run.

# Two days ago, at midnight: in the past, and within the retention.
day=$(date -u -d '2 days ago' +%F)

# The extension anew, with a key and meters m1 … mNUMBER in regions of 500: begin_metering BITS NUMBER
begin_metering() {
	sql <<-EOF
		SET client_min_messages = error;
		DROP EXTENSION IF EXISTS paillier_metering;
		CREATE EXTENSION paillier_metering;
		UPDATE metering.setting SET starts_at = '$day 00:00Z',
			key_id = (SELECT key_id FROM paillier_key WHERE name = '$1 bits');
		INSERT INTO metering.meter (meter_id, region) SELECT 'm' || i,
			'region ' || (i - 1) / 500 FROM generate_series(1, $2) i;
		ANALYZE metering.meter;
	EOF
}

# The readings of an hour of meters FROM … TO, twelve each, in order of time, as a
# file for COPY: write_readings FILE FORMAT BITS FROM TO HOUR
write_readings() {
	sql <<-EOF
		COPY (SELECT 'm' || m, '$day 00:00Z'::timestamptz + $6 * interval '1 hour' + slot * interval '5 min', ct
			FROM generate_series(0, 11) slot CROSS JOIN generate_series($4, $5) m
			JOIN distinct_$3 d ON d.j = 1 + (m * 12 + slot + $6) % (SELECT count(*) FROM distinct_$3)
			ORDER BY slot, m)
		TO '$1' WITH (FORMAT $2)
	EOF
}

# ---- COPY ----

copy_meters=${quick:+1000} copy_meters=${copy_meters:-10000}

part_copy() {
	say "COPY into staging"
	begin_metering 2048 $copy_meters
	for format in binary text; do
		write_readings "$work/copy.$format" $format 2048 1 $copy_meters 0
		rounds $many measure_copy $format
		rm -f "$work/copy.$format"
	done
}

measure_copy() {
	local number=$((copy_meters * 12)) table
	local from="FROM '$work/copy.$1' WITH (FORMAT $1);"
	sql -c "CREATE UNLOGGED TABLE bare (meter_id text, read_at timestamptz, energy bytea)"
	for table in bare metering.reading; do
		# a session of a collector's that goes on: it has met its meters before
		warm_up="COPY $table $from TRUNCATE $table;"
		sql_rate copy/$1/$table $number "COPY $table $from"
		sql -c "TRUNCATE $table"
		warm_up=
		sql_rate copy/$1/$table/first $number "COPY $table $from"
		sql -c "TRUNCATE $table"
		command_rate copy/$1/$table/client $number sql -c "\\copy $table FROM '$work/copy.$1' WITH (FORMAT $1)"
		sql -c "TRUNCATE $table"
	done
	sql -c "DROP TABLE bare"
}

# ---- the whole pipeline ----

collectors=2

# Readings of all hours, by hour and collector: make_load BITS METERS HOURS
make_load() {
	local hour c
	for ((hour = 0; hour < $3; hour++)); do
		for ((c = 0; c < collectors; c++)); do
			write_readings "$work/load.$hour.$c" binary $1 $((c * $2 / collectors + 1)) $(((c + 1) * $2 / collectors)) \
				$hour
		done
	done
}

# A collector sends hour after hour over one connection, one hour ahead of the
# roll-up, as time has it.
collect() {
	local hour
	for ((hour = 0; hour < $2; hour++)); do
		[ $hour -lt 2 ] || echo "\\! until [ -e $work/sealed.$((hour - 2)) ]; do sleep 0.005; done"
		[ ! -e "$work/registers.$hour.$1" ] ||
			echo "\\copy metering.register_read (read_at, meter_id, register) FROM '$work/registers.$hour.$1' WITH (FORMAT binary)"
		echo "\\copy metering.reading FROM '$work/load.$hour.$1' WITH (FORMAT binary)"
		echo "\\! touch $work/sent.$hour.$1"
	done | sql
}

# Each hour is sealed while collectors send the next.
seal() {
	local hour c
	for ((hour = 0; hour < $1; hour++)); do
		for ((c = 0; c < collectors; c++)); do
			until [ -e "$work/sent.$hour.$c" ]; do sleep 0.005; done
		done
		sql -c 'SET client_min_messages = warning' -c \
			"CALL metering.rollup('$day 00:00Z'::timestamptz + $hour * interval '1 hour' + interval '75 min')"
		touch "$work/sealed.$hour"
	done
}

run_pipeline() {
	local c pids=()
	for ((c = 0; c < collectors; c++)); do
		collect $c "$1" &
		pids+=($!)
	done
	seal "$1"
	wait "${pids[@]}"
}

# measure_pipeline NAME BITS METERS HOURS; what it counted is checked against the plaintext
measure_pipeline() {
	local number=$(($3 * $4 * 12)) expected got
	begin_metering $2 $3
	rm -f "$work"/sent.* "$work"/sealed.*
	command_rate $1 $number run_pipeline $4
	record_lines $1/ < <(sql -F $'\t' -c "SELECT step, (sum(readings) / EXTRACT(epoch FROM sum(duration)))::real
		FROM metering.rollup_log WHERE step IN ('hour', 'window') GROUP BY step")
	expected=$(sql -c "SELECT sum(1 + (m * 12 + slot + hour) % (SELECT count(*) FROM distinct_$2)) || ' ' || $number ||
		' 0'
		FROM generate_series(1, $3) m, generate_series(0, 11) slot, generate_series(0, $4 - 1) hour")
	got=$(sql -c "SELECT paillier_decrypt(sum(total), '$(cat "$work/private.$2.json")') || ' ' || sum(readings) ||
		' ' ||
		(SELECT count(*) FROM metering.reading) FROM metering.bill_window")
	[ "$got" = "$expected" ] || { echo "bench: the pipeline counted \"$got\" instead of \"$expected\"" >&2; return 1; }
}

pipeline_meters=${quick:+1000} pipeline_meters=${pipeline_meters:-10000}

# The same with two keys: beside the readings each meter sends a register every two hours.
make_registers() {
	local hour c
	sql <<-EOF
		SET client_min_messages = error;
		DROP TABLE IF EXISTS bill_key, distinct_register;
		CREATE TABLE bill_key AS SELECT paillier_keygen($1) AS private;
		DO \$\$ BEGIN PERFORM paillier_register_key(paillier_public_key(private), 'bills') FROM bill_key; END \$\$;
		CREATE TABLE distinct_register AS SELECT j, paillier_encrypt(1000 * j, paillier_public_key(private)) AS ct
		FROM bill_key, generate_series(0, $3) j;
	EOF
	for ((hour = 0; hour < $3; hour += 2)); do
		for ((c = 0; c < collectors; c++)); do
			sql <<-EOF
				COPY (SELECT '$day 00:00Z'::timestamptz + $hour * interval '1 hour', 'm' || m, ct
					FROM distinct_register d, generate_series($((c * $2 / collectors + 1)), $(((c + 1) * $2 / collectors))) m
					WHERE d.j = $hour)
				TO '$work/registers.$hour.$c' WITH (FORMAT binary)
			EOF
		done
	done
}

# measure_two_keys NAME BITS METERS HOURS; regions and registers are checked against the plaintext
measure_two_keys() {
	local number=$(($3 * $4 * 12)) expected got
	begin_metering $2 $3
	sql -c "UPDATE metering.setting SET bill_key_id = (SELECT key_id FROM paillier_key WHERE name = 'bills')"
	rm -f "$work"/sent.* "$work"/sealed.*
	command_rate $1 $number run_pipeline $4
	record_lines $1/ < <(sql -F $'\t' -c "SELECT step, (sum(readings) / EXTRACT(epoch FROM sum(duration)))::real
		FROM metering.rollup_log WHERE step = 'hour' GROUP BY step")
	expected=$(sql -c "SELECT sum(1 + (m * 12 + slot + hour) % (SELECT count(*) FROM distinct_$2)) || ' $number 0 ' ||
		$3 * $4 / 2
		FROM generate_series(1, $3) m, generate_series(0, 11) slot, generate_series(0, $4 - 1) hour")
	got=$(sql -c "SELECT paillier_decrypt(sum(total), '$(cat "$work/private.$2.json")') || ' ' || sum(readings) || ' ' ||
		(SELECT count(*) FROM metering.reading) || ' ' || (SELECT count(*) FROM metering.register_read)
		FROM metering.region_hour")
	[ "$got" = "$expected" ] || { echo "bench: with two keys it counted \"$got\" instead of \"$expected\"" >&2; return 1; }
}

part_pipeline() {
	say "the whole pipeline"
	make_load 2048 $pipeline_meters 8
	rounds $few measure_pipeline pipeline/2048 2048 $pipeline_meters 8
	make_registers 2048 $pipeline_meters 8
	rounds $few measure_two_keys pipeline/2048/two 2048 $pipeline_meters 8
	rm -f "$work"/load.* "$work"/registers.*
}

# ---- key lengths ----

length_rows=${quick:+20000} length_rows=${length_rows:-1000000}

part_lengths() {
	for bits in $lengths; do
		say "keys of $bits bits"
		measure_length $bits
	done
}

# Numbers of repetitions fall with the length, so that no length takes minutes.
measure_length() {
	local bits=$1 number meters
	number=$((program_rows * 2048 / bits * 2048 / bits / 4))
	[ $number -ge 256 ] || number=256
	[ $number -le $program_rows ] || number=$program_rows
	make_key $bits
	# the time for primes depends on luck
	rounds $([ $bits -gt 4096 ] && echo $few || echo $many) command_rate length/$bits/keygen 1 make_another_key $bits
	rounds $few command_rate length/$bits/encrypt $number encrypt $bits $number 1
	rounds $few command_rate length/$bits/decrypt $((number / 4)) decrypt $bits 1 $((number / 4))

	if [ "$(sql -c "SELECT to_regclass('distinct_$bits') IS NULL")" = t ]; then load_distinct $bits; fi
	sql -c "CREATE UNLOGGED TABLE length_$bits (i int, ct paillier_ciphertext) WITH (toast_tuple_target = 4080)"
	repeat length_$bits distinct_$bits $length_rows "i, ct"
	warm_up="SELECT sum(ct) FROM (SELECT ct FROM distinct_$bits LIMIT 1) s;"
	rounds $few sql_rate length/$bits/add $length_rows "SELECT sum(ct) FROM length_$bits;" "$alone"
	record length/$bits/rows $length_rows
	record length/$bits/bytes "$(sql -c "SELECT octet_length(paillier_bytes(ct)) FROM length_$bits LIMIT 1")"
	record length/$bits/stored "$(sql -c "SELECT round(pg_table_size('length_$bits') / $length_rows.0)")"
	sql -c "DROP TABLE length_$bits"

	meters=$((pipeline_meters * 2048 / bits))
	make_load $bits $meters 2
	rounds $few measure_pipeline length/$bits/pipeline $bits $meters 2
	rm -f "$work"/load.*
}

make_another_key() {
	paillier keygen --bits $1 --min-bits 1024 --out - >/dev/null 2>&1
}
