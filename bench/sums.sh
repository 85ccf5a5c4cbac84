# sums.sh
#	Aggregates in the server: one group, many groups, kernels, workers, weights,
#	sliding windows, memory.  Sourced by run.

alone='SET max_parallel_workers_per_gather = 0;'

# Alone in a session that has touched the pages of a table before: for a new one
# every page costs a page fault, as much as a tenth of a sum.
touched() { echo "$alone SELECT count(*) FROM $1;"; }

part_sum() {
	say "sum over one group"
	rounds $many measure_sums 2048
	rounds $many measure_sums 3072
	rounds $few measure_slow_sums
	rounds $many measure_plaintext
}

measure_sums() {
	warm_up="SELECT sum(ct) FROM (SELECT ct FROM cipher_$1 LIMIT 1) s;"
	sql_rate sum/$1/ours $rows "SELECT sum(ct) FROM cipher_$1;" "$(touched cipher_$1)"
	sql_rate sum/$1/pgmp $rows "SELECT mpz_plpgsql_$1(c) FROM mpz_$1;" "$(touched mpz_$1)"
	sql_rate sum/$1/pgmp_sql $rows "SELECT mpz_sql_$1(c) FROM mpz_$1;" "$(touched mpz_$1)"
	sql_rate sum/$1/generic $rows "SELECT sum(ct) FROM cipher_$1;" "$(touched cipher_$1) SET paillier.kernel = generic;"
	record_lines kernel/$1/ < <($output/kernel $1 0.2)
	if [ "$1" = 2048 ]; then
		sql_rate sum/$1/new $rows "SELECT sum(ct) FROM cipher_$1;" "$alone"
		sql_rate sum/$1/workers $rows "SELECT sum(ct) FROM cipher_$1;" "$(workers 2)"
	fi
}

# Two processes that scan: a worker and the leader, or as many as there are.
workers() {
	echo "SET max_parallel_workers_per_gather = $(($1 - 1)); SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
		SET min_parallel_table_scan_size = 0;"
}

measure_slow_sums() {
	warm_up=
	sql_rate sum/2048/numeric 4000 "SELECT numeric_2048(c) FROM numeric_row;" "$alone"
	measure_peers 2048
	measure_peers 3072
}

measure_plaintext() {
	warm_up=
	sql_rate plain/bigint $rows "SELECT sum(v) FROM plain;" "$alone"
	sql_rate plain/numeric $rows "SELECT sum(n) FROM plain;" "$alone"
	sql_rate plain/scan $rows "SELECT sum(length(c)) FROM bytes;" "$alone"
}

make_plain_tables() {
	sql <<-EOF
		CREATE UNLOGGED TABLE plain AS SELECT i, (i % 5000 * 7919 % 5000)::bigint AS v,
			(i % 5000 * 7919 % 5000)::numeric / 1000 AS n FROM generate_series(1, $rows) i;
		CREATE UNLOGGED TABLE bytes AS SELECT i, paillier_bytes(ct) AS c FROM cipher_2048;
		CREATE UNLOGGED TABLE numeric_row AS SELECT j, c::text::numeric AS c FROM mpz_distinct_2048 WHERE j <= 4000;
		CREATE UNLOGGED TABLE texts AS SELECT i, rpad(i::text, pg_column_size(ct), '.') AS t FROM cipher_2048;
		CREATE AGGREGATE sum_again(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
			FINALFUNC = paillier_sum_final);
		VACUUM (ANALYZE, FREEZE);
	EOF
}

# ---- groups ----

part_groups() {
	say "GROUP BY"
	warm_up="SELECT sum(ct) FROM (SELECT ct FROM cipher_2048 LIMIT 1) s;"
	rounds $many measure_groups
	for size in 1 3 12 48 192 768 3072 12288; do
		rounds $few group_rate grow_group/$size cipher_2048 "sum(ct)" "i % $((rows / size > 0 ? rows / size : 1))"
	done
}

measure_groups() {
	local expression="i % $((rows / 12))"	# of which the planner knows nothing
	group_rate group/ours cipher_2048 "sum(ct)" meter
	group_rate group/pgmp mpz_2048 "mpz_plpgsql_2048(c)" meter
	group_rate group/sorted cipher_2048 "sum(ct)" "i / 12"
	group_rate group/pgmp_sorted mpz_2048 "mpz_plpgsql_2048(c)" "i / 12"
	group_rate group/unknown cipher_2048 "sum(ct)" "$expression"
	group_rate group/pgmp_unknown mpz_2048 "mpz_plpgsql_2048(c)" "$expression"
	group_rate group/generic cipher_2048 "sum(ct)" meter "SET paillier.kernel = generic;"
}

# Rows a second of an aggregate over groups: group_rate NAME TABLE AGGREGATE GROUPS [SETTINGS]
group_rate() {
	sql_rate "$1" $rows "SELECT count(s) FROM (SELECT $3 AS s FROM $2 GROUP BY $4) t;" "$(touched "$2") ${5:-}"
}

part_memory() {
	say "memory of hash aggregates"
	for eighths in 1 2 4 8; do
		rounds $few measure_memory $((most_groups * eighths / 8))
	done
}

measure_memory() {
	local groups=$1
	hash_aggregate memory/$groups/ours "SELECT sum(ct) FROM cipher_2048 WHERE i < $((4 * groups)) GROUP BY i % $groups"
	hash_aggregate memory/$groups/text "SELECT max(t) FROM texts WHERE i < $((4 * groups)) GROUP BY i % $groups"
	hash_aggregate memory/$groups/numeric "SELECT sum(n) FROM plain WHERE i < $((4 * groups)) GROUP BY i % $groups"
}

# Seconds, peak bytes of the hash table, and peak bytes that the backend got from the system
hash_aggregate() {
	local name=$1 before table after ms
	{
		read -r before
		read -r table ms
		read -r after
	} < <(sql <<-EOF
		SET max_parallel_workers_per_gather = 0;
		SET enable_sort = off;
		SELECT sum(ct) IS NULL AS warm FROM (SELECT ct FROM cipher_2048 LIMIT 1) s \\gset
		CREATE TEMP TABLE plan (line json);
		$peak_memory;
		DO \$\$
		DECLARE
			plan json;
		BEGIN
			EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT json) $2' INTO plan;
			INSERT INTO plan VALUES (plan);
		END
		\$\$;
		SELECT (line->0->'Plan'->>'Peak Memory Usage')::bigint * 1024 || ' ' || (line->0->>'Execution Time') FROM plan;
		$peak_memory;
	EOF
	)
	record $name/table "$table"
	record $name/backend $((after - before))
	record $name/seconds "$(awk -v ms="$ms" 'BEGIN { print ms / 1000 }')"
}

# of this backend, without shared memory
peak_memory="SELECT (substring(s from 'VmHWM:\\s+(\\d+)')::bigint - substring(s from 'RssShmem:\\s+(\\d+)')::bigint) *
	1024
	FROM pg_read_file('/proc/self/status', 0, 10000) s"

# ---- rows, workers ----

part_growth() {
	say "growth with rows and processes"
	warm_up="SELECT sum(ct) FROM (SELECT ct FROM cipher_2048 LIMIT 1) s;"
	for part in 16 8 4 2 1; do
		rounds $few sql_rate grow_rows/$((rows / part)) $((rows / part)) \
			"SELECT sum(ct) FROM (SELECT ct FROM cipher_2048 LIMIT $((rows / part))) s;" "$alone"
	done
	for ((processes = 1; processes <= $(nproc); processes++)); do
		rounds $few sql_rate grow_cores/$processes $rows "SELECT sum(ct) FROM cipher_2048;" "$(workers $processes)"
	done
}

# ---- windows, weights, decryption in the server ----

part_windows() {
	say "sliding windows"
	warm_up="SELECT sum(ct) FROM (SELECT ct FROM cipher_2048 LIMIT 1) s;"
	rounds $few measure_windows
}

measure_windows() {
	local aggregate
	for aggregate in sum sum_again; do
		sql_rate window/$aggregate $window_rows "SELECT count(s)
			FROM (SELECT $aggregate(ct) OVER (ORDER BY i ROWS 23 PRECEDING) AS s
			FROM cipher_2048 WHERE i < $window_rows) t;" "$alone"
	done
}

part_weights() {
	say "weighted sums, decryption of many totals"
	warm_up="SELECT sum(ct) FROM (SELECT ct FROM cipher_2048 LIMIT 1) s;"
	rounds $few measure_weights
	rounds $few measure_decryption
}

measure_weights() {
	local n=$((rows / 8)) few="i % 4 + 1" many="(i::bigint * 40503 % 65536)" touched
	touched=$(touched cipher_2048)
	weighted plain "sum(ct)"
	weighted constant "sum(ct, 3)"
	weighted few "sum(ct, $few)"
	weighted cents "sum(ct, ($few)::numeric / 100)"
	weighted ours "sum(ct, i % 1000 + 1)"
	weighted many "sum(ct, $many)"
	weighted many_cents "sum(ct, $many / 100.0)"
	weighted signed "sum(ct, $many - 32768)"
	weighted little_memory "sum(ct, $many)" "SET work_mem = '64kB';"
	weighted plain_generic "sum(ct)" "SET paillier.kernel = generic;"
	weighted few_generic "sum(ct, $few)" "SET paillier.kernel = generic;"
	weighted many_generic "sum(ct, $many)" "SET paillier.kernel = generic;"
	weighted product "sum(ct * (i % 1000 + 1))"
	sql_rate weight/pgmp $n "SELECT mpz_weighted_2048(c, (i % 1000 + 1)::mpz) FROM mpz_2048 WHERE i < $n;" "$alone"
}

# Rows a second of an aggregate over $n rows: weighted NAME AGGREGATE [SETTINGS]
weighted() { sql_rate "weight/$1" "$n" "SELECT $2 FROM cipher_2048 WHERE i < $n;" "$touched ${3:-}"; }

measure_decryption() {
	local n=1000
	sql_rate decrypt/array $n "SELECT count(v)
		FROM unnest(paillier_decrypt_array((SELECT array_agg(ct) FROM distinct_2048 WHERE j <= $n),
		'$(cat "$work/private.2048.json")')) v;" "$alone"
	sql_rate decrypt/one $n "SELECT count(paillier_decrypt(ct, '$(cat "$work/private.2048.json")')) FROM distinct_2048
		WHERE j <= $n;" "$alone"
}
