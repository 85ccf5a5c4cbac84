--
-- Operators: ciphertexts with ciphertexts and with public numbers
--
LOAD 'paillier';
\set SHOW_CONTEXT never
SET paillier.min_key_bits = 256;

-- What a statement fails with.
CREATE FUNCTION pg_temp.error(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- a key of 256 bits from python-paillier's documentation, and another
CREATE TEMPORARY TABLE keys AS
SELECT name, key, paillier_public_key(key) AS pub, paillier_register_key(paillier_public_key(key), name) AS id
FROM (VALUES
	('first', '{"kty":"DAJ","key_ops":["decrypt"],"p":"wcnMgG7bLvC_7P9fype5mQ","q":"sIeGYNEcNGzpHymiA_wTIQ",'
		'"pub":{"kty":"DAJ","alg":"PAI-GN1","n":"haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k"}}'::paillier_private_key),
	('second', '{"kty":"DAJ","key_ops":["decrypt"],"p":"BnOL5UByziuVgbpAu6XHusU","q":"AaYK6BCZrcsJTPEbbnmw2xCqRGXccQ",'
		'"pub":{"kty":"DAJ","alg":"PAI-GN1","n":"CqK--IERtONhjFNGTIFnjvVNiZeRZ0gwD45EkSaBfb6hhtVjvPU"}}')) v(name, key);
SELECT * FROM (SELECT name, id FROM keys) s ORDER BY name;

-- Short names for the first key.
CREATE FUNCTION pg_temp.e(value numeric, scale int DEFAULT 0, width int DEFAULT 64,
	name text DEFAULT 'first') RETURNS paillier_ciphertext
	LANGUAGE sql VOLATILE AS $$ SELECT paillier_encrypt($1, pub, $2, $3) FROM keys k WHERE k.name = $4 $$;
CREATE FUNCTION pg_temp.d(ct paillier_ciphertext) RETURNS numeric
	LANGUAGE sql AS $$ SELECT paillier_decrypt($1, key) FROM keys WHERE id = paillier_key_id($1) $$;

-- 2^n without decimal places, which would be taken for a scale
CREATE FUNCTION pg_temp.two(n int) RETURNS numeric LANGUAGE sql AS $$ SELECT trunc(2::numeric ^ n) $$;

-- The bound a ciphertext carries.
CREATE FUNCTION pg_temp.bound(ct paillier_ciphertext) RETURNS numeric LANGUAGE sql AS $$
	SELECT mantissa * pg_temp.two(exponent)
	FROM (SELECT paillier_ciphertext_send($1)) s(w),
		LATERAL (SELECT get_byte(w, 8) * 16777216::numeric + get_byte(w, 9) * 65536 + get_byte(w,
			10) * 256 + get_byte(w, 11),
			get_byte(w, 6) * 256 + get_byte(w, 7)) f(mantissa, exponent) $$;

-- ---- each operator ----

SELECT pg_temp.d(pg_temp.e(5) + pg_temp.e(7)) AS add, pg_temp.d(pg_temp.e(5) - pg_temp.e(7)) AS sub,
	pg_temp.d(- pg_temp.e(5)) AS neg,
	pg_temp.d(pg_temp.e(5) + 7) AS add_number, pg_temp.d(pg_temp.e(5) - 7) AS sub_number,
	pg_temp.d(pg_temp.e(5) * 7) AS mul, pg_temp.d(7 * pg_temp.e(5)) AS mul_left,
		pg_temp.d(pg_temp.e(5) * -7) AS mul_negative;
SELECT pg_temp.d(pg_temp.e(-5) + pg_temp.e(5)) AS zero, pg_temp.d(pg_temp.e(0) - pg_temp.e(0)) AS zero,
	pg_temp.d(- pg_temp.e(0)) AS zero,
	pg_temp.d(pg_temp.e(-5) - -5) AS zero, pg_temp.d(pg_temp.e(5) * 0) AS zero, pg_temp.d(pg_temp.e(0) * 5) AS zero;

-- scales: the larger one of a sum, both together of a product
SELECT pg_temp.d(pg_temp.e(1.5, 1) + pg_temp.e(2.25, 2)) AS add, pg_temp.d(pg_temp.e(2.25, 4) - pg_temp.e(1)) AS sub,
	pg_temp.d(pg_temp.e(1) + 0.125) AS add_number, pg_temp.d(pg_temp.e(1, 6) - 2) AS sub_number,
	pg_temp.d(pg_temp.e(100) * 0.25) AS mul, pg_temp.d(-0.50 * pg_temp.e(-1.5, 1)) AS mul_left,
		pg_temp.d(pg_temp.e(0, 3) * 0.00) AS zero;
SELECT pg_temp.d((pg_temp.e(10) + pg_temp.e(20) * 0.5 - 3) * -2 - pg_temp.e(0.001, 3)) AS formula,
	(10 + 20 * 0.5 - 3) * -2 - 0.001 AS expected;
SELECT pg_temp.d(pg_temp.e(1) * 1e-255 * 1e0) = 1e-255 AS largest_scale;

-- the same value may stand on both sides
SELECT pg_temp.d(ct + ct), pg_temp.d(ct - ct), pg_temp.d(ct + ct - ct * 2 + - ct)
	FROM (SELECT pg_temp.e(21) AS ct OFFSET 0) s;

-- NULL on either side gives NULL
SELECT pg_temp.e(1) + NULL::paillier_ciphertext IS NULL AND NULL::paillier_ciphertext - pg_temp.e(1) IS NULL
	AND - NULL::paillier_ciphertext IS NULL
	AND pg_temp.e(1) + NULL::numeric IS NULL AND pg_temp.e(1) - NULL::numeric IS NULL AND pg_temp.e(1) * NULL IS NULL
		AND NULL * pg_temp.e(1) IS NULL AS nulls;

-- ---- bounds: exact in doubt upwards, and what would wrap is refused before it does ----

-- stored with 32 bits of precision, never rounded down
SELECT what, bound >= exact AND bound <= exact * (1 + 2::numeric ^ (-31)) AS tight
FROM (VALUES
	('add', pg_temp.bound(pg_temp.e(1) + pg_temp.e(1)), pg_temp.two(64)),
	('sub', pg_temp.bound(pg_temp.e(1) - pg_temp.e(1)), pg_temp.two(64)),
	('neg', pg_temp.bound(- pg_temp.e(1)), pg_temp.two(63)),
	('widths', pg_temp.bound(pg_temp.e(1, 0, 8) + pg_temp.e(1, 0, 100)), pg_temp.two(99) + 128),
	('scales', pg_temp.bound(pg_temp.e(1, 0, 8) + pg_temp.e(0.1, 3, 8)), 128 * 1001),
	('number', pg_temp.bound(pg_temp.e(1) + 12345678901234567890), pg_temp.two(63) + 12345678901234567890),
	('minus', pg_temp.bound(pg_temp.e(1) - -12345678901234567890), pg_temp.two(63) + 12345678901234567890),
	('mul', pg_temp.bound(pg_temp.e(1) * 3.7), pg_temp.two(63) * 37),
	('mul negative', pg_temp.bound(-98765432109876543210 * pg_temp.e(1)), pg_temp.two(63) * 98765432109876543210),
	('zero', pg_temp.bound(pg_temp.e(1) * 0), 0)) v(what, bound, exact);
-- a sum that was declared to fit 64 bits may need 65
SELECT pg_temp.d(pg_temp.e(9223372036854775807) + pg_temp.e(9223372036854775807)) AS positive,
	pg_temp.d(pg_temp.e(-9223372036854775808) - pg_temp.e(9223372036854775807)) AS negative;

-- half of the modulus lies between 2^254 and 2^255; a number of 64 bits has a magnitude of up to 2^63
SELECT pg_temp.d(pg_temp.e(-9223372036854775808) * pg_temp.two(191)) = -(pg_temp.two(254)) AS fits;
SELECT pg_temp.e(1) * pg_temp.two(192);
SELECT operation, pg_temp.error('SELECT ' || operation)
FROM unnest(ARRAY['pg_temp.e(1) * pg_temp.two(191)', 'pg_temp.e(1) * pg_temp.two(192)',
	'pg_temp.two(192) * pg_temp.e(1)', 'pg_temp.e(1) * -(pg_temp.two(192))',
	'pg_temp.e(1) * 1e100', 'pg_temp.e(1) * 1e10000',
	'pg_temp.e(1, 0, 253) + pg_temp.e(1, 0, 253)', 'pg_temp.e(1, 0, 255) + pg_temp.e(1, 0, 255)',
		'pg_temp.e(1, 0, 255) - pg_temp.e(1, 0, 255)',
	'pg_temp.e(1, 0, 255) + pg_temp.two(254)', 'pg_temp.e(1, 0, 255) - pg_temp.two(254)', 'pg_temp.e(1) + 1e80',
		'pg_temp.e(1) - 1e1000',
	'pg_temp.e(1) + pg_temp.e(0, 57)', 'pg_temp.e(1) + pg_temp.e(0, 58)', 'pg_temp.e(1) - pg_temp.e(0, 255)',
		'pg_temp.e(0, 255) + pg_temp.e(1)',
	'pg_temp.e(1) + 1e-57', 'pg_temp.e(1) + 1e-58', 'pg_temp.e(0, 58) + 1', 'pg_temp.e(0, 200) + 1',
		'pg_temp.e(0, 1, 8) + 0.1']) operation;

-- scales beyond 255, and numbers that are none
SELECT pg_temp.e(0, 255) * 0.1;
SELECT pg_temp.e(1) * 'NaN';
SELECT operation, pg_temp.error('SELECT ' || operation)
FROM unnest(ARRAY['pg_temp.e(0, 200) * 1e-55', 'pg_temp.e(0, 200) * 1e-56', 'pg_temp.e(0) * 1e-256',
	'pg_temp.e(0) + 1e-256',
	'pg_temp.e(1) * ''NaN''', '''NaN'' * pg_temp.e(1)', 'pg_temp.e(1) + ''NaN''::numeric',
		'pg_temp.e(1) - ''NaN''::numeric']) operation;

-- ---- keys ----

SELECT pg_temp.d(pg_temp.e(2, name => 'second') * 21) AS second_key;
SELECT pg_temp.e(1) + pg_temp.e(1, name => 'second');
SELECT pg_temp.error('SELECT pg_temp.e(1, name => ''second'') - pg_temp.e(1)');
-- a key that nobody registered encrypts and decrypts, and its ciphertexts cannot be added
SELECT '{"kty":"DAJ","p":"wawjlGN9Pcs","q":"wPeRVLIX3_c","pub":{"kty":"DAJ","alg":"PAI-GN1",'
	'"n":"kfxluDIoZd2ji92pyedz3Q"}}' AS unknown \gset
SET paillier.min_key_bits = 128;
SELECT paillier_public_key(:'unknown'::paillier_private_key) AS unknown_pub \gset
SELECT paillier_decrypt(paillier_encrypt(-77, :'unknown_pub'), :'unknown');
SELECT paillier_encrypt(1, :'unknown_pub') + paillier_encrypt(1, :'unknown_pub');
SELECT operation, pg_temp.error(format('SELECT ' || operation, :'unknown_pub'))
FROM unnest(ARRAY['- paillier_encrypt(1, %L)', 'paillier_encrypt(1, %L) + 1', 'paillier_encrypt(1, %L) - 1',
	'paillier_encrypt(1, %L) * 2',
	'2 * paillier_encrypt(1, %L)', 'paillier_rerandomize(paillier_encrypt(1, %L))',
	'sum(paillier_encrypt(1, %L))']) operation;
SELECT paillier_valid(paillier_encrypt(1, :'unknown_pub')) IS NULL AS not_known;

-- ---- what comes out ----

-- results of encrypted operands are valid; a product with 0 is not blinded until it is re-randomised
SELECT paillier_valid(pg_temp.e(1) + pg_temp.e(-1)) AS add, paillier_valid(pg_temp.e(1) - pg_temp.e(1)) AS sub,
	paillier_valid(- pg_temp.e(1)) AS neg,
	paillier_valid(pg_temp.e(1) + 7) AS add_number, paillier_valid(pg_temp.e(1) * 7) AS mul,
	paillier_valid(pg_temp.e(1) * 0) AS zero, paillier_valid(paillier_rerandomize(pg_temp.e(1) * 0)) AS blinded;
-- adding a number does not blind anew; re-randomising does, and keeps value, scale and bound
SELECT paillier_bytes(ct + 0) = paillier_bytes(ct) AS same, paillier_bytes(r) = paillier_bytes(ct) AS re_randomised,
	pg_temp.d(r) AS value,
	pg_temp.bound(r) = pg_temp.bound(ct) AS bound, paillier_valid(r) AS valid
FROM (SELECT pg_temp.e(-1.25, 3, 40) AS ct OFFSET 0) s, LATERAL (SELECT paillier_rerandomize(ct) AS r OFFSET 0) t;

DELETE FROM paillier_key;
