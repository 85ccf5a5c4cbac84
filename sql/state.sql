--
-- paillier_sum: the state of a sum, which travels between processes and
-- machines as text or binary
--
LOAD 'paillier';
\set SHOW_CONTEXT never
SET paillier.min_key_bits = 128;

-- What a statement fails with.
CREATE FUNCTION pg_temp.error(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- a key of 256 bits from python-paillier's documentation, and another
SELECT '{"kty":"DAJ","key_ops":["decrypt"],"p":"wcnMgG7bLvC_7P9fype5mQ","q":"sIeGYNEcNGzpHymiA_wTIQ",'
	'"pub":{"kty":"DAJ","alg":"PAI-GN1","n":"haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k"}}'::paillier_private_key
	AS key,
	'{"kty":"DAJ","p":"wawjlGN9Pcs","q":"wPeRVLIX3_c","pub":{"kty":"DAJ","alg":"PAI-GN1",'
		'"n":"kfxluDIoZd2ji92pyedz3Q"}}'::paillier_private_key AS other \gset
SELECT paillier_register_key(paillier_public_key(:'key'::paillier_private_key)) AS id,
	paillier_public_key(:'key'::paillier_private_key) AS pub \gset

-- Shorter names.
CREATE FUNCTION pg_temp.total(state paillier_sum) RETURNS numeric LANGUAGE sql AS
	$$ SELECT paillier_decrypt(paillier_sum_final(state), current_setting('test.key')::paillier_private_key) $$;
CREATE FUNCTION pg_temp.base64url(bytes bytea) RETURNS text LANGUAGE sql AS
	$$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION pg_temp.state(bytes bytea) RETURNS paillier_sum LANGUAGE sql AS
	$$ SELECT pg_temp.base64url(bytes)::paillier_sum $$;
SET test.key = :'key';

-- ---- known states ----

-- of -987654321 with r = 12345: taken as it is, twice, and away from nothing
SELECT '\x0b0c7547c64a5554b8b6605dc383dc2d7f4528bef7bca9ad1da7411dcc309263863f7995c17a3fa8843479fb6f207a3b42b55eb2c4bac'
	'3e359988d617e842db6' AS c \gset
CREATE TEMPORARY TABLE known AS SELECT paillier_ciphertext(:'c', :'id', 2) AS ct;
SELECT paillier_sum_send(paillier_sum_accum(NULL, ct)) FROM known;
SELECT paillier_sum_send(paillier_sum_accum(paillier_sum_accum(NULL, ct), ct)) FROM known;
SELECT paillier_sum_send(paillier_sum_accum(NULL, ct, -1)) FROM known;
SELECT paillier_sum_accum(NULL, ct) FROM known;
SELECT pg_temp.total(paillier_sum_accum(NULL, ct)) AS once,
	pg_temp.total(paillier_sum_accum(paillier_sum_accum(NULL, ct), ct)) AS twice,
	pg_temp.total(paillier_sum_accum(NULL, ct, -1)) AS negative,
		pg_temp.total(paillier_sum_accum(NULL, ct, 0.5)) AS half FROM known;
-- by itself a function leaves its argument as it was
SELECT pg_temp.total(state) AS before, pg_temp.total(paillier_sum_accum(state, ct)) AS added,
	pg_temp.total(paillier_sum_combine(state, state)) AS combined,
	pg_temp.total(paillier_sum_accum_inv(state, ct)) AS removed, pg_temp.total(state) AS after
FROM (SELECT paillier_sum_accum(NULL, ct) AS state, ct FROM known OFFSET 0) s;

-- ---- there and back, and combined ----

CREATE TEMPORARY TABLE part AS
SELECT i, paillier_sum_accum(paillier_sum_accum(NULL, paillier_encrypt(i, :'pub', 1)),
	paillier_encrypt(-0.25, :'pub', i % 3 + 2), i - 2) AS state
FROM generate_series(1, 4) i;
SELECT i, pg_temp.total(state), i - 0.25 * (i - 2) AS expected, pg_temp.total(state::text::paillier_sum) AS text,
	pg_temp.total(pg_temp.state(paillier_sum_send(state))) AS binary,
	state::text::paillier_sum::text = state::text AS same
FROM part ORDER BY i;
SELECT a.i, b.i, pg_temp.total(paillier_sum_combine(a.state, b.state)) = pg_temp.total(a.state) + pg_temp.total(b.state)
	AS combined,
	pg_temp.total(paillier_sum_combine(a.state::text::paillier_sum, b.state::text::paillier_sum)) =
		pg_temp.total(a.state) + pg_temp.total(b.state) AS travelled
FROM part a, part b WHERE a.i <= b.i ORDER BY 1, 2;
SELECT paillier_sum_combine(NULL, NULL) IS NULL AS none, pg_temp.total(paillier_sum_combine(NULL, state)) AS first,
	pg_temp.total(paillier_sum_combine(state, NULL)) AS second,
	paillier_sum_final(NULL) IS NULL AS final, paillier_sum_final(paillier_sum_accum(NULL, NULL)) IS NULL AS accum,
		pg_temp.total(paillier_sum_accum(state, NULL)) AS null_row
FROM part WHERE i = 3;

-- a state from which everything was taken is empty, and stays so on its way
SELECT paillier_sum_final(empty) IS NULL AS final, paillier_sum_final(empty::text::paillier_sum) IS NULL AS travelled,
	pg_temp.total(paillier_sum_combine(empty::text::paillier_sum, state)) AS left,
		pg_temp.total(paillier_sum_combine(state, empty::text::paillier_sum)) AS right,
	pg_temp.total(paillier_sum_accum(empty::text::paillier_sum, ct)) AS begins_again
FROM (SELECT paillier_sum_accum_inv(paillier_sum_accum(NULL, ct), ct) AS empty, paillier_sum_accum(NULL, ct) AS state,
	ct FROM known) s;

-- ---- what is refused ----

-- other keys, and keys nobody knows
SELECT pg_temp.error(format('SELECT paillier_sum_combine(%L, paillier_sum_accum(NULL, paillier_encrypt(1, %L)))', state,
	paillier_public_key(:'other'::paillier_private_key)))
FROM part WHERE i = 1;
SELECT length(paillier_register_key(paillier_public_key(:'other'::paillier_private_key)));
SELECT paillier_sum_combine(state, paillier_sum_accum(NULL,
	paillier_encrypt(1, paillier_public_key(:'other'::paillier_private_key)))) FROM part WHERE i = 1;
SELECT call, pg_temp.error(format('SELECT ' || call, pg_temp.base64url(set_byte(paillier_sum_send(state), 36, 0)), :'c',
	:'id'))
FROM part, unnest(ARRAY['paillier_sum_final(%L)', '%L::paillier_sum::text',
	'paillier_sum_accum(%L, paillier_ciphertext(%L, %L))',
	'paillier_sum_combine(%1$L, %1$L)']) call WHERE i = 1;

-- a combined bound beyond the range of the key
CREATE TEMPORARY TABLE wide AS
SELECT i, paillier_sum_accum(NULL, paillier_encrypt(1, :'pub', 0, 254)) AS state FROM generate_series(1, 3) i;
SELECT pg_temp.total(paillier_sum_combine(a.state, b.state)) FROM wide a, wide b WHERE a.i = 1 AND b.i = 2;
SELECT paillier_sum_combine(paillier_sum_combine(a.state, b.state), c.state) FROM wide a, wide b,
	wide c WHERE a.i = 1 AND b.i = 2 AND c.i = 3;
SELECT pg_temp.error(format('SELECT paillier_sum_combine(%L, paillier_sum_accum(NULL, paillier_encrypt(0, %L, 60)))',
	state, :'pub')) FROM wide WHERE i = 1;

-- damage: cut anywhere, something added, fields that no state has
SELECT pg_temp.error(format('SELECT %L::paillier_sum', left(state, i))) AS error, count(*)
FROM (SELECT paillier_sum_accum(NULL, ct)::text AS state FROM known) s,
	generate_series(0, length(state) - 1) i GROUP BY 1 ORDER BY 1;
SELECT left(added, 5) AS added, pg_temp.error(format('SELECT %L::paillier_sum',
	paillier_sum_accum(NULL, ct)::text || added)) AS error
FROM known, unnest(ARRAY['A', 'AAA', '=', ' ', repeat('A', 10000)]) added;
CREATE TEMPORARY TABLE damaged AS
SELECT what, pg_temp.base64url(overlay(paillier_sum_send(paillier_sum_accum(NULL, ct)) PLACING new FROM at + 1))
	AS state, i
FROM known, (VALUES (1, 'nothing', '\x'::bytea, 0), (2, 'version 0', '\x00', 0), (3, 'version 3', '\x03', 0),
	(4, 'no terms', '\x00', 7), (5, 'two terms', '\x02', 7), (6, '255 terms', '\xff', 7),
	(7, 'no rows', '\x0000000000000000', 8), (8, 'fewer rows', '\x0000000000000002', 16),
	(9, 'bound', '\x0000000000000001ffffffff', 24), (10, 'exponent', '\x8000000000000000ffffffff', 24),
	(11, 'largest bound', '\xffffffffffffffff00003fff', 24), (12, 'not normal', '\x000000000000000100000001', 24),
	(13, 'no product', decode(repeat('00', 64), 'hex'), 60), (14, 'large product', decode(repeat('ff', 64), 'hex'), 60),
	(15, 'no weight', '\x0000000000000000', 52), (16, 'least weight', '\x8000000000000000', 52),
	(17, 'most rows', '\x7fffffffffffffff', 8), (18, 'too many rows', '\x8000000000000000', 8),
	(19, 'slot bits', '\x0001', 3), (20, 'slots', '\x0100', 5), (21, 'both', '\x00400002', 3),
	(22, 'zeros', '\x0201', 1), (23, 'more zeros', '\x0203', 1)) v(i, what, new, at);
SELECT what, pg_temp.error(format('SELECT %L::paillier_sum', state)) AS input,
	pg_temp.error(format('SELECT paillier_sum_final(%L)', state)) AS final,
	pg_temp.error(format('SELECT pg_temp.total(paillier_sum_combine(%1$L, %1$L))', state)) AS combine,
	pg_temp.error(format('SELECT pg_temp.total(paillier_sum_accum(%L, ct)) FROM known', state)) AS accum
FROM damaged ORDER BY i;
-- products of another length than the key's square
SELECT limbs, pg_temp.error(format('SELECT paillier_sum_final(%L)', state)) AS final,
	pg_temp.error(format('SELECT %L::paillier_sum::text', state)) AS output,
	pg_temp.error(format('SELECT paillier_sum_combine(%L, paillier_sum_accum(NULL, ct)) FROM known', state)) AS combine,
	pg_temp.error(format('SELECT paillier_sum_accum(%L, ct) FROM known', state)) AS accum
FROM unnest(ARRAY[1, 7, 9, 256]) limbs,
	LATERAL (SELECT pg_temp.base64url(substr(paillier_sum_send(paillier_sum_accum(NULL, ct)), 1, 60)
		|| decode(repeat('01', 8 * limbs), 'hex')) AS state FROM known) s;

DELETE FROM paillier_key;
