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
		FROM (SELECT paillier_key_id(ct) AS id, sum(ct) AS total, sum(ct, weight) AS weighted,
			count(ct) AS rows FROM a_reading WHERE ct IS NOT NULL GROUP BY 1) s
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

# a key below the limit needs its setting where it is used, but not where it is restored
export PGOPTIONS='-c paillier.min_key_bits=256'
fresh dump_source paillier
make_keys
sql - >/dev/null <<-'EOF'
	SELECT paillier_register_key(public, 'key ' || name) FROM key_pair;
	CREATE TABLE a_reading (i int, ct paillier_ciphertext, weight numeric) PARTITION BY RANGE (i);
	CREATE TABLE a_reading_1 PARTITION OF a_reading FOR VALUES FROM (0) TO (200);
	CREATE TABLE a_reading_2 PARTITION OF a_reading DEFAULT;
	INSERT INTO a_reading SELECT i, paillier_encrypt(i * 0.25 - 20, public, i % 4 + 2),
		i % 7 - 3 FROM generate_series(1, 300) i, key_pair;
	INSERT INTO a_reading VALUES (0, NULL, 1);
	CREATE TABLE z_state AS SELECT paillier_key_id(ct) AS id,
		paillier_sum_accum(NULL, ct, -2) AS state FROM a_reading WHERE i = 7;
	CREATE MATERIALIZED VIEW by_key_stored AS SELECT paillier_key_id(ct) AS id,
		sum(ct) AS total FROM a_reading WHERE ct IS NOT NULL GROUP BY 1;
EOF
source_totals=$(totals)
source_rows=$(rows)
is "$source_totals" "$(sql - <<-'EOF'
	SELECT name, sum(round(i * 0.25 - 20, i % 4 + 2)), sum(round(i * 0.25 - 20, i % 4 + 2) * (i % 7 - 3)), count(*)
	FROM generate_series(1, 300) i, unnest(ARRAY['small', 'usual']) name GROUP BY name ORDER BY name;
	SELECT (7 * 0.25 - 20) * -2 || '000', sum(round(i * 0.25 - 20, i % 4 + 2)) FROM generate_series(1, 300) i,
		generate_series(1, 2) k GROUP BY k;
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
		[ "$table" != a_reading_1 ] || after_readings=$(error \
			'SELECT sum(ct) FROM a_reading WHERE ct IS NOT NULL GROUP BY paillier_key_id(ct)')
	done
	pg_restore -e --section=post-data -d "$PGDATABASE" "$scratch/custom" &&
		sql 'REFRESH MATERIALIZED VIEW by_key_stored'
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

is "$(sql "SELECT paillier_register_key(public, 'renamed') = id FROM key_pair WHERE name = 'usual'")" t \
	"a restored key can be renamed"
is "$(sql 'SELECT name FROM paillier_key ORDER BY name')" $'key small\nrenamed' "and has the new name"
is "$(error "UPDATE paillier_key SET key_id = repeat('0', 32)")" 23514 "the check of ids is restored"
is "$(sql "SELECT has_table_privilege('public', 'paillier_key', 'SELECT'),
	has_table_privilege('public', 'paillier_key', 'INSERT')")" "t|f" "privileges are restored"

# ---- a key below the limit is restored, and not used ----

unset PGOPTIONS
is "$(sql "LOAD 'paillier'; SHOW paillier.min_key_bits")" 2048 "from here on the setting is the default"
for how in psql pg_restore; do
	fresh "dump_small_$how"
	case $how in
		psql) psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/plain.sql" >/dev/null ;;
		pg_restore) pg_restore -e -j 2 -d "$PGDATABASE" "$scratch/custom" ;;
	esac
	ok $? "$how: a registry with a small key is restored under the default setting"
	is "$(rows)" "$source_rows" "$how: with every row"
	is "$(error "SELECT paillier_decrypt(ct, private) FROM a_reading JOIN key_pair ON id = paillier_key_id(ct)
		WHERE name = 'small'")" 22023 "$how: nobody decrypts with it"
	is "$(error "SELECT paillier_register_key(public, 'again') FROM key_pair WHERE name = 'small'")" 22023 \
		"$how: nor registers it"
	is "$(sql "SELECT count(sum) FROM (SELECT sum(ct) FROM a_reading GROUP BY paillier_key_id(ct)) s")" 2 \
		"$how: what was registered goes on being added"
	is "$(PGOPTIONS='-c paillier.min_key_bits=256' totals)" "$source_totals" "$how: totals, where it is allowed"
done

# one key of 128 bits, and nothing else
fresh dump_tiny paillier
PGOPTIONS='-c paillier.min_key_bits=128' sql \
	"SELECT paillier_register_key(paillier_public_key(paillier_keygen(128)), 'tiny') \\g /dev/null
SELECT paillier_register_key(paillier_public_key('$usual_key'::paillier_private_key), 'usual') \\g /dev/null"
pg_dump -Fc -f "$scratch/tiny" dump_tiny
fresh dump_tiny_restored
pg_restore -e -d dump_tiny_restored "$scratch/tiny"
is "$? $(sql "SELECT string_agg(name, ' ' ORDER BY name) FROM paillier_key")" "0 tiny usual" \
	"a key of 128 bits does not take the registry with it"

# ---- what a user may put into constraints, domains, defaults, indexes and generated columns ----

fresh dump_checks paillier
sql - >/dev/null <<-EOF
	SELECT paillier_register_key(paillier_public_key('$usual_key'::paillier_private_key));
	SET paillier.min_key_bits = 256;
	CREATE TABLE public.holder (private paillier_private_key, id text, CHECK (paillier_key_id(private) = id));
	INSERT INTO holder VALUES ('$small_key', '14a747092f062e891a1bbf17993eed68');
	CREATE DOMAIN valid_ciphertext AS paillier_ciphertext CHECK (paillier_valid(VALUE));
	CREATE DOMAIN known_ciphertext AS paillier_ciphertext
		CHECK (paillier_valid(VALUE) AND paillier_key_id(VALUE) = 'e84f5d351b75a54cd809bfc6edf51a62');
	CREATE TYPE valid_pair AS (a valid_ciphertext, b int);
	-- names that sort before and after that of the registry
	CREATE TABLE a_check (i int, ct paillier_ciphertext CHECK (paillier_valid(ct)));
	CREATE TABLE z_check (i int, ct paillier_ciphertext,
		CHECK (paillier_valid(ct) AND paillier_key_id(ct) = 'e84f5d351b75a54cd809bfc6edf51a62'));
	CREATE TABLE a_domain (i int, ct valid_ciphertext, known known_ciphertext, many valid_ciphertext[],
		pair valid_pair);
	CREATE TABLE z_domain (LIKE a_domain);
	CREATE TABLE a_child () INHERITS (a_check);
	CREATE TABLE a_columns (i int, ct paillier_ciphertext DEFAULT paillier_ciphertext('\\x2a',
		'e84f5d351b75a54cd809bfc6edf51a62'),
		id text GENERATED ALWAYS AS (paillier_key_id(ct)) STORED,
			bytes bytea GENERATED ALWAYS AS (paillier_bytes(ct)) STORED,
		public paillier_public_key, public_id text GENERATED ALWAYS AS (paillier_key_id(public)) STORED);
	CREATE UNIQUE INDEX a_columns_bytes ON a_columns (md5(paillier_bytes(ct)));
	CREATE INDEX a_columns_id ON a_columns (paillier_key_id(ct));
	CREATE TABLE numbers AS SELECT i, paillier_encrypt(i, public_key) AS ct, public_key FROM paillier_key,
		generate_series(1, 5) i;
	INSERT INTO a_check SELECT i, ct FROM numbers;
	INSERT INTO a_child SELECT i, ct FROM numbers;
	INSERT INTO z_check SELECT i, ct FROM numbers;
	INSERT INTO a_domain SELECT i, ct, ct, ARRAY[ct, NULL], ROW (ct, i)::valid_pair FROM numbers;
	INSERT INTO z_domain TABLE a_domain;
	INSERT INTO a_columns (i, ct, public) SELECT i, ct, public_key FROM numbers;
	INSERT INTO a_columns (i) VALUES (42);
EOF
is "$(sql "SELECT (SELECT count(*) FROM a_check), (SELECT count(*) FROM z_domain), (SELECT count(*) FROM a_columns)")" \
	"10|5|6" "tables with checks"
# those that a user might think of, but that cannot be
for column in "d numeric GENERATED ALWAYS AS (paillier_decrypt(ct, private)) STORED" \
	"p paillier_public_key GENERATED ALWAYS AS (paillier_public_key(private)) STORED" \
	"t paillier_ciphertext GENERATED ALWAYS AS (ct * 2) STORED" \
	"v boolean GENERATED ALWAYS AS (paillier_valid(ct)) STORED"; do
	is "$(error "CREATE TABLE not_possible (ct paillier_ciphertext, private paillier_private_key, $column)")" 42P17 \
		"no generated column: ${column%% *} ${column#*AS }"
done
checks() {
	sql - <<-'EOF'
		SELECT count(*), md5(string_agg(t::text, ',' ORDER BY i)) FROM a_check t;
		SELECT count(*), md5(string_agg(t::text, ',' ORDER BY i)) FROM a_child t;
		SELECT count(*), md5(string_agg(t::text, ',' ORDER BY i)) FROM z_check t;
		SELECT count(*), md5(string_agg(t::text, ',' ORDER BY i)) FROM a_domain t;
		SELECT count(*), md5(string_agg(t::text, ',' ORDER BY i)) FROM z_domain t;
		SELECT count(*), md5(string_agg(t::text, ',' ORDER BY i)) FROM a_columns t;
		SELECT count(*), md5(string_agg(t::text, ',')) FROM holder t;
		SELECT count(*) FROM paillier_key;
	EOF
}
source_checks=$(checks)
pg_dump -Fc -f "$scratch/checks" dump_checks
pg_dump -s -f "$scratch/checks_schema.sql" dump_checks
pg_dump -a -f "$scratch/checks_data.sql" dump_checks
pg_dump --inserts -f "$scratch/checks_inserts.sql" dump_checks
for how in whole parallel inserts 'data only' 'data first'; do
	fresh "dump_checks_${how// /_}"
	case $how in
		whole) pg_restore -e -d "$PGDATABASE" "$scratch/checks" ;;
		parallel) pg_restore -e -j 2 -d "$PGDATABASE" "$scratch/checks" ;;
		inserts) psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/checks_inserts.sql" >/dev/null ;;
		'data only') psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/checks_schema.sql" >/dev/null &&
			psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/checks_data.sql" >/dev/null ;;
		# the registry after everything else
		'data first') pg_restore -l "$scratch/checks" | grep -v ' TABLE DATA public paillier_key ' >"$scratch/list" &&
			pg_restore -e -L "$scratch/list" -d "$PGDATABASE" "$scratch/checks" &&
			pg_restore -l "$scratch/checks" | grep ' TABLE DATA public paillier_key ' >"$scratch/list" &&
				pg_restore -e -L "$scratch/list" -d "$PGDATABASE" "$scratch/checks" ;;
	esac
	ok $? "$how: restored"
	is "$(checks)" "$source_checks" "$how: nothing is lost"
	is "$(error "INSERT INTO a_check SELECT 9, ct * 0 FROM numbers")" 23514 "$how: the check holds"
	is "$(error "INSERT INTO z_domain (ct) SELECT ct * 0 FROM numbers")" 23514 "$how: that of the domain, too"
done
# what the checks say of a key that is not registered
unknown="$(PGOPTIONS='-c paillier.min_key_bits=256' sql \
	"SELECT paillier_encrypt(1, paillier_public_key('$small_key'::paillier_private_key))")"
is "$(sql "SELECT paillier_valid('$unknown') IS NULL")" t "NULL of a key that is not registered"
is "$(error "INSERT INTO a_check VALUES (9, '$unknown')")" none "so that paillier_valid() alone lets it pass"
is "$(error "INSERT INTO z_check VALUES (9, '$unknown')")" 23514 "and not with the id of the key"
is "$(error "INSERT INTO z_domain (known) VALUES ('$unknown')")" 23514 "in a domain either"
one=$(sql "SELECT translate(encode(substr(decode(translate('$unknown', '-_', '+/') ||
	repeat('=', -length('$unknown') & 3), 'base64'), 1, 28) || decode(lpad('01', 2 * length, '0'), 'hex'), 'base64'),
	E'+/=\\n', '-_') FROM unnest(ARRAY[64, 32, 24, 8]) length")
is "$(for ct in $one; do sql "SELECT paillier_valid('$ct')"; done | tr '\n' ' ')" "f f f f " \
	"1 is valid under no key, nor is what is too short for any"

# ---- an extension outside the search path ----

fresh dump_schema
sql - >/dev/null <<-EOF
	CREATE SCHEMA "Crypto Box";
	CREATE EXTENSION paillier SCHEMA "Crypto Box";
	CREATE TABLE reading (ct "Crypto Box".paillier_ciphertext);
	CREATE TABLE key_pair (private "Crypto Box".paillier_private_key);
	INSERT INTO key_pair VALUES ('$usual_key');
	SELECT "Crypto Box".paillier_register_key("Crypto Box".paillier_public_key(private)) FROM key_pair;
	INSERT INTO reading SELECT "Crypto Box".paillier_encrypt(i, "Crypto Box".paillier_public_key(private))
		FROM key_pair, generate_series(1, 10) i;
	CREATE MATERIALIZED VIEW total AS SELECT "Crypto Box".sum(ct OPERATOR("Crypto Box".+) 1) FROM reading;
EOF
pg_dump -Fc -f "$scratch/schema" dump_schema
ok $? "pg_dump, the extension in a schema of its own"
fresh dump_schema_restored
pg_restore -e -d dump_schema_restored "$scratch/schema"
ok $? "restored, with a materialized view that adds"
is "$(sql 'SELECT "Crypto Box".paillier_decrypt(sum, private) FROM total, key_pair')" 65 "its total"
is "$(sql 'SELECT "Crypto Box".paillier_decrypt(total, private)
	FROM (SELECT "Crypto Box".sum(ct, -2) AS total FROM reading) s, key_pair')" -110 "a new total"

finish
