-- kernel.sql
--	Every kernel gives the same sums, bit for bit, and takes over what another
--	has begun.  Where the processor has only the generic one it is compared with
--	itself.

SET client_min_messages = warning;
LOAD 'paillier';
SET paillier.min_key_bits = 128;

SELECT paillier_kernel() IN ('generic', 'avx512ifma') AS known;
SET paillier.kernel = 'generic';
SELECT paillier_kernel();
SET paillier.kernel = 'fastest';
RESET paillier.kernel;

-- keys with residues of different sizes; more rows than a sum takes one by one
CREATE TEMP TABLE key AS
	SELECT bits, paillier_keygen(bits) AS private FROM unnest(ARRAY[128, 130, 300, 512, 1024, 2048]) bits;
SELECT count(DISTINCT paillier_register_key(paillier_public_key(private))) AS registered FROM key;
CREATE TEMP TABLE number AS
	SELECT bits, i, i % 3 AS scale, (i * 7919 % 20011 - 10000) * 0.01 AS value FROM key, generate_series(1, 2500) i;
CREATE TEMP TABLE encrypted AS
	SELECT n.*, paillier_encrypt(value, paillier_public_key(private), 2) AS ct FROM number n JOIN key USING (bits);

-- ---- the same bits ----

CREATE FUNCTION sums(kernel text) RETURNS TABLE (bits int, what text, ct paillier_ciphertext) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('paillier.kernel', kernel, true);
	RETURN QUERY
		SELECT e.bits, 'one row', sum(e.ct) FROM encrypted e WHERE i = 1 GROUP BY e.bits
		UNION ALL SELECT e.bits, 'few rows', sum(e.ct) FROM encrypted e WHERE i <= 12 GROUP BY e.bits
		UNION ALL SELECT e.bits, 'rows up to ' || last, sum(e.ct) FROM encrypted e,
			unnest(ARRAY[1023, 1024, 1025, 1031, 1032, 2500]) last WHERE i <= last GROUP BY e.bits, last
		UNION ALL SELECT e.bits, 'weights', sum(e.ct, e.i % 7 - 3) FROM encrypted e GROUP BY e.bits
		UNION ALL SELECT e.bits, 'weights after many rows',
			sum(e.ct, CASE WHEN e.i > 2000 THEN 0.5 ELSE 1 END) FROM encrypted e GROUP BY e.bits
		UNION ALL SELECT e.bits, 'window ' || e.i, sum(e.ct) OVER (PARTITION BY e.bits ORDER BY e.i ROWS 20 PRECEDING)
			FROM encrypted e WHERE e.i <= 50
		UNION ALL SELECT e.bits, 'arithmetic ' || e.i, e.ct * 3 - e.ct + 5.25 - (-e.ct) * 0.5 FROM encrypted e
			WHERE i <= 3;
END $$;

CREATE TEMP TABLE by_generic AS SELECT * FROM sums('generic');
CREATE TEMP TABLE by_best AS SELECT * FROM sums('auto');
SELECT bits, count(*), count(*) FILTER (WHERE paillier_bytes(g.ct) = paillier_bytes(b.ct)) AS same,
	count(*) FILTER (WHERE g.ct::text = b.ct::text) AS same_header
FROM by_generic g FULL JOIN by_best b USING (bits, what) GROUP BY bits ORDER BY bits;

SELECT bits, paillier_decrypt(ct, private) = (SELECT sum(value) FROM number n WHERE n.bits = b.bits) AS right
FROM by_best b JOIN key USING (bits) WHERE what = 'rows up to 2500' ORDER BY bits;

-- ---- what another has begun ----

CREATE AGGREGATE sum_state(paillier_ciphertext) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	COMBINEFUNC = paillier_sum_combine);
CREATE AGGREGATE sum_state(paillier_ciphertext, numeric) (SFUNC = paillier_sum_accum, STYPE = paillier_sum,
	COMBINEFUNC = paillier_sum_combine);

CREATE TEMP TABLE state (bits int, kernel text, what text, state paillier_sum);
CREATE FUNCTION states(kernel text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('paillier.kernel', kernel, true);
	INSERT INTO state
		SELECT bits, kernel, 'few', sum_state(ct) FROM encrypted WHERE i <= 12 GROUP BY bits
		UNION ALL SELECT bits, kernel, 'many', sum_state(ct) FROM encrypted WHERE i <= 1300 GROUP BY bits
		UNION ALL SELECT bits, kernel, 'divided', sum_state(ct, -1) FROM encrypted WHERE i <= 12 GROUP BY bits;
END $$;
SELECT states('generic'), states('auto');

CREATE FUNCTION finish(kernel text) RETURNS TABLE (bits int, maker text, what text, how text,
	ct paillier_ciphertext) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('paillier.kernel', kernel, true);
	RETURN QUERY
		SELECT s.bits, s.kernel, s.what, 'final', paillier_sum_final(state) FROM state s
		UNION ALL SELECT s.bits, s.kernel, s.what, 'text', paillier_sum_final(state::text::paillier_sum) FROM state s
		UNION ALL SELECT s.bits, s.kernel, s.what, 'accum',
			paillier_sum_final(paillier_sum_accum(state, e.ct)) FROM state s JOIN encrypted e ON e.bits = s.bits
			AND e.i = 2000
		UNION ALL SELECT s.bits, s.kernel, s.what, 'combine ' || t.what || ' of ' || t.kernel,
			paillier_sum_final(paillier_sum_combine(s.state, t.state)) FROM state s JOIN state t USING (bits);
END $$;

CREATE TEMP TABLE finished AS SELECT 'generic' AS kernel, f.* FROM finish('generic') f UNION ALL SELECT 'auto',
	f.* FROM finish('auto') f;
SELECT bits, count(*), count(DISTINCT (what, regexp_replace(how, ' of .*', ''))) AS kinds,
	count(DISTINCT (what, regexp_replace(how, ' of .*', ''), paillier_bytes(ct))) AS results
FROM finished GROUP BY bits ORDER BY bits;
SELECT what, bool_and(paillier_decrypt(ct, private) = CASE what WHEN 'divided' THEN -1 ELSE 1 END
	* (SELECT sum(value) FROM number n WHERE n.bits = f.bits AND i <= CASE what WHEN 'many' THEN 1300 ELSE 12 END))
		AS right
FROM finished f JOIN key USING (bits) WHERE how = 'final' GROUP BY what ORDER BY what;

-- ---- arrays ----

SELECT bits, paillier_decrypt_array((SELECT array_agg(ct ORDER BY i) FROM encrypted e WHERE e.bits = k.bits
	AND i <= size), private)
	IS NOT DISTINCT FROM (SELECT array_agg(value ORDER BY i) FROM number n WHERE n.bits = k.bits AND i <= size) AS right
FROM key k, unnest(ARRAY[1, 2, 3, 7, 8, 9, 21]) size WHERE bits IN (128, 1024) ORDER BY bits, size;
SELECT paillier_decrypt_array(ARRAY[NULL, ct, NULL]::paillier_ciphertext[], private) FROM encrypted
	JOIN key USING (bits) WHERE bits = 512 AND i = 1;
SELECT paillier_decrypt_array('{}', private) FROM key WHERE bits = 512;
\set VERBOSITY terse
SELECT paillier_decrypt_array((SELECT array_agg(ct) FROM encrypted e WHERE i = 1), private) IS NULL AS refused FROM key
	WHERE bits = 512;

-- ---- as it was ----

DELETE FROM paillier_key WHERE key_id IN (SELECT paillier_key_id(private) FROM key);
DROP FUNCTION sums(text), states(text), finish(text);
DROP AGGREGATE sum_state(paillier_ciphertext), sum_state(paillier_ciphertext, numeric);
