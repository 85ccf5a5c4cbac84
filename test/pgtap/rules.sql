-- rules.sql
--	Rules that every object of both extensions keeps, found by the catalogs:
--	search paths, grants, volatility, parallel labels, locks, ranges of arguments.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();

CREATE VIEW member AS
SELECT classid, objid, extname FROM pg_depend JOIN pg_extension e ON e.oid = refobjid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname IN ('paillier', 'paillier_metering');
CREATE VIEW member_function AS
SELECT p.*, p.oid::regprocedure AS signature, extname, lanname,
	(SELECT substr(c, 13) FROM unnest(proconfig) c WHERE c LIKE 'search_path=%') AS path,
	to_jsonb(p) ->> 'prosqlbody' IS NOT NULL AS is_bound
FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid JOIN pg_language l ON l.oid = prolang;
CREATE VIEW member_relation AS SELECT c.*, extname FROM pg_class c JOIN member ON classid = 'pg_class'::regclass
	AND objid = c.oid;

-- Functions and relations that break a rule, as one text; NULL: none.
CREATE FUNCTION offenders(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	names text;
BEGIN
	EXECUTE format('SELECT string_agg(x::text, '', '' ORDER BY x::text) FROM (%s) AS q (x)', query) INTO names;
	RETURN names;
END $$;

SELECT cmp_ok((SELECT count(*) FROM member_function WHERE prosecdef), '>', 5::bigint,
	'there are functions that run as their owner');
SELECT cmp_ok((SELECT count(*) FROM member_function WHERE lanname IN ('sql', 'plpgsql')), '>', 30::bigint,
	'and functions in SQL');

-- ---- names are found where they should be ----

SELECT is(offenders($$ SELECT signature FROM member_function WHERE prosecdef AND lanname <> 'c'
	AND path IS DISTINCT FROM 'pg_catalog, pg_temp' AND path IS DISTINCT FROM 'pg_catalog, metering, pg_temp' $$), NULL,
	'what runs as its owner has a search path of pg_catalog, metering and, last, pg_temp');
SELECT is(offenders($$ SELECT signature FROM member_function
	WHERE path NOT IN ('pg_catalog, pg_temp', 'pg_catalog, metering, pg_temp') $$), NULL,
	'and no function has a search path of anything else');

-- What a body without a search path of its own finds by that of its caller:
-- operators, functions and types without a schema.
CREATE FUNCTION unqualified(body text) RETURNS SETOF text LANGUAGE sql AS $$
	WITH bare AS (
		SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(body,
			'--[^\n]*', '', 'g'), '''[^'']*''', '''''', 'g'), 'OPERATOR\(pg_catalog\.[^)]+\)', ' ', 'gi'),
			'::(pg_catalog\."?\w+"?|(int|integer|bigint|smallint|numeric|boolean|double '
				'precision|interval|timestamp|bit)\M)', ' ', 'gi'),
				'AT TIME ZONE|FOR(EACH)? \w+ IN|:=|\(\*\)|SELECT \*|\.\*', ' ', 'gi') AS body)
	SELECT 'operator ' || m[1] FROM bare, regexp_matches(body, '(::|[-+*/<>=~!@#%^&|]+)', 'g') m
	UNION SELECT 'function ' || m[1] FROM bare, regexp_matches(body, '(?:^|[^\w.])([a-z_]\w*)\s*\(', 'gi') m
		WHERE lower(m[1]) NOT IN (
		'coalesce', 'greatest', 'least', 'extract', 'values', 'any', 'all', 'exists', 'and', 'or', 'not', 'as', 'from',
			'on', 'by', 'filter', 'over',
		'where', 'select', 'then', 'when', 'else', 'case', 'lateral', 'array', 'row', 'cast', 'using', 'return', 'if',
			'while', 'union', 'limit', 'join')
	UNION SELECT 'implicit ' || m[1] FROM bare, regexp_matches(body,
		'\m(IN|BETWEEN|LIKE|SIMILAR|NULLIF|DISTINCT FROM|USING)\M', 'gi') m
	UNION SELECT 'type ' || m[1] FROM bare, regexp_matches(body,
		'\m(text|timestamptz|regclass|date|name|bytea|jsonb|tstzrange|float8|int8)\s*''', 'gi') m $$;
SELECT bag_eq($$ SELECT unqualified('SELECT a + b::text, lower(c) FROM s.t WHERE d IN (1) -- e < f') $$,
	$$ VALUES ('operator +'), ('operator ::'), ('function lower'), ('function IN'), ('implicit IN') $$,
		'the scan finds what is not qualified');
SELECT is_empty($$ SELECT unqualified($q$SELECT pg_catalog.lower(a OPERATOR(pg_catalog.||) 'b + c')::pg_catalog.text,
	COALESCE(d, (e)) FROM s.t$q$) $$, 'and nothing else');
SELECT is(offenders($$ SELECT format('%s: %s', signature, (SELECT string_agg(u, ' ') FROM unqualified(prosrc) u))
	FROM member_function WHERE lanname IN ('sql', 'plpgsql') AND path IS NULL AND NOT is_bound
		AND EXISTS (SELECT FROM unqualified(prosrc)) $$), NULL,
	'a function without a search path of its own qualifies every name');
SELECT is(offenders($$ SELECT signature FROM member_function WHERE lanname IN ('sql', 'plpgsql') AND path IS NULL
	AND NOT is_bound AND prokind = 'f'
	-- a SET clause keeps a function from being inlined, and a procedure from COMMIT
	AND NOT (lanname = 'sql' AND provolatile <> 'v') $$), NULL,
		'only functions that can be inlined, and procedures, go without');
SELECT is(offenders($$ SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0)
	FROM pg_depend d
	JOIN (SELECT classid, objid FROM member
		UNION SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN member_relation c ON c.oid = r.ev_class
		UNION SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k JOIN member_relation c ON c.oid = k.conrelid
		UNION SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN member_relation c ON c.oid = a.adrelid
		UNION SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t JOIN member_relation c ON c.oid = t.tgrelid) o
			USING (classid, objid)
	WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.refobjid >= 16384
		AND NOT EXISTS (SELECT FROM member m WHERE (m.classid, m.objid) = (d.refclassid, d.refobjid)) $$), NULL,
	'views, constraints, defaults and triggers use functions and operators of the extensions and the system only');

-- ---- who may do what, before anything is granted ----

CREATE VIEW granted AS
SELECT c.oid::regclass::text AS object, a.grantee, a.privilege_type, c.relowner AS owner,
	extname FROM member_relation c, aclexplode(relacl) a
UNION ALL
SELECT p.signature::text, a.grantee, a.privilege_type, p.proowner, extname FROM member_function p,
	aclexplode(COALESCE(proacl, acldefault('f', proowner))) a
UNION ALL
SELECT format('column %s.%s', c.oid::regclass, attname), x.grantee, x.privilege_type, c.relowner, extname
FROM member_relation c JOIN pg_attribute a ON attrelid = c.oid, aclexplode(attacl) x
UNION ALL
SELECT 'schema metering', a.grantee, a.privilege_type, nspowner, 'paillier_metering' FROM pg_namespace,
	aclexplode(nspacl) a WHERE nspname = 'metering';
SELECT is(offenders($$ SELECT format('%s %s', privilege_type, object) FROM granted WHERE extname = 'paillier_metering'
	AND grantee <> owner $$), NULL,
	'nothing of metering is granted to anybody, PUBLIC included');
SELECT is(offenders($$ SELECT format('%s %s', privilege_type, object) FROM granted
	WHERE extname = 'paillier' AND grantee <> owner AND privilege_type <> 'EXECUTE' $$), 'SELECT paillier_key',
		'PUBLIC reads the registry, and writes nothing');
SELECT is(offenders($$ SELECT signature FROM member_function f JOIN granted ON object = signature::text
	WHERE (prosecdef OR prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)) AND grantee = 0 $$), NULL,
	'functions of triggers and those that run as their owner are not for PUBLIC');

-- ---- volatility and parallel labels ----

SELECT is(offenders($$ SELECT signature FROM member_function f WHERE provolatile = 'i' AND lanname <> 'c'
	AND EXISTS (SELECT FROM member_relation c WHERE prosrc ~ ('\m' || c.relname || '\M')
		AND prosrc ~ ('metering\.' || c.relname || '\M')) $$), NULL,
	'what reads tables is not IMMUTABLE');
SELECT is(offenders($$ SELECT signature FROM member_function f WHERE provolatile = 'i'
	AND 'paillier_private_key'::regtype = ANY (proargtypes)
	AND NOT EXISTS (SELECT FROM pg_type t WHERE f.oid IN (t.typoutput, t.typsend)) $$), NULL,
	'what takes a private key is not IMMUTABLE: it is neither folded into plans nor sent to other servers');
SELECT is(offenders($$ SELECT signature FROM member_function WHERE lanname IN ('sql', 'plpgsql') AND proparallel = 's'
	AND (provolatile = 'v' OR prosrc ~* '\m(INSERT|UPDATE|DELETE|TRUNCATE|LOCK)\M\s+(INTO|FROM|TABLE|ONLY|metering)')
		$$), NULL, 'what writes is not PARALLEL SAFE');
SELECT is(offenders($$ SELECT signature FROM member_function WHERE prosecdef AND proparallel = 's' $$), NULL,
	'nor is what runs as its owner');

-- ---- levels ----

SELECT begin_metering('scale = 0, reading_interval = ''30 min'', grace = ''0'', retention = ''20 days''') \g /dev/null
SELECT array_agg(DISTINCT m[1]) AS levels FROM regexp_matches(pg_get_functiondef('metering.grant_access'::regproc),
	$$WHEN '(\w+)' THEN$$, 'g') m \gset
SELECT format('CREATE ROLE rules_%s', l), format('SELECT metering.grant_access(%L, %L)', 'rules_' || l, l)
	FROM unnest(:'levels'::text[]) l \gexec
CREATE ROLE rules_nobody;
GRANT SELECT ON pipeline_key TO PUBLIC;
SELECT cmp_ok(cardinality(:'levels'::text[]), '>=', 4, 'four levels at least');
SELECT is(offenders($$ SELECT oid::regclass FROM member_relation WHERE relkind = 'v'
	AND NOT COALESCE('security_barrier=true' = ANY (reloptions), false)
	AND has_table_privilege('rules_collector', oid, 'SELECT') $$), NULL, 'views of collectors are security barriers');
SELECT is(offenders($$ SELECT format('%s: %s', l, c.oid::regclass) FROM member_relation c,
	unnest(ARRAY['collector', 'operator', 'analyst', 'biller', 'nobody']) l
	WHERE c.relpersistence = 'u' AND has_table_privilege('rules_' || l, c.oid,
		'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') $$), NULL,
	'no level has a right on a table of staging itself');

-- ---- locks ----

BEGIN;
SET LOCAL ROLE rules_nobody;
CREATE TEMPORARY TABLE unrelated (i int);
RESET ROLE;
SELECT is((SELECT string_agg(relation::regclass::text, ', ') FROM pg_locks WHERE pid = pg_backend_pid()
	AND relation IN (
	SELECT oid FROM pg_class WHERE relnamespace = 'metering'::regnamespace)), NULL,
		'who makes a table holds no lock on any of metering until the end of the transaction');
ROLLBACK;

-- ---- ranges: every function takes or refuses whatever it is given, in time ----

SELECT date_trunc('hour', now() AT TIME ZONE 'UTC' - interval '8 hours') AT TIME ZONE 'UTC' AS h \gset
SELECT add_meters('m', 3, 'r', 't'), send('..', :'h', :'h'::timestamptz + interval '6 hours')
	FROM add_meters('n', 1, 'r') \g /dev/null
INSERT INTO metering.tariff (tariff) VALUES ('t');
INSERT INTO metering.rate (tariff, price) VALUES ('t', 1);
CALL metering.rollup();
SELECT cmp_ok((SELECT count(*) FROM metering.region_load), '>', 3::bigint, 'there are totals');

-- values of each type, the first of them a usual one
CREATE TABLE extreme (type regtype, place int, value text);
INSERT INTO extreme SELECT t, i, v FROM (VALUES
	('int4'::regtype, ARRAY['2', '0', '-1', '169', '100000', '2147483647', '-2147483648']),
	('int8', ARRAY['5', '0', '-1', '9223372036854775807', '-9223372036854775808']),
	('numeric', ARRAY['1.5', '0', '-1', 'NaN', '1e131071', '-1e131071', '1e-16383']),
	('float8', ARRAY['0.5', '0', '-1', 'NaN', 'Infinity', '-Infinity', '1e308', '5e-324']),
	('text', ARRAY['r', '', 'UTC', 'import', repeat('x', 300000), E'\x01', '%s %1$s %n', '''"']),
	('name', ARRAY['postgres', '', repeat('x', 63)]), ('bool', ARRAY['t', 'f']),
	('timestamptz', ARRAY[:'h', 'infinity', '-infinity', '294276-12-31 23:59:59+00', '4714-11-24 00:00:00+00 BC',
		'2026-01-01 00:00:00.000001+00']),
	('timestamp', ARRAY['2026-01-01', 'infinity', '-infinity', '294276-12-31 23:59:59', '4714-11-24 00:00:00 BC']),
	('date', ARRAY['2026-01-01', 'infinity', '-infinity', '5874897-12-31', '4714-11-24 BC']),
	('interval', ARRAY['30 min', '0', '-1 day', '178000000 years', '-178000000 years', '0.000001 s', '1 mon -30 days']),
	('tstzrange', ARRAY['(,)', 'empty', '[-infinity,infinity]', '[2026-01-01,2026-01-01]']),
	('int8[]', ARRAY['{3,1}', '{}', '{NULL}', '[5:6]={1,2}', '{{1,2},{3,4}}']),
		('int4[]', ARRAY['{1}', '{}', '{NULL}', '{{1}}']),
	('numeric[]', ARRAY['{0.5}', '{}', '{NULL,NaN}', '{-1,2,1e100}', '{{0.5},{1}}']),
	('regclass', ARRAY['metering.reading_07', '0', '4294967295', 'pg_class']),
	('bytea', ARRAY['\x05', '', '\x00', '\x' || repeat('ff', 100000)]),
		('jsonb', ARRAY['{}', 'null', '[]', '{"v":"1","e":2147483648}']),
	('paillier_ciphertext', ARRAY[encrypted(5)::text, encrypted(0)::text, encrypted(-1)::text]),
	('paillier_ciphertext[]', ARRAY[ARRAY[encrypted(5)]::text, '{}', '{NULL}',
		format('{{%s},{%s}}', encrypted(1), encrypted(2)),
		array_fill(encrypted(3), ARRAY[500])::text]),
	('paillier_private_key', (SELECT array_agg(private::text ORDER BY name) FROM pipeline_key)),
	('paillier_public_key', (SELECT array_agg(public::text ORDER BY name) FROM pipeline_key)),
	('paillier_sum', ARRAY[paillier_sum_accum(NULL, encrypted(1))::text])) x (t, list),
		unnest(list) WITH ORDINALITY u (v, i);

CREATE FUNCTION as_argument(value text, type oid) RETURNS text LANGUAGE sql
	AS $$ SELECT format('CAST(%L AS %s)', value, type::regtype) $$;

-- Calls of a function: each argument extreme in turn beside usual ones, and all
-- arguments NULL, or the first, second … of the extremes of their type.
CREATE FUNCTION extreme_calls(f oid) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	types oid[] := ARRAY(SELECT t FROM pg_proc, unnest(proargtypes) WITH ORDINALITY u (t, i) WHERE oid = f ORDER BY i);
	name  text := (SELECT format('%s.%I', pronamespace::regnamespace, proname) FROM pg_proc WHERE oid = f);
BEGIN
	RETURN QUERY
	SELECT format('SELECT * FROM %s(%s)', name, (SELECT
		string_agg(as_argument(CASE WHEN i = o THEN v ELSE e.value END, t), ', ' ORDER BY i)
		FROM unnest(types) WITH ORDINALITY u (t, i) LEFT JOIN extreme e ON e.type = t AND e.place = 1))
	FROM generate_subscripts(types, 1) o, LATERAL (SELECT value FROM extreme WHERE type = types[o]
		UNION SELECT NULL) x (v);
	RETURN QUERY
	SELECT DISTINCT format('SELECT * FROM %s(%s)', name, (SELECT string_agg(as_argument(e.value, t), ', ' ORDER BY i)
		FROM unnest(types) WITH ORDINALITY u (t, i) LEFT JOIN extreme e ON e.type = t AND e.place = n))
	FROM generate_series(1, 9) n;
END $$;

CREATE TABLE outcome (role text, call text, sqlstate text);
GRANT INSERT ON outcome TO PUBLIC;
CREATE FUNCTION attempt(role text, call text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE call;
	INSERT INTO outcome VALUES (role, call, 'none');
EXCEPTION WHEN query_canceled OR assert_failure OR OTHERS THEN
	INSERT INTO outcome VALUES (role, call, SQLSTATE);
END $$;

SET statement_timeout = '5s';
-- a procedure that commits cannot be called within a function
SELECT format('SET ROLE %s', role), format('SELECT attempt(%L, %L)', role, c)
FROM unnest(:'levels'::text[] || ARRAY['nobody']) l, format('rules_%s', l) role, member_function f,
	extreme_calls(f.oid) c
WHERE f.prokind = 'f' AND f.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
	AND NOT proargtypes::oid[] && ARRAY['internal'::regtype, 'cstring'::regtype]::oid[]
	AND has_function_privilege(role, f.oid, 'EXECUTE')
		AND (extname = 'paillier_metering' AND has_schema_privilege(role, 'metering', 'USAGE') OR l = 'nobody')
\gexec
RESET ROLE;
RESET statement_timeout;
SELECT cmp_ok((SELECT count(*) FROM outcome), '>', 500::bigint, 'many calls with extreme arguments');
SELECT cmp_ok((SELECT count(DISTINCT sqlstate) FROM outcome), '>', 3::bigint, 'some of which work and some do not');
SELECT is(offenders($$ SELECT DISTINCT format('%s %s', sqlstate,
	left(regexp_replace(call, 'CAST\((.{0,24})[^'']*''? AS \w+\)', '\1', 'g'), 150)) FROM outcome
	WHERE sqlstate LIKE 'XX%' $$), NULL,
	'no call ends with an internal error');
SELECT is(offenders($$ SELECT DISTINCT left(regexp_replace(call, 'CAST\((.{0,24})[^'']*''? AS \w+\)', '\1', 'g'), 150)
	FROM outcome WHERE sqlstate = '57014' $$), NULL,
	'every call ends within five seconds');

-- ---- in a worker the same ----

SELECT CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode'
	ELSE 'debug_parallel_query' END AS force \gset
CREATE FUNCTION result_of(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT md5(string_agg(r::text, ''; '' ORDER BY r::text)) FROM (%s) r', call) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TABLE kept (i int);
CREATE FUNCTION claims_to_be_safe() RETURNS int LANGUAGE plpgsql PARALLEL SAFE
	AS $$ BEGIN INSERT INTO kept VALUES (1); RETURN 1; END $$;
CREATE TABLE in_worker AS
SELECT signature, call, NULL::text AS alone, NULL::text AS beside
FROM (
	SELECT f.signature, c AS call, row_number() OVER (PARTITION BY f.oid ORDER BY md5(c)) AS number
	FROM member_function f, extreme_calls(f.oid) c
	WHERE f.extname = 'paillier_metering' AND f.proparallel = 's' AND f.prokind = 'f' AND f.provolatile <> 'v'
		-- a ciphertext may be another one every time
		AND f.prorettype <> 'paillier_ciphertext'::regtype
			AND md5(c) = ANY (ARRAY(SELECT md5(o.call) FROM outcome o WHERE o.sqlstate <> '57014'))) x
WHERE number <= 12;
INSERT INTO in_worker VALUES ('claims_to_be_safe()', 'SELECT claims_to_be_safe()');
UPDATE in_worker SET alone = result_of(call);
SELECT set_config(:'force', 'on', false) \g /dev/null
DO $$
DECLARE
	one record;
BEGIN
	FOR one IN SELECT ctid AS place, call FROM in_worker LOOP
		UPDATE in_worker SET beside = result_of(one.call) WHERE ctid = one.place;
	END LOOP;
END $$;
SELECT set_config(:'force', 'off', false) \g /dev/null
SELECT cmp_ok((SELECT count(DISTINCT signature) FROM in_worker), '>', 5::bigint,
	'functions of metering that are PARALLEL SAFE');
SELECT alike((SELECT beside FROM in_worker WHERE call = 'SELECT claims_to_be_safe()'), '25000 %',
	'one that says so and is not fails in a worker');
SELECT is(offenders($$ SELECT DISTINCT format('%s: %s and not %s', signature, left(beside, 100), left(alone, 100))
	FROM in_worker
	WHERE alone <> beside AND call <> 'SELECT claims_to_be_safe()' $$), NULL,
		'every other gives in a worker what it gives alone');

DROP OWNED BY rules_nobody;
SELECT format('DROP OWNED BY rules_%s', l), format('DROP ROLE rules_%s', l)
	FROM unnest(:'levels'::text[] || ARRAY['nobody']) l \gexec
SELECT * FROM finish();
