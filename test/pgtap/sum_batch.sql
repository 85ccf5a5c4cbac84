-- sum_batch.sql
--	sum(paillier_ciphertext) in hash aggregates, where rows of different groups
--	wait for each other, against sum(numeric).

\ir fixture.psql

-- ---- keys that leave the cache while a row waits: in new sessions, with nothing in the cache ----

CREATE TABLE key_row AS
	SELECT i AS key, i::numeric AS amount, public_key, paillier_encrypt(i, public_key) AS ct
	FROM generate_series(1, 128) i, LATERAL (SELECT paillier_public_key(paillier_keygen(128 + i - i))) k(public_key);
SELECT count(paillier_register_key(public_key)) AS x FROM key_row \gset
UPDATE key_row SET public_key = k.public_key, ct = paillier_encrypt(amount, k.public_key) FROM fixture_key k
	WHERE (key, k.name) IN ((1, 'small'), (128, 'medium'));

-- Use the keys in between.
CREATE FUNCTION use_keys() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM ct + ct FROM key_row WHERE key BETWEEN 2 AND 127 ORDER BY key;
	RETURN true;
END $$;

-- Three rows under the first key, of which one waits, and two under the last one, the second in such a group.  The
-- cache is
-- emptied when it holds 64 keys: by 65, that is, and when 65 to 128 are in it by the one of the row that waits.
CREATE FUNCTION keys_in_between(last_group int) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT sum(ct), sum(amount) FROM (SELECT grp, (SELECT ct FROM key_row r WHERE r.key = v.key) AS ct,
		(SELECT amount FROM key_row r WHERE r.key = v.key) AS amount
		FROM (VALUES (1, 1, false), (1, 1, false), (2, 128, true), (%s, 128, false), (1, 1, false)) v(grp, key, others)
			WHERE NOT others OR use_keys() OFFSET 0) s GROUP BY grp', last_group)
$$;
\connect -
LOAD 'paillier';
SET enable_sort = off;
SELECT keys_in_between(2) AS groups, keys_in_between(1) AS mixed \gset
CREATE TABLE group_total (total, expected) AS :groups;
\connect -
LOAD 'paillier';
SET paillier.min_key_bits = 128;
SET client_min_messages = warning;
SET jit = off;
SET enable_sort = off;
SELECT no_plan();
SELECT throws_ok(:'mixed', '22000', NULL, 'different keys in one group are refused, with many others in between');
SELECT totals_are('SELECT total, expected FROM group_total', 2,
	'groups of different keys, with many others in between');
SELECT ok(plan_has(:'groups', '"Strategy": "Hashed"'), 'by a plan that hashes');
SET max_parallel_workers_per_gather = 0;

-- ---- rows ----

SELECT setseed(0.1208) IS NULL AS x \gset

-- Rows for the groups to be made of: one key and one scale; the same with NULLs and mixed scales; of five keys of
-- different lengths.
CREATE TABLE pool (i int, amount numeric, other numeric, weight int, ct paillier_ciphertext,
	other_ct paillier_ciphertext);
INSERT INTO pool
SELECT i, amount, other, i % 7 - 3, paillier_encrypt(amount, public_key('small'), 2),
	paillier_encrypt(other, public_key('medium'), 1)
FROM generate_series(1, 2000) i,
	LATERAL (SELECT (trunc(random() * 2000001 + i - i) - 1000000)::numeric(12, 2) / 100,
		trunc(random() * 1000 + i - i) / 10) n(a, o),
	LATERAL (SELECT a::numeric(12, 2), o::numeric(12, 1)) r(amount, other);
CREATE TABLE varied (i int, flag boolean, amount numeric, ct paillier_ciphertext);
INSERT INTO varied (i, flag, amount) SELECT i, random() < 0.5,
	CASE WHEN random() < 0.8 THEN random_number(trunc(random() * 7)::int) END FROM generate_series(1, 1500) i;
UPDATE varied SET ct = paillier_encrypt(amount, public_key('uneven'), scale(amount));
CREATE TABLE keyed (i int, key_name text, amount numeric, ct paillier_ciphertext);
INSERT INTO keyed SELECT i, name, i, paillier_encrypt(i, public_key(name))
FROM generate_series(1, 300) i, LATERAL (SELECT (ARRAY['python', 'small', 'medium', 'uneven',
	'usual'])[1 + trunc(random() * 5 + i - i)::int]) k(name);
VACUUM ANALYZE pool;
VACUUM ANALYZE varied;
VACUUM ANALYZE keyed;
SELECT ok((SELECT count(DISTINCT amount) > 1900 AND min(scale(amount)) = 2 AND max(scale(amount)) = 2 FROM pool)
	AND (SELECT count(*) FILTER (WHERE amount IS NULL) BETWEEN 200 AND 400 AND count(DISTINCT scale(amount)) = 7
		FROM varied)
	AND (SELECT min(n) > 40 AND count(*) = 5 FROM (SELECT count(*) AS n FROM keyed GROUP BY key_name) s),
		'the rows are as they should be');

-- ---- checks ----

CREATE TABLE kernel AS SELECT name FROM unnest(ARRAY['generic', paillier_kernel()]) name GROUP BY name;
SELECT count(*) = 2 AS two_kernels FROM kernel \gset

-- totals_are() with each kernel.
CREATE FUNCTION totals_are_always(query text, at_least bigint, description text) RETURNS SETOF text LANGUAGE plpgsql
	AS $$
DECLARE
	kernel text;
BEGIN
	FOR kernel IN SELECT name FROM kernel LOOP
		PERFORM set_config('paillier.kernel', kernel, false);
		RETURN NEXT totals_are(query, at_least, description || ', kernel ' || kernel);
	END LOOP;
	RESET paillier.kernel;
END $$;

-- The same, by a plan that hashes and does nothing else.
CREATE FUNCTION hashed_totals_are(query text, at_least bigint, description text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT ok(plan_has(query, '"Strategy": "Hashed"') AND NOT plan_has(query,
		'"Strategy": "(Sorted|Mixed)"|"Partial Mode": "(Partial|Finalize)"'), description || ': the plan hashes')
	UNION ALL
	SELECT totals_are_always(query, at_least, description)
$$;

-- ---- numbers of groups, and the order of their rows ----

-- 703 rows, so that some are left waiting at the end
SELECT hashed_totals_are(format('SELECT sum(ct), sum(amount)
	FROM (SELECT %s AS grp, ct, amount FROM pool WHERE i <= 703 OFFSET 0) s GROUP BY grp', format(rule, groups)),
	groups, format('%s groups, rows %s', groups, what))
FROM unnest(ARRAY[1, 2, 4, 5, 7, 8, 9, 100]) groups,
	(VALUES ('one of each', 'i %% %s'), ('in sequence', 'i * %s / 704'), ('two of each', 'i / 2 %% %s'),
		('at random', '(hashint4(i) & 65535) %% %s')) v(what, rule);

-- ---- sizes of groups: from 1024 rows on a state takes another form ----

CREATE VIEW arrangement AS
SELECT g AS grp, i, ct, amount, other_ct, other
FROM unnest(ARRAY[1, 1, 2, 12, 1022, 1023, 1024, 1025, 1026, 2000, 2000, 3]) WITH ORDINALITY s(size, g),
	pool WHERE i <= size;
SET enable_sort = on;
CREATE TABLE one_of_each AS SELECT * FROM arrangement ORDER BY i, grp;
CREATE TABLE in_sequence AS SELECT * FROM arrangement ORDER BY grp, i;
CREATE TABLE last_together AS SELECT * FROM arrangement a
	ORDER BY (SELECT max(i) FROM arrangement b WHERE a.grp = b.grp) - i DESC, grp;
CREATE TABLE at_random AS SELECT * FROM arrangement ORDER BY hashint4(i * 16 + grp::int);
SET enable_sort = off;
VACUUM ANALYZE one_of_each;
VACUUM ANALYZE in_sequence;
VACUUM ANALYZE last_together;
VACUUM ANALYZE at_random;
SELECT hashed_totals_are(format('SELECT sum(ct), sum(amount) FROM %s GROUP BY grp', source), 12,
	format('groups of 1 to 2000 rows, %s', source))
FROM unnest(ARRAY['one_of_each', 'in_sequence', 'last_together', 'at_random']) source;
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) FROM one_of_each WHERE grp IN (3, 4, 12) OR i >= 2
	AND grp IN (6, 7, 8) GROUP BY grp', 6, 'some of them');

-- ---- NULL, scales, filters ----

SELECT hashed_totals_are(format('SELECT sum(%s), sum(%s) FROM (SELECT i %% 23 AS grp, * FROM varied OFFSET 0) s
	GROUP BY %s', replace(term, '@', 'ct'), replace(term, '@', 'amount'), groups), rows, name)
FROM (VALUES
	('NULL and mixed scales', 23, '@', 'grp'),
	('NULL and mixed scales, by two columns', 46, '@', 'grp, flag'),
	('nothing but NULL in half of the groups', 23, 'CASE WHEN grp % 2 = 0 THEN @ END', 'grp')) v(name, rows, term,
		groups);
SELECT hashed_totals_are(format('SELECT sum(ct) FILTER (WHERE %1$s), sum(amount) FILTER (WHERE %1$s)
	FROM (SELECT i %% %2$s AS grp, * FROM varied OFFSET 0) s GROUP BY grp', condition, groups), groups, name)
FROM (VALUES
	('FILTER', 23, 'flag'),
	('FILTER that leaves most groups empty', 50, 'i < 30')) v(name, groups, condition);
-- by 15 rows each of eight groups; each time a larger scale comes while a row waits, in one group, in the last ones, in
-- all
SELECT hashed_totals_are(format($$SELECT sum(CASE WHEN larger THEN ct + 0.000 ELSE ct END),
	sum(CASE WHEN larger THEN amount + 0.000 ELSE amount END)
	FROM (SELECT i %% 8 AS grp, i / 8 = %s AND i %% 8 >= %s AS larger, * FROM pool WHERE i < 120 OFFSET 0) s
		GROUP BY grp$$, at, first), 8, format('a larger scale in row %s of groups %s to 8', at, first))
FROM unnest(ARRAY[0, 1, 2, 3, 14]) at, unnest(ARRAY[0, 7]) first;
SELECT hashed_totals_are('SELECT sum(CASE WHEN i % 4 = 3 THEN ct + 0.0000 ELSE ct END),
	sum(CASE WHEN i % 4 = 3 THEN amount + 0.0000 ELSE amount END)
	FROM (SELECT i % 9 AS grp, * FROM pool WHERE i <= 300 OFFSET 0) s GROUP BY grp',
	9, 'smaller scales after larger ones');

-- ---- several aggregates ----

-- Each of the pairs of columns of one query.
CREATE FUNCTION pairs(query text, pairs text) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT format('SELECT total, expected FROM (%s) s, LATERAL (VALUES %s) v(total, expected)', query, pairs) $$;
\set by_pool 'FROM (SELECT i % 11 AS grp, * FROM pool WHERE i <= 500 OFFSET 0) s GROUP BY grp'
SELECT hashed_totals_are(pairs(format('SELECT %s %s', sums, :'by_pool'), pairs), rows, name)
FROM (VALUES
	('one sum twice', 33, '(a, ea), (b, ea), (a + b, ea + ea)', 'sum(ct) AS a, sum(ct) AS b, sum(amount) AS ea'),
	('a sum and a weighted one', 22, '(a, ea), (b, eb)',
		'sum(ct) AS a, sum(ct, weight) AS b, sum(amount) AS ea, sum(amount * weight) AS eb'),
	('sums of two columns under two keys', 22, '(a, ea), (b, eb)',
		'sum(ct) AS a, sum(other_ct) AS b, sum(amount) AS ea, sum(other) AS eb, count(*)'),
	('a sum and a part of it', 22, '(a, ea), (b, eb)', 'sum(ct) AS a, sum(ct) FILTER (WHERE weight > 0) AS b,
		sum(amount) AS ea, sum(amount) FILTER (WHERE weight > 0) AS eb'),
	('three sums', 33, '(a, ea), (b, eb), (c, ec)', 'sum(ct) AS a, sum(ct + 1) AS b, sum(other_ct * 2) AS c,
		sum(amount) AS ea, sum(amount + 1) AS eb, sum(other * 2) AS ec'),
	('a sum used twice', 22, '(a, ea), (a - ea, 0.00)', 'grp, sum(ct) AS a, sum(amount) AS ea, count(*) AS n, avg(i)'))
	v(name, rows, pairs, sums);
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) ' || :'by_pool' || ' HAVING count(*) > 45', 5, 'HAVING');
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) ' || :'by_pool' || ' HAVING sum(ct) IS NOT NULL AND grp > 3', 7,
	'HAVING with the sum');
SELECT hashed_totals_are('SELECT sum(ct), sum(amount)
	FROM (SELECT DISTINCT ON (i % 130) i % 11 AS grp, ct, amount FROM pool WHERE i <= 130) s GROUP BY grp', 11,
	'rows that are distinct');
SELECT hashed_totals_are('SELECT s.total, s.expected
	FROM (SELECT DISTINCT grp FROM (SELECT i % 11 AS grp FROM pool OFFSET 0) p) d
	JOIN (SELECT grp, sum(ct) AS total, sum(amount) AS expected ' || :'by_pool' || ') s USING (grp)', 11,
	'beside DISTINCT');

-- ---- several keys ----

CREATE VIEW two_keys AS SELECT * FROM keyed WHERE key_name IN ('small', 'usual');
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) FROM ' || source, rows, name)
FROM (VALUES
	('one group per key', 5, 'keyed GROUP BY key_name'),
	('groups of five keys at random', 35, 'keyed GROUP BY key_name, i % 7'),
	('a long key, then a short one', 18,
		'(SELECT * FROM two_keys ORDER BY key_name = ''small'', i) s GROUP BY key_name, i % 9'),
	('a short key, then a long one', 18,
		'(SELECT * FROM two_keys ORDER BY key_name = ''usual'', i) s GROUP BY key_name, i % 9')) v(name, rows, source);
SELECT hashed_totals_are(pairs('SELECT sum(ct) AS a, sum(ct + 1) AS b, sum(amount) AS ea, sum(amount + 1) AS eb
	FROM (SELECT * FROM keyed ORDER BY key_name = ''usual'', i) s GROUP BY key_name, i % 7', '(a, ea), (b, eb)'),
	70, 'two sums, the longest key last');
SELECT hashed_totals_are(format('SELECT sum(CASE WHEN %1$s THEN other_ct ELSE ct END),
	sum(CASE WHEN %1$s THEN other ELSE amount END) FROM %2$s', condition, source), rows, name)
FROM (VALUES
	('two keys by turns', 14, 'i % 2 = 1', 'pool WHERE i <= 600 GROUP BY i % 2, i % 14'),
	('a single group of another key', 8, 'grp = 3',
		'(SELECT i % 8 AS grp, * FROM pool WHERE i <= 400 OFFSET 0) s GROUP BY grp')) v(name, rows, condition, source);

-- the key of the rows must be that of those that wait, even if a row waits in the group
SELECT throws_ok(format('SELECT sum(CASE WHEN i = %s THEN other_ct ELSE ct END) FROM pool WHERE i <= 100
	GROUP BY i %% %s', at, groups), '22000', NULL, format('another key in row %s of %s groups is refused', at, groups))
FROM unnest(ARRAY[10, 20, 21, 22, 90, 100]) at, unnest(ARRAY[1, 5, 9]) groups;

-- ---- hash tables that do not fit ----

SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
\set spilling 'SELECT sum(ct), sum(amount) FROM pool GROUP BY i % 700'
SELECT ok(run_has(:'spilling', '"HashAgg Batches": ([2-9]|[1-9]\d)'), 'the hash table does not fit');
SELECT hashed_totals_are(:'spilling', 700, 'batches on disk');
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) FROM pool GROUP BY (hashint4(i) & 65535) % 600', 500,
	'batches on disk, at random');
SELECT hashed_totals_are(pairs('SELECT sum(ct) AS a, sum(other_ct) AS b, sum(amount) AS ea,
	sum(other) AS eb FROM pool GROUP BY i % 700', '(a, ea), (b, eb)'), 1400, 'batches on disk, two sums');
SELECT hashed_totals_are('SELECT total, expected FROM (VALUES (1), (2)) v(x),
	LATERAL (SELECT sum(ct) AS total, sum(amount) AS expected FROM pool WHERE i > x GROUP BY i % 700 LIMIT 50) s', 100,
	'batches on disk, begun anew before the end');
SELECT hashed_totals_are('SELECT sum(CASE WHEN i % 2 = 0 THEN ct ELSE other_ct END),
	sum(CASE WHEN i % 2 = 0 THEN amount ELSE other END) FROM pool GROUP BY i % 2, i % 700', 700,
	'batches on disk, two keys');
-- of which the planner expects few
CREATE FUNCTION few_rows() RETURNS SETOF pool LANGUAGE plpgsql ROWS 10
	AS $$ BEGIN RETURN QUERY SELECT * FROM pool; END $$;
\set spilling_sets 'SELECT sum(ct), sum(amount) FROM few_rows() GROUP BY GROUPING SETS ((i % 300), (i % 310))'
SELECT ok(run_has(:'spilling_sets', '"HashAgg Batches": ([2-9]|[1-9]\d)'), 'grouping sets that do not fit');
SELECT hashed_totals_are(:'spilling_sets', 610, 'batches on disk, grouping sets');
RESET work_mem;
RESET hash_mem_multiplier;

-- ---- grouping sets ----

-- all of them hash, or in PostgreSQL 13 some
\set sets 'SELECT sum(ct), sum(amount) FROM pool GROUP BY GROUPING SETS ((i % 3), (i % 10), (i % 3, i % 10))'
SELECT ok(plan_has(:'sets', '"Strategy": "(Hashed|Mixed)"'), 'grouping sets: the plan hashes');
SELECT totals_are_always(:'sets', 43, 'grouping sets');
\set cube 'SELECT sum(ct), sum(amount) FROM pool GROUP BY CUBE (i % 3, i % 10)'
SELECT ok(plan_has(:'cube', '"Strategy": "Mixed"'), 'CUBE: the plan hashes some of the sets');
SELECT totals_are_always(:'cube', 44, 'CUBE');

-- ---- again and again ----

SELECT hashed_totals_are('SELECT total, expected FROM pool p,
	LATERAL (SELECT sum(ct) AS total, sum(amount) AS expected FROM pool q WHERE q.i BETWEEN p.i AND p.i + 40
	GROUP BY q.i % 9) s WHERE p.i <= 40', 360, 'LATERAL');
-- two rows in one of the groups and one in the others: a row waits in a group that may not be asked for, in one place
-- or another
SELECT hashed_totals_are(format('SELECT total, expected FROM generate_series(1, 200) x,
	LATERAL (SELECT sum(ct) AS total, sum(amount) AS expected FROM pool q WHERE i <= 9
	OR i = 9 + (hashint4(x) & 255) %% 9 GROUP BY (q.i + x / 3) %% 9 LIMIT %s) s', groups), 200 * groups,
	format('LATERAL that stops after %s groups', groups))
FROM unnest(ARRAY[1, 4]) groups;
SELECT hashed_totals_are('SELECT (SELECT sum(ct) FROM pool q WHERE q.i <= p.i GROUP BY q.i % 5 LIMIT 1),
	(SELECT sum(amount) FROM pool q WHERE q.i <= p.i GROUP BY q.i % 5 LIMIT 1) FROM pool p WHERE p.i <= 60', 60,
	'a correlated subquery with groups');
SELECT hashed_totals_are('SELECT sum(total), sum(expected)
	FROM (SELECT i % 13 AS a, i % 17 AS b, sum(ct) AS total, sum(amount) AS expected FROM pool GROUP BY 1, 2) s
	GROUP BY a', 13, 'sums of sums, both at once');
SELECT hashed_totals_are('SELECT sum(total), sum(expected) FROM generate_series(1, 40) x,
	LATERAL (SELECT i % 6 AS grp, sum(ct) AS total,
	sum(amount) AS expected FROM pool q WHERE q.i <= 3 * x GROUP BY 1 LIMIT 4) s GROUP BY x % 9', 9,
	'sums of sums, of which the inner ones begin again while rows wait in the outer ones');
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT '(SELECT i % 13 AS grp, sum(ct) AS total, sum(amount) AS expected FROM pool WHERE i <= 500 GROUP BY 1 OFFSET 0)'
	AS sums \gset
\set nested 'SELECT s.total, s.expected FROM (VALUES (1), (2), (3)) v(x) LEFT JOIN ' :sums ' s ON true'
SELECT ok(run_has(:'nested', '"Strategy": "Hashed"[^{}]*"Actual Loops": 3'),
	'a nested loop that reads one hash table three times');
SELECT hashed_totals_are(:'nested', 39, 'a hash table read three times');
SELECT hashed_totals_are('SELECT s.total, t.expected FROM ' || :'sums' || ' s JOIN ' || :'sums' || ' t USING (grp)', 13,
	'two hash tables in a nested loop');
SELECT hashed_totals_are('SELECT total, expected FROM (VALUES (0), (5), (12)) v(x),
	LATERAL (SELECT total, expected FROM ' || :'sums' || ' s WHERE grp >= x LIMIT 2) t', 5,
	'a hash table read in part, three times');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) FROM (SELECT i % 40 AS grp, * FROM pool OFFSET 0) s
	GROUP BY grp LIMIT 3', 3, 'LIMIT');

-- A query inside of the rows of another one: the total of small groups, and of such an error instead.
CREATE FUNCTION inner_total(x int) RETURNS paillier_ciphertext LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT total FROM (SELECT i % 3 AS grp, sum(CASE WHEN x % 4 = 1 AND i = 7 THEN other_ct ELSE ct END)
		AS total FROM pool WHERE i <= 10 GROUP BY 1 OFFSET 0) s WHERE grp = 0);
EXCEPTION WHEN data_exception THEN
	RETURN (SELECT total FROM (SELECT i % 3 AS grp, sum(ct) AS total FROM pool WHERE i <= 10 GROUP BY 1 OFFSET 0) s
		WHERE grp = 0);
END $$;
SELECT hashed_totals_are('SELECT sum(ct + inner_total(i)),
	sum(amount + (SELECT sum(amount) FROM pool WHERE i IN (3, 6, 9)))
	FROM (SELECT i % 9 AS grp, * FROM pool WHERE i <= 120 OFFSET 0) s GROUP BY grp', 9,
	'queries that run, and some that fail, while rows wait');

-- ---- cursors ----

CREATE TABLE fetched (x int, total paillier_ciphertext, expected numeric);
-- Two cursors by turns, the second of which is closed before its end, and begins once more; between the rows, a query
-- that fails.
CREATE FUNCTION fetch_some(query text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	one refcursor;
	two refcursor;
	a record;
	b record;
BEGIN
	TRUNCATE fetched;
	OPEN one FOR EXECUTE query;
	OPEN two FOR EXECUTE query;
	FOR x IN 1 .. 9 LOOP
		FETCH one INTO a;
		FETCH two INTO b;
		INSERT INTO fetched VALUES (x, a.total, a.expected), (x, b.total, b.expected);
		BEGIN
			PERFORM sum(CASE WHEN i = 50 THEN other_ct ELSE ct END) FROM pool GROUP BY i % 8;
			RAISE 'no error';
		EXCEPTION WHEN data_exception THEN
			NULL;
		END;
		IF x % 4 = 0 THEN
			CLOSE two;
			OPEN two FOR EXECUTE query;
		END IF;
	END LOOP;
END $$;
SELECT 'SELECT sum(ct) AS total, sum(amount) AS expected
	FROM (SELECT i % 19 AS grp, * FROM pool WHERE i <= 201 OFFSET 0) s GROUP BY grp' AS for_cursor \gset
SELECT fetch_some(:'for_cursor');
SELECT totals_are_always('SELECT total, expected FROM fetched', 18, 'cursors by turns');
SELECT hashed_totals_are(:'for_cursor', 19, 'the same query to its end');
BEGIN;
DECLARE half SCROLL CURSOR FOR :for_cursor;
DECLARE held CURSOR WITH HOLD FOR :for_cursor;
MOVE 4 half;
MOVE BACKWARD 2 half;
MOVE 3 held;
SAVEPOINT rest;
DECLARE lost CURSOR FOR :for_cursor;
MOVE 2 lost;
ROLLBACK TO rest;
FETCH half \gset half_
CLOSE half;
COMMIT;
FETCH held \gset held_
SELECT totals_are(format('VALUES (%L::paillier_ciphertext, %L::numeric), (%L, %L)', :'half_total', :'half_expected',
	:'held_total', :'held_expected'), 2, 'cursors that go back, or outlive the transaction');
CLOSE held;

-- ---- errors in the middle ----

CREATE TABLE bad (what text, row int, sqlstate text, ct paillier_ciphertext, divisor int);
INSERT INTO bad VALUES ('a key that is not registered', 50, '42704',
	paillier_encrypt(1, paillier_public_key(paillier_keygen(256))), 1),
	('a bound beyond the range of the key', 50, '22003', paillier_encrypt(1, public_key('small'), 2, 254), 1),
	('division by zero', 50, '22012', NULL, 0);
-- Rows that wait in seven of nine groups when the error comes.
CREATE FUNCTION failing(what text) RETURNS text LANGUAGE sql AS $$
	SELECT format($q$SELECT sum(CASE WHEN p.i < b.row OR b.ct IS NULL THEN p.ct ELSE b.ct END),
		sum(CASE WHEN p.i = b.row THEN 1 / divisor END)
		FROM (SELECT i %% 9 AS grp, * FROM pool WHERE i <= 90 OFFSET 0) p, bad b WHERE b.what = %L GROUP BY grp$q$,
		what)
$$;
\set after 'SELECT sum(ct), sum(amount) FROM (SELECT i % 9 AS grp, * FROM pool WHERE i <= 90 OFFSET 0) p GROUP BY grp'
SELECT ok(plan_has(failing(what), '"Strategy": "Hashed"'), what || ': the plan hashes') FROM bad;
SELECT unnest(ARRAY[throws_ok(failing(what), sqlstate, NULL, what),
	totals_are(:'after', 9, what || ': afterwards'),
	throws_ok(failing(what), sqlstate, NULL, what || ', once more'),
	totals_are(:'after', 9, what || ': afterwards, once more')]) FROM bad;
-- by a savepoint, beside a cursor that stays; psql shows the error
BEGIN;
DECLARE stays CURSOR FOR SELECT sum(ct) AS total, sum(amount) AS expected
	FROM (SELECT i % 9 AS grp, * FROM pool WHERE i <= 95 OFFSET 0) p GROUP BY grp;
MOVE 2 stays;
SELECT failing(what) AS failing FROM bad WHERE what LIKE 'a key%' \gset
SAVEPOINT before;
\set ON_ERROR_STOP 0
\set VERBOSITY sqlstate
:failing;
\set ON_ERROR_STOP 1
\set VERBOSITY default
ROLLBACK TO before;
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '42704', 'an error after a savepoint');
SELECT totals_are(:'after', 9, 'after a savepoint');
FETCH stays \gset stays_
SELECT totals_are(format('VALUES (%L::paillier_ciphertext, %L::numeric)', :'stays_total', :'stays_expected'), 1,
	'a cursor that stays');
COMMIT;

-- ---- aggregates of other people ----

CREATE FUNCTION plpgsql_final(state paillier_sum) RETURNS paillier_ciphertext LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN paillier_sum_final(state); END $$;
CREATE FUNCTION sql_final(state paillier_sum) RETURNS paillier_ciphertext LANGUAGE sql STABLE
	AS $$ SELECT paillier_sum_final(state) $$;
CREATE FUNCTION text_final(state paillier_sum) RETURNS text LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN state::text; END $$;
SELECT format('CREATE FUNCTION same_final(paillier_sum) RETURNS paillier_ciphertext AS %L,
	''paillier_sum_final'' LANGUAGE C STABLE', probin) FROM pg_proc WHERE proname = 'paillier_sum_final' \gexec
-- with the same function to combine, they share the states of sum()
CREATE AGGREGATE state_of(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	COMBINEFUNC = paillier_sum_combine);
CREATE AGGREGATE plpgsql_sum(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	FINALFUNC = plpgsql_final);
CREATE AGGREGATE sql_sum(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum, FINALFUNC = sql_final);
CREATE AGGREGATE text_sum(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	COMBINEFUNC = paillier_sum_combine, FINALFUNC = text_final);
CREATE AGGREGATE same_sum(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	COMBINEFUNC = paillier_sum_combine, FINALFUNC = same_final);
CREATE AGGREGATE greedy_sum(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	FINALFUNC = paillier_sum_final, FINALFUNC_MODIFY = READ_WRITE);

-- the numbers of rows leave each group with a row that would wait
\set by_theirs 'FROM (SELECT i % 9 AS grp, * FROM pool WHERE i <= 90 OFFSET 0) s GROUP BY grp'
SELECT hashed_totals_are(format('SELECT %s, sum(amount) ', total) || :'by_theirs', 9, total)
FROM unnest(ARRAY['paillier_sum_final(state_of(ct))', 'paillier_sum_final(state_of(ct)::text::paillier_sum)',
	'paillier_sum_final(paillier_sum_combine(state_of(ct), NULL))',
	'paillier_sum_final(paillier_sum_accum(state_of(ct), NULL))', 'paillier_sum_final(text_sum(ct)::paillier_sum)',
		'plpgsql_sum(ct)', 'sql_sum(ct)', 'same_sum(ct)', 'greedy_sum(ct)']) total;
SELECT hashed_totals_are(pairs(format('SELECT %s AS a, %s AS b, sum(amount) AS e ', a, b) || :'by_theirs',
	'(a, e), (b, e)'), 18, format('%s and %s, which have one state', a, b))
FROM (VALUES ('sum(ct)', 'paillier_sum_final(text_sum(ct)::paillier_sum)'),
	('paillier_sum_final(text_sum(ct)::paillier_sum)', 'sum(ct)'),
	('sum(ct)', 'paillier_sum_final(state_of(ct)::text::paillier_sum)'),
	('paillier_sum_final(state_of(ct)::text::paillier_sum)', 'same_sum(ct)'), ('plpgsql_sum(ct)', 'greedy_sum(ct)'),
		('sum(ct)', 'same_sum(ct)')) v(a, b);
-- the final function that shows the state is called first, although the sum stands first in the list of the hash
-- aggregate
SELECT 'SELECT paillier_sum_final(text_sum(ct)::paillier_sum) AS a, sum(ct) AS b, sum(amount) AS e,
	row_number() OVER (ORDER BY paillier_key_id(sum(ct))) AS n ' AS sum_first \gset
SELECT hashed_totals_are(pairs(:'sum_first' || :'by_theirs', '(CASE WHEN n > 0 THEN a END, e), (b, e)'), 18,
	'sum() and another in one state, in another order');
-- states that are stored, and sums that go on
CREATE TABLE stored AS SELECT grp, state_of(ct) AS state,
	sum(amount) AS amount FROM (SELECT i % 9 AS grp, * FROM pool WHERE i <= 90 OFFSET 0) s GROUP BY grp;
SELECT totals_are_always('SELECT paillier_sum_final(state), amount FROM stored', 9, 'states in a table');
SELECT totals_are_always('SELECT paillier_sum_final(paillier_sum_accum(state, ct)), s.amount + p.amount FROM stored s,
	pool p WHERE i <= 3', 27, 'states in a table, with one more row');

-- a sum that begins with rows of its own, few or many, or with weights
SELECT format('CREATE AGGREGATE %s (paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	FINALFUNC = paillier_sum_final, INITCOND = %L)', name, state)
FROM (SELECT 'sum_from_few' AS name, state_of(ct)::text AS state FROM pool WHERE i <= 3
	UNION ALL SELECT 'sum_from_1022', state_of(ct)::text FROM pool WHERE i <= 1022
	UNION ALL SELECT 'sum_from_1023', state_of(ct)::text FROM pool WHERE i <= 1023
	UNION ALL SELECT 'sum_from_many', state_of(ct)::text FROM pool
	UNION ALL SELECT 'sum_from_half', paillier_sum_accum(NULL, ct, 0.5)::text FROM pool WHERE i = 1
	UNION ALL SELECT 'sum_from_none', paillier_sum_accum_inv(paillier_sum_accum(NULL, ct), ct)::text FROM pool
		WHERE i = 1) s \gexec
SELECT hashed_totals_are(format('SELECT sum_from_%s(ct), sum(amount) + (%s) ', name, first) || :'by_theirs', 9,
	'INITCOND: ' || name)
FROM (VALUES ('few', 'SELECT sum(amount) FROM pool WHERE i <= 3'),
	('1022', 'SELECT sum(amount) FROM pool WHERE i <= 1022'), ('1023', 'SELECT sum(amount) FROM pool WHERE i <= 1023'),
	('many', 'SELECT sum(amount) FROM pool'), ('half', 'SELECT amount * 0.5 FROM pool WHERE i = 1'),
		('none', 'SELECT 0.00')) v(name, first);

-- ---- a kernel that changes while rows wait ----

-- Whether rows go on, with the other kernel in every `every` of them, or only in row `-every`.
CREATE FUNCTION turn(i int, every int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF i = -every OR every > 0 AND i % every = 0 THEN
		PERFORM set_config('paillier.kernel', name, false) FROM kernel WHERE name <> paillier_kernel();
	END IF;
	RETURN true;
END $$;
\if :two_kernels
SELECT hashed_totals_are(format('SELECT sum(CASE WHEN two_keys AND grp = 2 THEN other_ct ELSE ct END),
	sum(CASE WHEN two_keys AND grp = 2 THEN other ELSE amount END)
	FROM (SELECT %L AND true AS two_keys, i %% %s AS grp, * FROM pool WHERE i <= 203 AND turn(i, %s) OFFSET 0) s
	GROUP BY grp', two_keys, groups, every), groups,
	format('a kernel that changes in row %s, %s groups%s', every, groups,
		CASE WHEN two_keys THEN ', two keys' ELSE '' END))
FROM unnest(ARRAY[-203, -50, 1, 3, 37]) every, unnest(ARRAY[3, 7, 9]) groups, unnest(ARRAY[false, true]) two_keys;
SELECT hashed_totals_are(format('SELECT sum(ct), sum(amount)
	FROM (SELECT i / 50 AS part, i %% %s AS grp, * FROM pool WHERE i < 200 AND turn(i, 50) OFFSET 0) s GROUP BY part,
	grp', groups), groups * 4,
	format('a kernel that changes between groups, %s at a time', groups))
FROM unnest(ARRAY[3, 7, 9]) groups;
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) FROM (SELECT * FROM keyed WHERE turn(i, 7) OFFSET 0) s
	GROUP BY key_name, i % 7', 35, 'a kernel that changes, keys of all lengths');
SELECT hashed_totals_are('SELECT sum(ct), sum(amount) FROM (SELECT * FROM last_together WHERE turn(i, 25) OFFSET 0) s
	GROUP BY grp', 12, 'a kernel that changes, groups of up to 2000 rows');
SELECT hashed_totals_are('SELECT total, expected FROM (SELECT grp, sum(ct) AS total, sum(amount) AS expected '
	|| :'by_pool' || ') s WHERE turn(grp::int, 2)', 11, 'a kernel that changes between results');
\else
SELECT skip('this processor has one kernel', 1);
\endif

-- ---- where the results go ----

CREATE TABLE result AS SELECT i % 21 AS grp, sum(ct) AS total, sum(amount) AS expected FROM pool GROUP BY 1;
INSERT INTO result SELECT i % 22, sum(ct), sum(amount) FROM pool GROUP BY 1;
SELECT totals_are_always('SELECT total, expected FROM result', 43, 'CREATE TABLE AS and INSERT');
TRUNCATE result;
ALTER TABLE result ADD PRIMARY KEY (grp);
INSERT INTO result SELECT i % 10, sum(ct), sum(amount) FROM pool GROUP BY 1;
INSERT INTO result SELECT i % 15, sum(ct), sum(amount) FROM pool
	GROUP BY 1 ON CONFLICT (grp) DO UPDATE SET total = result.total + excluded.total,
	expected = result.expected + excluded.expected;
UPDATE result r SET total = r.total - s.total, expected = r.expected - s.expected
	FROM (SELECT i % 12 AS grp, sum(ct) AS total, sum(amount) AS expected FROM pool GROUP BY 1) s WHERE r.grp = s.grp;
SELECT totals_are_always('SELECT total, expected FROM result', 15, 'ON CONFLICT and UPDATE');
SELECT :SERVER_VERSION_NUM >= 150000 AS has_merge \gset
\if :has_merge
MERGE INTO result r USING (SELECT i % 20 AS grp, sum(ct) AS total, sum(amount) AS expected FROM pool GROUP BY 1) s
	ON r.grp = s.grp
	WHEN MATCHED THEN UPDATE SET total = s.total, expected = s.expected WHEN NOT MATCHED THEN INSERT
		VALUES (s.grp, s.total, s.expected);
SELECT totals_are_always('SELECT total, expected FROM result', 20, 'MERGE');
\endif
SELECT hashed_totals_are('SELECT sum(total) OVER (PARTITION BY grp % 2),
	sum(expected) OVER (PARTITION BY grp % 2) FROM (SELECT i % 11 AS grp, sum(ct) AS total,
	sum(amount) AS expected FROM pool GROUP BY 1) s', 11, 'a window over sums');
SELECT hashed_totals_are('SELECT sum(sum(ct)) OVER (), sum(sum(amount)) OVER () FROM pool GROUP BY i % 11', 11,
	'a window over sums, at one level');
SELECT hashed_totals_are('WITH s AS MATERIALIZED (SELECT i % 11 AS grp, sum(ct) AS total,
	sum(amount) AS expected FROM pool GROUP BY 1) SELECT a.total - b.total, a.expected - b.expected FROM s a, s b', 121,
	'a table expression read twice');
-- a plan that is kept
CREATE FUNCTION kept(x int) RETURNS TABLE (total paillier_ciphertext, expected numeric) LANGUAGE plpgsql AS
	$$ BEGIN RETURN QUERY SELECT sum(ct), sum(amount) FROM pool WHERE i <= x GROUP BY i % 9; END $$;
SELECT totals_are_always('SELECT k.* FROM generate_series(20, 34) x, kept(x) k', 135, 'a plan that is kept');

-- ---- compiled, and in parallel ----

SET jit = on;
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
SELECT totals_are_always('SELECT sum(ct), sum(amount) ' || :'by_pool', 11, 'compiled');
SELECT totals_are_always(pairs('SELECT sum(ct) AS a, paillier_sum_final(text_sum(ct)::paillier_sum) AS b,
	sum(amount) AS e ' || :'by_theirs', '(a, e), (b, e)'), 18, 'compiled, one state for two');
SET jit = off;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
\set partial 'SELECT sum(ct), sum(amount) FROM at_random GROUP BY grp'
SELECT ok(plan_has(:'partial', '"Strategy": "Hashed",\s*"Partial Mode": "Partial"'), 'workers that hash');
SELECT totals_are_always(:'partial', 12, 'parts of sums in workers');
SELECT totals_are_always('SELECT sum(ct), sum(amount) FROM pool GROUP BY i % 13', 13, 'parts of more sums in workers');
CREATE TABLE part (LIKE at_random) PARTITION BY LIST (grp);
SELECT format('CREATE TABLE part_%s PARTITION OF part FOR VALUES IN (%s)', x, list)
	FROM (VALUES (1, '1, 2, 3, 4, 5, 6, 7'), (2, '8, 9, 10, 11, 12')) v(x, list) \gexec
INSERT INTO part SELECT * FROM at_random;
ANALYZE part;
SET enable_partitionwise_aggregate = on;
\set whole 'SELECT sum(ct), sum(amount) FROM part GROUP BY grp'
SET max_parallel_workers_per_gather = 0;
SELECT hashed_totals_are(:'whole', 12, 'whole sums of partitions');
RESET enable_partitionwise_aggregate;

SELECT * FROM finish();
