-- api.sql
--	The surface of the extension: every object, its types, labels, comments and
--	privileges.

BEGIN;
SELECT no_plan();
LOAD 'paillier';

CREATE TEMPORARY VIEW member AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	-- from PostgreSQL 17 on the types of rows and arrays are members too
	AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = objid AND (t.typrelid <> 0 OR t.typelem <> 0)))
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'paillier');

-- ---- functions: signature, result, volatility, strictness, parallel label ----

CREATE TEMPORARY TABLE expected_function (signature text PRIMARY KEY, result text, volatility text, strict boolean, parallel text);
INSERT INTO expected_function VALUES
	-- keys
	('paillier_keygen(bits integer DEFAULT 3072)', 'paillier_private_key', 'volatile', true, 'safe'),
	('paillier_public_key(key paillier_private_key)', 'paillier_public_key', 'immutable', true, 'safe'),
	('paillier_key_id(key paillier_public_key)', 'text', 'immutable', true, 'safe'),
	('paillier_key_id(key paillier_private_key)', 'text', 'immutable', true, 'safe'),
	('paillier_key_id(ct paillier_ciphertext)', 'text', 'immutable', true, 'safe'),
	('paillier_register_key(key paillier_public_key, name text DEFAULT NULL::text)', 'text', 'volatile', false, 'unsafe'),
	-- encryption: two calls never give the same
	('paillier_encrypt(value numeric, key paillier_public_key, scale integer DEFAULT 0, width integer DEFAULT 64)', 'paillier_ciphertext', 'volatile', true, 'safe'),
	('paillier_rerandomize(ct paillier_ciphertext)', 'paillier_ciphertext', 'volatile', true, 'safe'),
	('paillier_decrypt(ct paillier_ciphertext, key paillier_private_key)', 'numeric', 'immutable', true, 'safe'),
	('paillier_decrypt_array(cts paillier_ciphertext[], key paillier_private_key)', 'numeric[]', 'immutable', true, 'safe'),
	-- ciphertexts from and to elsewhere: what looks a key up is stable
	('paillier_ciphertext(c bytea, key_id text, scale integer DEFAULT 0, width integer DEFAULT 64)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_bytes(ct paillier_ciphertext)', 'bytea', 'immutable', true, 'safe'),
	('paillier_valid(ct paillier_ciphertext)', 'boolean', 'stable', true, 'safe'),
	('paillier_kernel()', 'text', 'stable', true, 'safe'),
	-- operators
	('paillier_ciphertext_add(paillier_ciphertext, paillier_ciphertext)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_ciphertext_sub(paillier_ciphertext, paillier_ciphertext)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_ciphertext_neg(paillier_ciphertext)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_ciphertext_add_numeric(paillier_ciphertext, numeric)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_ciphertext_sub_numeric(paillier_ciphertext, numeric)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_ciphertext_mul_numeric(paillier_ciphertext, numeric)', 'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_numeric_mul_ciphertext(numeric, paillier_ciphertext)', 'paillier_ciphertext', 'stable', true, 'safe'),
	-- the aggregate: not strict, for NULL rows are passed over
	('sum(paillier_ciphertext)', 'paillier_ciphertext', 'immutable', false, 'safe'),
	('sum(paillier_ciphertext, weight numeric)', 'paillier_ciphertext', 'immutable', false, 'safe'),
	('paillier_sum_accum(paillier_sum, paillier_ciphertext)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_accum_moving(paillier_sum, paillier_ciphertext)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_accum_inv(paillier_sum, paillier_ciphertext)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_accum(paillier_sum, paillier_ciphertext, numeric)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_accum_moving(paillier_sum, paillier_ciphertext, numeric)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_accum_inv(paillier_sum, paillier_ciphertext, numeric)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_combine(paillier_sum, paillier_sum)', 'paillier_sum', 'stable', false, 'safe'),
	('paillier_sum_final(paillier_sum)', 'paillier_ciphertext', 'stable', false, 'safe');

-- input and output of the types: keys depend on paillier.min_key_bits, output of sums on the registry
INSERT INTO expected_function
SELECT format('%s_%s(%s)', type, io, CASE WHEN io IN ('in', 'recv') THEN CASE io WHEN 'in' THEN 'cstring' ELSE 'internal' END ELSE type END),
	CASE io WHEN 'out' THEN 'cstring' WHEN 'send' THEN 'bytea' ELSE type END,
	CASE WHEN io IN ('in', 'recv') = (type IN ('paillier_public_key', 'paillier_private_key')) AND type <> 'paillier_ciphertext' THEN 'stable' ELSE 'immutable' END,
	true, 'safe'
FROM unnest(ARRAY['paillier_public_key', 'paillier_private_key', 'paillier_ciphertext', 'paillier_sum']) type,
	unnest(ARRAY['in', 'out', 'recv', 'send']) io;

CREATE TEMPORARY VIEW actual_function AS
SELECT format('%s(%s)', proname, pg_get_function_arguments(p.oid)) AS signature, pg_get_function_result(p.oid) AS result,
	CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
	proisstrict AS strict,
	CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel
FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass;

SELECT is(a::text, e::text, COALESCE(signature, '(nothing)'))
FROM (SELECT signature, a, e FROM actual_function a FULL JOIN expected_function e USING (signature)) s ORDER BY signature;

SELECT is((SELECT count(*) FROM pg_proc JOIN member ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
	WHERE prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')), 0::bigint,
	'no function runs as its owner without a search path of its own');
SELECT is((SELECT count(*) FROM pg_proc JOIN member ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
	JOIN pg_language l ON l.oid = prolang
	WHERE lanname NOT IN ('c', 'internal') AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')), 0::bigint,
	'every function in SQL has a search path of its own');

-- ---- types ----

SELECT bag_eq($$ SELECT typname::text, typlen::int, typalign::text, typstorage::text, typcategory::text, typdelim::text
	FROM pg_type JOIN member ON objid = pg_type.oid AND classid = 'pg_type'::regclass WHERE typelem = 0 AND typrelid = 0 $$,
	$$ VALUES ('paillier_ciphertext', -1, 'd', 'e', 'U', ','), ('paillier_private_key', -1, 'd', 'e', 'U', ','),
		('paillier_public_key', -1, 'd', 'e', 'U', ','), ('paillier_sum', -1, 'd', 'e', 'U', ',') $$,
	'four types of variable length, aligned to 8 bytes, never compressed');
SELECT is((SELECT count(*) FROM pg_type JOIN member ON objid = pg_type.oid AND classid = 'pg_type'::regclass
	WHERE typelem = 0 AND typrelid = 0 AND (typreceive = 0 OR typsend = 0)), 0::bigint, 'every type has a binary form');
SELECT is((SELECT count(*) FROM pg_cast WHERE castsource IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)
	OR casttarget IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)), 0::bigint, 'no casts');
SELECT is((SELECT count(*) FROM pg_opclass WHERE opcintype IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)), 0::bigint,
	'no index, ordering, grouping or hashing');

-- ---- operators ----

SELECT bag_eq($$ SELECT oprname::text, oprleft::regtype::text AS left, oprright::regtype::text AS right, oprresult::regtype::text AS result, oprcom <> 0 AS commutes
	FROM pg_operator JOIN member ON objid = pg_operator.oid AND classid = 'pg_operator'::regclass $$,
	$$ VALUES ('+', 'paillier_ciphertext', 'paillier_ciphertext', 'paillier_ciphertext', true),
		('-', 'paillier_ciphertext', 'paillier_ciphertext', 'paillier_ciphertext', false),
		('-', '-', 'paillier_ciphertext', 'paillier_ciphertext', false),
		('+', 'paillier_ciphertext', 'numeric', 'paillier_ciphertext', false),
		('-', 'paillier_ciphertext', 'numeric', 'paillier_ciphertext', false),
		('*', 'paillier_ciphertext', 'numeric', 'paillier_ciphertext', true),
		('*', 'numeric', 'paillier_ciphertext', 'paillier_ciphertext', true) $$,
	'the operators, and no comparison among them');
SELECT is((SELECT count(*) FROM pg_operator WHERE oprname IN ('=', '<>', '<', '>', '<=', '>=')
	AND (oprleft = 'paillier_ciphertext'::regtype OR oprright = 'paillier_ciphertext'::regtype)), 0::bigint, 'nor any other comparison of ciphertexts');

-- ---- the aggregate ----

SELECT bag_eq($$ SELECT aggfnoid::regprocedure::text, aggkind::text, aggtransfn::regprocedure::text, aggfinalfn::regprocedure::text, aggcombinefn::regprocedure::text,
		aggmtransfn::regprocedure::text, aggminvtransfn::regprocedure::text, aggmfinalfn = aggfinalfn AS ends, aggtranstype::regtype::text, aggmtranstype::regtype::text,
		aggserialfn = 0 AND aggdeserialfn = 0 AS flat, agginitval IS NULL AND aggminitval IS NULL AS empty
	FROM pg_aggregate WHERE aggfnoid::oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass) $$,
	$$ VALUES ('sum(paillier_ciphertext)', 'n', 'paillier_sum_accum(paillier_sum,paillier_ciphertext)', 'paillier_sum_final(paillier_sum)',
			'paillier_sum_combine(paillier_sum,paillier_sum)', 'paillier_sum_accum_moving(paillier_sum,paillier_ciphertext)', 'paillier_sum_accum_inv(paillier_sum,paillier_ciphertext)', true, 'paillier_sum', 'paillier_sum', true, true),
		('sum(paillier_ciphertext,numeric)', 'n', 'paillier_sum_accum(paillier_sum,paillier_ciphertext,numeric)', 'paillier_sum_final(paillier_sum)',
			'paillier_sum_combine(paillier_sum,paillier_sum)', 'paillier_sum_accum_moving(paillier_sum,paillier_ciphertext,numeric)', 'paillier_sum_accum_inv(paillier_sum,paillier_ciphertext,numeric)', true, 'paillier_sum', 'paillier_sum', true, true) $$,
	'both aggregates: partial, parallel and sliding, with a state that is a type of its own');
SELECT is((SELECT count(*) FROM pg_proc WHERE proname = 'sum' AND 'paillier_ciphertext'::regtype = ANY (proargtypes::oid[])), 2::bigint,
	'no other sum of ciphertexts in any schema');

-- ---- the registry ----

SELECT columns_are('paillier_key', ARRAY['key_id', 'public_key', 'name', 'registered_at']);
SELECT col_is_pk('paillier_key', 'key_id');
SELECT col_type_is('paillier_key', 'key_id', 'text');
SELECT col_type_is('paillier_key', 'public_key', 'paillier_public_key');
SELECT col_type_is('paillier_key', 'name', 'text');
SELECT col_type_is('paillier_key', 'registered_at', 'timestamp with time zone');
SELECT col_not_null('paillier_key', 'public_key');
SELECT col_not_null('paillier_key', 'registered_at');
SELECT has_check('paillier_key');
SELECT ok((SELECT 'paillier_key'::regclass = ANY (extconfig) FROM pg_extension WHERE extname = 'paillier'), 'its rows are dumped');
SELECT is((SELECT extcondition FROM pg_extension WHERE extname = 'paillier'), ARRAY[''], 'all of them');
SELECT is((SELECT relpersistence FROM pg_class WHERE oid = 'paillier_key'::regclass), 'p', 'and survive a crash');
SELECT is(has_table_privilege('public', 'paillier_key', privilege), privilege = 'SELECT', format('PUBLIC and %s', privilege))
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege;

-- ---- everything has a comment ----

SELECT isnt(COALESCE(obj_description(objid, classid::regclass::name), ''), '', format('%s has a comment', object))
FROM member ORDER BY object;
SELECT isnt(COALESCE(col_description('paillier_key'::regclass, attnum), ''), '', format('column %s has a comment', attname))
FROM pg_attribute WHERE attrelid = 'paillier_key'::regclass AND attnum > 0 ORDER BY attnum;
SELECT isnt(COALESCE(obj_description(oid, 'pg_extension'), ''), '', 'the extension has a comment') FROM pg_extension WHERE extname = 'paillier';

-- ---- settings ----

SELECT bag_eq($$ SELECT name, context, vartype, boot_val, min_val, max_val FROM pg_settings WHERE name = 'paillier.min_key_bits' $$,
	$$ VALUES ('paillier.min_key_bits', 'superuser', 'integer', '2048', '128', '8192') $$, 'paillier.min_key_bits');
SELECT bag_eq($$ SELECT context, vartype, boot_val, enumvals @> ARRAY['auto', 'generic'] FROM pg_settings WHERE name = 'paillier.kernel' $$,
	$$ VALUES ('user', 'enum', 'auto', true) $$, 'paillier.kernel');
SELECT ok(paillier_kernel() IN (SELECT unnest(enumvals) FROM pg_settings WHERE name = 'paillier.kernel') AND paillier_kernel() <> 'auto', 'paillier_kernel() names a kernel');
SET paillier.kernel = generic;
SELECT is(paillier_kernel(), 'generic', 'a kernel can be chosen');
SELECT throws_ok('SET paillier.kernel = fastest', '22023');

-- ---- the whole ----

SELECT is((SELECT extversion FROM pg_extension WHERE extname = 'paillier'), '1.0', 'version');
SELECT ok(NOT extrelocatable, 'its functions know their schema: it cannot be moved') FROM pg_extension WHERE extname = 'paillier';
SELECT is((SELECT count(*) FROM member WHERE classid NOT IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_class'::regclass)), 0::bigint,
	'nothing but functions, types, operators and a table');

SELECT * FROM finish();
ROLLBACK;
