-- metering_place.sql
--	Another place, silent hours, steps that take several passes, and sessions that
--	block the roll-up.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';
SET client_min_messages = error;

-- no hour becomes due meanwhile
SELECT pg_sleep(left_) FROM (SELECT EXTRACT(epoch
	FROM metering.utc_hour(now() - interval '1 min') + interval '61 min 1 s' - now()) AS left_) x WHERE left_ < 30;

-- An even UTC hour that has been over for long: a bill window of two hours begins.
SELECT date_bin('2 hours', now() - interval '9 hours', '2000-01-01 00:00Z') AS h \gset

CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- ---- another place: the timeline is not what it was ----

SELECT begin_metering($$reading_interval = '30 min', grace = '1 min'$$) \g /dev/null
SELECT add_meters('m', 3, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '5 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '181 min'));
SELECT is((SELECT sealed_until - :'h' || ' ' || billed_until - :'h' FROM metering.progress), '03:00:00 02:00:00',
	'a window and an hour of the next one are sealed');
CREATE TEMPORARY TABLE before AS SELECT * FROM metering.progress;
CREATE TEMPORARY TABLE total AS SELECT window_start, meter_id, paillier_bytes(total) AS bytes FROM metering.bill_window;
SELECT is((SELECT p IS NOT DISTINCT FROM (g.system_identifier, g.database, g.timeline)::text
	FROM metering.progress g, LATERAL (SELECT x::text FROM metering.place() x) y (p)), true,
	'the place is known');
UPDATE metering.progress SET timeline = timeline + 1;
SELECT throws_ok(format(step, t), '55000', 'staging was lost, or comes from another database', step)
FROM (VALUES ('SELECT metering.seal_hour(%L)', at(:'h', '3 hours')), ('SELECT metering.seal_window(%L)', at(:'h', '2 hours')),
	('SELECT metering.sweep(metering.slot(%L))', :'h'::timestamptz)) v (step, t);
CALL metering.rollup(at(:'h', '181 min'));
SELECT is((SELECT count(*) FROM metering.reading) + (SELECT count(*) FROM metering.partial), 0::bigint,
	'staging is emptied');
SELECT is((SELECT metering.utc_hour(now() - interval '1 min') = g.sealed_until FROM metering.progress g), true,
	'hours that are due are closed');
SELECT is((SELECT billed_until FROM metering.progress), (SELECT max(window_end) FROM metering.window_grid
	WHERE window_end <= (SELECT sealed_until FROM metering.progress)),
	'and windows');
SELECT is((SELECT g.epoch <> b.epoch AND g.timeline = b.timeline AND g.epoch = s.epoch FROM metering.progress g,
	before b, metering.staging_since s), true, 'a new epoch begins');
SELECT is((SELECT count(*) FROM metering.region_hour), 3::bigint, 'regions get no total');
SELECT is((SELECT count(*) FROM metering.bill_window WHERE window_start >= at(:'h', '2 hours')
	AND (total IS NOT NULL OR readings > 0)), 0::bigint, 'nor do meters');
SELECT is((SELECT string_agg(DISTINCT format('%s %s', expected, meters), ', ')
	FROM (SELECT sum(expected) AS expected, count(*) AS meters FROM metering.bill_window GROUP BY window_start) x),
	'12 3', 'but every window has its rows');
SELECT is((SELECT bool_and(missing = CASE WHEN window_start = :'h' THEN 0 ELSE 12 END)
	FROM metering.window_grid JOIN metering.sealed_window USING (window_start)), true, 'which lack everything');
SELECT is((SELECT string_agg(format('%s %s %s', since - :'h', until > now() - interval '1 min', reason), ', ')
	FROM metering.lost), '02:00:00 t other place', 'what was lost is written down');
SELECT is((SELECT array_agg(step ORDER BY id DESC) FROM (SELECT *
	FROM metering.rollup_log ORDER BY id DESC LIMIT 1) l), '{place}', 'and logged');
SELECT billed_until AS e, sealed_until AS sealed FROM metering.progress \gset
CALL metering.rollup();
SELECT is((SELECT count(*) FROM metering.lost), 1::bigint, 'once');
-- everything is sent again: what lies in closed windows goes into the next one, which a grace time holds back
SELECT send('m.', :'h', :'sealed', is_late => true), send('m.', :'sealed', date_bin('30 min',
	now() - interval '30 min', '2000-01-01 00:00Z') + interval '30 min') \g /dev/null
UPDATE metering.staging_since SET since = now() - interval '2 min';
CALL metering.rollup();
SELECT is((SELECT sum(duplicates)::int FROM metering.rollup_log), 12, 'what the first window contains is known');
SELECT is((SELECT sum(late) FROM metering.rollup_log WHERE step = 'late'), (SELECT count(*)::numeric FROM sent
	WHERE read_at >= at(:'h', '2 hours') AND read_at < :'sealed'), 'the rest is taken');
-- as if the open window had ended
SELECT is((SELECT sum(decrypted(p.total)) FROM metering.partial p), (SELECT sum(value) FROM sent
	WHERE read_at >= at(:'h', '2 hours') AND read_at < (SELECT sealed_until FROM metering.progress)), 'exactly');
SELECT is_empty($$ SELECT * FROM total t WHERE NOT EXISTS (SELECT FROM metering.bill_window b WHERE (b.window_start,
	b.meter_id) = (t.window_start, t.meter_id)
	AND paillier_bytes(b.total) IS NOT DISTINCT FROM t.bytes) $$, 'no total has changed');

-- the same earlier, by restored(): the lump is sealed
SELECT begin_metering($$reading_interval = '30 min', grace = '1 min'$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '121 min'));
-- the windows up to now were closed elsewhere: this one is the last
UPDATE metering.setting SET grace = now() - at(:'h', '4 hours') - interval '30 min';
SELECT lives_ok('SELECT metering.restored()', 'an operator says that the database was restored');
SELECT send('m.', at(:'h', '2 hours'), at(:'h', '3 hours')) \g /dev/null
CALL metering.rollup();
SELECT is((SELECT sealed_until - :'h' || ' ' || billed_until - :'h' FROM metering.progress), '04:00:00 04:00:00',
	'a window is closed');
SELECT is((SELECT count(*) FROM metering.reading) || ' ' || (SELECT count(*) FROM metering.lost), '0 1',
	'and its readings are gone');
SELECT send('m.', :'h', at(:'h', '4 hours'), is_late => true), send('m.', at(:'h', '4 hours'), at(:'h',
	'6 hours')) \g /dev/null
UPDATE metering.setting SET grace = '1 min';
UPDATE metering.staging_since SET since = now() - interval '2 min';
CALL metering.rollup(at(:'h', '361 min'));
SELECT bag_eq('SELECT window_start, readings, carried FROM metering.bill_window', format($$ SELECT t, r, c
	FROM (VALUES (%L::timestamptz, 4, 0), (%L, 0, 0), (%L, 8, 4)) v (t, r, c),
	generate_series(1, 2) $$, :'h', at(:'h', '2 hours'), at(:'h', '4 hours')),
		'what is sent again is in the next window, as a lump');
SELECT is_empty('SELECT wrong_meters()', 'exactly');
SELECT is((SELECT count(*) FROM metering.gap) || ' ' || (SELECT count(*) FROM metering.incomplete), '0 0',
	'nothing is missing');

-- ---- silent hours ----

SELECT begin_metering($$reading_interval = '30 min'$$) \g /dev/null
SELECT add_meters('m', 4, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '1 hour')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT sealed_until - :'h' FROM metering.progress), interval '1 hour',
	'an hour of which nobody has sent anything waits');
SELECT is(metering.hour_is_silent(at(:'h', '1 hour')), true, 'it is silent');
SELECT send('m1', at(:'h', '3 hours'), at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT sealed_until - :'h' FROM metering.progress), interval '1 hour',
	'one of four meters that has sent newer ones is not enough');
SELECT send('m2', at(:'h', '3 hours'), at(:'h', '210 min')) \g /dev/null
SELECT is(metering.hour_is_silent(at(:'h', '1 hour')), false, 'two are');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT sealed_until - :'h' FROM metering.progress), interval '4 hours',
	'then it is the meters that were silent');
SELECT is(metering.seal_hour(at(:'h', '4 hours')), true, 'seal_hour() seals a silent hour');
SELECT is((SELECT sealed_until - :'h' FROM metering.progress), interval '5 hours', 'if it is asked to');

-- ---- little memory ----

SELECT add_meters('few', 1, 'one') \g /dev/null
SELECT is(metering.slices(1, 'metering.partial'), 1, 'an empty table takes one pass');
SELECT begin_metering($$reading_interval = '30 min', rollup_memory = 4096$$) \g /dev/null
SELECT add_meters('m', 3, 'one'), add_meters('k', 4, 'two') \g /dev/null
SELECT send('..', :'h', at(:'h', '4 hours')) \g /dev/null
SELECT cmp_ok(metering.slices(1000000, metering.staging_partition(metering.slot(:'h'))), '>', 20,
	'a million meters take several passes');
SELECT is(metering.slices(1000000000, metering.staging_partition(metering.slot(:'h'))), 1000,
	'but not more than a thousand');
SELECT is((SELECT bool_and(parts = 1) FROM (SELECT i, count(*) AS parts FROM generate_series(1, 500) i,
	generate_series(0, 6) p
	WHERE (hashtext(i::text) & 2147483647) % 7 = p GROUP BY i) x), true, 'every meter is in one of the slices');
SELECT is(metering.slice('x', 7, 3), '(hashtext(x) & 2147483647) % 7 = 3', 'which are by a hash');
-- very many copies of a reading, in time and late
INSERT INTO metering.reading SELECT r.meter_id, r.read_at, r.energy
FROM metering.reading r CROSS JOIN generate_series(1, 60000) WHERE r.meter_id = 'm1' AND r.read_at = :'h';
CALL metering.rollup(at(:'h', '75 min'));
SELECT is((SELECT duplicates FROM metering.rollup_log WHERE step = 'hour'), 60000::bigint, 'copies count once');
SELECT is_empty('SELECT wrong_regions()', 'exactly');
DELETE FROM sent WHERE meter_id = 'm1' AND read_at = at(:'h', '2 hours');
DELETE FROM metering.reading WHERE meter_id = 'm1' AND read_at = at(:'h', '2 hours');
CALL metering.rollup(at(:'h', '195 min'));
SELECT send('m1', at(:'h', '2 hours'), at(:'h', '150 min'), is_late => true) \g /dev/null
INSERT INTO metering.reading SELECT r.meter_id, r.read_at, r.energy
FROM metering.reading r CROSS JOIN generate_series(1, 60000) WHERE r.meter_id = 'm1' AND r.read_at = at(:'h', '2 hours');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT format('%s %s', sum(late), sum(duplicates)) FROM metering.rollup_log WHERE step = 'late'), '1 60000',
	'and so they do late');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'exactly');

-- seven meters, in five passes
SELECT begin_metering($$reading_interval = '30 min', rollup_memory = 4096$$) \g /dev/null
SELECT add_meters('m', 3, 'one'), add_meters('k', 4, 'two') \g /dev/null
SELECT send('..', :'h', at(:'h', '4 hours')) \g /dev/null
CREATE OR REPLACE FUNCTION metering.slices(groups bigint, source regclass) RETURNS int LANGUAGE sql AS 'SELECT 5';
SELECT send('k1', :'h', at(:'h', '1 hour')) \g /dev/null
CALL metering.rollup(at(:'h', '195 min'));
SELECT send('m1', at(:'h', '30 min'), at(:'h', '1 hour'), is_late => true) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'five passes give the same totals as one');
SELECT is((SELECT sum(readings) || ' ' || count(*) FROM metering.bill_window), '56 14', 'all of them');
SELECT is((SELECT sum(duplicates)::int FROM metering.rollup_log), 3, 'and find what was sent twice');

-- ---- a session that holds a lock on staging ----

SELECT begin_metering($$reading_interval = '30 min', patience = '1 hour'$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
\setenv PGDATABASE :DBNAME
\setenv PGAPPNAME holder
\! psql -XAtq -c BEGIN -c 'LOCK TABLE metering.partial IN ACCESS SHARE MODE' -c 'SELECT pg_sleep(90)' >/dev/null 2>&1 &
CREATE FUNCTION held() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
	WHERE relation = 'metering.partial'::regclass AND application_name = 'holder' $$;
DO $$ BEGIN FOR i IN 1 .. 300 LOOP EXIT WHEN held() > 0; PERFORM pg_sleep(0.1); END LOOP; END $$;
SELECT is(held(), 1::bigint, 'another session holds a lock');
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT billed_until FROM metering.progress), :'h'::timestamptz, 'a window waits for it');
SELECT matches((SELECT blocked_by FROM metering.health), '^session \d+ of role ".+" \(holder\)$', 'health names it');
SELECT matches((SELECT problems::text FROM metering.health), 'could not lock staging since .* because of session',
	'as a problem');
SELECT is(held(), 1::bigint, 'within the patience it goes on');
UPDATE metering.setting SET patience = '1 s';
SELECT pg_sleep(1.1) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT billed_until FROM metering.progress), at(:'h', '2 hours'), 'after it, it is ended');
SELECT is((SELECT format('%s %s', blocked_since, blocked_by) FROM metering.progress) || held(), ' 0',
	'and nothing is blocked any more');
SELECT is_empty('SELECT wrong_meters()', 'the total is exact');

SELECT * FROM finish();
