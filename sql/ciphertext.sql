--
-- Ciphertexts: encryption and decryption, text and binary form, values from
-- elsewhere, what is refused
--
LOAD 'paillier';
\set SHOW_CONTEXT never

-- What a statement fails with.
CREATE FUNCTION pg_temp.error(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- Numbers as big-endian bytes, and back.
CREATE FUNCTION pg_temp.bytes_of(number numeric, length int) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	result bytea := decode(repeat('00', length), 'hex');
BEGIN
	FOR i IN REVERSE length - 1 .. 0 LOOP
		result := set_byte(result, i, (number % 256)::int);
		number := div(number, 256);
	END LOOP;
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.number_of(bytes bytea) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	result numeric := 0;
BEGIN
	FOR i IN 0 .. length(bytes) - 1 LOOP
		result := 256 * result + get_byte(bytes, i);
	END LOOP;
	RETURN result;
END $$;

-- base64url without padding, and back
CREATE FUNCTION pg_temp.base64url(bytes bytea) RETURNS text LANGUAGE sql AS
	$$ SELECT translate(encode(bytes, 'base64'), E'+/=\n', '-_') $$;
CREATE FUNCTION pg_temp.from_base64url(digits text) RETURNS bytea LANGUAGE sql AS
	$$ SELECT decode(translate(digits, '-_', '+/') || repeat('=', -length(digits) & 3), 'base64') $$;

-- The documented layout of a ciphertext.
CREATE FUNCTION pg_temp.wire(c bytea, key_id text, scale int DEFAULT 0, mantissa bigint DEFAULT 2147483648,
	exponent int DEFAULT 32,
	version int DEFAULT 1, slot_bits int DEFAULT 0, slots int DEFAULT 0) RETURNS bytea LANGUAGE sql AS
	$$ SELECT pg_temp.bytes_of(version, 1) || pg_temp.bytes_of(scale, 1) || pg_temp.bytes_of(slot_bits, 2)
		|| pg_temp.bytes_of(slots, 2)
		|| pg_temp.bytes_of(exponent, 2) || pg_temp.bytes_of(mantissa, 4) || decode(key_id, 'hex') || c $$;

-- ---- a key of the smallest size that is accepted without further ado ----

SELECT '{"kty":"DAJ","key_ops":["decrypt"],"p":"3QG9huyiYFcwksAwMCMlikiDTGkP7yUcpdJKvt_DqzhmYbaZwM8yaA0epAdXRmo0LgCuCkD'
	'xh09Ttzlne2oeJShoQf3rCg5WVNVixl_eM17HElxhLs-2TIP6dXmIfXKvaZ53KVy_h2VAm7Rzj3GgQxpx6sRwvGqNCLDRo4mTMX8",'
	'"q":"54_fBLGCTEuMi4wMTQ83J_IIiSt7QZyJ1aUfg3yRAejW7tFIoD9AUotHhKohAKEJd9YuarTuRGxMqXr80bpWqFk7hRyMYdGWFLwN0F-I0aaud'
	'jWqAquHq3VwZdZpCI94-Nxnxir4K_6nAo9FAQLwwQPzsl5aFAaP8RaIwucwym8","pub":{"kty":"DAJ","alg":"PAI-GN1",'
	'"key_ops":["encrypt"],"n":"x-jGhi9C4qnnOnJpbwRv3kHxyckuI5WND19YgzwP6iVezQw0RWchKuHI6OYreUFjW_wM4YBqF6vN5Ia73H_UjtG'
	'vjoLE1pxB5IAIzwnwtwDzQ-eNplDqAtpafzwuFdwLVZtgW0Ny98Usp7m7nx_ToNWJFsTWU6Y-NW4glTiYP2XTj1z1DdWrWlLcacv9IVNa4Ly0ejwJn'
	'Ijirnkru6BO-p8enrCuOYC1qeDN4KIvfEH7gBdVtcSXOn8uqb07ir5iNl3AMA-m7qqqekwzFB1Tdc2z_AfTsnSbSU4_JgoHTbzILJyMftyRhSs-D24'
	'N8pCrSbq8whlLbYhtpIf3rLCsEQ","djn":true,"kid":"e84f5d351b75a54cd809bfc6edf51a62"},'
	'"kid":"e84f5d351b75a54cd809bfc6edf51a62"}' AS key \gset
SELECT paillier_register_key(paillier_public_key(:'key'::paillier_private_key));
CREATE TEMPORARY TABLE large AS
SELECT value, scale, paillier_encrypt(value, paillier_public_key(key), scale) AS ct, key
FROM (SELECT :'key'::paillier_private_key) k(key),
	(VALUES (0, 0), (1, 0), (-1, 0), (2.5, 1), (-0.000001, 6), (1000, 3), (9223372036854775807, 0),
		(-9223372036854775808, 0),
	(9223372036854775808, 0), (2::numeric ^ 2040, 0)) v(value, scale);
SELECT value = paillier_decrypt(ct, key) AS equal, scale(paillier_decrypt(ct, key)) AS scale,
	pg_column_size(ct) AS size,
	length(ct::text) AS text, length(paillier_ciphertext_send(ct)) AS binary, length(paillier_bytes(ct)) AS raw,
	ct::text::paillier_ciphertext::text = ct::text AS same, paillier_valid(ct) AS valid
FROM large;
SELECT paillier_decrypt(paillier_rerandomize(ct), key) = value AS equal,
	paillier_bytes(paillier_rerandomize(ct)) <> paillier_bytes(ct) AS other
FROM large;
-- two encryptions of a number have nothing in common
SELECT count(DISTINCT paillier_bytes(paillier_encrypt(0, paillier_public_key(key)))) FROM large;

-- ---- a value whose bytes are known: (1 + 1234567 n) 2^n mod n^2 ----

SELECT 'AQAAAAAAACCAAAAA6E9dNRt1pUzYCb_G7fUaYhbkgTyu7vCc0XMBkYFC460RK2Zlpm3VTR98A4b16KYqHYwApGRGd4ylY9chhiMQ2-0IS3EYaZ0'
	'xsaNwCv0-K0uPksPjhNVl4vVsIcjQp26fJpjcgZhjH1yZCSzhhgB2TuaOFMN-JwudB8qGumyaoLTK2KL5V6ATlW5tgIqDoTmHGM--AI5uM_IPMeosS'
	'0xr1pPSfwxYSrgKP6cvfRN359VESBur1udR9OTX9RS72S4iAfXhCWTe56vd616oy5D5SHpHkEPGPMiRF6Vc2mN8Kuuxmowp0kOnUUktgpNas3d70lk'
	'5kj4LVPvYZrGlFNVaQOTyo-hu0ZKOTeO3YJHIUwq4LUjDV9bQZG7DzxR65kHC3mEwH7bKQW6gdD0q87ymszXWaI1hyWEc6uDxqXfNwyPhPlZTmSDyI'
	'IzbuimfQ1eO-2sjo9tl91-QOdxEL3SmzkUGlOoc4jUYyaUwr7DsFkCnp0bQxc8rY-C7fsoy7yIlpgTnqoiMLYvnAEskSmBUhFTdDq3E_fwAkKM7zEX'
	'fpqRXZHy2Day5dmbprmwcwFT1SPhhibe7VZ68GgSHENbMeERcfOdVryZnW6m1nqNLq3KMUXTCSNqYSHXOy_LbpyA-Zcwxar6V5XloqLaz1QWbIV-gc'
	'z6qvCbg5WUiKBnC214-KINi6F_LAvjlki0f5IyD' AS known \gset
SELECT paillier_decrypt(ct, key), paillier_key_id(ct) = paillier_key_id(key) AS right_key, ct::text = :'known' AS same,
	paillier_ciphertext_send(ct) = pg_temp.from_base64url(:'known') AS same_binary,
	sha256(paillier_bytes(ct))
FROM (SELECT :'known'::paillier_ciphertext, :'key'::paillier_private_key) s(ct, key);

-- ---- a small key of python-paillier, where large numbers are soon reached ----

SET paillier.min_key_bits = 256;
SELECT '{"kty":"DAJ","key_ops":["decrypt"],"p":"wcnMgG7bLvC_7P9fype5mQ","q":"sIeGYNEcNGzpHymiA_wTIQ",'
	'"pub":{"kty":"DAJ","alg":"PAI-GN1","n":"haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k"}}' AS small \gset
SELECT paillier_public_key(:'small'::paillier_private_key) AS pub,
	pg_temp.number_of(pg_temp.from_base64url('haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k')) AS n \gset
\set id 14a747092f062e891a1bbf17993eed68
SELECT :n AS n, div(:n, 2) AS half;

-- the known ciphertext of -987654321 with r = 12345 has exactly this form
SELECT '\x0b0c7547c64a5554b8b6605dc383dc2d7f4528bef7bca9ad1da7411dcc309263863f7995c17a3fa8843479fb6f207a3b42b55eb2c4bac'
	'3e359988d617e842db6' AS c \gset
SELECT paillier_ciphertext(:'c', :'id');
SELECT paillier_register_key(:'pub');
SELECT paillier_ciphertext(:'c', :'id');
SELECT paillier_ciphertext_send(paillier_ciphertext(:'c', :'id'));
SELECT paillier_decrypt(paillier_ciphertext(:'c', :'id'), :'small'),
	paillier_decrypt(paillier_ciphertext(:'c', upper(:'id'), 3), :'small') AS scaled,
	paillier_decrypt(paillier_ciphertext(:'c', :'id', 255, 31), :'small') = -987654321e-255 AS largest_scale,
	paillier_bytes(paillier_ciphertext(:'c', :'id')) = :'c' AS bytes,
	paillier_bytes(paillier_ciphertext('\x0000'::bytea || :'c'::bytea, :'id')) = :'c' AS leading_zeros;
SELECT scale, width, pg_temp.from_base64url(ct::text) = pg_temp.wire(:'c', :'id', scale, 2147483648, width - 32)
	AS layout
FROM (VALUES (0, 64), (2, 128), (255, 40), (1, 255)) v(scale, width), paillier_ciphertext(:'c', :'id', scale, width) ct;
SELECT pg_temp.from_base64url(ct::text) = pg_temp.wire(:'c', :'id', 0, 1::bigint << (width - 1), 0) AS layout, width
FROM (VALUES (1), (2), (31), (32)) v(width), paillier_ciphertext(:'c', :'id', 0, width) ct;

-- up to half of the modulus, of either sign
SELECT trim_scale(value) AS value, paillier_decrypt(paillier_encrypt(value, :'pub'), :'small') = value AS equal
FROM unnest(ARRAY[0, 255, -255, 2::numeric ^ 63 - 1, -(2::numeric ^ 63), 2::numeric ^ 127, -(2::numeric ^ 191),
	2::numeric ^ 254, -(2::numeric ^ 254)]) value;
SELECT paillier_encrypt(div(:n, 2) + 1, :'pub');
SELECT pg_temp.error(format('SELECT paillier_encrypt(%s, %L)', value, :'pub'))
FROM unnest(ARRAY[div(:n, 2) + 1, -div(:n, 2) - 1, :n, :n + 5, -:n, 1e77, 2::numeric ^ 256, 1e1000, -1e10000]) value;

-- the scale is the caller's: what it cannot hold is refused, and nothing is rounded
SELECT value, scale, trim_scale(plain) AS plain, scale(plain) = scale AS same_scale
FROM (VALUES ('12.5', 1), ('12.50', 1), ('12.500', 4), ('1e3', 0), ('-0.0', 0), ('0', 255), ('0.10', 2),
	('-1e-60', 60)) v(value, scale),
	paillier_decrypt(paillier_encrypt(value::numeric, :'pub', scale), :'small') plain;
SELECT paillier_encrypt(12.5, :'pub');
SELECT value, scale, pg_temp.error(format('SELECT paillier_encrypt(%L, %L, %s)', value, :'pub', scale))
FROM (VALUES ('12.5', 0), ('12.55', 1), ('1e-3', 2), ('1e-256', 255), ('1', 255), ('1e-100', 255), ('1', 76), ('1', 77),
	('NaN', 0), ('1', -1), ('1', 256), ('1', 2147483647), ('1', -2147483648)) v(value, scale);
SELECT paillier_encrypt('NaN', :'pub');
SELECT paillier_encrypt(1, :'pub', -1);

-- the declared width: the bound that is stored is its power of two, or that of the next multiple of 64 for a larger
-- number
SELECT trim_scale(value) AS value, width, CASE WHEN e = 0 THEN m
	ELSE m * 2::numeric ^ e END = 2::numeric ^ (CASE WHEN fits THEN width ELSE 64 * ceil((bits + 1) / 64.0) END - 1)
	AS bound
FROM (VALUES (0, 1, true, 0), (1, 1, true, 1), (-1, 1, true, 1), (2, 1, false, 2), (128, 8, true, 8),
	(129, 8, false, 8), (-128, 8, true, 8),
	(1, 64, true, 1), (2::numeric ^ 63, 64, true, 64), (2::numeric ^ 63 + 1, 64, false, 64),
		(2::numeric ^ 127, 100, false, 128), (7, 200, true, 3), (7, 255, true, 3)) v(value, width, fits, bits),
	LATERAL (SELECT pg_temp.from_base64url(paillier_encrypt(value, :'pub', 0, width)::text)) t(w),
	LATERAL (SELECT pg_temp.number_of(substr(w, 9, 4)), pg_temp.number_of(substr(w, 7, 2))::int) f(m, e);
SELECT paillier_encrypt(1, :'pub', 0, 0);
SELECT paillier_ciphertext(:'c', :'id', 0, 256);
SELECT width, pg_temp.error(format('SELECT paillier_encrypt(1, %L, 0, %s)', :'pub', width)) AS encrypt,
	pg_temp.error(format('SELECT paillier_ciphertext(%L, %L, 0, %s)', :'c', :'id', width)) AS constructor
FROM unnest(ARRAY[0, -1, 255, 256, 8192, 8193, 100000, 2147483647, -2147483648]) width;
SELECT scale, pg_temp.error(format('SELECT paillier_ciphertext(%L, %L, %s)', :'c', :'id', scale)) AS constructor
FROM unnest(ARRAY[0, 255, -1, 256, 2147483647]) scale;

-- NULL in, NULL out
SELECT paillier_encrypt(NULL, :'pub') IS NULL AND paillier_encrypt(1, NULL) IS NULL
	AND paillier_encrypt(1, :'pub', NULL) IS NULL
	AND paillier_encrypt(1, :'pub', 0, NULL) IS NULL AND paillier_decrypt(NULL, :'small') IS NULL
	AND paillier_decrypt(paillier_encrypt(1, :'pub'), NULL) IS NULL AND paillier_valid(NULL) IS NULL
	AND paillier_ciphertext(NULL, :'id') IS NULL AND paillier_rerandomize(NULL) IS NULL AS nulls;

-- ---- decryption refuses what it cannot vouch for ----

-- another key
SELECT paillier_decrypt(paillier_encrypt(1, :'pub'), :'key');
SELECT pg_temp.error(format('SELECT paillier_decrypt(%L, %L)', :'known', :'small'));
-- the key's id on bytes of another key
SELECT pg_temp.error(format('SELECT paillier_decrypt(%L, %L)',
	pg_temp.base64url(pg_temp.wire(paillier_bytes(:'known'), :'id')), :'small'));
-- a plaintext outside the bound: -987654321 needs 31 bits
SELECT paillier_decrypt(paillier_ciphertext(:'c', :'id', 0, 30), :'small');
SELECT width, pg_temp.error(format('SELECT paillier_decrypt(paillier_ciphertext(%L, %L, 0, %s), %L)', :'c', :'id',
	width, :'small'))
FROM unnest(ARRAY[1, 30, 31, 255]) width;
-- numbers that nobody encrypted
SELECT what, pg_temp.error(format('SELECT paillier_decrypt(%L, %L)',
	pg_temp.base64url(pg_temp.wire(pg_temp.bytes_of(c, 64), :'id')), :'small'))
FROM (VALUES ('3', 3), ('n^2 - 1', :n * :n - 1), ('n^2', :n * :n), ('n^2 + 1', :n * :n + 1),
	('all ones', 2::numeric ^ 512 - 1),
	('n', :n), ('5n', 5 * :n), ('2p', 2 * 257588802642126538095121149994760386969)) v(what, c);

-- ---- validity: what may enter a sum ----

CREATE TEMPORARY TABLE forged AS
SELECT * FROM (VALUES
	(1, 'valid', pg_temp.number_of(:'c')), (2, '2', 2), (3, 'n - 1', :n - 1), (4, 'n^2 - 1', :n * :n - 1),
		(5, 'n + 2', :n + 2),
	(6, '0', 0), (7, '1', 1), (8, 'n', :n), (9, 'n + 1', :n + 1), (10, '5n', 5 * :n), (11, '1 + 5n', 1 + 5 * :n),
	(12, 'n^2 - n', :n * :n - :n), (13, 'n^2 - n + 1', :n * :n - :n + 1), (14, 'n^2', :n * :n),
		(15, 'n^2 + 2', :n * :n + 2),
	(16, '2^512 - 1', 2::numeric ^ 512 - 1), (17, '2^512', 2::numeric ^ 512)) v(i, what, c);
-- by its text form, and through the constructor
SELECT what, CASE WHEN i NOT IN (6, 17) THEN paillier_valid(pg_temp.base64url(pg_temp.wire(pg_temp.bytes_of(c, 64),
	:'id'))::paillier_ciphertext) END AS valid,
	pg_temp.error(format('SELECT paillier_ciphertext(%L, %L)', pg_temp.bytes_of(c, 65), :'id')) AS constructor
FROM forged ORDER BY i;
SELECT pg_temp.base64url(pg_temp.wire(pg_temp.bytes_of(0, 64), :'id'))::paillier_ciphertext;
SELECT paillier_ciphertext(pg_temp.bytes_of(1 + 5 * :n, 64), :'id');
SELECT pg_temp.error(format('SELECT paillier_ciphertext(%L, %L)', c, :'id'))
FROM unnest(ARRAY['', '\x00', '\x0000000000000000000000', :'c' || 'ff', '\xff' || repeat('00', 2000)]) c;
-- too short or too long for its key
SELECT length, paillier_valid(pg_temp.base64url(pg_temp.wire(pg_temp.bytes_of(3, length), :'id'))::paillier_ciphertext)
FROM unnest(ARRAY[8, 56, 64, 72, 2048]) length;
-- re-randomisation, and every operator, refuse what is not below n^2 or does not fit the key
SELECT op, pg_temp.error(format('SELECT ' || op, pg_temp.base64url(pg_temp.wire(pg_temp.bytes_of(c, length), :'id'))))
	AS error
FROM (VALUES (:n * :n, 64), (3, 72)) f(c, length),
	unnest(ARRAY['paillier_rerandomize(%L)', '%1$L::paillier_ciphertext + %1$L',
		'%1$L::paillier_ciphertext - %1$L::paillier_ciphertext',
		'- %L::paillier_ciphertext', '%L::paillier_ciphertext + 1', '%L::paillier_ciphertext - 1',
			'%L::paillier_ciphertext * 2',
		'2 * %L::paillier_ciphertext']) op;
-- what has no inverse cannot be subtracted
SELECT pg_temp.error(format('SELECT - %L::paillier_ciphertext',
	pg_temp.base64url(pg_temp.wire(pg_temp.bytes_of(5 * :n, 64), :'id'))));

-- ids that name no key
SELECT paillier_ciphertext(:'c', 'x');
SELECT paillier_valid(pg_temp.base64url(pg_temp.wire(:'c', '00112233445566778899aabbccddeeff'))::paillier_ciphertext);
SELECT id, pg_temp.error(format('SELECT paillier_ciphertext(%L, %L)', :'c', id))
FROM unnest(ARRAY['', '14a747092f062e891a1bbf17993eed6', '14a747092f062e891a1bbf17993eed680',
	'14a747092f062e891a1bbf17993eed6g',
	' 14a747092f062e891a1bbf17993eed6', '00112233445566778899aabbccddeeff']) id;

-- ---- text and binary form: as strict as each other ----

-- cut anywhere, by text or by bytes
SELECT pg_temp.error(format('SELECT %L::paillier_ciphertext', left(ct, i))) AS error, count(*)
FROM (SELECT paillier_ciphertext(:'c', :'id')::text) s(ct), generate_series(0, length(ct) - 1) i
GROUP BY 1 ORDER BY 1;
-- whole limbs missing: long enough for a ciphertext, though not for one of this key, which only the key can tell
SELECT i, pg_temp.error(format('SELECT %L::paillier_ciphertext', pg_temp.base64url(substr(w, 1, i)))) AS input,
	pg_temp.error(format('SELECT paillier_decrypt(%L, %L)', pg_temp.base64url(substr(w, 1, i)), :'small')) AS decrypt
FROM (SELECT paillier_ciphertext_send(paillier_ciphertext(:'c', :'id'))) s(w),
	unnest(ARRAY[0, 1, 27, 28, 29, 35, 36, 84, 91, 92]) i;
-- something added
SELECT left(added, 5) AS added, pg_temp.error(format('SELECT %L::paillier_ciphertext',
	paillier_ciphertext(:'c', :'id')::text || added))
FROM unnest(ARRAY['A', 'AA', 'AAA', 'AAAA', '=', ' ', E'\n', repeat('A', 3000)]) added;
SELECT pg_temp.error(format('SELECT %L::paillier_ciphertext', ' ' || paillier_ciphertext(:'c', :'id')::text))
	AS blank_before,
	pg_temp.error(format('SELECT %L::paillier_ciphertext', repeat('A', 100000))) AS long,
	pg_temp.error('SELECT ''''::paillier_ciphertext') AS empty;
-- a character outside the alphabet anywhere
SELECT pg_temp.error(format('SELECT %L::paillier_ciphertext', overlay(ct PLACING bad FROM i))) AS error,
	count(*) = 4 * length(max(ct)) AS everywhere
FROM (SELECT paillier_ciphertext(:'c', :'id')::text) s(ct), generate_series(1, length(ct)) i,
	unnest(ARRAY['+', '/', '=', 'é']) bad
GROUP BY 1 ORDER BY 1;
-- fields of the header
SELECT what, pg_temp.error(format('SELECT %L::paillier_ciphertext', pg_temp.base64url(w)))
FROM (VALUES
	('right', pg_temp.wire(:'c', :'id')),
	('any scale', pg_temp.wire(:'c', :'id', scale => 255)),
	('any key', pg_temp.wire(:'c', 'ffffffffffffffffffffffffffffffff')),
	('version 0', pg_temp.wire(:'c', :'id', version => 0)),
	('version 2', pg_temp.wire(:'c', :'id', version => 2)),
	('version 129', pg_temp.wire(:'c', :'id', version => 129)),
	('slot bits', pg_temp.wire(:'c', :'id', slot_bits => 1)),
	('slots', pg_temp.wire(:'c', :'id', slots => 256)),
	('both', pg_temp.wire(:'c', :'id', slot_bits => 64, slots => 2)),
	('bound 0', pg_temp.wire(:'c', :'id', mantissa => 0, exponent => 0)),
	('bound 1', pg_temp.wire(:'c', :'id', mantissa => 1, exponent => 0)),
	('bound not normal', pg_temp.wire(:'c', :'id', mantissa => 2147483647, exponent => 1)),
	('bound 0 with exponent', pg_temp.wire(:'c', :'id', mantissa => 0, exponent => 1)),
	('largest bound', pg_temp.wire(:'c', :'id', mantissa => 4294967295, exponent => 16383)),
	('larger bound', pg_temp.wire(:'c', :'id', mantissa => 2147483648, exponent => 16384)),
	('largest exponent', pg_temp.wire(:'c', :'id', mantissa => 2147483648, exponent => 65535))) v(what, w);
SELECT pg_temp.base64url(pg_temp.wire(:'c', :'id', version => 2))::paillier_ciphertext;

-- two encryptions of one number differ, so there is nothing to compare: no =, no order, no grouping
SELECT statement, left(pg_temp.error('SELECT ' || replace(statement, 'ct',
	quote_literal(paillier_ciphertext(:'c', :'id')) || '::paillier_ciphertext')), 5) AS sqlstate
FROM unnest(ARRAY['ct = ct', 'ct <> ct', 'ct < ct', 'DISTINCT ct', 'count(DISTINCT ct)', '1 ORDER BY ct',
	'1 GROUP BY ct', 'min(ct)', 'ct IN (ct)',
	'ct IS DISTINCT FROM ct', 'ct * ct', '1 + ct', 'sum(DISTINCT ct)', 'avg(ct)']) statement;

DELETE FROM paillier_key;
