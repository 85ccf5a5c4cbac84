-- damage.sql
--	A reading whose value lies outside its declared bound passes the door, since
--	nobody there can see it.  It costs the totals it is in, which are flagged and
--	can be declared void, and no other answer.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

-- the last two bill windows of a day: all hours lie in one month
SELECT date_trunc('day', now()) - interval '4 hours' AS h \gset

CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- a number with the header of one of 64 bits
CREATE FUNCTION forged(value numeric) RETURNS paillier_ciphertext LANGUAGE sql AS
	$$ SELECT paillier_ciphertext(paillier_bytes(paillier_encrypt(value, public, 0, 200)), id, 0, 64)
	FROM pipeline_key WHERE name = 'first' $$;

-- ---- two regions of three meters, four hours; one reading is forged ----

SELECT begin_metering('min_meters = 3') \g /dev/null
SELECT throws_ok(format('UPDATE metering.setting SET starts_at = %L', t), '23514', NULL,
	'metering does not start at ' || t)
FROM unnest(ARRAY['infinity', '-infinity']) t;
INSERT INTO metering.tariff (tariff) VALUES ('t');
INSERT INTO metering.rate (tariff, price) VALUES ('t', 250);
SELECT add_meters('a', 3, 'north', 't'), add_meters('b', 3, 'south', 't') \g /dev/null
SELECT send('[ab].', :'h', at(:'h', '4 hours')) \g /dev/null
UPDATE metering.reading SET energy = forged(2::numeric ^ 100) WHERE meter_id = 'a1' AND read_at = :'h';
SELECT is((SELECT count(*) FROM metering.reading WHERE meter_id = 'a1'), 48::bigint, 'the door lets it in');
CALL metering.rollup(at(:'h', '5 hours'));

SELECT throws_ok(format($$ SELECT decrypted(total) FROM metering.region_hour WHERE (region, hour) = ('north', %L) $$,
	:'h'),
	'22003', NULL, 'the total of its region and hour cannot be decrypted');

-- what the totals should be, from the plaintext
CREATE TEMPORARY VIEW expected_hour AS
	SELECT region, metering.utc_hour(read_at) AS hour, sum(value) AS energy
	FROM sent JOIN metering.meter USING (meter_id) GROUP BY 1, 2;
CREATE TEMPORARY VIEW decrypted_hour AS
	SELECT l.region, l.hour, l.energy FROM pipeline_key, metering.decrypted_load(private) l WHERE name = 'first';
CREATE TEMPORARY VIEW statistic AS
	SELECT s.* FROM pipeline_key, metering.region_statistics(private) s WHERE name = 'first';
CREATE TEMPORARY VIEW invoiced AS
	SELECT i.* FROM pipeline_key, metering.invoice(private, (:'h'::timestamptz AT TIME ZONE 'UTC')::date) i
		WHERE name = 'first';

-- ---- statistics ----

SELECT bag_eq('SELECT * FROM decrypted_hour', format($$ SELECT region, hour,
	CASE WHEN (region, hour) <> ('north', %L) THEN energy END
	FROM expected_hour $$, :'h'), 'its hour has no energy, all others have theirs');
SELECT bag_eq('SELECT region, hours, damaged, energy, peak, low FROM statistic', format($$
	SELECT region, count(*)::int AS hours, CASE region WHEN 'north' THEN 1 ELSE 0 END AS damaged, sum(energy),
		max(energy), min(energy)
	FROM expected_hour WHERE (region, hour) <> ('north', %L) GROUP BY region $$, :'h'),
		'statistics count it as damaged, and are right');
SELECT bag_eq($$ SELECT region, rise IS NOT NULL AS rises, peak_at IS NOT NULL AS has_peak, coverage FROM statistic $$,
	$$ VALUES ('north', true, true, 1.0000), ('south', true, true, 1.0000) $$, 'also what compares hours');
SELECT bag_eq($$ SELECT q.region, q.load FROM pipeline_key,
	metering.region_quantiles(private, shares => '{0, 1}') q WHERE name = 'first' $$,
	format($$ SELECT region, unnest(ARRAY[max(energy), min(energy)]) AS load FROM expected_hour
	WHERE (region, hour) <> ('north', %L) GROUP BY region $$, :'h'), 'quantiles leave it out');
SELECT lives_ok($$ SELECT b.* FROM pipeline_key, metering.backtest(private) b WHERE name = 'first' $$, 'backtests too');

-- ---- bills ----

SELECT bag_eq('SELECT account, amount_due, imported_kwh, damaged FROM invoiced',
	$$ SELECT meter_id, CASE WHEN meter_id <> 'a1' THEN round(sum(value) * 0.001 * 250, 2) END AS due,
		CASE WHEN meter_id <> 'a1' THEN sum(value) * 0.001 END AS kwh,
			meter_id = 'a1' AS damaged FROM sent GROUP BY meter_id $$,
	'the invoice flags its account, and gives all others');
SELECT is((SELECT count(*) FROM invoiced WHERE readings = 48 AND missing = 0), 6::bigint,
	'what is no secret is in all of them');

-- ---- a void hour ----

SELECT throws_ok($$ SELECT metering.void_region_hour('north', '2000-01-01') $$, 'P0002', NULL,
	'an hour that is not sealed is not void');
SELECT throws_ok($$ SELECT metering.void_region_hour(NULL, NULL) $$, 'P0002', 'region "NULL" has no total at NULL',
	'nor is NULL');
CREATE ROLE damage_operator;
SELECT metering.grant_access('damage_operator', 'operator') \g /dev/null
SET ROLE damage_operator;
SELECT lives_ok(format($$ SELECT metering.void_region_hour('north', %L, 'value out of bounds') $$, :'h'),
	'an operator declares it void');
SELECT lives_ok(format($$ SELECT metering.void_region_hour('north', %L, 'again') $$, :'h'),
	'once more changes nothing');
RESET ROLE;
SELECT bag_eq('SELECT region, reason FROM metering.voided_region_hour', $$ VALUES ('north', 'value out of bounds') $$,
	'it is written down');

SELECT is((SELECT count(total) FROM metering.region_hour), 8::bigint, 'its total stays where it is');
SELECT bag_eq($$ SELECT region, count(*) FROM metering.region_load GROUP BY 1 $$,
	$$ VALUES ('north', 3::bigint), ('south', 4) $$,
	'and is in no view of loads');
SELECT bag_eq('SELECT region, hours, damaged FROM statistic', $$ VALUES ('north', 3, 0), ('south', 4, 0) $$,
	'nor in statistics');

-- every view and function that adds up regional hours, against the plaintext without it
CREATE TEMPORARY VIEW expected_rest AS SELECT * FROM expected_hour
	WHERE (region, hour) NOT IN (SELECT region, hour FROM metering.voided_region_hour);
SELECT bag_eq(format('SELECT region, decrypted(total) FROM metering.region_%s', unit),
	'SELECT region, sum(energy) FROM expected_rest GROUP BY 1',
	'region_' || unit || ' passes it over') FROM unnest(ARRAY['day', 'week', 'month']) unit;
SELECT bag_eq('SELECT region, hours_suppressed FROM metering.region_day', $$ VALUES ('north', 1), ('south', 0) $$,
	'and counts it as an hour without a total');
SELECT bag_eq('SELECT region, hour_of_day, decrypted(total) FROM metering.region_profile',
	$$ SELECT region, EXTRACT(hour FROM hour)::int, energy FROM expected_rest $$, 'profiles pass it over');
SELECT bag_eq('SELECT region, decrypted(total) FROM metering.region_week_profile',
	'SELECT region, energy FROM expected_rest', 'of the week, too');
INSERT INTO metering.region VALUES ('north', 'all'), ('south', 'all');
SELECT bag_eq($$ SELECT hour, decrypted(total), parts,
	parts_suppressed FROM metering.region_tree_load WHERE region = 'all' $$,
	$$ SELECT hour, sum(energy), count(*)::int AS parts, 2 - count(*)::int AS others FROM expected_rest GROUP BY 1 $$,
		'so do trees of regions');
INSERT INTO metering.forecast_model VALUES ('before', 'the mean of the four hours before');
INSERT INTO metering.forecast_weight SELECT 'before', s, s + i, 1 FROM generate_series(1, 2) s, generate_series(0, 3) i;
SELECT bag_eq($$ SELECT region, decrypted(forecast), divisor, hours_used FROM metering.forecast(1, NULL, 'before') $$,
	$$ SELECT region, sum(energy), count(*)::numeric AS divisor, count(*)::int AS used FROM expected_rest GROUP BY 1 $$,
		'and forecasts');
SELECT matches((SELECT reason FROM metering.reconciliation WHERE window_start = :'h'), '1 regional hours are void',
	'bills and regions are not compared');
SELECT is((SELECT decrypted(difference) FROM metering.reconciliation WHERE window_start > :'h'), 0::numeric,
	'but where nothing is void they are');

-- what is in it is never sealed again
INSERT INTO metering.reading SELECT meter_id, read_at, encrypted(value) FROM sent WHERE read_at < at(:'h', '1 hour');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT count(*) FROM metering.region_load WHERE (region, hour) = ('north', :'h')), 0::bigint,
	'readings that are sent again make no new total');

-- ---- bad values of those who set prices and models ----

SELECT throws_ok(statement, '23514', NULL, statement) FROM unnest(ARRAY[
	'UPDATE metering.rate SET price = 1e-21', 'UPDATE metering.setting SET unit_kwh = 1e-21',
		'UPDATE metering.setting SET scale = 101',
	$$ INSERT INTO metering.forecast_weight VALUES ('before', 3, 3, 1e-21) $$]) statement;
SELECT throws_ok(format('SELECT metering.%s', call), '22023', NULL, call) FROM unnest(ARRAY[
	'moving_average(0)', 'moving_average(367)', 'moving_average(2147483647)', 'calendar_regression(0)',
		'calendar_regression(1)',
	'calendar_regression(53)', 'calendar_regression(-2147483648, false)', 'calendar_regression(2, true, 0)',
		'calendar_regression(2, true, 169)',
	'calendar_regression(52, true, 168)', 'holt_winters(steps => 2147483647)',
		'holt_winters(period => 2147483647, periods => 2147483647)',
	'holt_winters(period => 1)', 'holt_winters(unit => 0)',
		'holt_winters(period => 168, periods => 52, steps => 168)']) call;
SELECT is((SELECT count(*) FROM metering.moving_average(366)), 366::bigint, 'a year is possible');
SELECT is((SELECT count(*) > 168 FROM metering.calendar_regression(52, true, 24)), true, 'so is a regression over one');
DROP OWNED BY damage_operator;
DROP ROLE damage_operator;

SELECT * FROM finish();
