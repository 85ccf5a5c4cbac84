#!/usr/bin/env bash
# registry.t
#	The registry of keys as several sessions see it: within a transaction, in
#	parallel workers, after a key was removed, with more keys than a backend
#	keeps; and that no table of another name takes its place.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server
fresh registry_test paillier
export PGOPTIONS='-c paillier.min_key_bits=128'
make_keys
sql "CREATE TABLE reading AS SELECT i, name, paillier_encrypt(i, public) AS ct FROM key_pair,
	generate_series(1, 1000) i; ANALYZE reading"

total="SELECT paillier_decrypt(total, private) FROM (SELECT sum(ct) AS total FROM reading WHERE name = 'usual') s,
	key_pair WHERE name = 'usual'"
register="SELECT paillier_register_key(public) IS NULL FROM key_pair WHERE name = 'usual' \\g /dev/null"
parallel="SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 2;"

# ---- within a transaction ----

is "$(error "$total")" 42704 "before it is registered a key is refused"
like "$(sql "$total" 2>&1)" 'key [0-9a-f]{32} is not registered.*paillier_register_key' "with its id and a hint"
is "$(sql "BEGIN; $register
$total; ROLLBACK")" 500500 "registered in the same transaction"
is "$(error "$total")" 42704 "which was rolled back: other sessions do not know the key"
is "$(error "SET LOCAL search_path = pg_catalog; BEGIN; SAVEPOINT s; $register
ROLLBACK TO s; $total")" 42704 "registered in a subtransaction that was rolled back, and never used"

# the leader of a parallel query has not committed the row that its workers need
is "$(sql "$parallel BEGIN; $register
$total; ROLLBACK")" 500500 "parallel workers see a key that is not committed"
result=$(sql - <<-EOF
	$parallel
	SET parallel_leader_participation = off;
	BEGIN;
	$register
	EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT sum(ct) FROM reading WHERE name = 'usual';
	ROLLBACK;
EOF
)
like "$result" 'Workers Launched: [12].*Partial Aggregate' "they did the work"
is "$(sql "SET max_parallel_workers_per_gather = 0; BEGIN; $register
$total; DELETE FROM paillier_key; $total; ROLLBACK; $total")" $'500500\n500500\n500500' \
	"a session keeps a key that it has used"

# ---- several sessions ----

# a session that waits for lines: its output is read line by line
coproc session { psql -XAtq -v ON_ERROR_STOP=0 2>&1; }
ask() {
	echo "$1;" >&"${session[1]}"
	echo '\echo done' >&"${session[1]}"
	local line answer=
	while read -r line <&"${session[0]}" && [ "$line" != done ]; do answer+="$line "; done
	echo "${answer% }"
}
like "$(ask "$total")" 'is not registered' "a session that asked too early"
sql "$register"
is "$(ask "$total")" 500500 "finds the key once another has registered it"
sql 'DELETE FROM paillier_key'
is "$(ask "$total")" 500500 "and keeps it when another removes it"
like "$(ask "$parallel SET parallel_leader_participation = off; $total")" 'is not registered.*parallel worker' \
	"though its workers, which are new sessions, do not"
ask 'RESET ALL; SET max_parallel_workers_per_gather = 0' >/dev/null
is "$(error "$total")" 42704 "new sessions do not find it"
ask 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1' >/dev/null
sql "$register"
is "$(ask "SELECT count(*) FROM paillier_key")" 0 "an older snapshot does not show the key"
is "$(ask "$total")" 500500 "and adds all the same, for an id cannot mean two keys"
ask 'COMMIT' >/dev/null

# the same key registered by many at once
sql 'DELETE FROM paillier_key'
for i in 1 2 3 4 5 6; do sql "$register
$register" 2>"$scratch/register.$i" & pids[i]=$!; done
status=0
for i in 1 2 3 4 5 6; do wait "${pids[$i]}" || status=1; done
is "$status $(sql 'SELECT count(*) FROM paillier_key') $(cat "$scratch"/register.* | wc -l)" "0 1 0" \
	"registered by six sessions at once"

# ---- more keys than a backend keeps ----

sql - <<-'EOF'
	CREATE TABLE many AS SELECT k, paillier_keygen(128) AS private FROM generate_series(1, 200) k;
	SELECT count(paillier_register_key(paillier_public_key(private))) FROM many \g /dev/null
	CREATE TABLE many_reading AS SELECT k, i, paillier_encrypt(k * i, paillier_public_key(private), 0, 20) AS ct
		FROM many, generate_series(1, 10) i;
EOF
is "$(sql "SET enable_sort = off; SELECT count(*),
	bool_and(paillier_decrypt(total, private) = 55 * k)
	FROM (SELECT k, sum(ct) AS total FROM (SELECT * FROM many_reading ORDER BY i, k) s GROUP BY k) t
	JOIN many USING (k)")" \
	"200|t" "sums under 200 keys, their rows mixed"
is "$(sql "SELECT count(*), bool_and(paillier_decrypt(ct * 2 + 1, private) = 2 * k * i + 1)
	FROM (SELECT * FROM many_reading ORDER BY i, k) s JOIN many USING (k)")" "2000|t" \
	"operators under 200 keys, in turn"
is "$(sql "SELECT count(*), bool_and(paillier_decrypt(total, private) = sum)
	FROM (SELECT k, sum(ct) OVER w AS total,
	sum(k * i) OVER w FROM many_reading WINDOW w AS (PARTITION BY k ORDER BY i ROWS 2 PRECEDING)) t
	JOIN many USING (k)")" "2000|t" \
	"sliding sums under 200 keys"
is "$(sql "SELECT count(*), bool_and(paillier_decrypt(paillier_rerandomize(ct), private) = k * i)
	FROM (SELECT * FROM many_reading ORDER BY i, k) s JOIN many USING (k)")" "2000|t" \
	"re-randomised under 200 keys, in turn"
is "$(sql "SELECT count(DISTINCT paillier_bytes(paillier_encrypt(0, paillier_public_key(private), 0, 8)))
	FROM generate_series(1, 10), many")" 2000 "encrypted under 200 keys, in turn"

# nor does memory grow with the rows: 40,000 calls under 20 private keys in turn
peak=$(sql - <<-'EOF'
	SELECT pg_backend_pid() AS backend \gset
	SELECT count(paillier_decrypt(ct, private)), count(paillier_public_key(private))
		FROM (SELECT * FROM many_reading ORDER BY i, k) s JOIN many USING (k),
		generate_series(1, 200) WHERE k <= 20 \g /dev/null
	\setenv BACKEND :backend
	\! sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' /proc/$BACKEND/status
EOF
)
[ "$peak" -gt 0 ] && [ "$peak" -lt 300000 ]
ok $? "40,000 decryptions under 20 keys, in turn, in less than 300 MB"
[ "$peak" -lt 300000 ] || diag "$peak kB"

# nor with the length of an array, whichever key of the query it is: 3,000 elements under each of 20 keys, held open by
# a cursor
report=$(sql - <<-'EOF'
	SELECT pg_backend_pid() AS backend \gset
	BEGIN;
	DECLARE decrypted CURSOR FOR
		SELECT k, count(x), bool_and(x = k) FROM (SELECT k,
			unnest(paillier_decrypt_array(array_fill(ct, ARRAY[3000]), private)) AS x FROM many_reading
			JOIN many USING (k) WHERE i = 1 AND k <= 20 OFFSET 0) s GROUP BY k;
	SELECT 'fetch';
	FETCH ALL decrypted \g /dev/null
	-- from PostgreSQL 14 on
	SELECT to_regclass('pg_backend_memory_contexts') IS NOT NULL AS visible \gset
	\if :visible
	SELECT count(*) = 8, sum(total_bytes) < 8000000 FROM pg_backend_memory_contexts WHERE name = 'paillier private key';
	COMMIT;
	SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'paillier private key';
	\else
	COMMIT;
	\echo t|t
	\echo 0
	\endif
	SELECT count(*), bool_and(sum = 3000 * k) FROM (SELECT k,
		(SELECT sum(x) FROM unnest(paillier_try_decrypt_array(array_fill(ct, ARRAY[3000]), private)) x)
		FROM many_reading JOIN many USING (k) WHERE i = 1 AND k <= 20) s;
	\setenv BACKEND :backend
	\! test $(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' /proc/$BACKEND/status) -lt 200000 && echo flat
EOF
)
is "$report" $'fetch\nt|t\n0\n20|t\nflat' \
	"20 private keys in turn over 3,000 elements each: eight prepared keys, no more memory, none left"

# ---- output where no statement runs ----

# a state of a sum looks its key up when it is written: from a held cursor there is no snapshot at that time
sql "CREATE TABLE state AS SELECT paillier_sum_accum(NULL, ct) AS state FROM reading WHERE i = 1 AND name = 'usual'"
is "$(sql 'BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT state FROM state; COMMIT; FETCH held' 2>&1)" \
	"$(sql 'SELECT state FROM state')" "a held cursor over states"

# ---- who may do what ----

sql "DROP ROLE IF EXISTS registry_reader" 2>/dev/null
sql 'CREATE ROLE registry_reader LOGIN; GRANT SELECT ON reading, key_pair TO registry_reader'
is "$(PGOPTIONS= sql "$total" -U registry_reader)" 500500 "everybody adds ciphertexts of a registered key"
is "$(PGOPTIONS= PGUSER=registry_reader error "INSERT INTO paillier_key SELECT * FROM paillier_key")" 42501 \
	"and nobody but its owner fills the registry"
is "$(PGOPTIONS= PGUSER=registry_reader error \
	"SELECT paillier_register_key(public) FROM key_pair WHERE name = 'usual'")" 42501 "by its function either"
sql 'GRANT INSERT, UPDATE ON paillier_key TO registry_reader; GRANT SELECT ON paillier_key TO registry_reader'
is "$(PGOPTIONS= PGUSER=registry_reader error \
	"SELECT paillier_register_key(public, 'of another') FROM key_pair WHERE name = 'usual'")" none \
	"unless it was granted"
sql 'REVOKE ALL ON paillier_key FROM registry_reader'

# whatever the installer's default privileges and other people's functions say
sql 'DROP ROLE IF EXISTS registry_grabber; DROP ROLE IF EXISTS "Public ""x"' 2>/dev/null
fresh registry_privileges
is "$(sql - <<-'EOF' 2>&1
	CREATE ROLE registry_grabber; CREATE ROLE "Public ""x";
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO registry_grabber WITH GRANT OPTION;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC, "Public ""x";
	CREATE FUNCTION public.quote_ident(text) RETURNS text LANGUAGE sql AS $$ SELECT 'nobody' $$;
	CREATE FUNCTION public.aclexplode(aclitem[]) RETURNS TABLE (grantee oid) LANGUAGE sql AS $$ SELECT 10::oid $$;
	CREATE FUNCTION public.never(oid, oid) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
	CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.never);
	CREATE OPERATOR public.<> (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.never);
	SET search_path = public, pg_catalog;
	CREATE EXTENSION paillier;
	SET search_path = pg_catalog, public;
	SELECT grantee::regrole::text, privilege_type, is_grantable FROM pg_class,
		aclexplode(relacl) WHERE relname = 'paillier_key' AND grantee <> relowner;
	ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM registry_grabber;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM PUBLIC, "Public ""x";
	DROP ROLE registry_grabber, "Public ""x";
EOF
)" "-|SELECT|f" "everybody may read the registry, and nothing else"
export PGDATABASE=registry_test

# ---- no other table takes its place ----

# tables of the same name, empty, first in the search path: the registry is found by the functions' own schema
decoy="CREATE TEMPORARY TABLE paillier_key (LIKE public.paillier_key); CREATE SCHEMA IF NOT EXISTS decoy;
	CREATE TABLE IF NOT EXISTS decoy.paillier_key (LIKE public.paillier_key);"
sql 'DELETE FROM public.paillier_key'
sql "$register"
is "$(sql "SET client_min_messages = warning; $decoy SET search_path = pg_temp, decoy, public; $total")" 500500 \
	"a table before it in the search path is not asked"
is "$(sql "SET client_min_messages = warning; $decoy SET search_path = pg_temp, decoy, public;
	DELETE FROM public.paillier_key; $register
SELECT (SELECT count(*) FROM pg_temp.paillier_key), (SELECT count(*) FROM decoy.paillier_key),
	(SELECT count(*) FROM public.paillier_key)")" "0|0|1" "nor filled"
# an operator before those of pg_catalog is not called
is "$(sql "SET client_min_messages = warning;
CREATE FUNCTION decoy.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR decoy.= (LEFTARG = text, RIGHTARG = text, FUNCTION = decoy.never);
SET search_path = decoy, pg_catalog, public;
	SELECT public.paillier_decrypt(total, private)
	FROM (SELECT public.sum(ct) AS total FROM reading WHERE name OPERATOR(pg_catalog.=) 'usual') s,
	key_pair WHERE name OPERATOR(pg_catalog.=) 'usual'")" \
	500500 "nor an operator of another schema"
is "$(sql "SET search_path = pg_catalog;
	SELECT public.paillier_decrypt(total, private)
	FROM (SELECT public.sum(ct) AS total FROM public.reading WHERE name = 'usual') s,
	public.key_pair WHERE name = 'usual'")" 500500 "search_path = pg_catalog"
is "$(sql "SET search_path = ''; SELECT public.paillier_decrypt(total, private)
	FROM (SELECT public.sum(ct OPERATOR(public.*) 2) AS total FROM public.reading WHERE name = 'usual') s,
	public.key_pair WHERE name = 'usual'")" 1001000 "an empty search_path"

# functions and operators that are planted beside those of the extension, and before pg_catalog, for whatever
# paillier_register_key() calls
is "$(sql - <<-'EOF' 2>&1
	SET client_min_messages = warning;
	CREATE TABLE trap (what text);
	CREATE FUNCTION public.paillier_key_id(anyelement) RETURNS text LANGUAGE sql
		AS $$ INSERT INTO public.trap VALUES ('anyelement') RETURNING 'x' $$;
	CREATE FUNCTION public.paillier_key_id(paillier_public_key, int DEFAULT 1) RETURNS text LANGUAGE sql
		AS $$ INSERT INTO public.trap VALUES ('default') RETURNING 'x' $$;
	CREATE FUNCTION public.paillier_key_id(VARIADIC paillier_public_key[]) RETURNS text LANGUAGE sql
		AS $$ INSERT INTO public.trap VALUES ('variadic') RETURNING 'x' $$;
	CREATE FUNCTION public.paillier_register_key(anyelement) RETURNS text LANGUAGE sql
		AS $$ INSERT INTO public.trap VALUES ('register') RETURNING 'x' $$;
	CREATE FUNCTION decoy.planted(text, text) RETURNS boolean LANGUAGE sql
		AS $$ INSERT INTO public.trap VALUES ('operator') RETURNING true $$;
	CREATE OPERATOR decoy.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = decoy.planted);
	CREATE FUNCTION decoy.coalesce(text, text) RETURNS text LANGUAGE sql
		AS $$ INSERT INTO public.trap VALUES ('coalesce') RETURNING 'x' $$;
	SET search_path = decoy, public, pg_catalog;
	SELECT public.paillier_register_key(public, 'by exact types'::text) OPERATOR(pg_catalog.=) id FROM key_pair
		WHERE name OPERATOR(pg_catalog.=) 'small';
	SELECT name FROM public.paillier_key WHERE name OPERATOR(pg_catalog.~) 'exact';
	SELECT count(*) FROM public.trap;
	DROP FUNCTION public.paillier_key_id(anyelement), public.paillier_key_id(paillier_public_key, int),
		public.paillier_key_id(paillier_public_key[]), public.paillier_register_key(anyelement);
EOF
)" $'t\nby exact types\n0' "nor does any planted function run"

# ---- small keys ----

# below the limit of the session: refused where they are registered or used, but not where one was registered before
export PGOPTIONS=
sql 'DELETE FROM paillier_key'
is "$(error "SELECT paillier_register_key(public) FROM key_pair WHERE name = 'small'")" 22023 \
	"a small key is not registered"
is "$(error "SELECT paillier_encrypt(1, public) FROM key_pair WHERE name = 'small'")" 22023 "nor encrypted under"
is "$(error "SELECT paillier_decrypt(ct, private) FROM reading JOIN key_pair USING (name) WHERE name = 'small'")" \
	22023 "nor decrypted with"
PGOPTIONS='-c paillier.min_key_bits=128' sql \
	"SELECT paillier_register_key(public) IS NULL FROM key_pair WHERE name = 'small'" >/dev/null
is "$(sql "SELECT count(sum), count(DISTINCT ct::text)
	FROM (SELECT sum(ct) FROM (SELECT paillier_rerandomize(ct * 2) + ct FROM reading WHERE name = 'small') s (ct)) t,
	(SELECT paillier_encrypt(i, public) FROM key_pair, generate_series(1, 20) i WHERE name = 'small') u (ct)")" \
	"20|20" \
	"once it is registered, its ciphertexts are made and added"
is "$(error "SELECT paillier_decrypt(ct, private) FROM reading JOIN key_pair USING (name) WHERE name = 'small'")" \
	22023 "though not decrypted"
export PGOPTIONS='-c paillier.min_key_bits=128'
sql "$register"

# ---- an extension that is dropped and made again ----

is "$(sql "SET client_min_messages = error; $total; DROP EXTENSION paillier CASCADE; CREATE EXTENSION paillier;
SELECT count(*) FROM paillier_key; SELECT paillier_kernel() IS NOT NULL")" $'500500\n0\nt' \
	"dropped and made again in one session"

# ---- a registry that somebody has altered ----

fresh registry_altered paillier
sql - >/dev/null <<-'EOF'
	CREATE TABLE own AS SELECT paillier_encrypt(1, key) AS ct,
		key FROM (SELECT paillier_public_key(paillier_keygen(128)) AS key OFFSET 0) s;
	SELECT paillier_register_key(key) FROM own;
	ALTER TABLE paillier_key DROP CONSTRAINT paillier_key_check;
EOF
altered() { error "BEGIN; ALTER TABLE paillier_key $1; SELECT sum(ct) FROM own"; }
is "$(altered "ADD COLUMN note text, DROP COLUMN name, DROP COLUMN registered_at")" none \
	"columns that nobody reads do not matter"
is "$(altered "ALTER public_key TYPE text USING public_key::text")" 42804 "a key of another type is not read"
is "$(altered "ALTER key_id TYPE varchar")" 42804 "nor one by an id of another type"
is "$(altered "DROP COLUMN public_key")" 42703 "nor a column that is not there"
is "$(altered "DROP CONSTRAINT paillier_key_pkey")" 42704 "and without its index the table is not read"
is "$(altered "RENAME TO other")" 42P01 "nor under another name"

finish
