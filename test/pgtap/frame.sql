-- frame.sql
--	Bounds of sums over moving frames: whatever scales, widths and weights enter
--	and leave, a total is not refused, and its bound covers its value.

\ir fixture.psql
SELECT no_plan();

-- ---- what once was refused ----

CREATE TABLE wide AS SELECT key::paillier_private_key AS private,
	paillier_public_key(key::paillier_private_key) AS public,
	paillier_register_key(paillier_public_key(key::paillier_private_key)) AS id
FROM paillier_keygen(1024) key;
SELECT is(paillier_decrypt(s, private), 5.00000000000000000000, 'a row of 400 bits leaves, a small one stays')
FROM (SELECT i, sum(ct) OVER (ORDER BY i ROWS 2 PRECEDING) AS s FROM wide,
	LATERAL (VALUES (1, paillier_encrypt(0, public, 0, 400) * 3300000001), (2, paillier_encrypt(5, public)),
		(3, paillier_encrypt(0, public, 20) * 0), (4, paillier_encrypt(0, public, 20) * 0)) v (i, ct)) f,
			wide WHERE i = 4;

-- ---- random frames ----

-- A third of the rows are huge, a third small, and a third add 0 with a bound of 0, which often brings a larger scale:
-- when the
-- huge one leaves, the least error of its bound is more than what stays.
SELECT setseed(0.4711) IS NULL AS x \gset
CREATE TABLE reading AS
SELECT f AS frame, i, class, CASE class WHEN 0 THEN (ARRAY[0, 3, 20, 22, 24])[1 + trunc(5 * random())]
	ELSE trunc(3 * random()) END::int AS scale,
	CASE class WHEN 1 THEN 200 ELSE 8 END AS width, CASE class WHEN 0 THEN 0
		WHEN 1 THEN trunc(random() * 2147483647)::bigint * 2 + 1 ELSE 1 END::numeric AS factor,
	(ARRAY[1, 1, 1, 3300000001, -0.7, 123456789.123456789])[1 + trunc(6 * random())] AS weight, NULL::numeric AS amount,
		NULL::paillier_ciphertext AS ct
FROM generate_series(1, 400) f, generate_series(1, 12) i,
	LATERAL (SELECT trunc(random() * 3 + 0 * i * f)::int AS class) c;
UPDATE reading SET amount = round((2::numeric ^ (width - 1) - 1) / 10::numeric ^ scale, scale) * factor;
UPDATE reading SET ct = paillier_encrypt(round((2::numeric ^ (width - 1) - 1) / 10::numeric ^ scale, scale), public_key,
	scale, width) * factor FROM fixture_key WHERE name = 'medium';
SELECT ok(count(*) FILTER (WHERE class = n) > 1000, format('rows of class %s', n)) FROM reading,
	generate_series(0, 2) n GROUP BY n ORDER BY n;
SELECT totals_are('SELECT ct, amount FROM reading', 4800, 'the rows are what they should be');

-- Nothing is refused, which is to say that the bound covers the value; the sum is right.
CREATE FUNCTION frame_is_right(length int) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT totals_are(format('SELECT sum(ct) OVER w, sum(amount) OVER w FROM reading
		WINDOW w AS (PARTITION BY frame ORDER BY i ROWS %s PRECEDING)', length), 4800,
		format('400 frames of %s rows', length + 1))
	UNION ALL
	SELECT totals_are(format('SELECT sum(ct, weight) OVER w,
		sum(amount * weight) OVER w FROM reading WINDOW w AS (PARTITION BY frame ORDER BY i ROWS %s PRECEDING)',
		length), 4800,
		format('400 frames of %s rows, weighted', length + 1))
$$;
SELECT frame_is_right(1);
SELECT frame_is_right(2);
SELECT frame_is_right(4);

SELECT * FROM finish();
