-- weight.sql
--	Weighted sums of few and of many different weights, short and long ones, and
--	their states on the way from one process to another; frames longer than the
--	state keeps rows of.

\ir fixture.psql
SELECT no_plan();

-- the aggregate in parts: states of any rows, which are combined
CREATE AGGREGATE sum_state(paillier_ciphertext, numeric) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	COMBINEFUNC = paillier_sum_combine);
CREATE AGGREGATE sum_states(paillier_sum) (SFUNC = paillier_sum_combine, STYPE = paillier_sum);
CREATE FUNCTION by_text(state paillier_sum) RETURNS paillier_sum LANGUAGE sql AS $$ SELECT state::text::paillier_sum $$;
CREATE FUNCTION by_binary(state paillier_sum) RETURNS paillier_sum LANGUAGE sql AS $$
	SELECT translate(encode(paillier_sum_send(state), 'base64'), E'+/=\n', '-_')::paillier_sum $$;

SELECT setseed(0.4711) IS NULL AS x \gset
CREATE TABLE reading (id int PRIMARY KEY, amount numeric, ct paillier_ciphertext);
INSERT INTO reading (id, amount) SELECT i, random_number(2, 40) FROM generate_series(1, 3000) i;
UPDATE reading SET ct = paillier_encrypt(amount, public_key('medium'), 2);
ANALYZE reading;

CREATE FUNCTION paillier_scale_of(total paillier_ciphertext) RETURNS int LANGUAGE sql AS
	$$ SELECT scale(paillier_decrypt(total, private_key)) FROM fixture_key WHERE name = 'medium' $$;

-- Weights of so many kinds, by a row's number.
CREATE FUNCTION weight(kinds int, id int, form text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE form
		WHEN 'small' THEN kind + 1
		WHEN 'signed' THEN kind - kinds / 2
		WHEN 'price' THEN round(0.1 + kind * 0.0317, 4)
		WHEN 'long' THEN 9223372036854775807 - kind * 7654321
		WHEN 'far apart' THEN trunc(3::numeric ^ (kind % 40))
		WHEN 'too long' THEN trunc(2::numeric ^ 63) - 2 + kind
		WHEN 'mixed scales' THEN (kind + 1) * (10::numeric ^ (-(kind % 5)))::numeric(20, 4)
	END FROM (SELECT (id * 7919 % 20011 % kinds)::numeric AS kind) k
$$;

-- The sum of the first rows, whole, and in parts that travel.
CREATE FUNCTION weighted_is_right(rows int, kinds int, form text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	name text := format('%s rows, %s weights, %s', rows, kinds, form);
	expected numeric := (SELECT sum(amount * weight(kinds, id, form)) FROM reading WHERE id <= rows);
	kernel text;
	way text;
	total paillier_ciphertext;
	same text;
BEGIN
	FOREACH kernel IN ARRAY ARRAY['auto', 'generic'] LOOP
		PERFORM set_config('paillier.kernel', kernel, true);
		SELECT sum(ct, weight(kinds, id, form)) INTO total FROM reading WHERE id <= rows;
		RETURN NEXT is(decrypted(total, 'medium'), expected, name || ', kernel ' || kernel);
		same := COALESCE(same, total::text);
		RETURN NEXT is(total::text, same, name || ', the same bits');
	END LOOP;
	FOREACH way IN ARRAY ARRAY['state', 'by_text(state)', 'by_binary(state)'] LOOP
		EXECUTE format('SELECT paillier_sum_final(sum_states(%s))
			FROM (SELECT sum_state(ct, weight($2, id, $3)) AS state FROM reading WHERE id <= $1
			GROUP BY id %% 7 OFFSET 0) s', way)
			INTO total USING rows, kinds, form;
		RETURN NEXT is(paillier_bytes(total), paillier_bytes(same::paillier_ciphertext), name || ', in parts: ' || way);
	END LOOP;
END $$;
CREATE FUNCTION decrypted(total paillier_ciphertext, name text) RETURNS numeric LANGUAGE sql AS $$
	SELECT trim_scale(paillier_decrypt(total, private_key)) FROM fixture_key WHERE fixture_key.name = $2 $$;

-- around the number of terms that a sum of few rows, and one of many, may have
SELECT weighted_is_right(600, kinds, 'small') FROM unnest(ARRAY[1, 2, 7, 8, 9, 31, 32, 33, 200]) kinds;
SELECT weighted_is_right(3000, kinds, 'small') FROM unnest(ARRAY[3, 31, 32, 33, 1000]) kinds;
SELECT weighted_is_right(3000, kinds, 'signed') FROM unnest(ARRAY[2, 15, 17, 66, 2001]) kinds;
SELECT weighted_is_right(1500, kinds, 'price') FROM unnest(ARRAY[3, 24, 1500]) kinds;

-- weights of all lengths, up to the longest that a term has and beyond, and scales that come in any order
SELECT weighted_is_right(300, kinds, 'long') FROM unnest(ARRAY[1, 5, 40]) kinds;
SELECT weighted_is_right(300, kinds, 'far apart') FROM unnest(ARRAY[4, 40]) kinds;
SELECT weighted_is_right(100, kinds, 'too long') FROM unnest(ARRAY[1, 5]) kinds;
SELECT weighted_is_right(300, kinds, 'mixed scales') FROM unnest(ARRAY[5, 60]) kinds;

-- a scale that makes the weights of the rows before it too long for a term
SELECT is(decrypted(sum(ct, CASE WHEN id <= 20 THEN 9e18 - id ELSE 0.0001 END), 'medium'),
	trim_scale(sum(amount * CASE WHEN id <= 20 THEN 9e18 - id ELSE 0.0001 END)), 'weights that grow too long')
		FROM reading WHERE id <= 30;

-- ---- scales ----

-- a quotient of numeric has many zeros at its end: the total has as many digits as that of numeric, and the same
SELECT totals_are(format('SELECT sum(ct, %1$s), sum(amount * (%1$s)) FROM reading %2$s', weight, rest), 1,
	weight || ' ' || rest)
FROM unnest(ARRAY['(id % 4 + 1)::numeric / 100', '2.50', '1.00', '100', '-7.000', '0.000',
	'(id % 3 - 1)::numeric(9, 5)', 'CASE id % 3 WHEN 0 THEN 0.1 WHEN 1 THEN 2.500 ELSE 40.00000 END',
	'(1000 * id)::numeric / 8', '12e20::numeric',
	'1.50e-40', 'CASE WHEN id > 2500 THEN 0.001 ELSE id / 100.0 END',
	'CASE WHEN id % 500 = 7 THEN id::numeric / 1e9 ELSE id END',
	'CASE WHEN id % 2 = 0 THEN 3 END', '(0.0000 * id)']) weight,
	unnest(ARRAY['', 'WHERE id <= 700', 'GROUP BY id % 90', 'GROUP BY id % 2']) rest;
SELECT totals_are(format('SELECT sum(ct, %1$s) OVER w, sum(amount * (%1$s)) OVER w FROM reading WHERE id <= 1400
	WINDOW w AS (ORDER BY id %2$s)', weight, frame), 1400, format('moving: %s %s', weight, frame))
FROM unnest(ARRAY['(id % 4 + 1)::numeric / 100', 'CASE id % 3 WHEN 0 THEN 0.1 WHEN 1 THEN -2.500 ELSE 4.00000 END'])
	weight,
	unnest(ARRAY['ROWS 23 PRECEDING', 'ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING', 'ROWS UNBOUNDED PRECEDING']) frame;
SELECT is(paillier_scale_of(sum(ct, 1.5000)), 6, 'the scale is that of numeric, not that of the value') FROM reading;
SELECT throws_ok('SELECT sum(ct, 1::numeric(300, 254)) FROM reading', '22023', NULL, 'a scale of more than 255');
SELECT throws_ok('SELECT sum(ct, 1::numeric(300, 256)) FROM reading', '22003', NULL, 'a weight of more digits');
SELECT throws_ok(format('SELECT sum(ct, %L) FROM reading', weight), '22003', NULL, 'weight ' || weight)
FROM unnest(ARRAY['NaN', 'Infinity', '1e200', '1e131000']) weight;

-- the bound is that of the result: no total is let through because its zeros were left out before
SELECT lives_ok('SELECT sum(ct, 1::numeric(100, 60)) FROM reading', 'a scale that the key has room for');
SELECT throws_ok('SELECT sum(ct, 1::numeric(200, 140)) FROM reading', '22003', NULL, 'a scale that it has no room for');

-- ---- many rows ----

CREATE VIEW many AS SELECT id + 3000 * k AS id, amount, ct FROM reading, generate_series(0, 4) k;
-- A number of so many bits.
CREATE FUNCTION hashed(id int, bits int) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT trunc(('x0' || left(md5(id::text), 15))::bit(64)::bigint * 2::numeric ^ bits / 2::numeric ^ 60) $$;
SELECT ok(min(hashed(id, 16)) BETWEEN 0 AND 100 AND max(hashed(id, 16)) BETWEEN 65000 AND 65535
	AND count(DISTINCT hashed(id, 16)) > 9000, 'random weights') FROM many;

-- A weighted sum of 15,000 rows in some order: as numeric has it, whatever the kernel and the memory, in parts that
-- travel, and in parallel.
CREATE FUNCTION many_are_right(weight text, ordering text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	name text := format('15,000 rows, %s, by %s', weight, ordering);
	source text := format('(SELECT ct, amount, %s AS w, id FROM many ORDER BY %s OFFSET 0) s', weight, ordering);
	setting text;
	total paillier_ciphertext;
	same bytea;
BEGIN
	FOREACH setting IN ARRAY ARRAY['auto,4MB', 'generic,4MB', 'auto,64kB', 'auto,300kB', 'auto,1GB'] LOOP
		PERFORM set_config('paillier.kernel', split_part(setting, ',', 1), true);
		PERFORM set_config('work_mem', split_part(setting, ',', 2), true);
		EXECUTE 'SELECT sum(ct, w) FROM ' || source INTO total;
		IF same IS NULL THEN
			RETURN NEXT totals_are(format('SELECT sum(ct, w), sum(amount * w) FROM %s', source), 1, name);
			same := paillier_bytes(total);
		END IF;
		RETURN NEXT ok(paillier_bytes(total) = same, name || ': the same with ' || setting);
	END LOOP;
	FOREACH setting IN ARRAY ARRAY['state', 'by_text(state)', 'by_binary(state)'] LOOP
		EXECUTE format('SELECT paillier_sum_final(sum_states(%s)) FROM (SELECT sum_state(ct, w) AS state FROM %s
			GROUP BY id %% 3 OFFSET 0) p', setting, source) INTO total;
		RETURN NEXT ok(paillier_bytes(total) = same, name || ', in parts: ' || setting);
	END LOOP;
END $$;
SELECT many_are_right(weight, ordering) FROM (VALUES
	('3', 'id'), ('(id % 4)::numeric / 100', 'id'), ('(id % 29 - 14)', 'id'), ('(id % 29 - 14)', 'id % 29, id'),
	('(id % 700 + 0.1)', 'id'), ('(id % 700 + 0.1)', 'id % 700, id'), ('hashed(id, 16)', 'id'),
	('hashed(id, 16)', 'hashed(id, 16)'), ('(hashed(id, 16) - 32768)', 'id'), ('hashed(id, 24)', 'id'),
	('hashed(id, 63) * (id % 2 * 2 - 1)', 'id'), ('hashed(id, 1 + id / 260)', 'id'), ('hashed(id, 64)', 'id'),
	('hashed(id, 16) / 100', 'id'), ('CASE WHEN id < 9000 THEN id % 3 ELSE hashed(id, 20) / 1000 END', 'id'),
	('CASE WHEN id < 9000 THEN hashed(id, 16) ELSE id % 3 END', 'id')) AS v (weight, ordering);

-- what states take: as before below 1024 rows, little for few weights, at most half of work_mem for all groups
CREATE FUNCTION size_of(state paillier_sum) RETURNS int LANGUAGE sql AS $$ SELECT pg_column_size(state) $$;
SELECT cmp_ok(size_of(sum_state(ct, hashed(id, 16))), '<', 3000, '1,000 rows: a small state') FROM many
WHERE id <= 1000;
SELECT cmp_ok(size_of(sum_state(ct, id % 3)), '<', 9000, 'three weights: little more') FROM many;
SELECT cmp_ok(size_of(sum_state(ct, hashed(id, 16))), '>', 150000, 'many weights: buckets') FROM many;
SET work_mem = '64kB';
SELECT cmp_ok(size_of(sum_state(ct, hashed(id, 16))), '<', 32000, 'little work_mem: a small state') FROM many;
SET work_mem = '1MB';
SELECT cmp_ok(sum(size)::int, '<', 550000, 'many groups: half of work_mem') FROM (SELECT size_of(sum_state(ct,
	hashed(id, 16))) AS size FROM (SELECT * FROM many ORDER BY random() OFFSET 0) m GROUP BY id % 6) s
WHERE size > 9000;
RESET work_mem;

-- states that are kept: read by another kernel, added to, taken from and combined
CREATE TABLE kept AS SELECT sum_state(ct, w) AS state, sum(amount * w) AS total
	FROM (SELECT ct, amount, CASE WHEN id % 3 = 0 THEN hashed(id, 16) ELSE id % 7 - 3.5 END AS w, id FROM many) s
	GROUP BY id % 3;
SELECT ok(max(size_of(state)) > 100000 AND min(size_of(state)) < 15000, 'states of both kinds are kept') FROM kept;
SELECT set_config('paillier.kernel', kernel, false) FROM (VALUES ('generic')) v (kernel);
SELECT totals_are('SELECT paillier_sum_final(state), total FROM kept', 3, 'read by another kernel');
RESET paillier.kernel;
SELECT totals_are('SELECT paillier_sum_final(paillier_sum_accum(state, ct, 2.25)), total + amount * 2.25
	FROM kept, reading WHERE id = 1', 3, 'a row is added');
SELECT totals_are('SELECT paillier_sum_final(paillier_sum_accum(state, ct)), total + amount
	FROM kept, reading WHERE id = 1', 3, 'a row without a weight is added');
SELECT totals_are('SELECT paillier_sum_final(paillier_sum_accum_inv(paillier_sum_accum(state, ct, 2.25), ct, 0.5)),
	total + amount * 2.25 - amount * 0.5
	FROM kept, reading WHERE id = 1', 3, 'a row is taken away');
SELECT totals_are('SELECT paillier_sum_final(paillier_sum_combine(a.state, b.state)), a.total + b.total
	FROM kept a, kept b', 9, 'two are combined');
SELECT totals_are('SELECT sum(ct, w) OVER (ORDER BY id), sum(amount * w) OVER (ORDER BY id) FROM (SELECT ct, amount,
	id % 50 AS w, id FROM reading WHERE id <= 1200) s', 1200, 'a running total');

-- in parallel
CREATE TABLE spread AS SELECT id, amount, ct, hashed(id, 16) / 100 AS w FROM many;
ANALYZE spread;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT ok(plan_has('SELECT sum(ct, w) FROM spread', '"Partial Mode": "Partial"'), 'planned in parallel');
SELECT totals_are('SELECT sum(ct, w), sum(amount * w) FROM spread', 1, 'in parallel');
SELECT totals_are('SELECT sum(ct, w), sum(amount * w) FROM spread GROUP BY id % 5', 5, 'in parallel, grouped');
SELECT totals_are('SELECT sum(ct, id % 3 * 0.25), sum(amount * (id % 3 * 0.25)) FROM spread', 1,
	'in parallel, tariffs');

-- ---- moving frames ----

-- longer than the rows that a state keeps, and so long that most of it is never taken out
SELECT totals_are(format('SELECT sum(ct) OVER w, sum(amount) OVER w FROM reading
	WINDOW w AS (ORDER BY id ROWS %s PRECEDING)', preceding), 3000, format('frame of %s rows', preceding + 1))
FROM unnest(ARRAY[14, 15, 16, 17, 1022, 1023, 1024, 1100]) preceding;
SELECT totals_are('SELECT sum(ct) OVER w, sum(amount) OVER w FROM reading
	WINDOW w AS (ORDER BY id / 40 RANGE BETWEEN 30 PRECEDING AND 10 FOLLOWING)', 3000, 'frame that grows and shrinks');
SELECT totals_are(format('SELECT sum(ct, %1$s) OVER w,
	sum(amount * %1$s) OVER w FROM reading WINDOW w AS (ORDER BY id ROWS 23 PRECEDING)', weight), 3000,
	'moving, weighted by ' || weight)
FROM unnest(ARRAY['(id % 5)', '(id % 1000 + 1)', '(id % 7 - 3)', '(id % 400 - 2)']) weight;

-- a kernel that changes while a frame moves
SELECT totals_are('SELECT sum(ct) OVER w, sum(amount) OVER w
	FROM (SELECT id, amount, ct FROM reading WHERE id <= 200
	AND set_config(''paillier.kernel'', CASE WHEN id % 50 < 20 THEN ''generic'' ELSE ''auto'' END, false) <> ''''
	ORDER BY id OFFSET 0) r WINDOW w AS (ORDER BY id ROWS 30 PRECEDING)', 200, 'kernels that change within a query');

SELECT * FROM finish();
