# profile.sh
#	Where the time of sums, of sliding windows and of COPY through the door goes,
#	and what is called for every row.  Sourced by run.

part_profile() {
	say "profile"
	profile_samples sum "$alone SELECT sum(ct) IS NULL FROM cipher_2048;"
	profile_samples group "$alone SELECT count(s) FROM (SELECT sum(ct) AS s FROM cipher_2048 GROUP BY meter) t;"
	profile_samples window "$alone SELECT count(s) FROM (SELECT sum(ct) OVER (ORDER BY i ROWS 23 PRECEDING) AS s
		FROM cipher_2048 WHERE i < 5000) t;"
	begin_metering 2048 $copy_meters
	write_readings "$work/copy.binary" binary 2048 1 $copy_meters 0
	profile_samples copy "COPY metering.reading FROM '$work/copy.binary' WITH (FORMAT binary);
		TRUNCATE $(sql -c "SELECT metering.staging_partition(metering.slot('$day 00:00Z'))"); SELECT 1;"
	profile_calls
}

# ---- a session whose process is known ----

# The library is there, the key is not loaded yet.
open_session() {
	coproc session { sql 2>&1; }
	session_psql=$session_PID
	ask "LOAD 'paillier'; SELECT pg_backend_pid();"
	backend=$answer
}

# Statements of which one returns a row: its value is $answer.
ask() {
	echo "$1" >&"${session[1]}"
	read -r answer <&"${session[0]}"
}

close_session() {
	local input=${session[1]}
	exec {input}>&-
	wait "$session_psql" || true
}

# ---- samples ----

# profile_samples NAME STATEMENTS: shares of at least one per cent, by function
profile_samples() {
	local sampler i
	if ! perf record -q -e cpu-clock -o "$work/perf.data" true >/dev/null 2>&1; then
		echo "perf cannot be used here: left out"
		return
	fi
	open_session
	ask "$2"
	perf record -q -e cpu-clock -F 1999 -p "$backend" -o "$work/perf.data" >/dev/null 2>&1 &
	sampler=$!
	sleep 0.5
	for ((i = 0; i < few * 4; i++)); do ask "$2"; done
	kill -INT $sampler
	wait $sampler || true
	close_session
	perf report -i "$work/perf.data" --stdio --sort symbol 2>/dev/null |
		sed -nE 's/^ *([0-9.]+)% +\[(.)\] ([A-Za-z0-9_.@]+).*/\1 \2 \3/p' |
		awk -v name="profile/$1/" '$1 >= 1 { print name ($2 == "k" ? "kernel: " : "") $3 "\t" $1 }' >>"$results"
}

# ---- calls ----

watched="palloc palloc0 repalloc MemoryContextAlloc MemoryContextAllocZero MemoryContextAllocExtended malloc
	SPI_connect paillier_public_init paillier_sum_accum"

# Calls in a session of 6144 rows, and calls a row: from the difference to one of 2048.
profile_calls() {
	local function
	if ! command -v gdb >/dev/null; then
		echo "gdb is not there: calls are not counted"
		return
	fi
	count_calls 2048 "$work/calls.few"
	count_calls 6144 "$work/calls.more"
	if ! awk '$1 == "paillier_sum_accum" && $2 >= 6144 { found = 1 } END { exit !found }' "$work/calls.more"; then
		echo "gdb cannot be used here: calls are not counted"
		return
	fi
	for function in $watched; do
		record "profile/session/$function" "$(awk -v f="$function" '$1 == f { n = $2 } END { print n + 0 }' \
			"$work/calls.more")"
		record "profile/calls/$function" "$(awk -v f="$function" \
			'$1 == f { n[FILENAME] = $2 } END { print (n[ARGV[2]] - n[ARGV[1]]) / 4096 }' \
			"$work/calls.few" "$work/calls.more")"
	done
}

# count_calls ROWS FILE: lines "function calls" of a session that adds so many rows
count_calls() {
	local function number=0 gdb_pid i commands=()
	for function in $watched; do
		number=$((number + 1))
		commands+=(-ex "break $function" -ex "ignore $number 1000000000")
	done
	open_session
	: >"$work/gdb.log"
	gdb -q -batch -nx -p "$backend" "${commands[@]}" -ex 'echo counting\n' -ex continue -ex 'info breakpoints' \
		>"$work/gdb.log" 2>&1 &
	gdb_pid=$!
	for ((i = 0; i < 600; i++)); do
		! grep -q '^counting' "$work/gdb.log" || break
		sleep 0.1
	done
	ask "SET max_parallel_workers_per_gather = 0; SELECT sum(ct) IS NULL FROM (SELECT ct FROM cipher_2048 LIMIT $1) s;"
	close_session
	wait $gdb_pid || true
	awk -v names="$(echo $watched)" 'BEGIN { split(names, name, " ") }
		$2 == "breakpoint" { number = $1 } /breakpoint already hit/ { print name[number], $4 }' "$work/gdb.log" >"$2"
}
