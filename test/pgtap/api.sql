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
	AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = objid
		AND (t.typrelid <> 0 OR t.typelem <> 0)))
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'paillier');

-- ---- functions: signature, result, volatility, strictness, parallel label ----

CREATE TEMPORARY TABLE expected_function (signature text PRIMARY KEY, result text, volatility text, strict boolean,
	parallel text);
INSERT INTO expected_function VALUES
	-- keys
	('paillier_keygen(bits integer DEFAULT 3072)', 'paillier_private_key', 'volatile', true, 'safe'),
	('paillier_public_key(key paillier_private_key)', 'paillier_public_key', 'stable', true, 'safe'),
	('paillier_key_id(key paillier_public_key)', 'text', 'immutable', true, 'safe'),
	('paillier_key_id(key paillier_private_key)', 'text', 'stable', true, 'safe'),
	('paillier_key_id(ct paillier_ciphertext)', 'text', 'immutable', true, 'safe'),
	('paillier_register_key(key paillier_public_key, name text DEFAULT NULL::text)', 'text', 'volatile', false,
		'unsafe'),
	-- encryption: two calls never give the same
	('paillier_encrypt(value numeric, key paillier_public_key, scale integer DEFAULT 0, width integer DEFAULT 64)',
		'paillier_ciphertext', 'volatile', true, 'safe'),
	('paillier_rerandomize(ct paillier_ciphertext)', 'paillier_ciphertext', 'volatile', true, 'safe'),
	('paillier_decrypt(ct paillier_ciphertext, key paillier_private_key)', 'numeric', 'stable', true, 'safe'),
	('paillier_decrypt_array(cts paillier_ciphertext[], key paillier_private_key)', 'numeric[]', 'stable', true,
		'safe'),
	('paillier_try_decrypt(ct paillier_ciphertext, key paillier_private_key)', 'numeric', 'stable', true, 'safe'),
	('paillier_try_decrypt_array(cts paillier_ciphertext[], key paillier_private_key)', 'numeric[]', 'stable', true,
		'safe'),
	-- ciphertexts from and to elsewhere: what looks a key up is stable
	('paillier_ciphertext(c bytea, key_id text, scale integer DEFAULT 0, width integer DEFAULT 64)',
		'paillier_ciphertext', 'stable', true, 'safe'),
	('paillier_bytes(ct paillier_ciphertext)', 'bytea', 'immutable', true, 'safe'),
	('paillier_valid(ct paillier_ciphertext)', 'boolean', 'stable', true, 'safe'),
	('paillier_kernel()', 'text', 'stable', true, 'safe'),
	-- operators
	('paillier_ciphertext_add(paillier_ciphertext, paillier_ciphertext)', 'paillier_ciphertext', 'stable', true,
		'safe'),
	('paillier_ciphertext_sub(paillier_ciphertext, paillier_ciphertext)', 'paillier_ciphertext', 'stable', true,
		'safe'),
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

-- input and output of the types: private keys are never folded into a plan, output of sums depends on the registry
INSERT INTO expected_function
SELECT format('%s_%s(%s)', type, io, CASE WHEN io IN ('in', 'recv') THEN CASE io WHEN 'in' THEN 'cstring'
	ELSE 'internal' END ELSE type END),
	CASE io WHEN 'out' THEN 'cstring' WHEN 'send' THEN 'bytea' ELSE type END,
	CASE WHEN type = 'paillier_private_key' OR (type = 'paillier_sum' AND io IN ('out', 'send')) THEN 'stable'
		ELSE 'immutable' END,
	true, 'safe'
FROM unnest(ARRAY['paillier_public_key', 'paillier_private_key', 'paillier_ciphertext', 'paillier_sum']) type,
	unnest(ARRAY['in', 'out', 'recv', 'send']) io;

CREATE TEMPORARY VIEW actual_function AS
SELECT format('%s(%s)', proname, pg_get_function_arguments(p.oid)) AS signature,
	pg_get_function_result(p.oid) AS result,
	CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
	proisstrict AS strict,
	CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel
FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass;

SELECT is(a::text, e::text, COALESCE(signature, '(nothing)'))
FROM (SELECT signature, a, e FROM actual_function a FULL JOIN expected_function e USING (signature)) s
	ORDER BY signature;

SELECT is((SELECT count(*) FROM pg_proc JOIN member ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
	WHERE prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')), 0::bigint,
	'no function runs as its owner without a search path of its own');
SELECT is((SELECT count(*) FROM pg_proc JOIN member ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
	JOIN pg_language l ON l.oid = prolang
	WHERE lanname NOT IN ('c', 'internal') AND NOT EXISTS (SELECT FROM unnest(proconfig) c
		WHERE c LIKE 'search_path=%')), 0::bigint,
	'every function in SQL has a search path of its own');

-- ---- labels by rule, not by list ----

-- Private keys go to no other server and into no plan: what takes or gives one may not be folded or shipped.
SELECT isnt(provolatile, 'i', format('%s takes or gives a private key: not immutable', oid::regprocedure))
FROM pg_proc WHERE 'paillier_private_key'::regtype = ANY (proargtypes::oid[] || prorettype)
	OR 'paillier_private_key[]'::regtype = ANY (proargtypes::oid[] || prorettype) ORDER BY oid::regprocedure::text;

-- A call of every function but those that take `internal`, with arguments of a table, so that nothing is folded.
CREATE TABLE public.api_key AS SELECT k::paillier_private_key AS private,
	paillier_public_key(k::paillier_private_key) AS public
FROM (VALUES ('{"kty":"DAJ","key_ops":["decrypt"],"p":"3QG9huyiYFcwksAwMCMlikiDTGkP7yUcpdJKvt_DqzhmYbaZwM8yaA0epAdXRmo0'
	'LgCuCkDxh09Ttzlne2oeJShoQf3rCg5WVNVixl_eM17HElxhLs-2TIP6dXmIfXKvaZ53KVy_h2VAm7Rzj3GgQxpx6sRwvGqNCLDRo4mTMX8",'
	'"q":"54_fBLGCTEuMi4wMTQ83J_IIiSt7QZyJ1aUfg3yRAejW7tFIoD9AUotHhKohAKEJd9YuarTuRGxMqXr80bpWqFk7hRyMYdGWFLwN0F-I0aaud'
	'jWqAquHq3VwZdZpCI94-Nxnxir4K_6nAo9FAQLwwQPzsl5aFAaP8RaIwucwym8","pub":{"kty":"DAJ","alg":"PAI-GN1",'
	'"key_ops":["encrypt"],"n":"x-jGhi9C4qnnOnJpbwRv3kHxyckuI5WND19YgzwP6iVezQw0RWchKuHI6OYreUFjW_wM4YBqF6vN5Ia73H_UjtG'
	'vjoLE1pxB5IAIzwnwtwDzQ-eNplDqAtpafzwuFdwLVZtgW0Ny98Usp7m7nx_ToNWJFsTWU6Y-NW4glTiYP2XTj1z1DdWrWlLcacv9IVNa4Ly0ejwJn'
	'Ijirnkru6BO-p8enrCuOYC1qeDN4KIvfEH7gBdVtcSXOn8uqb07ir5iNl3AMA-m7qqqekwzFB1Tdc2z_AfTsnSbSU4_JgoHTbzILJyMftyRhSs-D24'
	'N8pCrSbq8whlLbYhtpIf3rLCsEQ","djn":true,"kid":"e84f5d351b75a54cd809bfc6edf51a62"},'
	'"kid":"e84f5d351b75a54cd809bfc6edf51a62"}')) v (k);
SELECT isnt(paillier_register_key(public), NULL, 'a key to call them with') FROM public.api_key;
CREATE TABLE public.api_argument AS
SELECT ct, ARRAY[ct, NULL] AS cts, private, public, sum, 3::numeric AS number, 2048 AS bits, 1 AS int,
	'a'::text AS name,
	paillier_key_id(public) AS id, paillier_bytes(ct) AS bytes,
	ct::text AS ct_text, private::text AS private_text, public::text AS public_text, sum::text AS sum_text
FROM (SELECT private, public, ct, paillier_sum_accum(NULL, ct) AS sum
	FROM (SELECT private, public, paillier_encrypt(5, public, 1) AS ct FROM public.api_key OFFSET 0) c OFFSET 0) s;
CREATE TEMPORARY VIEW called AS
SELECT p.oid, p.oid::regprocedure::text AS function, p.provolatile, p.proparallel, p.proisstrict,
	format('%I(%s)', p.proname, string_agg(CASE type
		WHEN 'paillier_ciphertext'::regtype THEN 'ct' WHEN 'paillier_ciphertext[]'::regtype THEN 'cts'
		WHEN 'paillier_private_key'::regtype THEN 'private' WHEN 'paillier_public_key'::regtype THEN 'public'
		WHEN 'paillier_sum'::regtype THEN 'sum' WHEN 'numeric'::regtype THEN 'number' WHEN 'bytea'::regtype THEN 'bytes'
		WHEN 'integer'::regtype THEN CASE proname WHEN 'paillier_keygen' THEN 'bits' ELSE 'int' END
		WHEN 'text'::regtype THEN CASE proname WHEN 'paillier_ciphertext' THEN 'id' ELSE 'name' END
		-- the text of the type that the function reads
		WHEN 'cstring'::regtype THEN CASE prorettype WHEN 'paillier_ciphertext'::regtype THEN 'ct'
			WHEN 'paillier_sum'::regtype THEN 'sum'
			WHEN 'paillier_public_key'::regtype THEN 'public' ELSE 'private' END || '_text::cstring'
		END, ', ' ORDER BY i)) AS call, prorettype, prokind
FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass LEFT
	JOIN LATERAL unnest(proargtypes) WITH ORDINALITY u (type, i) ON true
WHERE 'internal'::regtype <> ALL (proargtypes::oid[]) GROUP BY p.oid, p.proname, p.provolatile, p.proparallel,
	p.proisstrict, p.prorettype, p.prokind;
SELECT isnt(call, NULL, format('%s can be called by this test', function)) FROM called ORDER BY function;

-- What a call gives, as text; its SQLSTATE where it fails.
CREATE FUNCTION pg_temp.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT (%s)::text FROM public.api_argument', call) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.in_worker(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	setting text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query'
		ELSE 'force_parallel_mode' END;
	result text;
BEGIN
	PERFORM set_config(setting, 'on', true);
	result := pg_temp.outcome(call);
	PERFORM set_config(setting, 'off', true);
	RETURN result;
END $$;
CREATE FUNCTION pg_temp.plan_in_worker(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan text;
BEGIN
	PERFORM set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query'
		ELSE 'force_parallel_mode' END, 'on', true);
	EXECUTE format('EXPLAIN (ANALYZE, VERBOSE, COSTS off, TIMING off, FORMAT json) SELECT (%s)::text
		FROM public.api_argument', call) INTO plan;
	RETURN plan;
END $$;
CREATE TEMPORARY TABLE outcome AS
SELECT *, pg_temp.outcome(call) AS here, pg_temp.outcome(call) AS again, pg_temp.in_worker(call) AS there FROM called;
SELECT is((SELECT array_agg(function || ' ' || here) FROM outcome WHERE here ~ '^[0-9A-Z]{5}$'), NULL, 'no call fails');
SELECT ok(pg_temp.plan_in_worker('paillier_decrypt(ct, private)') ~ '"Workers Launched": 1',
	'calls are made in a worker');
SELECT set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query'
	ELSE 'force_parallel_mode' END, 'off', true) IS NULL AS x \gset
SELECT ok(provolatile = 'v' OR here = again, format('%s: two calls give the same, or it is volatile', function))
	FROM outcome ORDER BY function;
SELECT ok(provolatile <> 'v' OR here <> again OR NOT proparallel = 's',
	format('%s is volatile: two calls differ, or it writes', function)) FROM outcome ORDER BY function;
SELECT is(there, CASE WHEN provolatile = 'v' THEN there ELSE here END, format('%s in a parallel worker', function))
	FROM outcome WHERE proparallel = 's' ORDER BY function;
SELECT ok(length(there) > 5, format('%s does not fail there', function)) FROM outcome WHERE proparallel = 's'
	AND provolatile = 'v' ORDER BY function;

-- What depends on the registry, or on a setting, is not immutable.  A worker is a new session, which knows no key yet.
SAVEPOINT registry;
DELETE FROM paillier_key;
SELECT ok(provolatile <> 'i' OR prokind = 'a' OR pg_temp.in_worker(shown) IS NOT DISTINCT FROM pg_temp.outcome(shown),
	format('%s without the registry: the same, or it is not immutable', function))
FROM outcome, LATERAL (SELECT CASE prorettype WHEN 'paillier_sum'::regtype THEN call || ' IS NULL'
	ELSE call END AS shown) s WHERE proparallel = 's' ORDER BY function;
SELECT is(pg_temp.in_worker('paillier_ciphertext_neg(ct)'), '42704', 'there the registry is empty indeed');
ROLLBACK TO registry;
SAVEPOINT settings;
SET LOCAL paillier.min_key_bits = 8192;
SET LOCAL paillier.kernel = generic;
SELECT ok(provolatile <> 'i' OR pg_temp.outcome(call) IS NOT DISTINCT FROM here,
	format('%s with other settings: the same, or it is not immutable', function)) FROM outcome ORDER BY function;
ROLLBACK TO settings;

-- ---- types ----

SELECT bag_eq($$ SELECT typname::text, typlen::int, typalign::text, typstorage::text, typcategory::text, typdelim::text
	FROM pg_type JOIN member ON objid = pg_type.oid AND classid = 'pg_type'::regclass WHERE typelem = 0
		AND typrelid = 0 $$,
	$$ VALUES ('paillier_ciphertext', -1, 'd', 'e', 'U', ','), ('paillier_private_key', -1, 'd', 'e', 'U', ','),
		('paillier_public_key', -1, 'd', 'e', 'U', ','), ('paillier_sum', -1, 'd', 'e', 'U', ',') $$,
	'four types of variable length, aligned to 8 bytes, never compressed');
SELECT is((SELECT count(*) FROM pg_type JOIN member ON objid = pg_type.oid AND classid = 'pg_type'::regclass
	WHERE typelem = 0 AND typrelid = 0 AND (typreceive = 0 OR typsend = 0)), 0::bigint, 'every type has a binary form');
SELECT is((SELECT count(*) FROM pg_cast WHERE castsource IN (SELECT objid FROM member
	WHERE classid = 'pg_type'::regclass)
	OR casttarget IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)), 0::bigint, 'no casts');
SELECT is((SELECT count(*) FROM pg_opclass WHERE opcintype IN (SELECT objid FROM member
	WHERE classid = 'pg_type'::regclass)), 0::bigint,
	'no index, ordering, grouping or hashing');

-- ---- operators ----

SELECT bag_eq($$ SELECT oprname::text, oprleft::regtype::text AS left, oprright::regtype::text AS right,
	oprresult::regtype::text AS result, oprcom <> 0 AS commutes
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
	AND (oprleft = 'paillier_ciphertext'::regtype OR oprright = 'paillier_ciphertext'::regtype)), 0::bigint,
		'nor any other comparison of ciphertexts');

-- ---- the aggregate ----

SELECT bag_eq($$ SELECT aggfnoid::regprocedure::text, aggkind::text, aggtransfn::regprocedure::text,
	aggfinalfn::regprocedure::text, aggcombinefn::regprocedure::text,
		aggmtransfn::regprocedure::text, aggminvtransfn::regprocedure::text, aggmfinalfn = aggfinalfn AS ends,
			aggtranstype::regtype::text, aggmtranstype::regtype::text,
		aggserialfn = 0 AND aggdeserialfn = 0 AS flat, agginitval IS NULL AND aggminitval IS NULL AS empty
	FROM pg_aggregate WHERE aggfnoid::oid IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass) $$,
	$$ VALUES ('sum(paillier_ciphertext)', 'n', 'paillier_sum_accum(paillier_sum,paillier_ciphertext)',
		'paillier_sum_final(paillier_sum)',
			'paillier_sum_combine(paillier_sum,paillier_sum)',
				'paillier_sum_accum_moving(paillier_sum,paillier_ciphertext)',
				'paillier_sum_accum_inv(paillier_sum,paillier_ciphertext)', true, 'paillier_sum', 'paillier_sum', true,
				true),
		('sum(paillier_ciphertext,numeric)', 'n', 'paillier_sum_accum(paillier_sum,paillier_ciphertext,numeric)',
			'paillier_sum_final(paillier_sum)',
			'paillier_sum_combine(paillier_sum,paillier_sum)',
				'paillier_sum_accum_moving(paillier_sum,paillier_ciphertext,numeric)',
				'paillier_sum_accum_inv(paillier_sum,paillier_ciphertext,numeric)', true, 'paillier_sum',
				'paillier_sum', true, true) $$,
	'both aggregates: partial, parallel and sliding, with a state that is a type of its own');
SELECT is((SELECT count(*) FROM pg_proc WHERE proname = 'sum'
	AND 'paillier_ciphertext'::regtype = ANY (proargtypes::oid[])), 2::bigint,
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
SELECT ok((SELECT 'paillier_key'::regclass = ANY (extconfig) FROM pg_extension WHERE extname = 'paillier'),
	'its rows are dumped');
SELECT is((SELECT extcondition FROM pg_extension WHERE extname = 'paillier'), ARRAY[''], 'all of them');
SELECT is((SELECT relpersistence FROM pg_class WHERE oid = 'paillier_key'::regclass), 'p', 'and survive a crash');
SELECT is(has_table_privilege('public', 'paillier_key', privilege), privilege = 'SELECT',
	format('PUBLIC and %s', privilege))
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege;

-- ---- everything has a comment ----

SELECT isnt(COALESCE(obj_description(objid, classid::regclass::name), ''), '', format('%s has a comment', object))
FROM member ORDER BY object;
SELECT isnt(COALESCE(col_description('paillier_key'::regclass, attnum), ''), '',
	format('column %s has a comment', attname))
FROM pg_attribute WHERE attrelid = 'paillier_key'::regclass AND attnum > 0 ORDER BY attnum;
SELECT isnt(COALESCE(obj_description(oid, 'pg_extension'), ''), '', 'the extension has a comment') FROM pg_extension
	WHERE extname = 'paillier';

-- ---- settings ----

SELECT bag_eq($$ SELECT name, context, vartype, boot_val, min_val,
	max_val FROM pg_settings WHERE name = 'paillier.min_key_bits' $$,
	$$ VALUES ('paillier.min_key_bits', 'superuser', 'integer', '2048', '128', '8192') $$, 'paillier.min_key_bits');
SELECT bag_eq($$ SELECT context, vartype, boot_val, enumvals @> ARRAY['auto',
	'generic'] FROM pg_settings WHERE name = 'paillier.kernel' $$,
	$$ VALUES ('user', 'enum', 'auto', true) $$, 'paillier.kernel');
SELECT ok(paillier_kernel() IN (SELECT unnest(enumvals) FROM pg_settings WHERE name = 'paillier.kernel')
	AND paillier_kernel() <> 'auto', 'paillier_kernel() names a kernel');
SET paillier.kernel = generic;
SELECT is(paillier_kernel(), 'generic', 'a kernel can be chosen');
SELECT throws_ok('SET paillier.kernel = fastest', '22023');

-- ---- the whole ----

SELECT is((SELECT extversion FROM pg_extension WHERE extname = 'paillier'), '1.0', 'version');
SELECT ok(NOT extrelocatable, 'its functions know their schema: it cannot be moved') FROM pg_extension
	WHERE extname = 'paillier';
SELECT is((SELECT count(*) FROM member WHERE classid NOT IN ('pg_proc'::regclass, 'pg_type'::regclass,
	'pg_operator'::regclass, 'pg_class'::regclass)), 0::bigint,
	'nothing but functions, types, operators and a table');

SELECT * FROM finish();
ROLLBACK;
