-- statistics_groups.sql
--	An analyst with the key, all rights of the level, and the wish to know what
--	fewer than min_meters homes used.
--
--	Readings are such that every total that is to be released is a multiple of a
--	prime, and no sum of fewer meters is.  Then whatever is made of released
--	totals by adding, subtracting and multiplying is a multiple of it too, all
--	differences among them; anything that is not gives a smaller group away.

\ir fixture.psql
SELECT no_plan();
SET timezone = 'UTC';
\set prime 1000003

CREATE ROLE groups_analyst;
SELECT metering.grant_access('groups_analyst', 'analyst') \gset
GRANT SELECT ON fixture_key TO groups_analyst;

-- ---- a week through the pipeline, an hour a reading, three meters a total ----

UPDATE metering.setting SET key_id = (SELECT key_id FROM fixture_key WHERE name = 'small'), reading_interval = '1 hour',
	bill_window = '24 hours',
	min_meters = 3, grace = '0', starts_at = date_trunc('day', now()) - interval '9 days';
SELECT starts_at AS starts FROM metering.setting \gset

-- one meter of "edge" sends every other hour; "left" loses one, "moving" gets one from "big"
CREATE TABLE home (meter_id text, region text, comes int DEFAULT 0, goes int DEFAULT 1000, every int DEFAULT 1);
INSERT INTO home SELECT format('%s-%s', region, i),
	region FROM (VALUES ('big', 5), ('edge', 2), ('left', 2), ('moving', 2), ('few', 2), ('lone', 1)) v (region, n),
	generate_series(1, n) i;
INSERT INTO home VALUES ('edge-3', 'edge', 0, 1000, 2), ('left-3', 'left', 0, 100, 1), ('mover', 'big', 0, 50, 1),
	('mover', 'moving', 50, 1000, 1);
INSERT INTO metering.meter (meter_id, region) SELECT DISTINCT ON (meter_id) meter_id,
	region FROM home ORDER BY meter_id, comes DESC;
INSERT INTO metering.region_history VALUES ('mover', :'starts'::timestamptz + interval '50 hours', 'big');

CREATE TABLE sent AS
SELECT meter_id, region, h, :'starts'::timestamptz + h * interval '1 hour' AS hour,
	('x' || substr(md5(meter_id || h), 1, 7))::bit(28)::int % 900000 + 1::numeric AS energy
FROM home, generate_series(0, 180) h WHERE h >= comes AND h < goes AND h % every = 0;
-- the last meter of a group that is large enough makes its total a multiple
UPDATE sent s SET energy = :prime * 3 - g.others % :prime
FROM (SELECT x.region, x.h, max(x.meter_id) AS last,
	sum(x.energy) - (array_agg(x.energy ORDER BY x.meter_id DESC))[1] AS others FROM sent x GROUP BY 1,
	2 HAVING count(*) >= 3) g
WHERE s.region = g.region AND s.h = g.h AND s.meter_id = g.last;
SELECT format('INSERT INTO metering.reading SELECT meter_id, hour,
	paillier_encrypt(energy, public_key(%L)) FROM sent WHERE h / 24 = %s', 'small', day),
	format('CALL metering.rollup(%L)', :'starts'::timestamptz + least(24 * (day + 1), 181) * interval '1 hour')
FROM generate_series(0, 7) day \gexec

-- what must not come out: sums of one or two meters over an hour, of one meter over longer, of groups without a total
CREATE TABLE secret AS
SELECT energy FROM sent
UNION ALL SELECT a.energy + b.energy FROM sent a JOIN sent b USING (region, h) WHERE a.meter_id < b.meter_id
UNION ALL SELECT sum(energy) FROM sent GROUP BY meter_id, h / 24
UNION ALL SELECT sum(energy) FROM sent GROUP BY meter_id
UNION ALL SELECT sum(energy) FROM sent GROUP BY region, h HAVING count(*) < 3;
SELECT is((SELECT count(*) FROM secret WHERE energy % :prime = 0), 0::bigint,
	'no sum of a smaller group is a multiple');
SELECT is((SELECT string_agg(format('%s %s %s', region, count, given), ', ' ORDER BY region)
	FROM (SELECT region, count(*), count(total) AS given FROM metering.region_hour GROUP BY 1) r),
	'big 181 181, edge 181 91, few 181 0, left 181 100, lone 181 0, moving 181 131',
		'hours of each region, and those with a total');
SELECT is((SELECT count(*) FROM metering.region_hour r
	JOIN (SELECT region, hour, sum(energy) AS energy, count(*) AS meters FROM sent GROUP BY 1, 2) s USING (region, hour)
	JOIN fixture_key ON name = 'small' WHERE paillier_decrypt(total, private_key) = energy AND s.meters = r.meters
		AND energy % :prime = 0), 503::bigint, 'which is right, and a multiple');
-- what comes late does not change them
INSERT INTO metering.reading SELECT 'edge-3', :'starts'::timestamptz + interval '1 hour',
	paillier_encrypt(77777, public_key('small'));
CALL metering.rollup();
SELECT ok((SELECT total IS NULL AND meters = 2 FROM metering.region_hour WHERE region = 'edge'
	AND hour = :'starts'::timestamptz + interval '1 hour'), 'a late reading makes no total');

-- ---- everything the analyst may see ----

SET ROLE groups_analyst;
INSERT INTO metering.region VALUES ('edge', 'part'), ('few', 'part'), ('lone', 'part'), ('part', 'all'), ('big', 'all'),
	('left', 'all'), ('moving', 'all');
INSERT INTO metering.forecast_weight VALUES ('one', 0, 24, 1), ('difference', 0, 24, 2), ('difference', 0, 25, -1),
	('fraction', 0, 24, 0.25), ('fraction', 0, 168, 0.003);
INSERT INTO metering.forecast_weight SELECT 'regression', * FROM metering.calendar_regression(1, false);
RESET ROLE;

CREATE TABLE evidence (source text, value numeric, tolerance numeric DEFAULT 0);
GRANT INSERT ON evidence TO groups_analyst;

-- every ciphertext of every relation that the role may read
CREATE TEMPORARY TABLE attack (function regprocedure, command text);
INSERT INTO attack SELECT NULL, format('INSERT INTO evidence SELECT %1$L,
	paillier_decrypt(%2$I, private_key) FROM metering.%3$I
	JOIN fixture_key ON fixture_key.key_id = paillier_key_id(%2$I)',
		format('%s.%s', relname, attname), attname, relname)
FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
WHERE relnamespace = 'metering'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND attnum > 0
	AND NOT attisdropped
	AND atttypid = 'paillier_ciphertext'::regtype AND has_column_privilege('groups_analyst', c.oid, attname, 'SELECT');
SELECT ok(count(*) >= 9, count(*) || ' columns of ciphertexts') FROM attack;

-- every function: what it gives, as numbers that must be multiples up to what rounding takes
INSERT INTO attack SELECT function::regprocedure, 'INSERT INTO evidence ' || format(query, function) FROM (VALUES
	('metering.forecast(int, timestamptz, text, text)',
		$$SELECT '%s ' || m, paillier_decrypt(forecast, private_key) FROM fixture_key,
		unnest(ARRAY['seasonal', 'last_week', 'last_day', 'one', 'difference', 'fraction', 'regression']) m,
			LATERAL metering.forecast(168, NULL, m) WHERE name = 'small' AND forecast IS NOT NULL$$),
	('metering.decrypted_load(paillier_private_key, timestamptz, timestamptz, text)',
		$$SELECT '%s', energy FROM fixture_key, metering.decrypted_load(private_key) WHERE name = 'small'$$),
	('metering.region_statistics(paillier_private_key, timestamptz, timestamptz, text)',
		$$SELECT '%s', v, t FROM fixture_key, (SELECT hour,
		hour + h * interval '1 hour' AS ends FROM metering.region_load,
		unnest('{1, 2, 24}'::int[]) h WHERE region = 'edge' LIMIT 60) x,
		LATERAL metering.region_statistics(private_key, hour, ends) s,
			unnest(ARRAY[energy, peak, low, rise, fall, mean_load * hours], ARRAY[0, 0, 0, 0, 0, hours * 0.0005]) u (v,
			t) WHERE name = 'small' AND v IS NOT NULL$$),
	('metering.region_quantiles(paillier_private_key, timestamptz, timestamptz, text, numeric[])',
		$$SELECT '%s', load FROM fixture_key, metering.region_quantiles(private_key) WHERE name = 'small'$$),
	('metering.backtest(paillier_private_key, timestamptz, timestamptz, text, text)',
		$$SELECT '%s', bias * hours, hours * 0.0005 FROM fixture_key, unnest(ARRAY['one', 'last_week']) m,
		LATERAL metering.backtest(private_key, with_model => m) WHERE name = 'small'$$),
	-- these give no energies
	('metering.moving_average(int)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
		('metering.calendar_regression(int, boolean, int)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.holt_winters(float8, float8, float8, int, int, int, int)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.bits(bigint)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.minute_bit(timestamptz)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
		('metering.slot(timestamptz)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.utc_hour(timestamptz)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
		('metering.window_label(timestamptz, text, interval)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.window_of(timestamptz)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.minutes(interval)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
		('metering.month_slot(timestamptz)', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.missing_minutes(bigint[], bigint[])', $$SELECT NULL, NULL WHERE '%s' = ''$$),
	('metering.count_minutes(bigint[])', $$SELECT NULL, NULL WHERE '%s' = ''$$)) v (function, query);
SELECT is((SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
	WHERE pronamespace = 'metering'::regnamespace AND has_function_privilege('groups_analyst', oid, 'EXECUTE')
		AND NOT EXISTS (SELECT FROM attack WHERE function = p.oid)), NULL,
			'every function that an analyst may call is tried here');
SELECT is((SELECT string_agg(function::text, ', ') FROM attack
	WHERE NOT has_function_privilege('groups_analyst', function, 'EXECUTE')), NULL, 'and no other');

GRANT SELECT ON attack TO groups_analyst;
SET ROLE groups_analyst;
SELECT command FROM attack \gexec
RESET ROLE;

CREATE FUNCTION gives_away(value numeric, tolerance numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	$$ SELECT abs(value * 1000 - 1000003 * round(value * 1000 / 1000003)) > tolerance * 1000 $$;
SELECT ok(count(*) > 5000 AND count(DISTINCT source) >= 20,
	format('%s numbers from %s sources', count(*), count(DISTINCT source))) FROM evidence;
SELECT is((SELECT string_agg(DISTINCT source, ', ') FROM evidence WHERE gives_away(value, tolerance)), NULL,
	'all are multiples: so is what can be made of them');
SELECT ok((SELECT count(*) FROM secret WHERE gives_away(energy, 0.5)) > 0.99 * count(*),
	'what must not come out would show') FROM secret;
SELECT is((SELECT count(*) FROM secret JOIN evidence ON value = energy WHERE tolerance = 0), 0::bigint,
	'none of it is there');
SELECT is((SELECT count(*) FROM secret s JOIN evidence a ON true JOIN evidence b ON b.value = a.value + s.energy
	WHERE a.source = 'region_tree_load.total' AND a.tolerance = 0 AND b.tolerance = 0), 0::bigint,
		'nor as a difference');
SELECT ok((SELECT count(*) FROM metering.bill_window JOIN fixture_key USING (key_id)
	WHERE gives_away(paillier_decrypt(total, private_key), 0)) > 50,
	'control: windows of meters, which are for billers, would be caught');
SELECT is((SELECT string_agg(DISTINCT relname, ', ') FROM pg_class c JOIN pg_attribute ON attrelid = c.oid
	WHERE relnamespace = 'metering'::regnamespace AND attnum > 0 AND attname = 'meter_id'
		AND has_column_privilege('groups_analyst', c.oid, attname, 'SELECT')), NULL, 'an analyst sees no meter');

-- ---- and nobody else sees any of it ----

CREATE ROLE groups_collector;
CREATE ROLE groups_operator;
CREATE ROLE groups_biller;
CREATE ROLE groups_monitor;
SELECT count(metering.grant_access(format('groups_%s', level)::name, level)) AS x
	FROM unnest(ARRAY['collector', 'operator', 'biller', 'monitor']) level \gset
SELECT is((SELECT string_agg(object, ', ') FROM (
	SELECT relname::text AS object FROM pg_class WHERE relnamespace = 'metering'::regnamespace
		AND (relname ~ '^region' OR relname ~ '^forecast')
		AND has_table_privilege(role, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
	UNION SELECT function::text FROM attack WHERE function::text ~ 'key|forecast|moving|regression|holt'
		AND has_function_privilege(role, function, 'EXECUTE')) x), NULL, role || ' has no right to it')
FROM unnest(ARRAY['groups_collector', 'groups_operator', 'groups_biller', 'groups_monitor']) role;
SET ROLE groups_biller;
SELECT throws_ok('SELECT * FROM metering.region_forecast', '42501', NULL, 'a biller forecasts nothing');
SELECT throws_ok('SELECT * FROM metering.region_statistics(NULL)', '42501', NULL, 'and has no statistics');
RESET ROLE;

DROP OWNED BY groups_analyst, groups_collector, groups_operator, groups_biller, groups_monitor;
DROP ROLE groups_analyst, groups_collector, groups_operator, groups_biller, groups_monitor;
SELECT * FROM finish();
