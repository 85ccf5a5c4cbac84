-- written.sql
--	What was written down is read, and not computed again: bill windows that have
--	opened stay as they are when the rules of a time zone change under them.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

-- An even UTC hour that has been over for long: a bill window of two hours begins.
SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z') AS h \gset

CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 3, 'r') \g /dev/null
-- m3 leaves out a reading of the first window: it comes late
SELECT send('m.', :'h', at(:'h', '6 hours')) \g /dev/null
DELETE FROM metering.reading WHERE meter_id = 'm3' AND read_at = at(:'h', '65 min');
DELETE FROM sent WHERE meter_id = 'm3' AND read_at = at(:'h', '65 min');
CALL metering.rollup(at(:'h', '6 hours 20 min'));
SELECT is((SELECT count(*) FROM metering.sealed_window), 3::bigint, 'three windows are sealed');
SELECT is_empty('SELECT wrong_meters()', 'all exact');
CREATE TEMPORARY TABLE before AS SELECT * FROM metering.sealed_window;
CREATE TEMPORARY TABLE billed AS SELECT meter_id, window_start,
	paillier_bytes(total) AS total FROM metering.bill_window;

-- ---- the rules change: local time is an hour later than it was thought to be ----

ALTER FUNCTION metering.window_label(timestamptz, text, interval) RENAME TO old_label;
CREATE FUNCTION metering.window_label(hour timestamptz, zone text,
	bill_window interval) RETURNS timestamp LANGUAGE sql STABLE AS
	$$ SELECT metering.old_label(hour + interval '1 hour', zone, bill_window) $$;

SELECT is((SELECT count(*) FROM before b, generate_series(b.window_start, b.window_end - interval '1 min', '1 min') t,
	metering.window_of(t) w
	WHERE (w.window_start, w.window_end, w.key_id, w.reading_interval) IS NOT DISTINCT
		FROM (b.window_start, b.window_end, b.key_id, b.reading_interval)),
	360::bigint, 'every minute of a sealed window lies in it');
SELECT is((SELECT window_start FROM metering.window_of(at(:'h', '6 hours'))), at(:'h', '6 hours'),
	'the next one begins where the last one ends');

SELECT send('m.', :'h', at(:'h', '6 hours'), is_late => true) \g /dev/null
CALL metering.rollup(at(:'h', '6 hours 20 min'));
SELECT is((SELECT count(*) FROM metering.reading), 0::bigint, 'everything is sent again');
SELECT send('m.', at(:'h', '6 hours'), at(:'h', '11 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '11 hours 20 min'));
SELECT is_empty('SELECT wrong_meters()', 'nothing is billed twice, and what came late is billed once');
SELECT is((SELECT sum(duplicates) FROM metering.rollup_log), 3 * 72 - 1::numeric, 'what had been counted is known');
SELECT is_empty($$ SELECT b.* FROM billed b LEFT JOIN metering.bill_window w
	ON (w.meter_id, w.window_start, paillier_bytes(w.total)) = (b.meter_id, b.window_start, b.total)
		WHERE w.meter_id IS NULL $$,
	'no total has changed');
SELECT is((SELECT bool_and(before IS NULL OR before = window_start) FROM (
	SELECT window_start, lag(window_end) OVER (ORDER BY window_start) AS before FROM metering.window_grid) w), true,
	'windows follow each other without gap or overlap');
SELECT is((SELECT count(*) || ' ' || max(window_end) - :'h' FROM metering.sealed_window), '5 10:00:00',
	'windows that were open are sealed as they were when they opened');
SELECT is((SELECT window_start FROM metering.window_of(g.opens)), g.opens,
	'windows that open later begin where the last one ends')
FROM (SELECT max(window_end) AS opens FROM metering.window_grid) g;
SELECT is((SELECT window_end FROM metering.window_of(g.opens)), g.opens + interval '1 hour', 'and follow the new rules')
FROM (SELECT max(window_end) AS opens FROM metering.window_grid) g;
SELECT is((SELECT (window_start, window_end) FROM metering.window_of(g.opens + interval '90 min')),
	(g.opens + interval '1 hour', g.opens + interval '3 hours'), 'one after the other')
		FROM (SELECT max(window_end) AS opens FROM metering.window_grid) g;

SELECT * FROM finish();
