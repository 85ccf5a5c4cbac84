-- window.sql
--	sum(paillier_ciphertext) over window frames of every kind, against
--	sum(numeric), with NULLs and mixed scales entering and leaving the frame.

\ir fixture.psql
SELECT no_plan();

-- 3,000 rows of two keys: days with gaps and repetitions, so that frames by RANGE and GROUPS grow and shrink; runs of
-- NULL longer than the frames
SELECT setseed(0.1977) IS NULL AS x \gset
CREATE TABLE reading (id int PRIMARY KEY, key_name text, meter int, day int, amount numeric, weight numeric,
	ct paillier_ciphertext);
INSERT INTO reading (id, key_name, meter, day, amount, weight)
SELECT i, CASE WHEN i % 3 = 0 THEN 'python' ELSE 'small' END, i % 3 + 3 * (i % 5),
	trunc(i / 12 + 10 * random() * (i % 2)),
	-- long stretches of one scale, then of mixed ones
	CASE WHEN i % 400 < 320 AND random() < 0.85 THEN random_number(CASE WHEN i % 300 < 150 THEN 2
		ELSE trunc(random() * 7)::int END) END,
	CASE WHEN random() < 0.9 THEN (trunc(random() * 200 - 100)::text || 'e-'
		|| trunc(random() * 3)::text)::numeric * (random() > 0.15)::int END
FROM generate_series(1, 3000) i;
UPDATE reading SET ct = paillier_encrypt(amount, public_key(key_name), scale(amount));
ANALYZE reading;
SELECT ok(count(*) FILTER (WHERE amount IS NULL) BETWEEN 800 AND 1400 AND count(DISTINCT scale(amount)) = 7
	AND count(DISTINCT (meter, day)) < 2900
	AND count(DISTINCT meter) = 15 AND count(*) FILTER (WHERE weight < 0) > 1000,
		'the rows are as varied as they should be') FROM reading;

-- Both sums over a frame, in every row.
CREATE FUNCTION frame_is_right(frame text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT totals_are(format('SELECT sum(ct) OVER w, sum(amount) OVER w FROM reading
		WINDOW w AS (PARTITION BY meter %s)', frame), 3000, 'frame ' || frame)
	UNION ALL
	SELECT totals_are(format('SELECT sum(ct, weight) OVER w,
		sum(amount * weight) OVER w FROM reading WINDOW w AS (PARTITION BY meter %s)', frame), 3000,
		'frame ' || frame || ', weighted')
$$;

-- whole partition, growing, shrinking
SELECT frame_is_right('/* all */');
SELECT frame_is_right('ORDER BY day');
SELECT frame_is_right('ORDER BY day, id ROWS UNBOUNDED PRECEDING');
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING');
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN UNBOUNDED PRECEDING AND 5 PRECEDING');
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN 5 FOLLOWING AND UNBOUNDED FOLLOWING');

-- sliding by rows: every row that leaves was there
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN CURRENT ROW AND CURRENT ROW');
SELECT frame_is_right('ORDER BY day, id ROWS 1 PRECEDING');
SELECT frame_is_right('ORDER BY day, id ROWS 23 PRECEDING');
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN 3 PRECEDING AND 4 FOLLOWING');
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN 10 PRECEDING AND 4 PRECEDING');
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN 1 FOLLOWING AND 40 FOLLOWING');
SELECT frame_is_right('ORDER BY day DESC, id DESC ROWS BETWEEN 7 PRECEDING AND CURRENT ROW');

-- by value and by peers: frames of changing size, which at times are empty
SELECT frame_is_right('ORDER BY day RANGE BETWEEN 5 PRECEDING AND CURRENT ROW');
SELECT frame_is_right('ORDER BY day RANGE BETWEEN 3 PRECEDING AND 8 FOLLOWING');
SELECT frame_is_right('ORDER BY day RANGE BETWEEN 9 PRECEDING AND 7 PRECEDING');
SELECT frame_is_right('ORDER BY day DESC RANGE BETWEEN 2 FOLLOWING AND 20 FOLLOWING');
SELECT frame_is_right('ORDER BY day GROUPS 2 PRECEDING');
SELECT frame_is_right('ORDER BY day GROUPS BETWEEN 1 FOLLOWING AND 3 FOLLOWING');

-- with rows excluded, for which the server adds each frame up anew
SELECT frame_is_right('ORDER BY day, id ROWS BETWEEN 4 PRECEDING AND 4 FOLLOWING EXCLUDE CURRENT ROW');
SELECT frame_is_right('ORDER BY day GROUPS BETWEEN 2 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP');
SELECT frame_is_right('ORDER BY day RANGE BETWEEN 6 PRECEDING AND CURRENT ROW EXCLUDE TIES');

-- filters, several windows and sums of sums
SELECT totals_are('SELECT sum(ct) FILTER (WHERE amount > 0) OVER w,
	sum(amount) FILTER (WHERE amount > 0) OVER w FROM reading
	WINDOW w AS (PARTITION BY meter ORDER BY day, id ROWS 6 PRECEDING)', 3000, 'FILTER');
SELECT totals_are('SELECT sum(ct) OVER a + sum(ct) OVER b,
	sum(amount) OVER a + sum(amount) OVER b FROM reading
	WINDOW a AS (PARTITION BY meter ORDER BY day, id ROWS 6 PRECEDING),
	b AS (PARTITION BY key_name ORDER BY id ROWS BETWEEN 2 FOLLOWING AND 9 FOLLOWING)', 3000, 'two windows');
SELECT totals_are('SELECT sum(sum(ct)) OVER w, sum(sum(amount)) OVER w FROM reading GROUP BY meter,
	day WINDOW w AS (PARTITION BY meter ORDER BY day ROWS 2 PRECEDING)', 2000, 'sliding sum of sums');
SELECT totals_are('SELECT sum(ct, -1) OVER w, -sum(amount) OVER w FROM reading
	WINDOW w AS (PARTITION BY meter ORDER BY day, id ROWS 6 PRECEDING)', 3000, 'nothing but weight -1');
SELECT totals_are('SELECT sum(ct, 0) OVER w, sum(amount * 0) OVER w FROM reading
	WINDOW w AS (PARTITION BY meter ORDER BY day, id ROWS 6 PRECEDING)', 3000, 'nothing but weight 0');

-- a long slide: 3,000 rows enter and leave one sum, and what they lose on the way is put back each time
SELECT totals_are('SELECT sum(ct) OVER w, sum(amount) OVER w FROM (SELECT * FROM reading WHERE key_name = ''small'') r
	WINDOW w AS (ORDER BY id ROWS 200 PRECEDING)', 2000, 'one long slide');
SELECT totals_are('SELECT sum(ct) OVER w, sum(amount) OVER w
	FROM (SELECT id, ct, amount FROM reading WHERE key_name = ''small'' AND scale(amount) = 2) r
	WINDOW w AS (ORDER BY id ROWS 3 PRECEDING)', 500, 'one scale, no NULL: nothing is ever added up anew');

-- several keys
SELECT throws_ok('SELECT sum(ct) OVER (ORDER BY id ROWS 20 PRECEDING) FROM reading', '22000', NULL,
	'several keys in one frame are refused');
SELECT totals_are('SELECT sum(ct) OVER (ORDER BY key_name, id ROWS BETWEEN CURRENT ROW AND CURRENT ROW),
	amount FROM reading', 3000, 'frames of one row each may have different keys');

SELECT * FROM finish();
