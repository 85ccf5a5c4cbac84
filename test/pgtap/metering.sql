-- metering.sql
--	The surface of paillier_metering: its objects, who may do what with them,
--	what is logged and dumped, and the guards around staging and totals.

\ir fixture.psql
SELECT no_plan();

CREATE TEMPORARY VIEW member AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	-- from PostgreSQL 17 on the types of rows and arrays are members too
	AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t WHERE t.oid = objid
		AND (t.typrelid <> 0 OR t.typelem <> 0)))
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'paillier_metering');

CREATE TEMPORARY VIEW member_function AS
SELECT p.* FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid;

CREATE TEMPORARY VIEW member_relation AS
SELECT c.* FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid;

-- ---- objects ----

SELECT bag_eq($$ SELECT relname::text, relkind::text,
	relpersistence::text FROM member_relation WHERE relkind <> 'v' AND relname !~ '^(reading|bill_window|register_read)_[0-9]' $$,
	$$ VALUES ('setting', 'r', 'p'), ('setting_history', 'r', 'p'), ('tariff', 'r', 'p'), ('rate', 'r', 'p'),
		('meter', 'r', 'p'), ('region_history', 'r', 'p'), ('interval_history', 'r', 'p'), ('contract_history', 'r', 'p'),
		('reading', 'p', 'p'), ('reading_kept', 'r', 'u'), ('partial', 'r', 'u'), ('partial_kept', 'r', 'u'),
			('staging_since', 'r', 'u'), ('region_slice', 'r', 'u'), ('late_hour', 'r', 'u'),
		('region_hour', 'r', 'p'), ('voided_region_hour', 'r', 'p'), ('window_grid', 'r', 'p'),
			('bill_window', 'p', 'p'), ('incomplete', 'r', 'p'), ('lost', 'r', 'p'),
			('uncounted', 'r', 'p'), ('register_read', 'p', 'p'), ('register_series', 'r', 'p'),
			('late_register', 'r', 'p'), ('register_kept', 'r', 'p'), ('voided_register', 'r', 'p'), ('key_use', 'r', 'p'), ('hour_meter', 'r', 'u'), ('progress', 'r', 'p'), ('rollup_log', 'r', 'p'),
			('rollup_log_id_seq', 'S', 'p'),
		('meter_change', 'r', 'p'), ('region', 'r', 'p'), ('meter_turn', 'r', 'p'),
		('rate_turn', 'r', 'p'), ('region_turn', 'r', 'p'),
			('region_model', 'r', 'p'), ('forecast_model', 'r', 'p'), ('forecast_weight', 'r', 'p'),
		('issue_run', 'r', 'p'), ('issued_price', 'r', 'p'), ('issued_stretch', 'r', 'p'), ('issued_bill', 'r', 'p'),
			('unbilled', 'r', 'p'), ('issue_turn', 'r', 'p') $$,
	'tables: staging is unlogged, totals and settings are logged');
SELECT set_has('SELECT relname::text FROM member_relation WHERE relkind = ''v''',
	$$ VALUES ('gap'), ('acknowledged'), ('health'), ('region_load'), ('bill'), ('setting_period'),
	('region_day'), ('region_week'), ('region_month'), ('region_profile'), ('region_week_profile'), ('region_part'),
		('region_tree_load'), ('region_forecast'), ('sealed_window'), ('gap_of_all') $$, 'views');
SELECT bag_eq($$ SELECT relname::text, relkind::text, relpersistence::text,
	pg_get_expr(relpartbound, oid) FROM member_relation WHERE relname ~ '^reading_[0-9]' $$,
	$$ SELECT format('reading_%s', to_char(i, 'FM00')) AS a, 'r' AS b, 'u' AS c,
		format('FOR VALUES IN (%s)', i) AS d FROM generate_series(0, 47) i $$,
	'a ring of 48 unlogged partitions');
SELECT is((SELECT count(*) FROM pg_inherits WHERE inhparent = 'metering.reading'::regclass), 48::bigint,
	'and no other');
SELECT bag_eq($$ SELECT relname::text, relkind::text, relpersistence::text,
	pg_get_expr(relpartbound, oid) FROM member_relation WHERE relname ~ '^(bill_window|register_read)_[0-9]' $$,
	$$ SELECT format('%s_%s', t, to_char(i, 'FM00')) AS a, 'r' AS b, 'p' AS c, format('FOR VALUES IN (%s)', i) AS d
		FROM generate_series(0, metering.month_slots() - 1) i, unnest(ARRAY['bill_window', 'register_read']) t $$,
	'rings of logged partitions for months');
SELECT is((SELECT string_agg(format('%s %s', p, n - metering.month_slots()), ', ' ORDER BY p) FROM (
		SELECT inhparent::regclass::text AS p, count(*) AS n FROM pg_inherits
		WHERE inhparent IN ('metering.bill_window'::regclass, 'metering.register_read'::regclass) GROUP BY 1) x),
	'metering.bill_window 0, metering.register_read 0', 'and no other, too');
SELECT bag_eq($$ SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
		AND tgrelid IN (SELECT inhrelid FROM pg_inherits
			WHERE inhparent IN ('metering.bill_window'::regclass, 'metering.register_read'::regclass)) $$,
	$$ SELECT c.oid::regclass::text, t, 'O'
		FROM member_relation c, unnest(ARRAY['write_once', 'write_once_truncate', 'take_register']) t
		WHERE relkind = 'r' AND relname ~ '^(bill_window|register_read)_[0-9]'
			AND (t <> 'take_register' OR relname ~ 'register') $$,
	'whose rows nobody changes or empties, neither by way of the whole nor one by one');
SELECT is((SELECT string_agg(tgname, ', ') FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'
	AND tgrelid IN (SELECT oid FROM member_relation)),
	NULL, 'every trigger is on');
SELECT is((SELECT string_agg(c.relname, ', ') FROM pg_class c WHERE c.relpersistence <> 'u' AND c.oid IN (
		SELECT indexrelid FROM pg_index JOIN pg_class t ON t.oid = indrelid WHERE t.relpersistence = 'u'
		UNION SELECT reltoastrelid FROM pg_class t WHERE t.relpersistence = 'u')), NULL,
			'what belongs to staging is unlogged too: indexes, large values');
SELECT is((SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r' AND reltoastrelid <> 0
	AND relnamespace = 'metering'::regnamespace), 54::bigint,
	'and there is something to log: all but two of the staging tables hold large values');
SELECT is((SELECT string_agg(c.relname, ', ') FROM member_relation c WHERE c.relpersistence = 'u'
	AND c.relname <> 'staging_since'
	AND NOT COALESCE('autovacuum_enabled=off' = ANY (c.reloptions), false)), NULL, 'autovacuum leaves staging alone');
SELECT is((SELECT string_agg(format('%s.%s', c.relname, a.attname), ', ') FROM member_relation c
	JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE a.atttypid = 'paillier_ciphertext'::regtype AND c.relkind = 'r' AND c.relpersistence = 'p'
		AND c.relname !~ '^(bill_window|register_read)_[0-9]' AND (c.relname, a.attname) NOT IN (('region_hour', 'total'), ('register_kept', 'register'),
			('issued_stretch', 'opening'), ('issued_stretch', 'closing'), ('issued_bill', 'amount'), ('issued_bill', 'imported'),
			('issued_bill', 'exported'))), NULL, 'no other logged table holds ciphertexts');

SELECT is((SELECT array_agg(c.relname::text ORDER BY c.relname) FROM pg_extension,
	unnest(extconfig) o JOIN pg_class c ON c.oid = o WHERE extname = 'paillier_metering'),
	(SELECT array_agg(relname::text ORDER BY relname) FROM member_relation WHERE relkind IN ('r', 'S')
		AND relpersistence = 'p'),
	'a dump holds the rows of every logged table, and of no other');
SELECT is((SELECT string_agg(relname, ', ') FROM member_relation WHERE relkind = 'r' AND relpersistence = 'p' AND relreplident = 'd'
		AND relname !~ '_turn$' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = oid AND indisprimary)),
	NULL, 'rows of every logged table can be deleted while all tables are published');
SELECT is((SELECT string_agg(format('%s %s', o::regclass, condition), ', ' ORDER BY o::regclass::text)
	FROM pg_extension, unnest(extconfig, extcondition) c (o, condition)
	WHERE extname = 'paillier_metering' AND condition <> ''),
	$$metering.forecast_model WHERE model NOT IN ('seasonal', 'last_week', 'last_day'), $$
	|| $$metering.forecast_weight WHERE model NOT IN ('seasonal', 'last_week', 'last_day'), $$
	|| $$metering.progress WHERE only_row, metering.setting WHERE only_row$$,
	'all of their rows, but for those that the extension brings');

-- ---- comments ----

SELECT is((SELECT string_agg(object, ', ') FROM member WHERE obj_description(objid, classid::regclass::name) IS NULL
	AND object <> 'sequence metering.rollup_log_id_seq'), NULL, 'every object has a comment');
SELECT is((SELECT string_agg(format('%s.%s', c.relname, a.attname), ', ' ORDER BY c.relname, a.attnum)
	FROM member_relation c JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relname IN ('setting', 'meter', 'tariff', 'rate', 'reading', 'region_hour', 'bill_window', 'incomplete',
		'window_grid', 'sealed_window', 'lost', 'uncounted', 'register_read', 'register_series', 'late_register', 'voided_register',
		'key_use', 'register_bill', 'progress', 'rollup_log', 'gap',
		'acknowledged',
			'health', 'region_load', 'contract', 'window_price', 'tariff_problem', 'bill', 'account_bill',
				'reconciliation', 'register_check', 'region', 'region_day', 'region_week', 'region_month',
				'region_profile', 'region_week_profile', 'region_tree_load',
			'voided_region_hour', 'region_total', 'staging_grant', 'forecast_model', 'forecast_weight', 'region_model',
				'region_forecast', 'issue_run', 'issued_price', 'issued_stretch', 'issued_bill', 'unbilled',
				'unissued_contract')
		AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL
		AND a.attname NOT IN ('meter_id', 'region', 'hour', 'window_start', 'tariff', 'description', 'zone', 'key_id',
			'id', 'only_row', 'model')),
	NULL, 'every column that people meet has a comment, unless its name says it all');

-- ---- functions: who may call them, and as whom they run ----

SELECT is((SELECT array_agg(proname::text ORDER BY proname) FROM member_function
	WHERE has_function_privilege('public', oid, 'EXECUTE')),
	NULL, 'nobody may call anything without a level');
SELECT cmp_ok((SELECT count(*) FROM member_function WHERE prosecdef), '>=', 10::bigint, 'what runs as its owner');
SELECT is((SELECT string_agg(proname, ', ') FROM member_function
	WHERE prosecdef AND NOT COALESCE((SELECT count(*) = 1 AND bool_and(c = 'search_path=pg_catalog, pg_temp')
		FROM unnest(proconfig) c WHERE c LIKE 'search_path=%'), false)), NULL,
	'searches pg_catalog alone, temporary objects last');
SELECT is((SELECT string_agg(proname, ', ') FROM member_function JOIN pg_language l ON l.oid = prolang
	WHERE lanname = 'plpgsql' AND proname NOT IN ('rollup', 'forget')
		AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')), NULL,
	'so has every function in PL/pgSQL but rollup() and forget(), which commit');
SELECT is((SELECT bool_or(prosecdef OR proconfig IS NOT NULL) FROM member_function
	WHERE proname IN ('rollup', 'forget')), false, 'which have neither and so may commit');
SELECT is((SELECT array_agg(proname::text ORDER BY proname) FROM member_function WHERE provolatile = 'i'),
	ARRAY['bits', 'calendar_regression', 'count_minutes', 'differ', 'differ', 'differ', 'digest', 'expected_minutes',
		'expects_register', 'holt_winters', 'hour_minutes', 'minute_bit', 'minutes', 'missing_minutes',
		'month_slot', 'month_slots', 'moving_average', 'needed_readings', 'share', 'slice', 'slot', 'slots', 'union_minutes', 'union_minutes',
		'utc_hour'], 'what depends on nothing but its arguments');

-- ---- privileges ----

SELECT is((SELECT string_agg(object, ', ') FROM (
		SELECT relname::text AS object FROM member_relation,
			aclexplode(COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a
			WHERE a.grantee = 0
		UNION ALL SELECT format('%s.%s', relname, attname) FROM member_relation
			JOIN pg_attribute ON attrelid = member_relation.oid, aclexplode(attacl) a WHERE a.grantee = 0
		UNION ALL SELECT nspname FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'metering'
			AND a.grantee = 0) p), NULL,
	'PUBLIC has no privilege on any table, view or sequence, nor on the schema');

BEGIN;
CREATE ROLE surface_collector;
CREATE ROLE surface_operator;
CREATE ROLE surface_analyst;
CREATE ROLE surface_biller;
CREATE ROLE surface_monitor;
CREATE ROLE "Surface ""nobody""";
SELECT count(metering.grant_access(format('surface_%s', l)::name, l)) AS x
	FROM unnest(ARRAY['collector', 'operator', 'analyst', 'biller', 'monitor']) l \gset

-- what a role holds on a relation or function, as text
CREATE TEMPORARY VIEW granted AS
SELECT grantee::regrole::text AS role, string_agg(format('%s %s', privilege_type, object), ', ' ORDER BY object,
	privilege_type) AS rights
FROM (
	SELECT (aclexplode(relacl)).*, relname::text AS object FROM member_relation
	UNION ALL SELECT (aclexplode(proacl)).*, proname FROM member_function
	UNION ALL SELECT (aclexplode(nspacl)).*, 'schema' FROM pg_namespace WHERE nspname = 'metering') g
WHERE grantee::regrole::text LIKE 'surface_%'
	AND object NOT IN ('utc_hour', 'slot', 'minute_bit', 'bits', 'minutes', 'month_slot', 'missing_minutes',
		'count_minutes',
		'window_label', 'window_of') GROUP BY 1;
SELECT is((SELECT count(*) FROM member_function, aclexplode(proacl) a WHERE a.grantee::regrole::text LIKE 'surface_%'
	AND proname IN ('utc_hour', 'slot', 'minute_bit', 'bits', 'minutes', 'month_slot', 'missing_minutes',
		'count_minutes',
		'window_label', 'window_of')), 50::bigint, 'every level has the functions of time');

SELECT is((SELECT rights FROM granted WHERE role = 'surface_collector'),
	'EXECUTE accept, EXECUTE accept_register, SELECT acknowledged, SELECT gap, SELECT lost, EXECUTE own_roles, INSERT reading, USAGE schema',
	'a collector');
SELECT is((SELECT string_agg(a.attname, ', ' ORDER BY attnum) FROM pg_attribute a,
	aclexplode(attacl) x WHERE attrelid = 'metering.register_read'::regclass
	AND x.grantee = 'surface_collector'::regrole AND x.privilege_type = 'INSERT'), 'read_at, meter_id, series, register',
		'and registers');
SELECT is((SELECT rights FROM granted WHERE role = 'surface_analyst'), 
	'EXECUTE backtest, EXECUTE calendar_regression, EXECUTE decrypted_load, EXECUTE forecast, SELECT forecast_lag, '
	'DELETE forecast_model, INSERT forecast_model, SELECT forecast_model, UPDATE forecast_model, '
	'DELETE forecast_weight, INSERT forecast_weight, SELECT forecast_weight, UPDATE forecast_weight, '
	'EXECUTE holt_winters, EXECUTE moving_average, '
	'DELETE region, INSERT region, SELECT region, UPDATE region, SELECT region_day, SELECT region_forecast, '
	'SELECT region_hour, SELECT region_load, '
	'DELETE region_model, INSERT region_model, SELECT region_model, UPDATE region_model, SELECT region_month, '
	'SELECT region_part, SELECT region_profile, '
	'EXECUTE region_quantiles, EXECUTE region_statistics, SELECT region_total, SELECT region_tree_load, '
	'SELECT region_week, '
	'SELECT region_week_profile, USAGE schema, SELECT voided_region_hour', 'an analyst');
SELECT is((SELECT rights FROM granted WHERE role = 'surface_biller'),
	'SELECT account_bill, SELECT bill, SELECT bill_window, SELECT contract, EXECUTE draft_bills, SELECT incomplete, '
	'EXECUTE interval_at, SELECT interval_history, EXECUTE invoice, '
	'SELECT issue_run, SELECT issued_bill, EXECUTE issued_invoice, SELECT issued_price, SELECT issued_stretch, '
	'EXECUTE known_charge, SELECT meter, EXECUTE price, EXECUTE price_curve, SELECT rate, SELECT reconciliation, '
	'EXECUTE register_amount, SELECT register_bill, SELECT register_check, EXECUTE register_stretch, USAGE schema, '
	'SELECT sealed_window, EXECUTE shortest_interval, SELECT tariff, SELECT unbilled, SELECT unissued_contract, '
	'SELECT window_price', 'a biller');
SELECT is((SELECT rights FROM granted WHERE role = 'surface_operator'),
	'SELECT acknowledged, EXECUTE assign_tariff, EXECUTE confirm_issued, SELECT contract, EXECUTE forget, '
	'EXECUTE forget_rows, EXECUTE forget_slot, SELECT gap, SELECT health, SELECT incomplete, EXECUTE issue_bills, '
	'SELECT issue_run, SELECT key_use, EXECUTE late_slots, SELECT lost, '
	'DELETE meter, INSERT meter, SELECT meter, UPDATE meter, EXECUTE month_slots, EXECUTE move_start, '
	'EXECUTE next_step, EXECUTE own_roles, EXECUTE price, SELECT progress, '
	'DELETE rate, INSERT rate, SELECT rate, UPDATE rate, SELECT reconciliation, EXECUTE restored, EXECUTE rollup, '
	'SELECT rollup_log, USAGE schema, EXECUTE seal_hour, EXECUTE seal_window, '
	'SELECT setting, UPDATE setting, SELECT setting_period, EXECUTE staged_bytes, EXECUTE staging_is_published, '
	'EXECUTE staging_relations, EXECUTE sweep, '
	'DELETE tariff, INSERT tariff, SELECT tariff, UPDATE tariff, SELECT tariff_in_use, SELECT tariff_problem, '
	'SELECT unbilled, SELECT uncounted, EXECUTE void_region_hour, EXECUTE void_register, SELECT voided_region_hour, '
	'SELECT voided_register, '
	'SELECT window_grid', 'an operator');
SELECT is((SELECT rights FROM granted WHERE role = 'surface_monitor'),
	'SELECT health, SELECT lost, EXECUTE price, SELECT progress, SELECT rollup_log, USAGE schema, '
	'EXECUTE staged_bytes, EXECUTE staging_is_published, EXECUTE staging_relations', 'a monitor');
SET ROLE surface_monitor;
SELECT lives_ok('SELECT * FROM metering.' || v, 'a monitor: ' || v)
	FROM unnest(ARRAY['health', 'progress', 'rollup_log', 'lost']) v;
SELECT throws_ok('SELECT * FROM metering.' || v, '42501', NULL, 'a monitor sees no ' || v)
FROM unnest(ARRAY['meter', 'gap', 'acknowledged', 'incomplete', 'bill_window', 'region_hour', 'uncounted', 'reading',
	'setting', 'window_grid']) v;
SELECT throws_ok(statement, '42501', NULL, 'a monitor does nothing: ' || statement)
	FROM unnest(ARRAY['CALL metering.rollup()', 'CALL metering.forget(now())',
	'SELECT metering.restored()', 'UPDATE metering.progress SET blocked_since = NULL',
		'DELETE FROM metering.lost']) statement;
RESET ROLE;
SELECT throws_ok($$ SELECT metering.grant_access('surface_biller', 'owner') $$, '22023',
	'access level "owner" does not exist', 'there is no other level');
SELECT throws_ok($$ SELECT metering.grant_access('surface_biller', NULL) $$, '22023',
	'access level "NULL" does not exist', 'NULL is none');
SELECT throws_ok($$ SELECT metering.grant_access('surface_stranger', 'biller') $$, '42704', NULL,
	'a role has to exist');
SELECT lives_ok($$ SELECT metering.grant_access('Surface "nobody"', 'analyst') $$, 'the name of a role is quoted');
SET ROLE surface_operator;
SELECT throws_ok($$ SELECT metering.grant_access('surface_operator', 'biller') $$, '42501', NULL,
	'an operator grants nothing');
RESET ROLE;
ROLLBACK;

-- the guard below is for staging: whoever has nothing to do with metering works as before
BEGIN;
CREATE ROLE surface_stranger;
GRANT CREATE ON SCHEMA public TO surface_stranger;
SET ROLE surface_stranger;
SELECT lives_ok('CREATE TABLE public.surface_table (i int)', 'a role without rights on metering creates a table');
SELECT lives_ok('CREATE TEMPORARY TABLE surface_table (i int)', 'and a temporary one');
SELECT lives_ok('ALTER TABLE public.surface_table ADD j int', 'and changes it');
RESET ROLE;
ROLLBACK;

-- ---- staging stays out of the WAL and of publications ----

SELECT throws_ok(format('ALTER TABLE metering.%I SET LOGGED', t), '55000', format('%s must stay unlogged', t),
	t || ' cannot be logged')
FROM unnest(ARRAY['reading_00', 'reading_17', 'reading_47', 'reading_kept', 'partial', 'partial_kept', 'staging_since',
	'region_slice', 'late_hour']) t;
SELECT lives_ok('ALTER TABLE metering.reading_17 SET UNLOGGED', 'what is unlogged stays so');

BEGIN;
CREATE TABLE logged_partition (LIKE metering.reading INCLUDING CONSTRAINTS);
ALTER TABLE metering.reading DETACH PARTITION metering.reading_17;
SELECT throws_ok('ALTER TABLE metering.reading ATTACH PARTITION logged_partition FOR VALUES IN (17)', '55000',
	'logged_partition must stay unlogged', 'a logged partition is not attached');
SELECT throws_ok('CREATE TABLE created_partition PARTITION OF metering.reading FOR VALUES IN (17)', '55000',
	'created_partition must stay unlogged', 'nor created');
SELECT throws_ok('CREATE TABLE created_branch PARTITION OF metering.reading FOR
	VALUES IN (17) PARTITION BY LIST (meter_id); CREATE TABLE created_leaf PARTITION OF created_branch DEFAULT',
	'55000', NULL, 'nor further down');
SELECT lives_ok('CREATE UNLOGGED TABLE unlogged_partition PARTITION OF metering.reading FOR VALUES IN (17)',
	'an unlogged one is');
ROLLBACK;

SET client_min_messages = error;
SELECT throws_ok('CREATE PUBLICATION p FOR TABLE metering.reading', '55000', NULL, 'readings are not published');
SELECT CASE WHEN current_setting('server_version_num')::int < 150000 THEN skip('PostgreSQL publishes no schemas', 1)
	ELSE throws_ok('CREATE PUBLICATION p FOR TABLES IN SCHEMA metering', '55000', NULL, 'nor with their schema') END;
SELECT throws_ok('CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root)', '55000', NULL,
	'nor as part of all tables');
SELECT lives_ok('CREATE PUBLICATION p FOR TABLE metering.region_hour, metering.bill_window', 'totals may be published');
SELECT throws_ok('ALTER PUBLICATION p ADD TABLE metering.reading', '55000', NULL, 'readings are not added to them');
DROP PUBLICATION p;
SELECT lives_ok('CREATE PUBLICATION p FOR ALL TABLES', 'nor are unlogged tables when all are published');
SELECT is((SELECT string_agg(tablename, ', ') FROM pg_publication_tables WHERE pubname = 'p' AND schemaname = 'metering'
	AND tablename ~ '^(reading|partial|staging|region_slice|late_hour|hour_meter)'), NULL, 'they are not among them');
SELECT throws_ok('ALTER PUBLICATION p SET (publish_via_partition_root)', '55000', NULL, 'nor become so');
DROP PUBLICATION p;
SET client_min_messages = warning;
SELECT is((SELECT evtenabled::text FROM pg_event_trigger WHERE evtname = 'paillier_metering_guard'), 'O',
	'the guard is on');

-- ---- settings within their limits ----

SELECT throws_ok(format('UPDATE metering.setting SET %s', change), '23514', NULL, change || ' is refused')
FROM unnest(ARRAY['min_meters = 1', 'min_meters = 0', 'min_share = 0', 'min_share = -0.5', 'min_share = 1.0001',
	'min_share = ''NaN''', 'patience = ''0.9 s''', 'patience = ''25 hours''',
	'bill_grace = ''-1 s''', 'bill_grace = ''1000 years''', 'backup_interval = ''-1 s''', 'backup_interval = ''1000 years''', 'rollup_memory = 4095',
		'rollup_memory = 1073741825', 'reading_interval = ''7 min''', 'reading_interval = ''2 hours''',
		'reading_interval = ''0''',
	'bill_window = ''30 min''', 'bill_window = ''5 hours''', 'bill_window = ''2 days''', 'grace = ''-1 min''',
		'grace = ''1000 years''', 'retention = ''0''', 'retention = ''1000 years''', 'scale = -1', 'scale = 256',
	'width = 0', 'width = 1025', 'unit_kwh = 0', 'unit_kwh = ''NaN''', 'clock_tolerance = ''-1 s''',
		'clock_tolerance = ''1000 years''']) change;
UPDATE metering.setting SET only_row = false;
SELECT is((SELECT array_agg(only_row) FROM metering.setting), '{t}', 'the row of settings stays the only one');
SELECT throws_ok(format('UPDATE metering.setting SET %s = NULL', column_name), '23502', NULL,
	column_name || ' cannot be NULL')
FROM unnest(ARRAY['reading_interval', 'bill_window', 'zone', 'grace', 'min_meters', 'min_share', 'retention',
	'patience', 'backup_interval', 'bill_grace', 'rollup_memory', 'scale', 'width', 'unit_kwh', 'clock_tolerance']) column_name
WHERE column_name <> 'zone';
SELECT lives_ok($$ UPDATE metering.setting SET min_meters = 2, min_share = 1 $$, 'the smallest group has two members');
SELECT is((SELECT (reading_interval, bill_window, zone, grace, retention, scale, width, unit_kwh, clock_tolerance,
	patience, backup_interval, bill_grace, rollup_memory)::text FROM metering.setting),
	'(00:05:00,02:00:00,UTC,00:15:00,"45 days",0,64,0.001,00:01:00,00:02:00,"2 days","3 days",262144)', 'the defaults');
SELECT is((SELECT column_default FROM information_schema.columns WHERE table_schema = 'metering'
	AND table_name = 'setting' AND column_name = 'min_share'), '0.5', 'half of a window');
SELECT is((SELECT column_default FROM information_schema.columns WHERE table_schema = 'metering'
	AND table_name = 'setting' AND column_name = 'min_meters'), '100', '100 meters among them');
SELECT throws_ok($$ UPDATE metering.setting SET zone = 'Europe/Atlantis' $$, '22023', NULL, 'a time zone has to exist');
SELECT throws_ok($$ UPDATE metering.setting SET key_id = repeat('0', 32) $$, '42704',
	format('key %s is not registered', repeat('0', 32)), 'a key has to be registered');
SELECT lives_ok($$ INSERT INTO metering.setting (min_meters) VALUES (7) $$, 'a row of settings');
SELECT is((SELECT array_agg(min_meters) FROM metering.setting), ARRAY[7], 'replaces the one before');
SELECT throws_ok($$ INSERT INTO metering.tariff VALUES ('t', NULL, 'Europe/Atlantis') $$, '22023', NULL,
	'the time zone of a tariff has to exist');
SELECT throws_ok(format('INSERT INTO metering.meter (meter_id, region, active) VALUES (%s)', v), '23514', NULL,
	'a meter of ' || v || ' is refused')
FROM unnest(ARRAY[$$'', 'r', '(,)'$$, $$repeat('m', 64), 'r', '(,)'$$, $$'m', 'r', 'empty'$$,
	$$'m', 'r', '(2026-01-01,)'$$, $$'m', 'r', '[2026-01-01,2026-02-01]'$$]) v;
SELECT is((SELECT string_agg(conname, ', ') FROM pg_constraint WHERE contype = 'f'
	AND connamespace = 'metering'::regnamespace), NULL,
	'no table needs another to be there first: a parallel restore loads them in any order');

-- ---- the size of staging, under a key so long that ciphertexts are stored out of line ----

SELECT format('{"kty":"DAJ","alg":"PAI-GN1","n":"%s0w"}', repeat('_', 1364)) AS longest \gset
UPDATE metering.setting SET key_id = paillier_register_key(:'longest');
INSERT INTO metering.meter (meter_id, region) VALUES ('m', 'north');
INSERT INTO metering.reading SELECT 'm', metering.utc_hour(now()) - interval '1 hour',
	paillier_encrypt(1, :'longest'::paillier_public_key);
SELECT is((SELECT staged_bytes FROM metering.health), 3 * 8192::bigint,
	'a block for the row, one for its ciphertext, and the mark of a loss');

SELECT * FROM finish();
