-- metering_forget.sql
--	What metering.forget() empties, what it leaves, and what it refuses.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

-- ---- three months of daily windows, written by hand ----

SELECT begin_metering($$reading_interval = '1 hour', bill_window = '24 hours', retention = '200 days'$$) \g /dev/null
SELECT date_trunc('month', now()) - interval '3 months' AS s, date_trunc('day', now()) AS e \gset
UPDATE metering.setting SET starts_at = :'s';
UPDATE metering.progress SET sealed_until = :'e', billed_until = :'e';
SELECT add_meters('m', 2, 'one') \g /dev/null
INSERT INTO metering.window_grid (window_start, window_end, key_id, reading_interval, slot)
SELECT d, d + interval '1 day', (SELECT key_id FROM metering.setting), '1 hour', metering.month_slot(d)
	FROM generate_series(:'s', :'e'::timestamptz - interval '1 day', interval '1 day') d;
INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, total, readings, expected)
SELECT slot, window_start, 'm1', key_id, encrypted(5), 24, 24 FROM metering.window_grid;
INSERT INTO metering.incomplete (meter_id, window_start, expected, received) SELECT 'm2', window_start, '{1,1}',
	'{1}' FROM metering.window_grid;
INSERT INTO metering.region_hour (region, hour, key_id, total, meters, readings) SELECT 'one', window_start, key_id,
	encrypted(5), 2, 2 FROM metering.window_grid;
INSERT INTO metering.voided_region_hour (region, hour) SELECT region, hour FROM metering.region_hour;
INSERT INTO metering.rollup_log (finished_at, duration, step) SELECT window_start, '0', 'window'
	FROM metering.window_grid;
INSERT INTO metering.uncounted (meter_id, hour, key_id, readings) SELECT 'm2', window_start, key_id, 1
	FROM metering.window_grid;
INSERT INTO metering.lost (since, until, reason) SELECT window_start - interval '1 hour', window_start, 'crash'
	FROM metering.window_grid;

-- registers of one meter at the start of every window; of another one until the 20th of the first month, and now again
INSERT INTO metering.register_series SELECT m, '', key_id, :'s' FROM metering.setting, unnest(ARRAY['m1', 'm2']) m;
INSERT INTO metering.register_read SELECT window_start, m, '', encrypted(EXTRACT(epoch FROM window_start)::int), now()
	FROM metering.window_grid, unnest(ARRAY['m1', 'm2']) m
	WHERE m = 'm1' OR window_start <= :'s'::timestamptz + interval '19 days'
		OR window_start = :'e'::timestamptz - interval '1 day';

-- tables with the time of their oldest row
CREATE FUNCTION oldest() RETURNS TABLE (name text, since timestamptz) LANGUAGE sql AS $$
	SELECT 'bill_window', min(window_start) FROM metering.bill_window UNION ALL SELECT 'window_grid',
		min(window_start) FROM metering.window_grid
	UNION ALL SELECT 'incomplete', min(window_start) FROM metering.incomplete UNION ALL SELECT 'region_hour',
		min(hour) FROM metering.region_hour
	UNION ALL SELECT 'voided', min(hour) FROM metering.voided_region_hour UNION ALL SELECT 'log', min(finished_at)
		FROM metering.rollup_log
	UNION ALL SELECT 'uncounted', min(hour) FROM metering.uncounted UNION ALL SELECT 'lost', min(until)
		FROM metering.lost $$;
SELECT is((SELECT string_agg(DISTINCT since::text, ' ') FROM oldest()), :'s'::timestamptz::text,
	'everything goes back three months');
-- partitions of the first, second and third month
SELECT format('metering.bill_window_%s', to_char(metering.month_slot(:'s'), 'FM00')) AS first,
	format('metering.bill_window_%s', to_char(metering.month_slot(:'s'::timestamptz + interval '1 month'),
		'FM00')) AS second \gset
CREATE TEMPORARY TABLE kept AS SELECT window_start, paillier_bytes(total) AS bytes FROM metering.bill_window;

-- ---- refusals ----

SELECT throws_ok(format('CALL metering.forget(%L)', t), '22023', NULL, 'forget ' || COALESCE(t, 'NULL'))
FROM unnest(ARRAY[NULL, 'infinity', '-infinity', now()::text, (now() - interval '199 days')::text]) t;
UPDATE metering.setting SET retention = '20 days';
SELECT throws_ok(format('CALL metering.forget(%L)', now() - interval '19 days'), '22023', NULL,
	'what may still be sent is not forgotten');
SELECT throws_ok(format('SELECT metering.forget_slot(%s)', n), '22023', format('bill windows have no partition %s',
	n), 'partition ' || n)
FROM unnest(ARRAY[-1, metering.month_slots(), 2147483647, -2147483648]) n;
SELECT throws_ok(format(statement, :'first'), '55000', NULL, statement) FROM unnest(ARRAY['TRUNCATE %s',
	'TRUNCATE metering.bill_window', 'DELETE FROM %s',
	'DELETE FROM metering.region_hour', 'TRUNCATE metering.region_hour']) statement;
SELECT throws_ok(format('UPDATE metering.setting SET starts_at = %L', t), '55000', NULL,
	'the start does not move to ' || t)
FROM unnest(ARRAY[:'s'::timestamptz - interval '1 day', now(), now() - interval '10 days']) t;
SELECT is((SELECT count(*) FROM oldest() WHERE since = :'s') || ' ' || (SELECT starts_at FROM metering.setting),
	'8 ' || :'s'::timestamptz, 'nothing is forgotten by it');
SELECT is(metering.forget_slot(metering.month_slot(:'s')), false, 'a partition from after the start is not emptied');

-- ---- within the second month ----

SELECT :'s'::timestamptz + interval '1 month 10 days' AS b \gset
CALL metering.forget(:'b'::timestamptz + interval '7 hours');
SELECT is((SELECT starts_at FROM metering.setting), :'b'::timestamptz, 'metering starts with the window of that time');
SELECT bag_eq('SELECT * FROM oldest()', format($$ VALUES ('bill_window', %1$L::timestamptz), ('window_grid', %4$L),
	('incomplete', %2$L), ('region_hour', %3$L),
	('voided', %3$L), ('log', %2$L), ('uncounted', %2$L), ('lost', %2$L) $$, :'s'::timestamptz + interval '1 month',
		:'b', :'s', :'s'::timestamptz + interval '19 days'),
	'months that are over are emptied, other rows deleted, regions kept');
SELECT is((SELECT pg_relation_size(:'first')), 0::bigint, 'the partition of the first month is empty');
SELECT bag_eq('SELECT meter_id, min(read_at) AS since, count(*), bool_and(decrypted(register) = EXTRACT(epoch FROM read_at))
		FROM metering.register_read GROUP BY 1',
	format($$ VALUES ('m1', %1$L::timestamptz, %2$s::bigint, true), ('m2', %3$L, 2, true) $$, :'s'::timestamptz + interval '1 month',
		EXTRACT(day FROM :'e'::timestamptz - (:'s'::timestamptz + interval '1 month')), :'s'::timestamptz + interval '19 days'),
	'registers too, but for one that the next bill subtracts');
SELECT is_empty(format($$ SELECT * FROM kept k WHERE window_start >= %L AND NOT EXISTS (SELECT
	FROM metering.bill_window b WHERE b.window_start = k.window_start
	AND paillier_bytes(b.total) = k.bytes) $$, :'s'::timestamptz + interval '1 month'),
		'all later totals are what they were');
SELECT throws_ok(format('TRUNCATE %s', :'second'), '55000', NULL, 'the partition of the second is not emptied by hand');
SELECT throws_ok(format('DELETE FROM metering.region_hour WHERE hour >= %L', :'b'), '55000', NULL,
	'nor are regional totals from after the start deleted');
UPDATE metering.setting SET retention = '200 days';
SELECT throws_ok(format($$ INSERT INTO metering.reading VALUES ('m1', %L, encrypted(1)) $$,
	:'b'::timestamptz - interval '1 hour'), '23514', NULL, 'the door refuses what lies before');
SELECT lives_ok(format($$ INSERT INTO metering.reading VALUES ('m1', %L, encrypted(1)) $$, :'b'),
	'and takes what does not');
SELECT is_empty(format('SELECT * FROM metering.gap WHERE read_at < %L', :'b'), 'nothing of it is asked for');
UPDATE metering.setting SET retention = '20 days';

-- ---- whole months, regions too ----

SELECT date_trunc('month', now() - interval '20 days') AS b \gset
CREATE ROLE forget_operator;
SELECT metering.grant_access('forget_operator', 'operator') \g /dev/null
SET ROLE forget_operator;
CALL metering.forget(:'b', true);
RESET ROLE;
SELECT is((SELECT string_agg(DISTINCT since::text, ' ') FROM oldest() WHERE name <> 'window_grid'), :'b'::timestamptz::text,
	'an operator forgets all of it, regions if it asks to');
CALL metering.forget(:'s', true);
SELECT is((SELECT starts_at FROM metering.setting), :'b'::timestamptz, 'an earlier time changes nothing');
SELECT is((SELECT count(*) FROM metering.bill_window), (SELECT count(*) FROM kept WHERE window_start >= :'b'),
	'later windows are all there');
SELECT is((SELECT string_agg(tgname, ', ') FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
	WHERE relnamespace = 'metering'::regnamespace
	AND tgenabled <> 'O'), NULL, 'no trigger is disabled');
DROP OWNED BY forget_operator;
DROP ROLE forget_operator;

SELECT * FROM finish();
