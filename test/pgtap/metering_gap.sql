-- metering_gap.sql
--	What sealed bill windows lack: meters that are registered late, active ranges
--	that change, the least number of readings for a total, readings that no total
--	can take.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

-- An even UTC hour that has been over for long: a bill window of two hours begins.
SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z') AS h \gset

CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- What a meter is asked for: hours after h, with the number of readings in each window.
CREATE FUNCTION asked(meter text, h timestamptz) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s:%s', hours, n), ' ' ORDER BY hours) FROM (
		SELECT floor(EXTRACT(epoch FROM read_at - h) / 7200)::int * 2 AS hours, count(*) AS n
		FROM metering.gap WHERE meter_id = meter GROUP BY 1) x $$;

-- ---- meters that are registered when windows are sealed ----

SELECT begin_metering($$reading_interval = '30 min', backup_interval = '0'$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
INSERT INTO metering.meter (meter_id, region, active) VALUES ('a', 'one', tstzrange(:'h', NULL)), ('b', 'one', '(,)'),
	('c', 'one', tstzrange(at(:'h', '1 hour'), at(:'h', '3 hours'))), ('d', 'one', tstzrange(at(:'h', '4 hours'),
		NULL));
SELECT is(asked(m, :'h'), gaps, what) FROM (VALUES ('a', '0:4 2:4',
	'a meter that is registered late is asked for the past'),
	('b', NULL, 'but not one without a begin'), ('c', '0:2 2:2', 'one that has ended is asked for its time'),
	('d', NULL, 'one that begins with the open window for nothing'), ('m1', NULL, 'nor are others')) v (m, gaps, what);
SELECT bag_eq('SELECT meter_id, window_start, expected, received, missing FROM metering.incomplete', format($$ VALUES
	('a', %1$L::timestamptz, '{1073741825,1073741825}'::bigint[], '{}'::bigint[], 4), ('a', %2$L,
		'{1073741825,1073741825}', '{}', 4),
	('c', %1$L, '{0,1073741825}', '{}', 2), ('c', %2$L, '{1073741825,0}', '{}', 2) $$, :'h', at(:'h', '2 hours')),
		'reading by reading');
SELECT bag_eq($$ SELECT meter_id, window_start, total IS NULL, readings, expected FROM metering.bill_window
	WHERE meter_id !~ 'm' $$,
	format($$ VALUES ('a', %1$L::timestamptz, true, 0, 4), ('a', %2$L, true, 0, 4), ('c', %1$L, true, 0, 2), ('c',
		%2$L, true, 0, 2) $$,
	:'h', at(:'h', '2 hours')), 'with rows that have no total');
SELECT is((SELECT array_agg(missing ORDER BY window_start) FILTER (WHERE missing > 0) FROM metering.window_grid),
	'{6,6}', 'which windows lack');
SELECT is((SELECT gaps FROM metering.health), 12::bigint, 'health counts them');
SELECT is((SELECT string_agg(format('%s %s', meter_id, until - :'h'), ', ' ORDER BY meter_id)
	FROM metering.acknowledged),
	'a 00:00:00, b 04:00:00, c 00:00:00, d 04:00:00, m1 04:00:00, m2 04:00:00', 'they may forget nothing of it');

SELECT send('[ac]', at(:'h', '1 hour'), at(:'h', '3 hours'), is_late => true), send('a', :'h', at(:'h', '1 hour'),
	is_late => true),
	send('a', at(:'h', '3 hours'), at(:'h', '4 hours'), is_late => true), send('(m.|[abd])', at(:'h', '4 hours'),
		at(:'h', '6 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '7 hours'));
SELECT bag_eq(format('SELECT meter_id, readings, carried, expected FROM metering.bill_window
	WHERE window_start = %L', at(:'h', '4 hours')),
	$$ VALUES ('m1', 4, 0, 4), ('m2', 4, 0, 4), ('a', 12, 8, 4), ('b', 4, 0, 4), ('c', 4, 4, 0), ('d', 4, 0, 4) $$,
	'the past is carried into the next window');
SELECT is_empty('SELECT wrong_meters()', 'exactly');
SELECT is_empty('SELECT * FROM metering.gap', 'nothing is missing any more');
SELECT bag_eq('SELECT meter_id, metering.count_minutes(received), missing FROM metering.incomplete', $$ VALUES ('c',
	2, 0), ('c', 2, 0) $$,
	'rows of windows that are whole are gone');
SELECT is((SELECT sum(missing) FROM metering.window_grid), 0::numeric, 'windows lack nothing');

-- ---- active ranges that change ----

INSERT INTO metering.meter (meter_id, region, active) VALUES ('r', 'one', tstzrange(at(:'h', '2 hours'), NULL)),
	('s', 'one', '(,)'), ('t', 'one', '(,)');
PREPARE change AS UPDATE metering.meter SET active = tstzrange(:'h'::timestamptz + $2, :'h'::timestamptz + $3)
	WHERE meter_id = $1;
SELECT is(asked('r', :'h'), '2:4 4:4', 'from its begin on');
EXECUTE change ('r', '0', NULL);
SELECT is(asked('r', :'h'), '0:4 2:4 4:4', 'a begin that moves back');
EXECUTE change ('r', '30 min', '5 hours');
SELECT is(asked('r', :'h'), '0:3 2:4 4:2', 'a range that is cut at both ends');
EXECUTE change ('r', '30 min', '90 min');
SELECT is(asked('r', :'h'), '0:2', 'one that has ended');
EXECUTE change ('r', '4 hours', NULL);
SELECT is(asked('r', :'h'), '4:4', 'and one that begins again');
EXECUTE change ('s', NULL, '5 hours');
SELECT is(asked('s', :'h'), NULL, 'a meter without a begin that ends is asked for nothing');
EXECUTE change ('s', NULL, '6 hours');
SELECT is(asked('s', :'h'), '4:2', 'one whose end moves on for what is added');
EXECUTE change ('t', '2 hours', NULL);
SELECT is(asked('t', :'h'), '2:4 4:4', 'one that is given a begin from then on');
EXECUTE change ('t', NULL, NULL);
SELECT is(asked('t', :'h'), '2:4 4:4', 'and no earlier when it is taken away');
EXECUTE change ('a', '0', '5 hours');
SELECT is(asked('a', :'h'), NULL, 'a meter that has sent everything is asked for nothing when it ends');
EXECUTE change ('a', '0', NULL);
SELECT is(asked('a', :'h'), NULL, 'nor when it goes on');
BEGIN;
INSERT INTO metering.meter (meter_id, region) VALUES ('u', 'one');
EXECUTE change ('u', '4 hours', NULL);
EXECUTE change ('u', '3 hours', NULL);
COMMIT;
SELECT is(asked('u', :'h'), '2:2 4:4', 'changes in one transaction count together');
SELECT is((SELECT sum(missing)::int FROM metering.window_grid), (SELECT count(*)::int FROM metering.gap),
	'the counts of windows follow');
DELETE FROM metering.meter WHERE meter_id IN ('r', 's', 't', 'u');
SELECT is_empty('SELECT * FROM metering.gap', 'a meter that is deleted is asked for nothing');

-- ---- too few for a total, and never enough ----

-- one hour of old readings, a meter that has ended, and one whose readings are under a key that is no longer in use
SELECT begin_metering($$backup_interval = '5 hours'$$) \g /dev/null
SELECT add_meters('m', 6, 'one') \g /dev/null
SELECT send('m[123]', :'h', at(:'h', '12 hours')) - send('m4', :'h', at(:'h', '55 min')) - send('m5', :'h', at(:'h',
	'1 hour'))
	- send('m6', :'h', at(:'h', '10 min')) AS x \gset
CALL metering.rollup(at(:'h', '3 hours'));
SELECT bag_eq('SELECT meter_id, readings, total IS NULL FROM metering.bill_window', $$ VALUES ('m1', 24, false),
	('m2', 24, false), ('m3', 24, false),
	('m4', 0, true), ('m5', 12, false), ('m6', 0, true) $$, '11 of 24 readings make no total, 12 do');
UPDATE metering.meter SET active = tstzrange(NULL, at(:'h', '1 hour')) WHERE meter_id = 'm6';
SELECT is(asked('m6', :'h'), '0:12', 'what waits is asked for');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT count(*) FROM metering.uncounted) || ' ' || (SELECT string_agg(meter_id, ' ' ORDER BY meter_id)
	FROM metering.partial), '0 m4 m6',
	'they wait as long as backups may be behind');
CALL metering.rollup(at(:'h', '7 hours'));
SELECT bag_eq('SELECT meter_id, hour, key_id, readings FROM metering.uncounted', format($$ SELECT 'm6'::text AS m,
	%L::timestamptz AS h, id, 2 AS n FROM pipeline_key
	WHERE name = 'first' $$, :'h'), 'then those of a meter that has ended are destroyed, and listed');
SELECT is((SELECT string_agg(meter_id, ' ') FROM metering.partial), 'm4', 'those of a meter that goes on wait on');
SELECT is(asked('m6', :'h'), '0:10', 'what was destroyed is not asked for again');
SELECT send('m6', :'h', at(:'h', '10 min')) \g /dev/null
CALL metering.rollup(at(:'h', '13 hours'));
SELECT is((SELECT count(*) FROM metering.uncounted) || ' ' || (SELECT count(*) FROM metering.partial), '1 1',
	'nor counted, nor listed again when it comes');
SELECT is((SELECT problems FROM metering.health
	WHERE uncounted_last_day = 2)::text ~ '2 readings of the last day were too few for a total', true, 'health tells');
SELECT is((SELECT sum(readings)::int FROM metering.bill_window WHERE meter_id = 'm6'), 0, 'it is in no total');

-- share 1: every reading is needed
SELECT begin_metering($$reading_interval = '30 min', min_share = 1$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m1', :'h', at(:'h', '2 hours')), send('m2', :'h', at(:'h', '90 min')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT bag_eq('SELECT meter_id, readings, total IS NULL FROM metering.bill_window', $$ VALUES ('m1', 4, false),
	('m2', 0, true) $$, 'a share of 1 needs all');
SELECT send('m1', at(:'h', '2 hours'), at(:'h', '4 hours')), send('m2', at(:'h', '2 hours'), at(:'h',
	'150 min')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT readings || ' ' || carried FROM metering.bill_window WHERE meter_id = 'm2' AND total IS NOT NULL),
	'4 3', 'of whichever windows');
SELECT is_empty('SELECT wrong_meters()', 'exactly');

-- a window that is complete under another key than its own is not asked for when the meter is active in it again
SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 3, 'one') \g /dev/null
SELECT send('m[12]', :'h', at(:'h', '4 hours')) \g /dev/null
UPDATE metering.setting SET key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
SELECT send('m3', :'h', at(:'h', '2 hours'), 'second') \g /dev/null
CALL metering.rollup(at(:'h', '75 min'));
UPDATE metering.meter SET active = tstzrange(NULL, :'h') WHERE meter_id = 'm3';
CALL metering.rollup(at(:'h', '195 min'));
UPDATE metering.meter SET active = '(,)' WHERE meter_id = 'm3';
SELECT is(asked('m3', :'h'), NULL, 'readings under another key are not asked for again');
SELECT is_empty('SELECT wrong_meters()', 'and count once');

-- never fewer than two, but where one is all; a reading under a key that is no longer in use finds no second one
SELECT begin_metering($$reading_interval = '1 hour', min_share = 0.01, backup_interval = '1 hour'$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m1', :'h', at(:'h', '4 hours')), send('m2', :'h', at(:'h', '1 hour')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT bag_eq('SELECT meter_id, readings, total IS NULL FROM metering.bill_window', $$ VALUES ('m1', 2, false),
	('m2', 0, true) $$, 'one of two readings is no total');
UPDATE metering.setting SET key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
UPDATE metering.partial SET key_id = repeat('0', 32) WHERE meter_id = 'm2';
CALL metering.rollup(at(:'h', '5 hours'));
SELECT bag_eq('SELECT meter_id, hour, key_id, readings FROM metering.uncounted', format($$ VALUES ('m2',
	%L::timestamptz, repeat('0', 32), 1) $$, :'h'),
	'a reading under a key that is not in use is destroyed, and listed');
SELECT is(asked('m2', :'h'), '0:1 2:2', 'and not asked for again');
SELECT begin_metering($$reading_interval = '1 hour', bill_window = '1 hour', min_share = 1$$) \g /dev/null
SELECT add_meters('m', 1, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '1 hour')) \g /dev/null
CALL metering.rollup(at(:'h', '2 hours'));
SELECT is((SELECT readings FROM metering.bill_window WHERE total IS NOT NULL), 1,
	'a window of one reading has a total');

SELECT * FROM finish();
