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
