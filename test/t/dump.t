#!/usr/bin/env bash
# dump.t
#	A dump holds the registered keys and every ciphertext, and restores in
#	whatever order its tables come.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server

# Totals by key, decrypted: what has to be the same in every copy.
totals() {
	sql - <<-'EOF'
		SELECT name, paillier_decrypt(total, private), paillier_decrypt(weighted, private), rows
		FROM (SELECT paillier_key_id(ct) AS id, sum(ct) AS total, sum(ct, weight) AS weighted, count(ct) AS rows FROM a_reading WHERE ct IS NOT NULL GROUP BY 1) s
			JOIN key_pair USING (id) ORDER BY name;
		SELECT paillier_decrypt(paillier_sum_final(state), private), paillier_decrypt(total, private)
		FROM z_state JOIN by_key_stored USING (id) JOIN key_pair USING (id) ORDER BY name;
	EOF
}

# A digest of every row of every table.
rows() {
	sql - <<-'EOF'
		SELECT 'key', md5(string_agg(k::text, ',' ORDER BY key_id)) FROM paillier_key k;
		SELECT 'reading', md5(string_agg(r::text, ',' ORDER BY i, paillier_key_id(ct))) FROM a_reading r;
		SELECT 'state', md5(string_agg(s::text, ',' ORDER BY id)) FROM z_state s;
		SELECT 'pair', md5(string_agg(k::text, ',' ORDER BY name)) FROM key_pair k;
	EOF
}

# The current database against the source: compare WHAT
compare() {
	is "$(totals)" "$source_totals" "totals after $1"
	is "$(rows)" "$source_rows" "every row after $1"
	is "$(sql "SELECT count(*) FROM pg_extension WHERE extname = 'paillier'")" 1 "the extension after $1"
}

# ---- the source: both keys, tables whose names sort before and after that of the registry ----

# a key below the limit needs its setting again wherever it is restored
export PGOPTIONS='-c paillier.min_key_bits=256'
fresh dump_source paillier
make_keys
sql - >/dev/null <<-'EOF'
	SELECT paillier_register_key(public, 'key ' || name) FROM key_pair;
	CREATE TABLE a_reading (i int, ct paillier_ciphertext, weight numeric) PARTITION BY RANGE (i);
	CREATE TABLE a_reading_1 PARTITION OF a_reading FOR VALUES FROM (0) TO (200);
	CREATE TABLE a_reading_2 PARTITION OF a_reading DEFAULT;
	INSERT INTO a_reading SELECT i, paillier_encrypt(i * 0.25 - 20, public, i % 4 + 2), i % 7 - 3 FROM generate_series(1, 300) i, key_pair;
	INSERT INTO a_reading VALUES (0, NULL, 1);
	CREATE TABLE z_state AS SELECT paillier_key_id(ct) AS id, paillier_sum_accum(NULL, ct, -2) AS state FROM a_reading WHERE i = 7;
	CREATE MATERIALIZED VIEW by_key_stored AS SELECT paillier_key_id(ct) AS id, sum(ct) AS total FROM a_reading WHERE ct IS NOT NULL GROUP BY 1;
EOF
source_totals=$(totals)
source_rows=$(rows)
is "$source_totals" "$(sql - <<-'EOF'
	SELECT name, sum(round(i * 0.25 - 20, i % 4 + 2)), sum(round(i * 0.25 - 20, i % 4 + 2) * (i % 7 - 3)), count(*)
	FROM generate_series(1, 300) i, unnest(ARRAY['small', 'usual']) name GROUP BY name ORDER BY name;
	SELECT (7 * 0.25 - 20) * -2 || '000', sum(round(i * 0.25 - 20, i % 4 + 2)) FROM generate_series(1, 300) i, generate_series(1, 2) k GROUP BY k;
EOF
)" "totals before the dump"

# ---- dumps of every kind ----

pg_dump dump_source >"$scratch/plain.sql"
ok $? "pg_dump, plain"
fresh dump_plain
psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/plain.sql" >/dev/null
ok $? "restored by psql"
compare "a plain dump"

pg_dump --inserts --rows-per-insert=10 dump_source >"$scratch/inserts.sql"
ok $? "pg_dump, INSERT statements"
fresh dump_inserts
psql -Xq1 -v ON_ERROR_STOP=1 -f "$scratch/inserts.sql" >/dev/null
ok $? "restored in one transaction"
compare "a dump of INSERT statements"

pg_dump -Fc -f "$scratch/custom" dump_source
ok $? "pg_dump, custom"
fresh dump_custom
pg_restore -e -d dump_custom "$scratch/custom"
ok $? "restored by pg_restore"
compare "a custom dump"

# the order of tables is anybody's guess
pg_dump -Fd -j 2 -f "$scratch/directory" dump_source
ok $? "pg_dump, directory, by several jobs"
fresh dump_jobs
pg_restore -e -j 3 -d dump_jobs "$scratch/directory"
ok $? "restored by several jobs"
compare "a parallel restore"

# ---- the order of tables does not matter ----

# restore_in_order TABLE ...: the schema, then the tables' rows in this order, then the rest
restore_in_order() {
	local table
	pg_restore -l "$scratch/custom" >"$scratch/list"
	pg_restore -e --section=pre-data -d "$PGDATABASE" "$scratch/custom" || return
	for table in "$@"; do
		grep " TABLE DATA public $table " "$scratch/list" >"$scratch/part" || return
		pg_restore -e -L "$scratch/part" -d "$PGDATABASE" "$scratch/custom" || return
		[ "$table" != a_reading_1 ] || after_readings=$(error 'SELECT sum(ct) FROM a_reading WHERE ct IS NOT NULL GROUP BY paillier_key_id(ct)')
	done
	pg_restore -e --section=post-data -d "$PGDATABASE" "$scratch/custom" && sql 'REFRESH MATERIALIZED VIEW by_key_stored'
}

fresh dump_keys_last
restore_in_order z_state a_reading_1 a_reading_2 key_pair paillier_key
ok $? "restored, the registry last"
is "$after_readings" 42704 "before the keys are there nothing can be added"
compare "a restore with the registry last"

fresh dump_keys_first
restore_in_order paillier_key key_pair a_reading_2 a_reading_1 z_state
ok $? "restored, the registry first"
is "$after_readings" none "once they are it can"
compare "a restore with the registry first"

# ---- a restored registry goes on where the old one was ----

is "$(sql "SELECT paillier_register_key(public, 'renamed') = id FROM key_pair WHERE name = 'usual'")" t "a restored key can be renamed"
is "$(sql 'SELECT name FROM paillier_key ORDER BY name')" $'key small\nrenamed' "and has the new name"
is "$(error "UPDATE paillier_key SET key_id = repeat('0', 32)")" 23514 "the check of ids is restored"
is "$(sql "SELECT has_table_privilege('public', 'paillier_key', 'SELECT'), has_table_privilege('public', 'paillier_key', 'INSERT')")" "t|f" "privileges are restored"

# ---- without its setting a key below the limit is not restored unnoticed ----

unset PGOPTIONS
fresh dump_refused
refused=$(psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/plain.sql" 2>&1 >/dev/null)
status=$?
is "$status" 3 "a small key is not restored without its setting"
like "$refused" "key size is out of range.*paillier.min_key_bits" "and the message names the setting"

# ---- an extension outside the search path ----

fresh dump_schema
sql - >/dev/null <<-EOF
	CREATE SCHEMA "Crypto Box";
	CREATE EXTENSION paillier SCHEMA "Crypto Box";
	CREATE TABLE reading (ct "Crypto Box".paillier_ciphertext);
	CREATE TABLE key_pair (private "Crypto Box".paillier_private_key);
	INSERT INTO key_pair VALUES ('$usual_key');
	SELECT "Crypto Box".paillier_register_key("Crypto Box".paillier_public_key(private)) FROM key_pair;
	INSERT INTO reading SELECT "Crypto Box".paillier_encrypt(i, "Crypto Box".paillier_public_key(private)) FROM key_pair, generate_series(1, 10) i;
	CREATE MATERIALIZED VIEW total AS SELECT "Crypto Box".sum(ct OPERATOR("Crypto Box".+) 1) FROM reading;
EOF
pg_dump -Fc -f "$scratch/schema" dump_schema
ok $? "pg_dump, the extension in a schema of its own"
fresh dump_schema_restored
pg_restore -e -d dump_schema_restored "$scratch/schema"
ok $? "restored, with a materialized view that adds"
is "$(sql 'SELECT "Crypto Box".paillier_decrypt(sum, private) FROM total, key_pair')" 65 "its total"
is "$(sql 'SELECT "Crypto Box".paillier_decrypt(total, private) FROM (SELECT "Crypto Box".sum(ct, -2) AS total FROM reading) s, key_pair')" -110 "a new total"

finish
