--
-- sum(paillier_ciphertext) and sum(paillier_ciphertext, weight)
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
CREATE FUNCTION pg_temp.e(value numeric, scale int DEFAULT 0, width int DEFAULT 64,
	name text DEFAULT 'first') RETURNS paillier_ciphertext
	LANGUAGE sql VOLATILE AS $$ SELECT paillier_encrypt($1, pub, $2, $3) FROM keys k WHERE k.name = $4 $$;
CREATE FUNCTION pg_temp.d(ct paillier_ciphertext) RETURNS numeric
	LANGUAGE sql AS $$ SELECT paillier_decrypt($1, key) FROM keys WHERE id = paillier_key_id($1) $$;

-- A ciphertext of the first key with any c, valid or not.
CREATE FUNCTION pg_temp.forged(c numeric) RETURNS paillier_ciphertext LANGUAGE plpgsql AS $$
DECLARE
	bytes bytea := decode(repeat('00', 64), 'hex');
BEGIN
	FOR i IN REVERSE 63 .. 0 LOOP
		bytes := set_byte(bytes, i, (c % 256)::int);
		c := div(c, 256);
	END LOOP;
	RETURN translate(encode(substr(paillier_ciphertext_send(pg_temp.e(0)), 1, 28) || bytes, 'base64'), E'+/=\n',
		'-_')::paillier_ciphertext;
END $$;
\set n 60442649153995321536810195252957193091158742609542972665228258025600944523193

-- ---- plain sums ----

CREATE TEMPORARY TABLE bill AS
SELECT i, customer, amount, weight, pg_temp.e(amount, scale) AS ct
FROM (VALUES (1, 'a', 12.50, 2, 1), (2, 'b', 99.99, 2, -2.5), (3, 'a', -0.01, 2, 0.125), (4, 'c', NULL, 2, 3),
	(5, 'b', 1000, 0, NULL),
	(6, 'a', 0.001, 3, 0), (7, 'd', -5, 0, 10), (8, 'c', NULL, 0, 1)) v(i, customer, amount, scale, weight);
SELECT pg_temp.d(sum(ct)), sum(amount) FROM bill;
SELECT customer, pg_temp.d(sum(ct)) AS decrypted, sum(amount), scale(pg_temp.d(sum(ct))) AS scale,
	count(ct) FROM bill GROUP BY customer ORDER BY customer;
SELECT pg_temp.d(sum(ct, weight)) AS decrypted, sum(amount * weight) FROM bill;
SELECT customer, pg_temp.d(sum(ct, weight)) AS decrypted,
	sum(amount * weight) FROM bill GROUP BY customer ORDER BY customer;
SELECT pg_temp.d(sum(ct) FILTER (WHERE customer = 'b')) AS filtered, pg_temp.d(sum(ct ORDER BY i DESC)) AS ordered,
	pg_temp.d(sum(ct, -1)) AS negated FROM bill;
SELECT customer, pg_temp.d(sum(ct)) AS decrypted, sum(amount) FROM bill GROUP BY ROLLUP (customer)
	ORDER BY customer NULLS LAST;

-- a sum is a ciphertext like any other: it is added on, stored, and summed again
SELECT pg_temp.d(sum(subtotal)) AS decrypted, pg_temp.d(sum(subtotal * 2 + 1))
	FROM (SELECT sum(ct) AS subtotal FROM bill GROUP BY customer) s;
SELECT bool_and(paillier_valid(subtotal)) FROM (SELECT sum(ct) AS subtotal FROM bill GROUP BY customer) s
	WHERE subtotal IS NOT NULL;

-- no rows, or nothing but NULL: NULL
SELECT sum(ct) IS NULL AS empty, sum(ct, weight) IS NULL AS empty_weighted FROM bill WHERE false;
SELECT sum(ct) IS NULL AS nulls, sum(ct, 1) IS NULL AS nulls_weighted FROM bill WHERE customer = 'c';
SELECT sum(ct, NULL) IS NULL AS null_weights FROM bill;
-- nothing but zeros: a ciphertext of 0, though one that everybody can read
SELECT pg_temp.d(sum(ct, 0)), paillier_valid(sum(ct, 0)), paillier_valid(paillier_rerandomize(sum(ct, 0))) FROM bill;

-- the number of multiplications does not matter: each of them loses a Montgomery factor, which are put back at the end
SELECT bool_and(pg_temp.d(total) = 3 * n AND pg_temp.d(weighted) = -21 * n)
FROM (SELECT n, sum(ct) AS total, sum(ct, -7) AS weighted
	FROM generate_series(1, 70) n, generate_series(1, n), (SELECT pg_temp.e(3) AS ct OFFSET 0) s GROUP BY n) t;

-- ---- a wrong total is never returned ----

-- several keys: each by itself, or not at all
CREATE TEMPORARY TABLE mixed AS SELECT i, pg_temp.e(i, name => name) AS ct FROM keys, generate_series(1, 4) i;
SELECT pg_temp.d(sum(ct)) FROM mixed GROUP BY paillier_key_id(ct);
SELECT sum(ct) FROM mixed;
SELECT query, left(pg_temp.error(query), 5) AS sqlstate
FROM unnest(ARRAY['SELECT sum(ct) FROM mixed', 'SELECT sum(ct, i) FROM mixed',
	'SELECT sum(ct) OVER (ORDER BY i) FROM mixed',
	'SELECT i, sum(ct) FROM mixed GROUP BY ROLLUP (i)']) query;

-- a key that is not registered
SELECT '{"kty":"DAJ","p":"wawjlGN9Pcs","q":"wPeRVLIX3_c","pub":{"kty":"DAJ","alg":"PAI-GN1",'
	'"n":"kfxluDIoZd2ji92pyedz3Q"}}' AS unknown \gset
SET paillier.min_key_bits = 128;
SELECT sum(paillier_encrypt(i, paillier_public_key(:'unknown'::paillier_private_key))) FROM generate_series(1, 3) i;
SELECT sum(paillier_encrypt(i, paillier_public_key(:'unknown'::paillier_private_key)), i) FROM generate_series(1, 3) i;

-- forged summands: not below n^2; without an inverse, which would make every total 0; and such that are only readable
-- by everybody
CREATE TEMPORARY TABLE forged AS
SELECT i, what, pg_temp.forged(c) AS ct FROM (VALUES (1, 'n^2', :n * :n), (2, 'n^2 + 5', :n * :n + 5),
	(3, '2^512 - 1', 2::numeric ^ 512 - 1),
	(4, 'n', :n), (5, '5n', 5 * :n), (6, '1', 1), (7, '1 + 4n', 1 + 4 * :n), (8, '1 - 4n', 1 - 4 * :n + :n * :n)) v(i,
		what, c);
SELECT what, pg_temp.error(format('SELECT sum(ct) FROM (VALUES (pg_temp.e(10)), (%L::paillier_ciphertext),
	(pg_temp.e(20))) v(ct)', ct)) AS sum,
	pg_temp.error(format('SELECT sum(ct, -3) FROM (VALUES (pg_temp.e(10)), (%L::paillier_ciphertext),
		(pg_temp.e(20))) v(ct)', ct)) AS weighted
FROM forged ORDER BY i;
SELECT sum(ct) FROM forged WHERE what = '5n';
SELECT what, pg_temp.d(sum(v.ct)), pg_temp.d(sum(v.ct, -3)) AS weighted
FROM forged f, LATERAL (VALUES (pg_temp.e(10)), (f.ct), (pg_temp.e(20))) v(ct) WHERE f.i >= 6 GROUP BY f.i,
	what ORDER BY f.i;
-- a forgery with weight 0 does no harm; a window that it passed through is refused to the end
SELECT pg_temp.d(sum(v.ct, weight)) FROM forged f,
	LATERAL (VALUES (pg_temp.e(10), 1), (f.ct, 0)) v(ct, weight) WHERE f.what = '5n';
SELECT pg_temp.error('SELECT sum(v.ct) OVER (ROWS 1 PRECEDING) FROM forged f,
	LATERAL (VALUES (f.ct), (pg_temp.e(1)), (pg_temp.e(2)), (pg_temp.e(3))) v(ct) WHERE f.what = ''5n''');
-- too short or too long for the key
SELECT limbs, pg_temp.error(format('SELECT sum(%L::paillier_ciphertext)', translate(encode(
	substr(paillier_ciphertext_send(pg_temp.e(1)), 1, 28) || decode(repeat('01', 8 * limbs), 'hex'), 'base64'),
		E'+/=\n', '-_')))
FROM unnest(ARRAY[1, 7, 9, 256]) limbs;

-- a total that might exceed the range of the key: half of the modulus lies between 2^254 and 2^255, so that four
-- numbers
-- of 253 bits with their sign stay below it, and five may not
SELECT pg_temp.d(sum(pg_temp.e(2::numeric ^ 252, width => 253))) = 3 * 2::numeric ^ 252 AS three
	FROM generate_series(1, 3);
SELECT pg_temp.d(sum(pg_temp.e(-(2::numeric ^ 252), width => 253))) = -(2::numeric ^ 254) AS four
	FROM generate_series(1, 4);
SELECT sum(pg_temp.e(1, width => 253)) FROM generate_series(1, 5);
-- whatever the order and the signs
SELECT pg_temp.error(format('SELECT sum(pg_temp.e(1, width => 253), %s) FROM generate_series(1, %s)', weight, rows))
FROM (VALUES ('1', 4), ('1', 5), ('-1', 4), ('-1', 5), ('1 - 2 * (generate_series % 2)', 4),
	('1 - 2 * (generate_series % 2)', 5),
	('4', 1), ('5', 1), ('-5', 1), ('0.1', 5), ('1.0', 1), ('1e100', 1), ('1e1000', 1), ('0', 1000)) v(weight, rows);
-- decimal places count: what has to be multiplied to align them may exceed the range too
SELECT pg_temp.d(sum(ct)) FROM (VALUES (pg_temp.e(1)), (pg_temp.e(1e-50, 50)), (NULL)) v(ct);
SELECT sum(ct) FROM (VALUES (pg_temp.e(1)), (pg_temp.e(1e-60, 60))) v(ct);
SELECT scales, pg_temp.error(format('SELECT sum(pg_temp.e(0, scale)) FROM unnest(%L::int[]) scale', scales))
FROM unnest(ARRAY['{0,57}', '{57,0}', '{0,58}', '{58,0}', '{0,255}', '{255,0}', '{255,255}', '{10,67,0,20}',
	'{0,20,40,60}', '{198,255}']) scales;

-- weights that are no numbers, or have too many digits
SELECT sum(ct, 'NaN') FROM bill;
SELECT weight, pg_temp.error(format('SELECT sum(ct, %L) FROM bill WHERE i = 1', weight))
FROM unnest(ARRAY['NaN', '1e-253', '1e-254', '1e-255', '1e-256', '0e-253', '1e50', '1e60']) weight;

-- equality is not defined, so DISTINCT is not either
SELECT sum(DISTINCT ct) FROM bill;
SELECT sum(DISTINCT ct, 1) FROM bill;

-- ---- one such aggregate per argument list, whatever else is called sum ----

SELECT oid::regprocedure FROM pg_proc WHERE proname = 'sum' AND proargtypes[0] = 'paillier_ciphertext'::regtype
	ORDER BY 1;
SELECT sum(x), pg_temp.d(sum(ct)) FROM (VALUES (1, pg_temp.e(2)), (3, pg_temp.e(4))) v(x, ct);

DELETE FROM paillier_key;
