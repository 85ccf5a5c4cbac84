-- frame.sql
--	Bounds of sums over moving frames: whatever scales, widths and weights enter
--	and leave, a total is not refused, and its bound covers its value.

\ir fixture.psql
SELECT no_plan();

-- ---- what once was refused ----

CREATE TABLE wide AS SELECT key::paillier_private_key AS private, paillier_public_key(key::paillier_private_key) AS public, paillier_register_key(paillier_public_key(key::paillier_private_key)) AS id
FROM paillier_keygen(1024) key;
SELECT is(paillier_decrypt(s, private), 5.00000000000000000000, 'a row of 400 bits leaves, a small one stays')
FROM (SELECT i, sum(ct) OVER (ORDER BY i ROWS 2 PRECEDING) AS s FROM wide,
	LATERAL (VALUES (1, paillier_encrypt(0, public, 0, 400) * 3300000001), (2, paillier_encrypt(5, public)),
		(3, paillier_encrypt(0, public, 20) * 0), (4, paillier_encrypt(0, public, 20) * 0)) v (i, ct)) f, wide WHERE i = 4;

-- ---- random frames ----

-- Rows of widths from 1 to 200 bits and scales from 0 to 24 whose values are as large as their widths allow; many add nothing.
SELECT setseed(0.4711) IS NULL AS x \gset
CREATE TABLE reading AS
SELECT f AS frame, i, scale, width, weight, round(CASE WHEN zero THEN 0 ELSE (2::numeric ^ (width - 1) - 1) * sign END / 10::numeric ^ scale, scale) AS amount, zero
FROM (SELECT f, i, (ARRAY[0, 0, 1, 7, 20, 24])[1 + trunc(6 * random())] AS scale, (ARRAY[1, 2, 63, 64, 150, 200])[1 + trunc(6 * random())] AS width,
		(ARRAY[1, 1, -1, 3300000001, 0.1, 123456789.123456789, 7e20])[1 + trunc(7 * random())] AS weight,
		random() < 0.4 AS zero, CASE WHEN random() < 0.5 THEN -1 ELSE 1 END AS sign
	FROM generate_series(1, 400) f, generate_series(1, 12) i) s;
ALTER TABLE reading ADD ct paillier_ciphertext;
-- a zero factor gives a number of bound 0
UPDATE reading SET ct = CASE WHEN zero AND i % 2 = 0 THEN paillier_encrypt(0, public_key, scale, width) * 0 ELSE paillier_encrypt(amount, public_key, scale, width) END
FROM fixture_key WHERE name = 'medium';
SELECT totals_are('SELECT ct, amount FROM reading', 4800, 'the rows are what they should be');

-- Nothing is refused, which is to say that the bound covers the value; the sum is right.
CREATE FUNCTION frame_is_right(length int) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT totals_are(format('SELECT sum(ct) OVER w, sum(amount) OVER w FROM reading WINDOW w AS (PARTITION BY frame ORDER BY i ROWS %s PRECEDING)', length), 4800,
		format('400 frames of %s rows', length + 1))
	UNION ALL
	SELECT totals_are(format('SELECT sum(ct, weight) OVER w, sum(amount * weight) OVER w FROM reading WINDOW w AS (PARTITION BY frame ORDER BY i ROWS %s PRECEDING)', length), 4800,
		format('400 frames of %s rows, weighted', length + 1))
$$;
SELECT frame_is_right(1);
SELECT frame_is_right(2);
SELECT frame_is_right(4);

SELECT * FROM finish();
