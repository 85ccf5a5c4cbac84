-- arithmetic.sql
--	The operators against those of numeric, over random operands.

\ir fixture.psql
SELECT no_plan();

SELECT setseed(0.42) IS NULL AS x \gset
CREATE TABLE pair (id int, key_name text, a numeric, b numeric, k numeric, ct_a paillier_ciphertext,
	ct_b paillier_ciphertext);
INSERT INTO pair (id, key_name, a, b, k)
SELECT i, (ARRAY['python', 'small', 'medium', 'uneven'])[1 + i % 4],
	random_number(trunc(random() * 7)::int), random_number(trunc(random() * 7)::int),
	-- public numbers of both signs, whole, fractional, zero and one
	CASE trunc(random() * 8) WHEN 0 THEN 0 WHEN 1 THEN 1 WHEN 2 THEN -1 WHEN 3 THEN 1.00 WHEN 4 THEN random_number(3)
		ELSE (trunc(random() * 2000000 - 1000000)::text || 'e-' || trunc(random() * 9)::text)::numeric END
FROM generate_series(1, 4000) i;
UPDATE pair SET ct_a = paillier_encrypt(a, public_key(key_name), scale(a)),
	ct_b = paillier_encrypt(b, public_key(key_name), scale(b));

-- one expression in both: a and b are ciphertexts on the left, numbers on the right
CREATE FUNCTION expression_is_right(expression text) RETURNS text LANGUAGE sql AS $$
	SELECT totals_are(format('SELECT %s, %s FROM pair', regexp_replace(expression, '\m([ab])\M', 'ct_\1', 'g'),
		expression), 4000, expression)
$$;
SELECT expression_is_right(expression) FROM unnest(ARRAY[
	'a + b', 'b + a', 'a - b', 'b - a', '- a', '- - a', 'a + a', 'a - a',
	'a + k', 'a - k', 'a * k', 'k * a',
	'a * 2', 'a * 0.25', '-3 * a', 'a + 1000000', 'a - 0.000001',
	'a * k + b', 'a * k - b * k', '(a - b) * k', '(a + b) * 7 - (a - b) * k', '- (a * k) + 1',
		'k * (a + 12.5) - b']) expression;

SELECT is((SELECT count(*) FROM pair WHERE NOT paillier_valid(ct_a + ct_b) OR NOT paillier_valid(ct_a - ct_b)
	OR NOT paillier_valid(- ct_a)
	OR NOT paillier_valid(ct_a + k) OR NOT paillier_valid(ct_a * k) AND k <> 0), 0::bigint,
		'all results are valid ciphertexts');
SELECT is((SELECT count(*) FROM pair WHERE paillier_valid(ct_a * k) AND k = 0), 0::bigint, 'but for products with 0');
SELECT totals_are('SELECT paillier_rerandomize(ct_a), a FROM pair', 4000, 're-randomised');
SELECT is((SELECT count(*) FROM pair WHERE paillier_bytes(paillier_rerandomize(ct_a)) = paillier_bytes(ct_a)),
	0::bigint, 'and different each time');
SELECT is((SELECT count(DISTINCT paillier_bytes(paillier_encrypt(5, public_key('small'), 0))) FROM pair), 4000::bigint,
	'no two encryptions are the same');

-- numeric has infinities from PostgreSQL 14 on
SELECT CASE WHEN current_setting('server_version_num')::int < 140000 THEN skip('numeric has no infinity', 1)
	ELSE throws_ok(format('SELECT ' || expression || ' FROM pair WHERE id = 1', infinity), '22003',
		infinity || ' has no encrypted form', format(expression, infinity)) END
FROM unnest(ARRAY['Infinity', '-Infinity']) infinity,
	unnest(ARRAY['ct_a * %L', '%L * ct_a', 'ct_a + %L::numeric', 'ct_a - %L::numeric', 'sum(ct_a, %L)',
	'paillier_encrypt(%L, public_key(key_name))']) expression;

-- a + b in ciphertexts commutes and associates to the byte, as multiplication does
SELECT is((SELECT count(*) FROM pair WHERE paillier_bytes(ct_a + ct_b) <> paillier_bytes(ct_b + ct_a)
	OR paillier_bytes(ct_a * 3) <> paillier_bytes(ct_a + ct_a + ct_a)
		OR paillier_bytes(3 * ct_a) <> paillier_bytes(ct_a * 3)
	OR paillier_bytes(ct_a - ct_b) <> paillier_bytes(ct_a + - ct_b)
		OR paillier_bytes(- ct_a) <> paillier_bytes(ct_a * -1)
	OR paillier_bytes(ct_a - k) <> paillier_bytes(ct_a + -k)), 0::bigint, 'laws of arithmetic, to the byte');

-- ---- under each key, the numbers at the ends of its range ----

CREATE TABLE edge AS
SELECT name, value * sign AS value, paillier_encrypt(value * sign, public_key(name), 0) AS ct
FROM (VALUES ('python', 256), ('small', 256), ('medium', 512), ('uneven', 300), ('usual', 2048)) v(name, bits),
	LATERAL (SELECT trunc(2::numeric ^ e) + d FROM unnest(ARRAY[0, 1, 7, 8, 31, 32, 63, 64, 65, 127, 128, bits / 2,
		bits - 80]) e, unnest(ARRAY[-1, 0, 1]) d) p(value),
	unnest(ARRAY[1, -1]) sign;
SELECT totals_are('SELECT ct, value FROM edge', 390, 'powers of two and their neighbours');
SELECT totals_are('SELECT - ct, - value FROM edge', 390, 'their negatives');
SELECT totals_are('SELECT ct + 1, value + 1 FROM edge', 390, 'their successors');
SELECT totals_are('SELECT ct * 1023, value * 1023 FROM edge', 390, 'their multiples');
SELECT totals_are('SELECT a.ct - b.ct, a.value - b.value FROM edge a JOIN edge b USING (name)
	WHERE name IN (''python'', ''uneven'')', 5000, 'their differences');
SELECT totals_are('SELECT sum(ct), sum(value) FROM edge GROUP BY name', 5, 'their sums');

-- ---- refused, whatever the numbers ----

SELECT throws_ok('SELECT count(ct_a + (SELECT ct_a FROM pair WHERE key_name = ''small'' LIMIT 1)) FROM pair', '22000',
	NULL, 'other keys');
SELECT is((SELECT count(*) FROM pair WHERE ct_a + NULL::paillier_ciphertext IS NOT NULL OR ct_a * NULL IS NOT NULL),
	0::bigint, 'NULL');

-- ---- blinding factors ----

-- An encryption of 0 is its blinding factor.  In a transaction that needs many they are made ahead: each is used once,
-- by one key,
-- whatever else happens between, and none is left for the next transaction.
CREATE TABLE factor (i int, key_name text, ct paillier_ciphertext);
CREATE PROCEDURE encrypt_zeros() LANGUAGE plpgsql AS $$
BEGIN
	FOR round IN 1 .. 3 LOOP
		FOR n IN 1 .. 30 LOOP
			BEGIN
				INSERT INTO factor SELECT n, name, paillier_encrypt(0, public_key) FROM fixture_key
					WHERE name <> 'usual';
				INSERT INTO factor SELECT i, key_name, paillier_rerandomize(ct) FROM factor WHERE factor.i = n
					ORDER BY ct::text LIMIT 3;
				IF n % 7 = 3 THEN
					PERFORM paillier_encrypt(0.5, public_key('small'));
				END IF;
			EXCEPTION WHEN numeric_value_out_of_range OR invalid_parameter_value OR data_exception THEN
				INSERT INTO factor SELECT n, name, paillier_encrypt(0, public_key) FROM fixture_key
					WHERE name <> 'usual';
			END;
		END LOOP;
		COMMIT;
	END LOOP;
END $$;
CALL encrypt_zeros();
SELECT ok(count(*) > 400 AND count(DISTINCT paillier_bytes(ct)) = count(*) AND count(DISTINCT key_name) = 4,
	'no blinding factor comes twice') FROM factor;
SELECT ok(bool_and(paillier_decrypt(ct, private_key) = 0 AND paillier_key_id(ct) = key_id),
	'all of them blind nothing but 0, under their key')
FROM factor JOIN fixture_key ON name = key_name;

SELECT * FROM finish();
