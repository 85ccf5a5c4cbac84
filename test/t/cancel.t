#!/usr/bin/env bash
# cancel.t
#	Statements are cancelled while they make keys, encrypt, add or decrypt; the
#	backend goes on with what it knows, and a backend that is told to end does.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server
fresh cancel_test paillier
export PGOPTIONS='-c paillier.min_key_bits=128'
make_keys
sql "SELECT paillier_register_key(public) FROM key_pair" >/dev/null
sql - <<-'EOF'
	CREATE TABLE reading AS SELECT i, name, paillier_encrypt(i, public) AS ct FROM key_pair, generate_series(1, 100) i;
EOF

# What shows that a backend computes as before.
work="SELECT paillier_decrypt(sum(ct), max(private::text)::paillier_private_key) FROM reading JOIN key_pair USING (name)
	GROUP BY name;
SELECT paillier_decrypt(paillier_encrypt(-5, public), private) FROM key_pair;
SELECT paillier_decrypt(paillier_encrypt(77, paillier_public_key(k)), k)
	FROM (SELECT paillier_keygen(256) AS k OFFSET 0) s;"
right='5050
5050
-5
-5
77'

# Run for ever unless it is cancelled: a statement and what it is.
endless() {
	case $1 in
		"one key") echo "SELECT paillier_keygen(8192)" ;;
		"many keys") echo "SELECT count(paillier_keygen(1024)) FROM generate_series(1, 1000000)" ;;
		encryption) echo "SELECT count(paillier_encrypt(i, public)) FROM key_pair,
			generate_series(1, 100000000) i WHERE name = 'usual'" ;;
		sum) echo "SELECT sum(ct, i + k) FROM reading, generate_series(1, 100000000) k WHERE name = 'usual'" ;;
		decryption) echo "SELECT count(paillier_decrypt(ct, private)) FROM reading JOIN key_pair USING (name),
			generate_series(1, 100000000)" ;;
		"sliding sum") echo "SELECT count(sum) FROM
			(SELECT sum(ct) OVER (ORDER BY k ROWS 10 PRECEDING) FROM reading,
			generate_series(1, 1000000) k WHERE name = 'usual') s" ;;
	esac
}
kinds=("one key" "many keys" encryption sum decryption "sliding sum")

# in a session of its own, which lives on
for kind in "${kinds[@]}"; do
	result=$(timeout 120 psql -XAtq -v ON_ERROR_STOP=0 2>/dev/null <<-EOF
		SELECT pg_backend_pid() AS first \\gset
		$work
		SET statement_timeout = 40;
		$(endless "$kind");
		RESET statement_timeout;
		\\echo :LAST_ERROR_SQLSTATE
		$work
		SELECT pg_backend_pid() = :first;
	EOF
	)
	is "$result" "$right
57014
$right
t" "statement_timeout: $kind"
done

# within a transaction, back to a savepoint
result=$(timeout 120 psql -XAtq -v ON_ERROR_STOP=0 2>/dev/null <<-EOF
	BEGIN;
	SELECT paillier_decrypt(sum(ct, 2), max(private::text)::paillier_private_key) FROM reading
		JOIN key_pair USING (name) WHERE name = 'small';
	SAVEPOINT s;
	SET LOCAL statement_timeout = 40;
	$(endless "one key");
	ROLLBACK TO s;
	\\echo :LAST_ERROR_SQLSTATE
	$work
	COMMIT;
EOF
)
is "$result" "10100
57014
$right" "back to a savepoint"

# background NAME STATEMENT: a session under this name that runs it; waits until it does
background() {
	PGAPPNAME=$1 timeout 120 psql -XAtq -c "$2" >"$scratch/$1.out" 2>"$scratch/$1.err" &
	background=$!
	until [ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = '$1' AND state = 'active'")" = 1 ]; \
		do sleep 0.05; done
}

# by another session, and by the end of the server's patience
for kind in "one key" encryption sum; do
	background "cancelled" "$(endless "$kind")"
	is "$(sql "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'cancelled'")" t \
		"cancelled: $kind"
	wait "$background"
	like "$(cat "$scratch/cancelled.err")" 'canceling statement due to user request' "and told so: $kind"
	background "terminated" "$(endless "$kind")"
	is "$(sql "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'terminated'")" \
		t "terminated: $kind"
	wait "$background"
	like "$(cat "$scratch/terminated.err")" 'terminating connection due to administrator command' "and told so: $kind"
done
is "$(sql "$work")" "$right" "the server is as before"

# parallel workers
result=$(timeout 120 psql -XAtq -v ON_ERROR_STOP=0 2>/dev/null <<-EOF
	SET parallel_setup_cost = 0;
	SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0;
	ALTER TABLE reading SET (parallel_workers = 2);
	SET statement_timeout = 100;
	SELECT sum(a.ct, a.i + b.i) FROM reading a, reading b, reading c, reading d WHERE a.name = 'usual';
	RESET statement_timeout;
	\\echo :LAST_ERROR_SQLSTATE
	$work
EOF
)
is "$result" "57014
$right" "parallel workers are cancelled too"

finish
