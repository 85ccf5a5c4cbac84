-- sum.sql
--	sum(paillier_ciphertext) and sum(paillier_ciphertext, weight) against
--	sum(numeric), over random rows and in every kind of plan.

\ir fixture.psql
SELECT no_plan();

-- ---- 24,000 rows of four keys: numbers of scales 0 to 6, some NULL, some far beyond 64 bits ----

SELECT setseed(0.2024) IS NULL AS x \gset
CREATE TABLE reading (id int, key_name text, region int, hour int, flag boolean, amount numeric, weight numeric,
	width int, ct paillier_ciphertext);
INSERT INTO reading (id, key_name, region, hour, flag, amount, weight, width)
SELECT i, key_name, trunc(random() * 7), trunc(random() * 24), random() < 0.5,
	CASE WHEN random() < 0.9 THEN random_number(trunc(random() * 7)::int, width) END,
	CASE WHEN random() < 0.95 THEN (trunc(random() * 2000 - 1000)::text || 'e-'
		|| trunc(random() * 4)::text)::numeric * (random() > 0.1)::int END,
	width
FROM generate_series(1, 24000) i,
	LATERAL (SELECT (ARRAY['python', 'small', 'medium', 'uneven'])[1 + i % 4]) k(key_name),
	-- at most 2^191 under the keys of 256 bits, so that weighted sums stay within their range
	LATERAL (SELECT CASE WHEN i % 5 = 0 THEN CASE key_name WHEN 'medium' THEN 300 ELSE 128 END ELSE 64 END) w(width);
UPDATE reading SET ct = paillier_encrypt(amount, public_key(key_name), scale(amount), width);
ALTER TABLE reading ALTER ct SET STORAGE external;
ANALYZE reading;

SELECT ok(count(*) = 24000 AND count(*) FILTER (WHERE amount IS NULL) > 2000
	AND count(*) FILTER (WHERE amount < 0) > 6000
	AND count(*) FILTER (WHERE amount = 0) > 500 AND count(*)
		FILTER (WHERE abs(amount) * 10 ^ scale(amount) >= 9223372036854775807) > 1000
	AND count(DISTINCT scale(amount)) = 7 AND count(*) FILTER (WHERE weight IS NULL) > 500
		AND count(*) FILTER (WHERE weight = 0) > 1000
	AND count(*) FILTER (WHERE weight < 0) > 5000, 'the rows are as varied as they should be') FROM reading;

SELECT totals_are('SELECT ct, amount FROM reading', 24000, 'every number decrypts to itself');

-- ---- grouping, filters, order ----

SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name', 4, 'one sum per key');
SELECT totals_are('SELECT sum(ct, weight), sum(amount * weight) FROM reading GROUP BY key_name', 4,
	'one weighted sum per key');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name, region', 28, 'by region');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name, region, hour, flag', 1000,
	'many groups');
SELECT totals_are('SELECT sum(ct, weight), sum(amount * weight) FROM reading GROUP BY key_name, region, hour, flag',
	1000, 'many weighted groups');
SELECT totals_are('SELECT sum(ct) FILTER (WHERE flag), sum(amount) FILTER (WHERE flag) FROM reading GROUP BY key_name,
	hour', 96, 'FILTER');
SELECT totals_are('SELECT sum(ct, weight) FILTER (WHERE weight < 0),
	sum(amount * weight) FILTER (WHERE weight < 0) FROM reading GROUP BY key_name, hour', 96,
	'weighted, nothing but negative weights');
SELECT totals_are('SELECT sum(ct, -1), -sum(amount) FROM reading GROUP BY key_name, hour', 96, 'weight -1');
SELECT totals_are('SELECT sum(ct, 0), sum(amount * 0) FROM reading GROUP BY key_name', 4, 'weight 0');
SELECT totals_are('SELECT sum(ct, 1), sum(amount) FROM reading GROUP BY key_name', 4, 'weight 1');
SELECT totals_are('SELECT sum(ct, 0.001), sum(amount * 0.001) FROM reading GROUP BY key_name', 4, 'fractional weight');
SELECT totals_are('SELECT sum(ct, hour), sum(amount * hour) FROM reading GROUP BY key_name', 4,
	'integer column as weight');
SELECT totals_are('SELECT sum(ct ORDER BY amount DESC, id), sum(amount) FROM reading GROUP BY key_name', 4,
	'ORDER BY inside, by number');
SELECT totals_are('SELECT sum(ct ORDER BY scale(amount)), sum(amount) FROM reading GROUP BY key_name', 4,
	'ORDER BY inside, scales rising');
SELECT totals_are('SELECT sum(ct ORDER BY scale(amount) DESC NULLS LAST), sum(amount) FROM reading GROUP BY key_name',
	4, 'ORDER BY inside, scales falling');
SELECT totals_are('SELECT sum(ct, weight ORDER BY scale(amount * weight), weight),
	sum(amount * weight) FROM reading GROUP BY key_name', 4, 'weighted, ORDER BY inside');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading WHERE amount IS NULL OR id = 1 GROUP BY key_name, id = 1',
	5, 'nothing but NULL gives NULL');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name HAVING count(ct) > 100', 4, 'HAVING');
SELECT totals_are('SELECT sum(r.ct), sum(r.amount) FROM reading r JOIN reading s USING (region, hour, key_name)
	WHERE r.id < 4000 AND s.id < 4000 GROUP BY key_name', 4,
	'a join that repeats rows');
SELECT totals_are('SELECT (SELECT sum(s.ct) FROM reading s WHERE s.key_name = r.key_name AND s.id < r.id),
	(SELECT sum(s.amount) FROM reading s WHERE s.key_name = r.key_name AND s.id < r.id) FROM reading r
	WHERE id % 1000 < 4', 90,
	'a correlated subquery');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM (SELECT key_name, sum(ct) AS ct,
	sum(amount) AS amount FROM reading GROUP BY key_name, region, hour) s GROUP BY key_name', 4,
	'a sum of sums');
SELECT totals_are('SELECT sum(ct * 3 - 1), sum(amount * 3 - 1) FROM reading GROUP BY key_name', 4,
	'a sum of expressions');

SELECT throws_ok('SELECT sum(DISTINCT ct) FROM reading', '42883', NULL, 'DISTINCT is refused');
SELECT throws_ok('SELECT sum(DISTINCT ct, weight) FROM reading', '42883', NULL, 'weighted DISTINCT is refused');
SELECT throws_ok('SELECT sum(ct) FROM reading', '22000', NULL, 'several keys in one sum are refused');
SELECT throws_ok('SELECT sum(ct, weight) FROM reading', '22000', NULL, 'several keys in one weighted sum are refused');
SELECT is((SELECT count(*) FROM (SELECT sum(ct) AS a, sum(ct, weight) AS b FROM reading WHERE false) s WHERE a IS NULL
	AND b IS NULL), 1::bigint, 'no rows give NULL');
SELECT is((SELECT count(*) FROM (SELECT sum(ct) FROM reading WHERE false GROUP BY key_name) s), 0::bigint,
	'no groups, no sums');

-- ---- grouping sets ----

SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name, ROLLUP (region, hour)', 700, 'ROLLUP');
SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name, CUBE (region, hour, flag)', 2000,
	'CUBE');
SELECT totals_are('SELECT sum(ct, weight), sum(amount * weight) FROM reading GROUP BY key_name,
	GROUPING SETS ((region), (hour), (flag), ())', 136, 'GROUPING SETS, weighted');
SET enable_hashagg = off;
SELECT totals_are('SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name,
	GROUPING SETS ((region), (hour, flag), ())', 224, 'GROUPING SETS, sorted');
RESET enable_hashagg;

-- ---- hash and sorted aggregation ----

CREATE FUNCTION by_customer(expression text) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$ SELECT format('SELECT sum(ct%s), sum(amount%s) FROM reading GROUP BY key_name, id %% 500',
		CASE WHEN expression <> '' THEN ', ' || expression END,
		CASE WHEN expression <> '' THEN ' * ' || expression END) $$;
SET enable_sort = off;
SELECT ok(plan_has(by_customer(''), '"Strategy": "Hashed"'), 'the plan hashes');
SELECT totals_are(by_customer(''), 500, 'hash aggregation');
SELECT totals_are(by_customer('weight'), 500, 'hash aggregation, weighted');
-- batches on disk
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT ok(run_has(by_customer('weight'), '"HashAgg Batches": ([2-9]|[1-9]\d)'), 'the hash table does not fit');
SELECT totals_are(by_customer(''), 500, 'hash aggregation with batches on disk');
SELECT totals_are(by_customer('weight'), 500, 'hash aggregation with batches on disk, weighted');
RESET work_mem;
RESET hash_mem_multiplier;
RESET enable_sort;
SET enable_hashagg = off;
SELECT ok(plan_has(by_customer(''), '"Strategy": "Sorted"'), 'the plan sorts');
SELECT totals_are(by_customer(''), 500, 'sorted aggregation');
SELECT totals_are(by_customer('weight'), 500, 'sorted aggregation, weighted');
RESET enable_hashagg;

-- ---- parallel plans ----

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
\set total 'SELECT sum(ct), sum(amount) FROM reading WHERE key_name = ''small'''
\set weighted 'SELECT sum(ct, weight), sum(amount * weight) FROM reading WHERE key_name = ''medium'''
SELECT ok(plan_has(:'total', 'Gather') AND plan_has(:'total', '"Partial Mode": "Partial"')
	AND plan_has(:'total', '"Partial Mode": "Finalize"'), 'the plan adds in workers');
SELECT totals_are(:'total', 1, 'parallel, plain');
SELECT ok(plan_has(:'weighted', '"Partial Mode": "Partial"'), 'the weighted plan too');
SELECT totals_are(:'weighted', 1, 'parallel, weighted');
\set grouped 'SELECT sum(ct), sum(amount) FROM reading GROUP BY key_name, region'
\set grouped_weighted 'SELECT sum(ct, weight), sum(amount * weight) FROM reading GROUP BY key_name, region'
SELECT ok(plan_has(:'grouped', '"Partial Mode": "Partial"'), 'grouped, in workers');
SELECT totals_are(:'grouped', 28, 'parallel, grouped');
SELECT totals_are(:'grouped_weighted', 28, 'parallel, grouped and weighted');
SET enable_hashagg = off;
SELECT ok(plan_has(:'grouped', 'Gather Merge') AND plan_has(:'grouped', '"Partial Mode": "Partial"'),
	'grouped and sorted, in workers');
SELECT totals_are(:'grouped', 28, 'parallel, sorted');
SELECT totals_are(:'grouped_weighted', 28, 'parallel, sorted and weighted');
RESET enable_hashagg;
SET parallel_leader_participation = off;
SELECT totals_are(:'grouped', 28, 'parallel, workers alone');
SELECT totals_are(:'grouped_weighted', 28, 'parallel, workers alone, weighted');
RESET parallel_leader_participation;
SELECT totals_are('SELECT ct * 2 + 1, amount * 2 + 1 FROM reading', 24000, 'operators and decryption in parallel');
SELECT throws_ok('SELECT sum(ct) FROM reading', '22000', NULL, 'several keys in one parallel sum are refused');
SELECT is((SELECT count(*) FROM (SELECT sum(ct) AS total FROM reading WHERE id < 0) s WHERE total IS NULL), 1::bigint,
	'workers without rows give NULL');

-- ---- partitions ----

CREATE TABLE part (LIKE reading) PARTITION BY HASH (region);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO part SELECT * FROM reading;
ANALYZE part;
SET enable_partitionwise_aggregate = on;
\set by_region 'SELECT sum(ct), sum(amount) FROM part GROUP BY key_name, region'
\set by_hour 'SELECT sum(ct), sum(amount) FROM part GROUP BY key_name, hour'
\set by_hour_weighted 'SELECT sum(ct, weight), sum(amount * weight) FROM part GROUP BY key_name, hour'
SELECT totals_are(:'by_region', 28, 'partitionwise, by the partition key');
SELECT totals_are(:'by_hour', 96, 'partitionwise and parallel, across partitions');
RESET max_parallel_workers_per_gather;
SET max_parallel_workers_per_gather = 0;
SELECT ok(plan_has(:'by_region', '"Node Type": "Append"') AND NOT plan_has(:'by_region', '"Partial Mode": "Partial"'),
	'whole groups in each partition');
SELECT ok(plan_has(:'by_hour', '"Node Type": "Append"') AND plan_has(:'by_hour', '"Partial Mode": "Partial"'),
	'partial groups in each partition');
SELECT totals_are(:'by_region', 28, 'partitionwise, by the partition key, not parallel');
SELECT totals_are(:'by_hour', 96, 'partitionwise, across partitions');
SELECT totals_are(:'by_hour_weighted', 96, 'partitionwise, across partitions, weighted');
RESET enable_partitionwise_aggregate;

-- ---- compiled expressions ----

SET jit = on;
SET jit_above_cost = 0;
SET jit_inline_above_cost = 0;
SET jit_optimize_above_cost = 0;
SELECT totals_are(:'grouped', 28, 'compiled');
SELECT totals_are(:'grouped_weighted', 28, 'compiled, weighted');
SET jit = off;

-- ---- sliding and growing windows have a file of their own; here, sums beside others in one query ----

SELECT totals_are('SELECT total, amount FROM (SELECT sum(ct) AS total, sum(ct, weight) AS weighted,
	sum(amount) AS amount, sum(amount * weight) AS expected FROM reading GROUP BY key_name) s', 4,
	'both sums in one query, the first');
SELECT totals_are('SELECT weighted, expected FROM (SELECT sum(ct) AS total, sum(ct, weight) AS weighted,
	sum(amount) AS amount, sum(amount * weight) AS expected FROM reading GROUP BY key_name) s', 4,
	'both sums in one query, the second');
SELECT totals_are('SELECT total - filtered, rest FROM (SELECT sum(ct) AS total, sum(ct) FILTER (WHERE flag) AS filtered,
	sum(amount) FILTER (WHERE NOT flag) AS rest FROM reading WHERE scale(amount) = 3 GROUP BY key_name) s', 4,
	'a difference of sums');

SELECT * FROM finish();
