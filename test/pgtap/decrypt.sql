-- decrypt.sql
--	What is no ciphertext under the key, or lies outside its bound: an error of
--	paillier_decrypt(), NULL of paillier_try_decrypt(), and never anything to its
--	neighbours in an array.

\ir fixture.psql
SELECT no_plan();

-- A ciphertext with another number, of any length, or another bound.
CREATE FUNCTION from_wire(wire bytea) RETURNS paillier_ciphertext LANGUAGE sql IMMUTABLE AS
	$$ SELECT translate(encode(wire, 'base64'), E'+/=\n', '-_')::paillier_ciphertext $$;
CREATE FUNCTION with_number(ct paillier_ciphertext, c bytea) RETURNS paillier_ciphertext LANGUAGE sql STABLE AS
	$$ SELECT from_wire(substr(paillier_ciphertext_send(ct), 1, 28) || c) $$;
CREATE FUNCTION with_bound(ct paillier_ciphertext, bound int) RETURNS paillier_ciphertext LANGUAGE sql STABLE AS
	$$ SELECT from_wire(overlay(paillier_ciphertext_send(ct) PLACING decode('0000' || lpad(to_hex(bound), 8, '0'),
		'hex') FROM 7)) $$;
CREATE FUNCTION padded(number bytea, length int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
	$$ SELECT decode(repeat('00', length - length(number)), 'hex') || number $$;
CREATE FUNCTION factor(key paillier_private_key, name text) RETURNS bytea LANGUAGE sql STABLE AS
	$$ SELECT decode(t || repeat('=', -length(t) & 3), 'base64')
		FROM translate(key::text::jsonb->>name, '-_', '+/') t $$;
CREATE FUNCTION from_bytes(number bytea) RETURNS numeric LANGUAGE sql IMMUTABLE AS
	$$ SELECT sum(get_byte(number, i) * 256::numeric ^ (length(number) - 1 - i))
		FROM generate_series(0, length(number) - 1) i $$;
CREATE FUNCTION modulus(key paillier_private_key) RETURNS bytea LANGUAGE sql STABLE AS
	$$ SELECT decode(t || repeat('=', -length(t) & 3), 'base64')
		FROM translate(key::text::jsonb->'pub'->>'n', '-_', '+/') t $$;

CREATE TABLE good AS
SELECT name, i, v, paillier_encrypt(v, public_key, 2) AS ct FROM fixture_key,
	LATERAL (SELECT i, i * 1.25 - 5 AS v FROM generate_series(0, 20) i) s WHERE name IN ('python', 'usual');
CREATE TABLE wrong (name text, what text, sqlstate text, ct paillier_ciphertext);
INSERT INTO wrong SELECT name, what, sqlstate, ct FROM fixture_key k,
	LATERAL (SELECT paillier_encrypt(10, public_key, 2) AS ten, paillier_encrypt(-10, public_key, 2) AS minus,
		(length(modulus(private_key)) + 7) / 8 * 16 AS size) e,
	LATERAL (VALUES
		('above its bound', '22003', with_bound(ten, 999)), ('below its bound', '22003', with_bound(minus, 999)),
			('bound 0', '22003', with_bound(ten, 0)),
		('too short', '22000', with_number(ten, substr(paillier_bytes(ten), 9))),
			('too long', '22000', with_number(ten, padded(paillier_bytes(ten), size + 8))),
		('one limb', '22000', with_number(ten, '\x0000000000000001')),
			('as long as any', '22000', with_number(ten, decode(repeat('ff', 2048), 'hex'))),
		('above n²', '22000', with_number(ten, decode(repeat('ff', size), 'hex'))),
		('p', '22000', with_number(ten, padded(factor(private_key, 'p'), size))),
			('q', '22000', with_number(ten, padded(factor(private_key, 'q'), size))),
		('n', '22000', with_number(ten, padded(modulus(private_key), size)))) v (what, sqlstate, ct)
WHERE name IN ('python', 'usual');
SELECT is(count(*), 22::bigint, 'the wrong ones') FROM wrong;
SELECT is(paillier_try_decrypt(with_bound(paillier_encrypt(v, public_key, 2), 1000), private_key), v * 1.00,
	format('%s at its bound', v)) FROM fixture_key, (VALUES (10), (-10)) s(v) WHERE name = 'python';

-- The array of `size` good numbers, with the wrong one in place `at`, from 0 on; NULL where the index is `missing`.
CREATE FUNCTION good_but(key_name text, size int, at int, ct paillier_ciphertext,
	missing int DEFAULT -1) RETURNS paillier_ciphertext[] LANGUAGE sql STABLE AS
	$$ SELECT array_agg(CASE i WHEN missing THEN NULL WHEN at THEN $4 ELSE g.ct END ORDER BY i) FROM good g
		WHERE name = key_name AND i < size $$;
CREATE FUNCTION values_but(key_name text, size int, at int,
	missing int DEFAULT -1) RETURNS numeric[] LANGUAGE sql STABLE AS
	$$ SELECT array_agg(CASE WHEN i IN (at, missing) THEN NULL ELSE v END ORDER BY i) FROM good WHERE name = key_name
		AND i < size $$;
-- The SQLSTATE of decryption.
CREATE FUNCTION outcome(expression text, ct anyelement, key paillier_private_key) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT ' || expression INTO result USING ct, key;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

CREATE FUNCTION decryption_is_right(kernel text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('paillier.kernel', kernel, true);
	RETURN QUERY
	SELECT is(outcome('paillier_decrypt($1, $2)', ct, private_key), sqlstate,
		format('%s, %s: %s is an error', kernel, name, what)) FROM wrong JOIN fixture_key USING (name)
	UNION ALL
	SELECT is(outcome('paillier_try_decrypt($1, $2)', ct, private_key), NULL,
		format('%s, %s: %s gives NULL', kernel, name, what)) FROM wrong JOIN fixture_key USING (name)
	UNION ALL
	-- in every place of arrays that end within the first eight, with them, behind them and behind the next eight
	SELECT is(string_agg(format('%s of %s', at, size), ', ')
		FILTER (WHERE paillier_try_decrypt_array(good_but(name, size, at, ct), private_key)::text IS DISTINCT
		FROM values_but(name, size, at)::text), NULL,
		format('%s, %s: %s spoils no neighbour', kernel, name, what))
	FROM wrong JOIN fixture_key USING (name), unnest(CASE name WHEN 'usual' THEN ARRAY[9] ELSE ARRAY[1, 2, 3, 7, 8, 9,
		17] END) size, generate_series(0, size - 1) at GROUP BY name, what
	UNION ALL
	SELECT is(string_agg(at::text, ', ') FILTER (WHERE outcome('paillier_decrypt_array($1, $2)',
		good_but(name, 9, at, ct), private_key) IS DISTINCT FROM sqlstate), NULL,
		format('%s, %s: %s is an error in every place', kernel, name, what))
	FROM wrong JOIN fixture_key USING (name), generate_series(0, 8) at WHERE name = 'python' GROUP BY name, what
	UNION ALL
	SELECT is(paillier_try_decrypt_array(good_but(name, 20, 4, ct, 5), private_key)::text,
		values_but(name, 20, 4, 5)::text, format('%s, %s: %s beside NULL', kernel, name, what))
	FROM wrong JOIN fixture_key USING (name) WHERE name = 'python'
	UNION ALL
	SELECT is(paillier_try_decrypt_array(cts, private_key)::text, array_fill(NULL::numeric, ARRAY[11])::text,
		format('%s, %s: nothing but wrong ones', kernel, name))
	FROM (SELECT name, array_agg(ct) AS cts FROM wrong GROUP BY name) w JOIN fixture_key USING (name)
	UNION ALL
	SELECT is(paillier_try_decrypt_array(ARRAY[ARRAY[g.ct, w.ct], ARRAY[NULL, g.ct]], private_key)::text,
		format('{{%s,NULL},{NULL,%s}}', v, v), format('%s, %s: two dimensions', kernel, name))
	FROM wrong w JOIN fixture_key USING (name) JOIN good g USING (name) WHERE g.i = 3 AND what = 'p'
	UNION ALL
	SELECT is(outcome(format('paillier_%s_array($1, $2)', f),
		good_but(name, 9, 3, (SELECT ct FROM good WHERE name <> k.name AND i = 1)), private_key), '22000',
		format('%s, %s: another key is an error of %s', kernel, name, f))
	FROM fixture_key k, unnest(ARRAY['decrypt', 'try_decrypt']) f WHERE name IN ('python', 'usual')
	UNION ALL
	SELECT is(outcome(format('paillier_%s($1, $2)', f), (SELECT ct FROM good WHERE name <> k.name AND i = 1),
		private_key), '22000', format('%s, %s: another key is an error of %s, alone', kernel, name, f))
	FROM fixture_key k, unnest(ARRAY['decrypt', 'try_decrypt']) f WHERE name IN ('python', 'usual');
END $$;
SELECT decryption_is_right('auto');
SELECT decryption_is_right('generic');

-- Arrays that are decrypted together: other scales and widths side by side, every 17th element NULL.
CREATE TABLE many AS
SELECT name, i, v, paillier_encrypt(v, public_key, scale, width) AS ct FROM fixture_key,
	LATERAL (SELECT i, i % 3 AS scale, (ARRAY[16, 20, 33, 48, 64])[i % 5 + 1] AS width,
		round((i * 37 % 23 - 11) * 1.07, i % 3) AS v FROM generate_series(0, 39) i) s WHERE name IN ('medium', 'usual');
CREATE TABLE forged AS SELECT name, what, sqlstate, ct FROM wrong WHERE name = 'usual'
UNION ALL
SELECT name, what, '22003', with_number(paillier_encrypt(0, public_key, 2, 16), paillier_bytes(ct)) FROM fixture_key k,
	LATERAL (VALUES
		('one over its bound', paillier_encrypt(327.69, public_key, 2, 17)),
		('one unit of the next slot', paillier_encrypt(1310.72, public_key, 2, 18)),
		('2^64', paillier_encrypt(18446744073709551616, public_key, 0, 66)),
		('p', paillier_encrypt(1, public_key, 0, 1) * from_bytes(factor(private_key, 'p'))),
		('q', paillier_encrypt(1, public_key, 0, 1) * from_bytes(factor(private_key, 'q'))),
		('a third of n', paillier_encrypt(1, public_key, 0, 1) * div(from_bytes(modulus(private_key)), 3))) v (what, ct)
WHERE name IN ('medium', 'usual');
CREATE FUNCTION many_but(key_name text, size int, at int, ct paillier_ciphertext) RETURNS paillier_ciphertext[]
LANGUAGE sql STABLE AS
	$$ SELECT array_agg(CASE WHEN j = at THEN $4 WHEN j % 17 < 16 THEN m.ct END ORDER BY j)
		FROM generate_series(0, size - 1) j JOIN many m ON name = key_name AND i = j % 40 $$;
CREATE FUNCTION many_values(key_name text, size int, at int) RETURNS text LANGUAGE sql STABLE AS
	$$ SELECT array_agg(CASE WHEN j <> at AND j % 17 < 16 THEN v END ORDER BY j)::text
		FROM generate_series(0, size - 1) j JOIN many m ON name = key_name AND i = j % 40 $$;

CREATE FUNCTION many_are_right(kernel text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('paillier.kernel', kernel, true);
	RETURN QUERY
	SELECT is(paillier_decrypt_array(many_but(name, size, -1, NULL), private_key)::text, many_values(name, size, -1),
		format('%s, %s: %s together', kernel, name, size))
	FROM fixture_key, unnest(CASE name WHEN 'medium' THEN ARRAY[12, 13, 14, 40, 4500, 9000] ELSE ARRAY[13, 40] END) size
	WHERE name IN ('medium', 'usual')
	UNION ALL
	SELECT is(string_agg(at::text, ', ') FILTER (WHERE paillier_try_decrypt_array(many_but(name, 40, at, ct),
		private_key)::text IS DISTINCT FROM many_values(name, 40, at)), NULL,
		format('%s, %s: %s spoils nobody in a pack', kernel, name, what))
	FROM forged JOIN fixture_key USING (name), unnest(CASE name WHEN 'usual' THEN ARRAY[0, 39] ELSE ARRAY[0, 7, 8, 16,
		20, 38, 39] END) at GROUP BY name, what
	UNION ALL
	SELECT is(outcome('paillier_decrypt_array($1, $2)', many_but(name, 40, 21, ct), private_key), sqlstate,
		format('%s, %s: %s in a pack is an error', kernel, name, what)) FROM forged JOIN fixture_key USING (name)
	UNION ALL
	SELECT is(paillier_try_decrypt_array(many_but(name, 5000, at, ct), private_key)::text, many_values(name, 5000, at),
		format('%s, %s: %s as number %s of 5000', kernel, name, what, at))
	FROM forged JOIN fixture_key USING (name), unnest(ARRAY[4095, 4999]) at WHERE name = 'medium' AND what = '2^64';
END $$;
SELECT many_are_right('auto');
SELECT many_are_right('generic');

SELECT is(paillier_try_decrypt_array('{}', private_key)::text, '{}', 'an empty array') FROM fixture_key
	WHERE name = 'python';
SELECT is(paillier_try_decrypt_array('[3:4]={NULL,NULL}', private_key)::text, '[3:4]={NULL,NULL}',
	'its bounds are kept') FROM fixture_key WHERE name = 'python';
SELECT is(paillier_try_decrypt(NULL, private_key), NULL, 'NULL') FROM fixture_key WHERE name = 'python';

SELECT * FROM finish();
