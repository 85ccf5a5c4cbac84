#!/usr/bin/env bash
# fdw.t
#	postgres_fdw, whose sessions have search_path = pg_catalog: values and totals
#	between two databases, sums computed where the rows are.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
any_server

export PGOPTIONS='-c paillier.min_key_bits=128'
fresh fdw_far paillier
make_keys
sql - >/dev/null <<-'EOF'
	SELECT paillier_register_key(public) FROM key_pair;
	CREATE TABLE reading (region int, id int, name text, amount numeric, weight numeric, ct paillier_ciphertext);
	INSERT INTO reading
	SELECT 1, i, name, round(i * 1.37 - 100, i % 4), i % 5 - 2,
		paillier_encrypt(round(i * 1.37 - 100, i % 4), public, i % 4) FROM generate_series(1, 300) i, key_pair;
	INSERT INTO reading VALUES (1, 0, 'small', NULL, 1, NULL);
	CREATE TABLE reading_more (LIKE reading);
	INSERT INTO reading_more SELECT 2, id, name, amount, weight, ct FROM reading;
	ANALYZE;
EOF

# this side knows the private keys, and has registered none of them yet
fresh fdw_near paillier postgres_fdw
make_keys
sql - <<-EOF
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
		OPTIONS (host '$PGHOST', port '${PGPORT:-5432}', dbname 'fdw_far', extensions 'paillier',
			options '-c paillier.min_key_bits=128', use_remote_estimate 'true');
	CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user '${PGUSER:-$(id -un)}', password_required 'false');
	IMPORT FOREIGN SCHEMA public LIMIT TO (reading, reading_more) FROM SERVER far INTO public;
	CREATE FOREIGN TABLE far_key (key_id text, public_key paillier_public_key,
		name text) SERVER far OPTIONS (table_name 'paillier_key');
EOF

# remote_sql QUERY: what is sent to the other side
remote_sql() {
	sql "EXPLAIN (VERBOSE, COSTS off) $1" | sed -n 's/^ *Remote SQL: //p'
}

# totals QUERY: (name, total, expected) decrypted: what differs, and how many there are
totals() {
	sql "SELECT name, paillier_decrypt(total, private),
		expected FROM ($1) q (name, total, expected) JOIN key_pair USING (name)
		WHERE paillier_decrypt(total, private)::text IS DISTINCT FROM expected::text;
		SELECT count(*), count(total) FROM ($1) q (name, total, expected)"
}

# ---- values ----

is "$(totals 'SELECT name, ct, amount FROM reading')" "601|600" "values come as they are"
is "$(totals 'SELECT name, ct, amount FROM reading WHERE id BETWEEN 100 AND 120')" "42|42" "rows chosen there"
like "$(remote_sql 'SELECT ct FROM reading WHERE id = 5')" '^SELECT ct FROM public.reading' \
	"as columns of a foreign table"

# ---- sums are computed where the rows are ----

by_name='SELECT name, sum(ct), sum(amount) FROM reading GROUP BY name'
like "$(remote_sql "$by_name")" '^SELECT name, public.sum\(ct\), sum\(amount\) FROM public.reading GROUP BY 1$' \
	"sum is sent"
is "$(totals "$by_name")" "2|2" "totals, though this side has no key registered"
weighted='SELECT name, sum(ct, weight), sum(amount * weight) FROM reading GROUP BY name'
like "$(remote_sql "$weighted")" 'public.sum\(ct, weight\)' "the weighted sum is sent"
is "$(totals "$weighted")" "2|2" "weighted totals"
filtered="SELECT name, sum(ct ORDER BY id DESC) FILTER (WHERE amount > 0),
	sum(amount) FILTER (WHERE amount > 0) FROM reading GROUP BY name HAVING count(*) > 5"
like "$(remote_sql "$filtered")" 'public.sum\(ct ORDER BY id DESC NULLS FIRST\) FILTER' \
	"with ORDER BY, FILTER and HAVING"
is "$(totals "$filtered")" "2|2" "totals of those"
joined='SELECT name, sum(b.ct), sum(b.amount) FROM reading a JOIN reading_more b USING (id, name) GROUP BY name'
like "$(remote_sql "$joined")" 'public.sum\(r[0-9]+.ct\).*INNER JOIN' "over a join"
is "$(totals "$joined")" "2|2" "totals of a join"
is "$(error "SELECT sum(ct) FROM reading")" 22000 "several keys in one sum: the error comes back"
is "$(error "SELECT sum(ct) FROM reading WHERE name = 'none'")" none "no rows"
is "$(sql "SELECT sum(ct) IS NULL FROM reading WHERE name = 'none'")" t "give NULL"

# ---- on this side ----

local_sum="SELECT name, sum(ct) FILTER (WHERE random() >= 0), sum(amount) FROM reading GROUP BY name"
is "$(remote_sql "$local_sum" | grep -c 'public.sum')" 0 "a condition that cannot be sent keeps the sum here"
is "$(error "$local_sum")" 42704 "where the key is not registered"
is "$(error "SELECT ct + 1 FROM reading WHERE name = 'usual'")" 42704 "nor for an operator"
sql 'SELECT paillier_register_key(public) FROM key_pair' >/dev/null
is "$(totals "$local_sum")" "2|2" "once it is, the totals are the same"
is "$(totals 'SELECT name, ct * 2 + 0.5, amount * 2 + 0.5 FROM reading')" "601|600" "operators"
is "$(totals 'SELECT name, sum(ct) OVER w,
	sum(amount) OVER w FROM reading WHERE amount IS NOT NULL
	WINDOW w AS (PARTITION BY name ORDER BY id ROWS 5 PRECEDING)')" "600|600" "windows"

# ---- the private key stays here ----

# A statement with the key in every place a query has: what is sent, and the plan, have nothing of the key and nothing
# decrypted.
python3 - "$usual_key" "$small_key" >"$scratch/patterns" <<-'PYTHON'
	import base64, json, sys
	for text in sys.argv[1:]:
	    key = json.loads(text)
	    for part in key['p'], key['q']:
	        data = base64.urlsafe_b64decode(part + '=' * (-len(part) % 4))
	        for form in part, data.hex(), str(int.from_bytes(data, 'big')):
	            print(form[1:13])
	            print(form[-13:-1])
PYTHON
k="'$usual_key'::paillier_private_key"
cast="((SELECT '$usual_key'::text OFFSET 0)::paillier_private_key)"
mine="(SELECT private FROM key_pair WHERE name = 'usual')"
ct=$(sql "SELECT paillier_encrypt(271828182845, public) FROM key_pair WHERE name = 'usual'")
c="'$ct'::paillier_ciphertext"
# whole plan and remote statements of a query with the key as a constant, as text that is cast, and as a parameter of a
# custom and a generic plan
plans() {
	local query=$1
	sql - <<-EOF
		EXPLAIN (VERBOSE, COSTS off) ${query//KEY/$k};
		EXPLAIN (VERBOSE, COSTS off) ${query//KEY/$mine};
		EXPLAIN (VERBOSE, COSTS off) ${query//KEY/$cast};
		PREPARE q(paillier_private_key) AS ${query//KEY/\$1};
		SET plan_cache_mode = force_custom_plan;
		EXPLAIN (VERBOSE, COSTS off) EXECUTE q ($k);
		SET plan_cache_mode = force_generic_plan;
		EXPLAIN (VERBOSE, COSTS off) EXECUTE q ($k);
	EOF
}
while IFS=: read -r name query; do
	[ -n "$name" ] || continue
	plans "$query" >"$scratch/plans" 2>"$scratch/errors"
	is "$(cat "$scratch/errors")" "" "$name: is planned"
	is "$(sed -n 's/^ *Remote SQL: //p' "$scratch/plans" |
		grep -cE 'decrypt|private|try_|key_id\(|paillier_public_key')" 0 "$name: no function of a private key is sent"
	is "$(sed -n 's/^ *Remote SQL: //p' "$scratch/plans" | grep -cFf "$scratch/patterns")" 0 "$name: nor the key"
	is "$(grep -c '271828182845' "$scratch/plans")" 0 "$name: nothing decrypted is in the plan"
done <<-END
	column:SELECT paillier_decrypt(ct, KEY) FROM reading WHERE name = 'usual'
	above an aggregate:SELECT paillier_decrypt(sum(ct), KEY) FROM reading WHERE name = 'usual' GROUP BY region
	an array above an aggregate:SELECT paillier_decrypt_array(array_agg(ct), KEY) FROM reading \
		WHERE name = 'usual' GROUP BY region
	tried:SELECT paillier_try_decrypt(sum(ct), KEY), paillier_try_decrypt_array(array_agg(ct), KEY) FROM reading \
		WHERE name = 'usual' GROUP BY region
	a constant above an aggregate:SELECT paillier_decrypt($c, KEY), sum(ct) FROM reading WHERE name = 'usual' \
		GROUP BY region
	an array of constants:SELECT paillier_decrypt_array(ARRAY[$c], KEY), paillier_try_decrypt_array(ARRAY[$c], \
		KEY), sum(ct) FROM reading WHERE name = 'usual' GROUP BY region
	its id and public key:SELECT paillier_key_id(KEY), paillier_public_key(KEY)::text, sum(ct) FROM reading \
		WHERE name = 'usual' GROUP BY region
	as text:SELECT KEY::text, sum(ct) FROM reading WHERE name = 'usual' GROUP BY region
	as bytes:SELECT paillier_private_key_send(KEY), sum(ct) FROM reading WHERE name = 'usual' GROUP BY region
	as its output:SELECT paillier_private_key_out(KEY), sum(ct) FROM reading WHERE name = 'usual' GROUP BY region
	WHERE:SELECT id FROM reading WHERE name = 'usual' AND paillier_decrypt(ct, KEY) > 5
	WHERE with constants:SELECT id FROM reading WHERE amount = paillier_decrypt($c, KEY) \
		OR weight = paillier_try_decrypt($c, KEY)
	WHERE by id:SELECT id FROM reading WHERE name = paillier_key_id(KEY) \
		OR name = paillier_key_id(paillier_public_key(KEY))
	WHERE by text:SELECT id FROM reading WHERE name = KEY::text
	WHERE by bytes:SELECT id FROM reading WHERE name = encode(paillier_private_key_send(KEY), 'hex')
	CASE:SELECT id FROM reading WHERE CASE WHEN name = 'usual' THEN paillier_decrypt(ct, KEY) END > 5
	IN:SELECT id FROM reading WHERE name = 'usual' AND amount IN (1, paillier_decrypt($c, KEY))
	HAVING:SELECT region FROM reading WHERE name = 'usual' GROUP BY region HAVING paillier_decrypt(sum(ct), KEY) > 5
	HAVING with constants:SELECT region FROM reading GROUP BY region HAVING sum(amount) > paillier_decrypt($c, KEY)
	FILTER:SELECT sum(ct) FILTER (WHERE amount > paillier_decrypt($c, KEY)) FROM reading WHERE name = 'usual'
	aggregated:SELECT sum(paillier_decrypt(ct, KEY)) FROM reading WHERE name = 'usual'
	GROUP BY:SELECT paillier_decrypt(ct, KEY), count(*) FROM reading WHERE name = 'usual' GROUP BY 1
	ORDER BY:SELECT id FROM reading WHERE name = 'usual' ORDER BY paillier_decrypt(ct, KEY) LIMIT 3
	ORDER BY a total:SELECT region FROM reading WHERE name = 'usual' GROUP BY region \
		ORDER BY paillier_decrypt(sum(ct), KEY)
	a join:SELECT a.id FROM reading a JOIN reading_more b ON a.id = b.id \
		AND paillier_decrypt(a.ct + b.ct, KEY) > 5 WHERE a.name = 'usual' AND b.name = 'usual'
	a join with constants:SELECT a.id FROM reading a JOIN reading_more b ON a.amount = b.amount + \
		paillier_decrypt($c, KEY)
	a join above an aggregate:SELECT paillier_decrypt(sum(b.ct), KEY) \
		FROM reading a JOIN reading_more b USING (id, name) WHERE name = 'usual'
	LIMIT:SELECT id FROM reading LIMIT paillier_decrypt($c, KEY)::bigint
	UPDATE:UPDATE reading SET amount = paillier_decrypt(ct, KEY) WHERE name = 'usual' \
		AND weight < paillier_decrypt($c, KEY)
END
# that the search finds a key where there is one
like "$(sql "EXPLAIN (VERBOSE, COSTS off) SELECT id FROM reading WHERE name = '$usual_key'" |
	grep -cFf "$scratch/patterns")" '^[1-9]' "a key that is text and nothing else is found in the remote statement"
# a function of a public key goes there: the plans above differ by the private one only
like "$(remote_sql "SELECT id FROM reading WHERE name = paillier_key_id(ct)")" 'paillier_key_id\(ct\)' \
	"a function without a private key is sent"
is "$(sql "SELECT paillier_decrypt(sum(ct), $k) FROM reading WHERE name = 'usual'")" \
	"$(sql "SELECT sum(amount) FROM reading WHERE name = 'usual'")" "and the total is right"

# ---- writing ----

sql "INSERT INTO reading (region, id, name, amount, ct) SELECT 1, 5000 + i, name, i,
	paillier_encrypt(i, public) FROM key_pair, generate_series(1, 25) i"
is "$(totals 'SELECT name, ct, amount FROM reading WHERE id > 5000')" "50|50" "INSERT"
sql "UPDATE reading SET ct = paillier_rerandomize(ct), amount = amount WHERE id > 5000 AND name = 'small'"
is "$(totals 'SELECT name, sum(ct), sum(amount) FROM reading WHERE id > 5000 GROUP BY name')" "2|2" \
	"UPDATE, computed here"
sql "DELETE FROM reading WHERE id > 5000"
is "$(totals "$by_name")" "2|2" "DELETE"

# ---- several servers: a group on each, then the sum of the sums ----

sql - <<-'EOF'
	CREATE TABLE meter (region int, id int, name text, amount numeric, weight numeric,
		ct paillier_ciphertext) PARTITION BY LIST (region);
	ALTER TABLE meter ATTACH PARTITION reading FOR VALUES IN (1);
	ALTER TABLE meter ATTACH PARTITION reading_more FOR VALUES IN (2);
EOF
partitioned='SELECT name, sum(ct), sum(amount) FROM meter GROUP BY name'
is "$(totals "$partitioned")" "2|2" "over foreign partitions"
export PGOPTIONS="$PGOPTIONS -c enable_partitionwise_aggregate=on"
is "$(totals "$partitioned")" "2|2" "over foreign partitions, partitionwise"
per_partition='SELECT name, sum(ct), sum(amount)
	FROM (SELECT name, region, sum(ct) AS ct, sum(amount) AS amount FROM meter GROUP BY name, region) s GROUP BY name'
is "$(remote_sql "$per_partition" | grep -c 'public.sum(')" 2 "grouped by the partition key, each server adds its own"
is "$(totals "$per_partition")" "2|2" "and the sums of the sums are the totals"

# ---- keys ----

is "$(sql 'SELECT count(*) FROM paillier_key n JOIN far_key f USING (key_id)
	WHERE n.public_key::text = f.public_key::text')" 2 \
	"the registries of both sides hold the same keys under the same ids"

finish
