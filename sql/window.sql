--
-- sum(paillier_ciphertext) over window frames that slide
--
LOAD 'paillier';
\set SHOW_CONTEXT never
SET paillier.min_key_bits = 256;
-- by its declared cost one decryption would be worth a compilation
SET jit = off;

-- a key of 256 bits from python-paillier's documentation
SELECT '{"kty":"DAJ","key_ops":["decrypt"],"p":"wcnMgG7bLvC_7P9fype5mQ","q":"sIeGYNEcNGzpHymiA_wTIQ",'
	'"pub":{"kty":"DAJ","alg":"PAI-GN1","n":"haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k"}}'::paillier_private_key
	AS key \gset
SELECT paillier_register_key(paillier_public_key(:'key'::paillier_private_key));

-- mixed scales, NULLs, equal days
CREATE TEMPORARY TABLE account AS
SELECT day, amount, weight, paillier_encrypt(amount, paillier_public_key(:'key'::paillier_private_key), scale(amount))
	AS ct
FROM (VALUES (1, 10, 1), (2, 0.5, -1), (2, NULL, 2), (3, -7.25, 0.5), (5, 3, NULL), (5, NULL, -3), (5, 1000, 0),
	(6, 0.001, 1),
	(9, NULL, 1), (10, NULL, 1), (11, -4, -0.25), (12, 2.0, 1), (13, 1, 10)) v(day, amount, weight);

-- Decrypted sum and plain sum over each frame, row by row.
CREATE FUNCTION pg_temp.compare(frame text) RETURNS TABLE (days text, decrypted text, matches boolean) LANGUAGE plpgsql
	AS $$
BEGIN
	RETURN QUERY EXECUTE format($query$
		SELECT string_agg(day::text, ' ' ORDER BY day, amount),
			string_agg(COALESCE(trim_scale(decrypted)::text, '-'), ' ' ORDER BY day, amount),
			bool_and(decrypted IS NOT DISTINCT FROM plain AND scale(decrypted) IS NOT DISTINCT FROM scale(plain)
				AND decrypted_weighted IS NOT DISTINCT FROM plain_weighted AND scale(decrypted_weighted) IS NOT DISTINCT
					FROM scale(plain_weighted))
		FROM (SELECT day, amount, sum(amount) OVER w AS plain, sum(amount * weight) OVER w AS plain_weighted,
				paillier_decrypt(sum(ct) OVER w, key) AS decrypted,
				paillier_decrypt(sum(ct, weight) OVER w, key) AS decrypted_weighted
			FROM account, (SELECT %L::paillier_private_key) k(key)
			WINDOW w AS (%s)) s $query$, current_setting('test.key'), frame);
END $$;
SET test.key = :'key';

SELECT frame, c.* FROM unnest(ARRAY[
	'ORDER BY day, amount ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW',
	'ORDER BY day, amount ROWS 1 PRECEDING',
	'ORDER BY day, amount ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING',
	'ORDER BY day, amount ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING',
	'ORDER BY day, amount ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING',
	'ORDER BY day, amount ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING',
	'ORDER BY day, amount ROWS BETWEEN 1 PRECEDING AND 2 PRECEDING',
	'ORDER BY day',
	'ORDER BY day RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING',
	'ORDER BY day DESC, amount ROWS 2 PRECEDING',
	'ORDER BY day GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW',
	'ORDER BY day, amount ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW',
	'ORDER BY day GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP',
	'ORDER BY day GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES',
	'PARTITION BY day % 3 ORDER BY day, amount ROWS 2 PRECEDING']) WITH ORDINALITY u(frame, i),
		pg_temp.compare(frame) c ORDER BY i;

-- a filtered window, and a sliding sum beside other sums over the same window
SELECT bool_and(paillier_decrypt(sum, key) IS NOT DISTINCT FROM plain) AS filtered
FROM (SELECT sum(ct) FILTER (WHERE day <> 5) OVER w, sum(amount) FILTER (WHERE day <> 5) OVER w AS plain
	FROM account WINDOW w AS (ORDER BY day, amount ROWS 3 PRECEDING)) s, (SELECT :'key'::paillier_private_key) k(key);

-- a number that needs much room passes through the frame: the bound grows, and shrinks again when it has gone, so that
-- another may come
CREATE TEMPORARY TABLE large AS
SELECT i, amount, paillier_encrypt(amount, paillier_public_key(:'key'::paillier_private_key), 0, width) AS ct
FROM (SELECT i, CASE WHEN i % 3 = 0 THEN trunc(2::numeric ^ 252) ELSE -i END,
	CASE WHEN i % 3 = 0 THEN 255 ELSE 64 END FROM generate_series(1, 60) i) v(i, amount, width);
SELECT bool_and(paillier_decrypt(sum, key) = plain) AS equal, count(*)
FROM (SELECT sum(ct) OVER w, sum(amount) OVER w AS plain FROM large WINDOW w AS (ORDER BY i ROWS 1 PRECEDING)) s,
	(SELECT :'key'::paillier_private_key) k(key);
-- two of them in one frame might not fit
SELECT count(sum) FROM (SELECT sum(ct) OVER (ORDER BY i ROWS 3 PRECEDING) FROM large) s;

-- the inverse by itself takes out only what can be there
SELECT paillier_decrypt(paillier_sum_final(paillier_sum_accum_inv(paillier_sum_accum(paillier_sum_accum(NULL, a), b),
	a)), :'key') AS rest,
	paillier_sum_final(paillier_sum_accum_inv(paillier_sum_accum(NULL, a), a)) IS NULL AS nothing,
	paillier_sum_final(paillier_sum_accum_inv(NULL, a)) IS NULL AS of_nothing,
	paillier_decrypt(paillier_sum_final(paillier_sum_accum_inv(paillier_sum_accum(NULL, a), NULL)), :'key') AS null_row
FROM (SELECT ct, (SELECT ct FROM account WHERE day = 13) FROM account WHERE day = 1) s(a, b);
SELECT paillier_sum_accum_inv(paillier_sum_accum(NULL, a), b)
	FROM (SELECT ct, (SELECT ct FROM account WHERE day = 3) FROM account WHERE day = 1) s(a, b);
\set VERBOSITY sqlstate
SELECT paillier_sum_accum_inv(paillier_sum_accum_inv(paillier_sum_accum(NULL, ct), ct), ct) FROM account WHERE day = 1;

DELETE FROM paillier_key;
