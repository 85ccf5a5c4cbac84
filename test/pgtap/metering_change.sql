-- metering_change.sql
--	Changes of region, tariff, key, interval and window while metering goes on,
--	and the bills that come of it.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'America/St_Johns';

SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z') AS h \gset
CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- what ends with the hour or the window that is now must not end meanwhile
SELECT pg_sleep(left_) FROM (SELECT EXTRACT(epoch FROM metering.utc_hour(now()) + interval '1 hour 1 s' - now())
	AS left_) x WHERE left_ < 30;
SELECT metering.utc_hour(now()) AS n \gset

-- ---- region: from the next hour on ----

SELECT begin_metering($$reading_interval = '1 hour'$$) \g /dev/null
SELECT add_meters('m', 3, 'one'), add_meters('k', 2, 'two') \g /dev/null
SELECT is((SELECT count(*) FROM metering.region_history), 0::bigint, 'no past regions');
UPDATE metering.meter SET region = 'two' WHERE meter_id = 'm1';
SELECT bag_eq('SELECT * FROM metering.region_history',
	format($$ VALUES ('m1', %L::timestamptz, 'one') $$, at(:'n', '1 hour')),
	'a meter that moves stays until the hour ends');
UPDATE metering.meter SET region = 'three' WHERE meter_id = 'm1';
SELECT bag_eq('SELECT * FROM metering.region_history',
	format($$ VALUES ('m1', %L::timestamptz, 'one') $$, at(:'n', '1 hour')), 'and where it was, when it moves twice');
SELECT send('..', :'h', at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT string_agg(DISTINCT format('%s %s', region, meters), ', ') FROM metering.region_hour), 'one 3, two 2',
	'hours before are sealed with it in the old region');
-- as if it had moved at the end of the third hour
UPDATE metering.region_history SET until = at(:'h', '3 hours');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT string_agg(format('%s %s %s', region, meters,
	decrypted(total) = (SELECT sum(value) FROM sent WHERE read_at = hour AND CASE region
	WHEN 'one' THEN meter_id IN ('m2', 'm3') ELSE meter_id ~ 'k' END)), ', ' ORDER BY region)
	FROM metering.region_hour WHERE hour = at(:'h', '3 hours')), 'one 2 t, three 1 , two 2 t',
		'hours after with it in the new one');
SELECT is((SELECT sum(meters) FROM metering.region_hour), 20::bigint, 'it counts once in each hour');
SELECT throws_ok($$ UPDATE metering.meter SET meter_id = 'm9' WHERE meter_id = 'm1' $$, '0A000',
	'the id of a meter cannot be changed', 'a meter keeps its id');
-- back and forth: each hour has one region
UPDATE metering.meter SET region = 'one' WHERE meter_id = 'm1';
SELECT bag_eq('SELECT * FROM metering.region_history',
	format($$ VALUES ('m1', %L::timestamptz, 'one'), ('m1', %L, 'three') $$, at(:'h', '3 hours'), at(:'n', '1 hour')),
	'a second move ends the second stay');

-- ---- active range ----

SELECT begin_metering('min_share = 0.25') \g /dev/null
SELECT add_meters('m', 3, 'one') \g /dev/null
UPDATE metering.meter SET active = tstzrange(NULL, at(:'h', '30 min')) WHERE meter_id = 'm1';
UPDATE metering.meter SET active = tstzrange(at(:'h', '90 min'), NULL) WHERE meter_id = 'm2';
SELECT send('m3', :'h', at(:'h', '2 hours')), send('m1', :'h', at(:'h', '30 min')),
	send('m2', at(:'h', '90 min'), at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT count(*) FROM metering.gap), 0::bigint, 'nothing is expected outside of the active range');
SELECT bag_eq('SELECT meter_id, readings, expected FROM metering.bill_window',
	$$ VALUES ('m1', 6, 6), ('m2', 6, 6), ('m3', 24, 24) $$, 'nor in a bill window');
-- bits of the first half of the first hour, and of the second half of the second
SELECT bag_eq('SELECT meter_id, expected, received, missing FROM metering.incomplete', $$
	SELECT m, ARRAY[CASE h WHEN 1 THEN b ELSE 0 END, CASE h WHEN 2 THEN b ELSE 0 END], metering.hour_minutes(h, b),
		0 FROM (
		SELECT m, h, bit_or(1::bigint << i) AS b FROM (VALUES ('m1', 1, 0), ('m2', 2, 30)) v (m, h, since),
			generate_series(since, since + 25, 5) i GROUP BY m, h) AS x (m, h, b) $$,
	'the bitmaps say which readings are expected and received');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'all totals are exact');
SELECT is((SELECT problems FROM metering.health WHERE gaps > 0), NULL, 'nothing is missing');
-- a meter that is gone when its readings are rolled up
SELECT send('m3', at(:'h', '2 hours'), at(:'h', '4 hours')),
	send('m2', at(:'h', '2 hours'), at(:'h', '4 hours')) \g /dev/null
DELETE FROM metering.meter WHERE meter_id = 'm2';
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is_empty('SELECT wrong_meters()', 'a meter that is deleted is billed for what it sent');
SELECT is((SELECT string_agg(DISTINCT meters::text, ',') FROM metering.region_hour WHERE hour >= at(:'h', '2 hours')),
	'1', 'but counts in no region any more');

-- ---- key, interval, window: from the next bill window on ----

SELECT begin_metering() \g /dev/null
UPDATE metering.setting SET bill_window = '4 hours', reading_interval = '15 min';
UPDATE metering.setting SET bill_window = '2 hours', reading_interval = '5 min',
	key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
UPDATE metering.setting SET key_id = (SELECT id FROM pipeline_key WHERE name = 'first');
SELECT is((SELECT count(*) FROM metering.setting_history), 0::bigint,
	'before the first reading a change takes effect at once');
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
SELECT window_end AS e FROM metering.window_of(now()) \gset
UPDATE metering.setting SET bill_window = '12 hours';
UPDATE metering.setting SET reading_interval = '15 min', bill_window = '4 hours', zone = 'Europe/Berlin',
	key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
UPDATE metering.setting SET grace = '15 min', retention = '44 days';
SELECT bag_eq('SELECT until, name, reading_interval, bill_window,
	zone FROM metering.setting_history JOIN pipeline_key ON id = key_id',
	format($$ VALUES (%L::timestamptz, 'first', '5 min'::interval, '2 hours'::interval, 'UTC') $$, :'e'),
		'after it, when the open window ends; two changes in one window are one');
SELECT bag_eq('SELECT until, name, reading_interval, bill_window,
	zone FROM metering.setting_period JOIN pipeline_key ON id = key_id',
	format($$ VALUES (%L::timestamptz, 'first', '5 min'::interval, '2 hours'::interval, 'UTC'),
		('infinity', 'second', '15 min', '4 hours', 'Europe/Berlin') $$, :'e'), 'so that both have their time');
SELECT is((SELECT window_end = :'e' AND reading_interval = '5 min' FROM metering.window_of(now())), true,
	'the open window stays as it is');
SELECT is((SELECT window_start = :'e' AND reading_interval = '15 min' FROM metering.window_of(:'e')), true,
	'the next one is new');
SELECT throws_ok($$ UPDATE metering.setting SET key_id = NULL $$, '42704', 'key NULL is not registered',
	'the key is not taken away');

-- as if the change had been made in the window that ends at the fourth hour
UPDATE metering.setting_history SET until = at(:'h', '4 hours');
UPDATE metering.setting SET grace = grace;
SELECT send('m.', at(:'h', '2 hours'), at(:'h', '4 hours')),
	send('m.', at(:'h', '4 hours'), at(:'h', '12 hours'), 'second') \g /dev/null
SELECT throws_ok(format($$ INSERT INTO metering.reading VALUES ('m1', %L, encrypted(1, 'second')) $$,
	at(:'h', '245 min')), '23514', NULL, 'the new grid holds');
SELECT throws_ok(format($$ INSERT INTO metering.reading VALUES ('m1', %L, encrypted(1)) $$, at(:'h', '255 min')),
	'22000', NULL, 'the new key too');
CALL metering.rollup(at(:'h', '13 hours'));
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'totals under both keys are exact');
SELECT is((SELECT string_agg(DISTINCT format('%s %s %s', name, readings, expected), ', ') FROM metering.bill_window
	JOIN pipeline_key ON id = key_id WHERE window_start < at(:'h', '4 hours')), 'first 24 24',
	'windows before the change');
SELECT is((SELECT bool_and(name = 'second' AND readings = expected AND readings IN (4, 8, 12, 16))
	FROM metering.bill_window JOIN pipeline_key ON id = key_id WHERE window_start >= at(:'h', '4 hours')), true,
	'windows after it');
SELECT is((SELECT bool_and(EXTRACT(hour FROM window_end AT TIME ZONE 'Europe/Berlin')::int % 4 = 0)
	FROM metering.sealed_window WHERE window_start >= at(:'h', '4 hours')), true, 'end by the clock of the new zone');
SELECT is((SELECT bool_and(window_start = before) FROM (SELECT window_start,
	lag(window_end, 1, window_start) OVER (ORDER BY window_start) AS before FROM metering.sealed_window) w), true,
	'and leave no hole');
SELECT is((SELECT string_agg(DISTINCT format('%s %s', name, hour < at(:'h', '4 hours')), ', ') FROM metering.region_hour
	JOIN pipeline_key ON id = key_id), 'first t, second f', 'regional hours are under the key of their time');

-- late readings of the old time, under the old key and under the new one
SELECT begin_metering($$reading_interval = '15 min'$$) \g /dev/null
SELECT add_meters('m', 3, 'one') \g /dev/null
SELECT send('m[23]', :'h', at(:'h', '4 hours')), send('m1', :'h', at(:'h', '1 hour')),
	send('m1', at(:'h', '2 hours'), at(:'h', '3 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '195 min'));
UPDATE metering.setting SET key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
UPDATE metering.setting_history SET until = at(:'h', '6 hours');
UPDATE metering.setting SET grace = grace;
-- of a sealed window: three under the new key and one under the old; of an hour that is not sealed: three and one
SELECT send('m1', at(:'h', '1 hour'), at(:'h', '105 min'), 'second', true),
	send('m1', at(:'h', '105 min'), at(:'h', '2 hours'), 'first', true),
	send('m1', at(:'h', '3 hours'), at(:'h', '225 min'), 'second', true),
		send('m1', at(:'h', '225 min'), at(:'h', '4 hours'), 'first') \g /dev/null
-- the same under the other key is a duplicate
SELECT send('m1', at(:'h', '1 hour'), at(:'h', '2 hours'), 'first', true),
	send('m2', at(:'h', '3 hours'), at(:'h', '4 hours'), 'second') \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is_empty('SELECT wrong_meters()', 'bills are exact under two keys');
SELECT bag_eq($$ SELECT window_start, name, readings, carried,
	expected FROM metering.bill_window JOIN pipeline_key ON id = key_id WHERE meter_id = 'm1' $$,
	format($$ VALUES (%1$L::timestamptz, 'first', 4, 0, 8), (%2$L, 'first', 6, 1, 8), (%2$L, 'second', 6, 3, 0) $$,
		:'h', at(:'h', '2 hours')),
	'a total for each key; what is expected is with the key of the time');
SELECT is_empty('SELECT * FROM metering.incomplete', 'the windows are complete under two keys together');
SELECT is((SELECT string_agg(format('%s %s %s', hour - :'h', meters, readings), ', ' ORDER BY hour)
	FROM metering.region_hour), '00:00:00 3 12, 01:00:00 2 8, 02:00:00 3 12, 03:00:00 3 9',
	'regional hours hold readings under one key');
SELECT is_empty('SELECT wrong_regions()', 'exactly');
SELECT is((SELECT count(*) FROM metering.gap WHERE read_at < at(:'h', '4 hours')) + (SELECT count(*)
	FROM metering.reading), 0::bigint, 'nothing is missing, nothing left');

-- ---- tariffs and bills ----

-- a day around the end of a month, which comes at another time in each zone
SELECT date_trunc('month', (now() - interval '3 days') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '12 hours'
	AS b \gset
SELECT begin_metering($$reading_interval = '1 hour', retention = '60 days'$$) \g /dev/null
INSERT INTO metering.tariff VALUES ('berlin', NULL, 'Europe/Berlin'), ('york', NULL, 'America/New_York'),
	('kolkata', NULL, 'Asia/Kolkata'), ('free', NULL, 'UTC');
INSERT INTO metering.rate VALUES ('berlin', '06:00', 0.3425), ('berlin', '22:00', 0.2180), ('berlin', '02:00', -0.05),
	('york', '00:00', 0.1), ('york', '07:30', 0.25), ('york', '17:00', 0.4), ('kolkata', '12:00', 0.20001);
SELECT add_meters('b', 2, 'one', 'berlin'), add_meters('y', 2, 'one', 'york'), add_meters('k', 1, 'one', 'kolkata'),
	add_meters('f', 1, 'one', 'free'), add_meters('n', 1, 'one') \g /dev/null
SELECT send('[bykfn].', :'b', at(:'b', '24 hours')) \g /dev/null
CALL metering.rollup(at(:'b', '25 hours'));

-- the price of a window, once more
CREATE FUNCTION price(tariff text, at time) RETURNS numeric LANGUAGE sql AS $$
	SELECT CASE tariff
		WHEN 'berlin' THEN CASE WHEN at >= '06:00' AND at < '22:00' THEN 0.3425 WHEN at >= '02:00'
			AND at < '06:00' THEN -0.05 ELSE 0.2180 END
		WHEN 'york' THEN CASE WHEN at < '07:30' THEN 0.1 WHEN at < '17:00' THEN 0.25 ELSE 0.4 END
		WHEN 'kolkata' THEN 0.20001 END
$$;
CREATE FUNCTION zone(tariff text) RETURNS text LANGUAGE sql
	AS $$ SELECT CASE tariff WHEN 'berlin' THEN 'Europe/Berlin' WHEN 'york' THEN 'America/New_York'
	WHEN 'kolkata' THEN 'Asia/Kolkata' ELSE 'UTC' END $$;
CREATE TEMPORARY VIEW plain_bill AS
SELECT meter_id, date_trunc('month', local)::date AS period, tariff,
	sum(value * price(tariff, local::time) * 0.001) AS amount, sum(value) AS energy, count(*) AS readings,
	0::bigint AS carried, 0::bigint AS missing
FROM (SELECT meter_id, value, tariff, date_bin('2 hours', read_at, '2000-01-01 00:00Z') AT TIME ZONE zone(tariff)
	AS local FROM sent JOIN metering.meter USING (meter_id) WHERE tariff IS NOT NULL) s
GROUP BY 1, 2, 3;
SELECT bag_eq($$ SELECT meter_id, period, tariff, trim_scale(decrypted(amount)), decrypted(energy), readings, carried,
	missing FROM metering.bill $$,
	$$ SELECT meter_id, period, tariff, trim_scale(amount), energy, readings, carried, missing FROM plain_bill $$,
		'every bill is the sum of windows at their prices');
SELECT is((SELECT count(*) || ' ' || count(DISTINCT meter_id) || ' ' || count(DISTINCT period) FROM metering.bill),
	'12 6 2', 'six meters, in two months each');
SELECT is((SELECT count(DISTINCT readings) FROM metering.bill WHERE tariff <> 'free'
	AND period = (SELECT min(period) FROM metering.bill)), 3::bigint,
	'which begin at different times in different zones');
SELECT is((SELECT count(*) FROM metering.bill WHERE tariff = 'free' AND amount IS NULL AND energy IS NOT NULL),
	2::bigint, 'a tariff without rates gives no amount');
SELECT is((SELECT count(*) FROM metering.bill WHERE meter_id = 'n1'), 0::bigint,
	'a meter without a tariff has no bill');

-- another tariff, from the next window on
UPDATE metering.meter SET tariff = 'york' WHERE meter_id = 'b1';
UPDATE metering.meter SET tariff = 'kolkata' WHERE meter_id = 'b1';
UPDATE metering.meter SET tariff = 'berlin' WHERE meter_id = 'n1';
SELECT bag_eq('SELECT meter_id, until, tariff FROM metering.contract_history',
	format($$ VALUES ('b1', %1$L::timestamptz, 'berlin'), ('n1', %1$L, NULL) $$, window_end),
	'a meter keeps its tariff until the window ends') FROM metering.window_of(now());
SELECT is((SELECT count(*) FROM metering.bill WHERE meter_id = 'b1' AND tariff = 'berlin') || ' '
	|| (SELECT count(*) FROM metering.bill WHERE meter_id = 'n1'), '2 0', 'and what was before stays');
UPDATE metering.contract_history SET until = at(:'b', '10 hours');
SELECT results_eq($$ SELECT tariff, sum(readings)::int, sum(decrypted(energy)),
	sum(trim_scale(decrypted(amount))) FROM metering.bill WHERE meter_id = 'b1' GROUP BY 1 ORDER BY 1 $$,
	format($$ SELECT t, count(*)::int, sum(value), sum(value * 0.001 * price(t,
		(date_bin('2 hours', read_at, '2000-01-01 00:00Z') AT TIME ZONE zone(t))::time))
		FROM (SELECT *, CASE WHEN read_at < %L THEN 'berlin' ELSE 'kolkata' END AS t FROM sent WHERE meter_id = 'b1') s
			GROUP BY 1 ORDER BY 1 $$, at(:'b', '10 hours')),
			'windows before and after the change have each their tariff');
SELECT is((SELECT sum(readings)::int FROM metering.bill WHERE meter_id = 'n1'), 14,
	'nothing is billed from before a meter had a tariff');
CREATE TEMPORARY TABLE billed AS SELECT meter_id, tariff,
	sum(decrypted(amount)) AS amount FROM metering.bill GROUP BY 1, 2;
DELETE FROM metering.meter WHERE meter_id IN ('b1', 'k1');
SELECT bag_eq('SELECT meter_id, tariff, sum(decrypted(amount)) FROM metering.bill GROUP BY 1, 2',
	'SELECT * FROM billed', 'a meter that is gone keeps its bills');

-- what is missing and what came late
DROP VIEW plain_bill;
SELECT begin_metering() \g /dev/null
INSERT INTO metering.tariff VALUES ('flat', NULL, 'UTC');
INSERT INTO metering.rate VALUES ('flat', '00:00', 2);
SELECT add_meters('m', 2, 'one', 'flat') \g /dev/null
SELECT send('m1', :'h', at(:'h', '4 hours')), send('m2', :'h', at(:'h', '1 hour')),
	send('m2', at(:'h', '2 hours'), at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT send('m2', at(:'h', '60 min'), at(:'h', '75 min'), is_late => true) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT results_eq('SELECT meter_id, sum(readings)::int, sum(carried)::int, sum(missing)::int,
	sum(decrypted(amount)) FROM metering.bill GROUP BY 1 ORDER BY 1',
	$$ SELECT meter_id, count(*)::int, CASE meter_id WHEN 'm2' THEN 3 ELSE 0 END,
		CASE meter_id WHEN 'm2' THEN 9 ELSE 0 END, sum(value) * 0.002 FROM sent GROUP BY 1 ORDER BY 1 $$,
		'a bill says what is missing and what came late');

SELECT * FROM finish();
