-- state.sql
--	States of sums from outside: what the functions of the aggregate make of any
--	state that can be read can be read again, or is an error.

\ir fixture.psql
SELECT no_plan();

CREATE TABLE reading AS SELECT scale, amount, paillier_encrypt(amount, public_key('medium'), scale) AS ct
FROM (VALUES (0, 7), (1, 7.5), (3, -2.125), (255, 0)) v (scale, amount);

-- A state's text after some bytes of its binary form were replaced.
CREATE FUNCTION changed(state paillier_sum, at int, bytes bytea) RETURNS text LANGUAGE sql AS $$
	SELECT translate(encode(overlay(paillier_sum_send(state) PLACING bytes FROM at + 1), 'base64'), E'+/=\n', '-_') $$;

-- Many numbers of rows and of rows at the scale, scales and digits left out: the states that can be read.
CREATE FUNCTION try_read(state text) RETURNS paillier_sum LANGUAGE plpgsql AS $$
BEGIN
	RETURN state::paillier_sum;
EXCEPTION WHEN invalid_text_representation THEN
	RETURN NULL;
END $$;
CREATE TABLE crafted AS
SELECT scale, zeros, rows, at_scale, try_read(changed(try_read(changed(state, 1, decode(lpad(to_hex(scale), 2, '0')
	|| lpad(to_hex(zeros), 2, '0'), 'hex'))), 8, int8send(rows) || int8send(at_scale))) AS state
FROM unnest(ARRAY[0, 1, 3, 4, 255]) scale, unnest(ARRAY[0, 1, 3, 255]) zeros,
	unnest(ARRAY[0, 1, 2, 1023, 1024, 9223372036854775806, 9223372036854775807, -1]) rows,
	unnest(ARRAY[0, 1, 2, 1024, 9223372036854775807, -1]) at_scale,
	LATERAL (SELECT paillier_sum_accum(paillier_sum_accum(NULL, ct, 3), ct, -5) AS state FROM reading r
	WHERE r.scale = 0) s;
SELECT ok(count(state) BETWEEN 150 AND 400, 'some can be read, some cannot') FROM crafted;
SELECT is(count(*), 0::bigint, 'more digits left out than there are, more rows at the scale than rows, too many rows')
FROM crafted WHERE state IS NOT NULL AND (zeros > scale OR at_scale > rows OR at_scale < 0 OR rows < 0);

-- 'read' where what a function makes of a state can be read again, and is the same; otherwise its SQLSTATE.
CREATE FUNCTION outcome(call text, state paillier_sum, other paillier_sum, ct paillier_ciphertext) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	made paillier_sum;
	again text;
BEGIN
	BEGIN
		EXECUTE 'SELECT ' || call INTO made USING state, other, ct;
	EXCEPTION WHEN data_exception OR numeric_value_out_of_range OR invalid_parameter_value THEN
		RETURN SQLSTATE;
	END;
	again := made::text::paillier_sum::text;
	RETURN CASE WHEN again IS NOT DISTINCT FROM made::text THEN 'read' ELSE 'another' END;
END $$;
SELECT unnest(ARRAY[is(count(*) FILTER (WHERE outcome = 'another'), 0::bigint, call),
	ok(count(*) FILTER (WHERE outcome = 'read') > 100, call || ': some are read')])
FROM unnest(ARRAY['paillier_sum_accum($1, $3)', 'paillier_sum_accum($1, $3, 0.250)',
	'paillier_sum_accum($1, $3, -1e18)', 'paillier_sum_accum($1, $3, 0)',
	'paillier_sum_accum_moving($1, $3)', 'paillier_sum_accum_moving($1, $3, 1.50)',
	'paillier_sum_accum_inv($1, $3)', 'paillier_sum_accum_inv($1, $3, 1.50)', 'paillier_sum_accum_inv($1, $3, 0)',
	'paillier_sum_accum_inv(paillier_sum_accum_inv($1, $3), $3)', 'paillier_sum_combine($1, $2)',
	'paillier_sum_combine($1, paillier_sum_accum(NULL, $3))']) call, reading,
	(SELECT state, lead(state) OVER (ORDER BY md5(state::text)) AS other FROM crafted WHERE state IS NOT NULL) c,
	LATERAL outcome(call, state, other, ct) outcome
GROUP BY call;

-- what was never added cannot leave: the number of rows of the scale would not be true any more
CREATE FUNCTION crafted(scale int, rows bigint, at_scale bigint) RETURNS paillier_sum LANGUAGE sql AS $$
	SELECT state FROM crafted c WHERE c.scale = $1 AND zeros = 0 AND c.rows = $2 AND c.at_scale = $3 $$;
SELECT throws_ok(format('SELECT paillier_sum_accum_inv(crafted(%s), ct) FROM reading WHERE scale = %s', state, scale),
	'22000', 'cannot remove from a sum what was not added', format('(%s) less a row of scale %s', state, scale))
FROM (VALUES ('1, 1, 1', 0), ('1, 1, 0', 1), ('1, 2, 0', 1), ('1, 2, 2', 0), ('1, 2, 1', 3)) v (state, scale);
SELECT lives_ok(format('SELECT paillier_sum_accum_inv(crafted(%s), ct)::text::paillier_sum FROM reading
	WHERE scale = %s', state, scale), format('(%s) less a row of scale %s', state, scale))
FROM (VALUES ('1, 1, 1', 1), ('1, 1, 0', 0), ('1, 2, 1', 0), ('1, 2, 1', 1)) v (state, scale);
SELECT throws_ok('SELECT paillier_sum_accum(crafted(1, 9223372036854775807, 1), ct) FROM reading WHERE scale = 0',
	'22003', 'sums claim to have too many rows', 'rows beyond what a state can count');

SELECT * FROM finish();
