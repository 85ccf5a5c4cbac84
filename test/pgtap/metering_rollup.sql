-- metering_rollup.sql
--	The roll-up step by step: exact totals, purge, small groups, late and
--	repeated readings, a ring that has come round, the order of steps, health.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'America/St_Johns';

-- An even UTC hour that has been over for long: a bill window of two hours begins.
SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z') AS h \gset

CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- ---- totals, purge ----

SELECT begin_metering('min_meters = 3') \g /dev/null
SELECT add_meters('n', 3, 'north'), add_meters('s', 2, 'south'), add_meters('e', 4, 'east') \g /dev/null
INSERT INTO metering.meter (meter_id, region, active) VALUES ('v1', 'void', tstzrange(:'h', NULL)),
	('o1', 'over', tstzrange(NULL, :'h'));
SELECT is(send('[nse].', :'h', at(:'h', '4 hours')), 432::bigint, 'nine meters send four hours');
CREATE TABLE staged AS SELECT * FROM metering.reading;
CREATE TABLE file AS SELECT c.oid, c.relfilenode, pg_relation_size(c.oid) AS size
	FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'metering.reading'::regclass;
SELECT is((SELECT count(*) FROM file WHERE size > 0), 4::bigint, 'into four partitions');
SELECT is((SELECT count(*) FROM metering.region_hour), 0::bigint, 'nothing is sealed before it is due');
CALL metering.rollup(at(:'h', '74 min 59 s'));
SELECT is((SELECT count(*) FROM metering.region_hour) || ' ' || (SELECT count(*) FROM metering.reading), '0 432',
	'not within the time of grace');
CALL metering.rollup(at(:'h', '75 min'));
SELECT is((SELECT count(*) FROM metering.region_hour) || ' ' || (SELECT count(*) FROM metering.reading) || ' '
	|| (SELECT count(*) FROM metering.partial) || ' '
	|| (SELECT count(*) FROM metering.bill_window), '4 324 9 0', 'an hour after it');
SELECT is((SELECT count(*) FROM metering.partial p
	WHERE paillier_bytes(total) = (SELECT paillier_bytes(sum(energy)) FROM staged s WHERE s.meter_id = p.meter_id
	AND s.read_at < at(:'h', '1 hour'))), 9::bigint,
	'its partial totals are the products of what was staged');
CALL metering.rollup(at(:'h', '5 hours'));

SELECT is_empty('SELECT wrong_regions()', 'every regional hour is exact');
SELECT is_empty($$ SELECT wrong_meters() $$, 'every meter''s bill is exact');
SELECT is((SELECT count(*) FROM metering.bill_window b WHERE decrypted(b.total) = (SELECT sum(s.value) FROM sent s
	WHERE s.meter_id = b.meter_id AND s.read_at >= b.window_start AND s.read_at < b.window_start + interval '2 hours')),
		18::bigint, 'so is every bill window');
SELECT bag_eq($$ SELECT meter_id, window_start, readings, carried,
	expected FROM metering.bill_window WHERE meter_id IN ('n1', 'v1') $$,
	format($$ VALUES ('n1', %1$L::timestamptz, 24, 0, 24), ('n1', %2$L, 24, 0, 24), ('v1', %1$L, 0, 0, 24),
		('v1', %2$L, 0, 0, 24) $$, :'h', at(:'h', '2 hours')),
	'a silent meter has a row without a total');
SELECT bag_eq('SELECT meter_id, window_start, expected, received, missing FROM metering.incomplete',
	format($$ SELECT 'v1'::text, t, array_fill(((1::bigint << 60) - 1) / 31, ARRAY[2]), '{}'::bigint[],
		24 FROM unnest(ARRAY[%L, %L]::timestamptz[]) t $$, :'h', at(:'h', '2 hours')),
	'and is the only one that is incomplete');
SELECT is((SELECT array_agg(missing ORDER BY window_start) FROM metering.sealed_window
	JOIN metering.window_grid USING (window_start)), '{24,24}', 'what windows lack is counted');
SELECT is((SELECT string_agg(DISTINCT (slot = metering.month_slot(window_start)
	AND tableoid = format('metering.bill_window_%s', to_char(slot, 'FM00'))::regclass)::text, ' ')
	FROM metering.bill_window), 'true', 'every row is in the partition of its month');
SELECT is((SELECT count(*) FROM metering.bill_window WHERE meter_id = 'o1'), 0::bigint,
	'a meter that is not active has none');
SELECT is((SELECT string_agg(DISTINCT format('%s %s %s %s', region, total IS NULL, meters, readings), ', ')
	FROM metering.region_hour), 'east f 4 48, north f 3 36, south t 2 24, void t 0 0',
	'fewer meters than min_meters get their count and no total');
SELECT is((SELECT count(*) FROM metering.region_load), 8::bigint, 'and are not in region_load');
SELECT is((SELECT string_agg(format('%s %s %s %s %s %s %s', step, metering.utc_hour(starts) - :'h', meters, readings,
	duplicates, late, suppressed), ', ' ORDER BY id) FROM metering.rollup_log),
	'hour 00:00:00 9 108 0 0 2, hour 01:00:00 9 108 0 0 2, window 00:00:00 9 216  0 , hour 02:00:00 9 108 0 0 2, hour '
		'03:00:00 9 108 0 0 2, window 02:00:00 9 216  0 ', 'the log of it');
SELECT is((SELECT count(*) FROM metering.reading) + (SELECT count(*) FROM metering.partial) + (SELECT count(*)
	FROM metering.reading_kept) + (SELECT count(*) FROM metering.partial_kept), 0::bigint, 'staging is empty');
SELECT is((SELECT count(*) FROM file JOIN pg_class c USING (oid) WHERE size > 0 AND c.relfilenode <> file.relfilenode),
	4::bigint, 'its partitions have new files');
SELECT is((SELECT count(*) FROM file JOIN pg_class c USING (oid) WHERE size = 0 AND c.relfilenode <> file.relfilenode),
	0::bigint, 'where there was something');
SELECT is((SELECT sum(pg_relation_size(c.oid) + COALESCE(pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0))::int
	FROM pg_class c
	WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND c.relname <> 'staging_since'), 0,
		'no file of staging holds a byte');
DO $$ BEGIN IF current_setting('server_version_num')::int >= 150000 THEN PERFORM pg_stat_force_next_flush();
	ELSE PERFORM pg_sleep(1.1); END IF; END $$;
SELECT is((SELECT sum(n_tup_del + n_tup_upd)::int FROM pg_stat_user_tables WHERE relname ~ '^reading'), 0,
	'no reading was deleted or updated');
SELECT is((SELECT sum(n_tup_ins)::int FROM pg_stat_user_tables WHERE relname ~ '^reading'), 432,
	'of all that were counted');

-- ---- totals are new ciphertexts ----

SELECT is((SELECT count(*) FROM metering.bill_window b WHERE b.total IS NOT NULL
	AND paillier_bytes(b.total) = (SELECT paillier_bytes(sum(energy)) FROM staged s
	WHERE s.meter_id = b.meter_id AND s.read_at >= b.window_start AND s.read_at < b.window_start + interval '2 hours')),
		0::bigint, 'no bill window is the product of what was staged');
SELECT is((SELECT count(*) FROM metering.region_hour r WHERE r.total IS NOT NULL
	AND paillier_bytes(r.total) = (SELECT paillier_bytes(sum(energy)) FROM staged s
	JOIN metering.meter m USING (meter_id)
	WHERE m.region = r.region AND metering.utc_hour(s.read_at) = r.hour)), 0::bigint, 'nor is a regional hour');

-- the smallest: two readings of one meter in a window, two meters with one reading each in an hour
DROP TABLE staged;
SELECT begin_metering($$reading_interval = '1 hour', min_meters = 2, min_share = 0.1$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
CREATE TABLE staged AS SELECT * FROM metering.reading;
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT count(*) FROM metering.bill_window WHERE readings = 2) || ' '
	|| (SELECT count(*) FROM metering.region_hour WHERE total IS NOT NULL), '2 2', 'two readings make a total');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'which is exact');
SELECT is((SELECT count(*) FROM (SELECT total FROM metering.bill_window UNION ALL SELECT total
	FROM metering.region_hour) t
	WHERE paillier_bytes(total) IN (SELECT paillier_bytes(energy) FROM staged
		UNION ALL SELECT paillier_bytes(a.energy + b.energy) FROM staged a, staged b)), 0::bigint,
			'and is neither what was staged nor a product of two of them');
SELECT is((SELECT count(DISTINCT paillier_bytes(x))
	FROM (SELECT energy AS x FROM staged UNION ALL SELECT total FROM metering.bill_window UNION ALL SELECT total
	FROM metering.region_hour) t), 8::bigint,
	'all ciphertexts differ');
-- an hour is a whole window: its only reading is the bill, and is made new as well
DROP TABLE staged;
SELECT begin_metering($$reading_interval = '1 hour', bill_window = '1 hour'$$) \g /dev/null
SELECT add_meters('m', 1, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '1 hour')) \g /dev/null
CREATE TABLE staged AS SELECT * FROM metering.reading;
CALL metering.rollup(at(:'h', '2 hours'));
SELECT is((SELECT readings || ' ' || decrypted(total) = '1 ' || value FROM metering.bill_window, sent), true,
	'a window of one reading');
SELECT is((SELECT paillier_bytes(total) = paillier_bytes(energy) FROM metering.bill_window, staged), false,
	'is another ciphertext of it');

-- ---- sealed is sealed ----

SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT throws_ok(statement, '55000', NULL, statement) FROM unnest(ARRAY[
	'UPDATE metering.region_hour SET total = NULL', 'UPDATE metering.region_hour SET total = total + 0',
		'UPDATE metering.region_hour SET meters = meters',
	'DELETE FROM metering.region_hour', 'TRUNCATE metering.region_hour',
	'UPDATE metering.bill_window SET total = NULL', 'UPDATE metering.bill_window SET total = total + 1',
		'UPDATE metering.bill_window SET total = paillier_rerandomize(total)',
	'UPDATE metering.bill_window SET total = paillier_ciphertext(paillier_bytes(total), key_id, 2)',
	'UPDATE metering.bill_window SET readings = readings + 1', 'UPDATE metering.bill_window SET carried = 1',
		'UPDATE metering.bill_window SET meter_id = meter_id || ''x''',
	'UPDATE metering.bill_window SET window_start = window_start - interval ''1 day''',
		'UPDATE metering.bill_window SET key_id = ''''',
	'DELETE FROM metering.bill_window', 'TRUNCATE metering.bill_window',
		'TRUNCATE metering.region_hour, metering.bill_window CASCADE']) statement;
SELECT min(tableoid)::regclass AS partition FROM metering.bill_window \gset
SELECT throws_ok(format(statement, :'partition'), '55000', NULL, format(statement, 'a partition')) FROM unnest(ARRAY[
	'TRUNCATE %s', 'DELETE FROM %s', 'UPDATE %s SET readings = 1']) statement;
SELECT is((SELECT count(*) FROM metering.bill_window WHERE total IS NOT NULL), 2::bigint, 'all totals are there');

-- ---- late readings, duplicates ----

SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 3, 'one') \g /dev/null
-- one reading of a window that will be sealed is missing, and one of an hour whose window stays open
SELECT send('m[23]', :'h', at(:'h', '3 hours')), send('m1', :'h', at(:'h', '10 min')),
	send('m1', at(:'h', '15 min'), at(:'h', '140 min')),
	send('m1', at(:'h', '145 min'), at(:'h', '3 hours')) \g /dev/null
-- sent twice before the hour is sealed, once with another value
SELECT send('m2', :'h', at(:'h', '20 min')) \g /dev/null
INSERT INTO metering.reading VALUES ('m3', :'h', encrypted(999999));
CALL metering.rollup(at(:'h', '195 min'));
SELECT is((SELECT string_agg(format('%s %s', readings, duplicates), ', ' ORDER BY id) FROM metering.rollup_log
	WHERE step = 'hour'), '35 5, 36 0, 35 0', 'three hours; what came twice is counted once');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'with the value that came first');
SELECT bag_eq('SELECT * FROM metering.gap', format($$ VALUES ('m1', %L::timestamptz, 'reading') $$, at(:'h', '10 min')),
	'one reading of the sealed window is missing; the open one is not asked about');
SELECT is((SELECT count(*) FROM metering.acknowledged), 0::bigint, 'meters may forget nothing that no backup contains');
UPDATE metering.setting SET backup_interval = '0';
SELECT is((SELECT string_agg(format('%s %s', meter_id, until - :'h'), ', ' ORDER BY meter_id)
	FROM metering.acknowledged), 'm1 00:00:00, m2 02:00:00, m3 02:00:00',
	'meters may forget windows before the first that lacks a reading');
UPDATE metering.setting SET backup_interval = now() - at(:'h', '2 hours') + interval '1 min';
SELECT is((SELECT count(*) FROM metering.acknowledged), 0::bigint,
	'but not those that end less than the backup interval ago');
UPDATE metering.setting SET backup_interval = now() - at(:'h', '2 hours') - interval '1 min';
SELECT is((SELECT count(*) FROM metering.acknowledged), 3::bigint, 'as soon as they have');
UPDATE metering.setting SET backup_interval = '0';
CREATE TABLE before AS SELECT region, hour, total::text, meters, readings FROM metering.region_hour;
CREATE TABLE before_bill AS SELECT meter_id, total::text, readings, expected FROM metering.bill_window;

SELECT send('m1', at(:'h', '10 min'), at(:'h', '15 min'), is_late => true),
	send('m1', at(:'h', '140 min'), at(:'h', '145 min'), is_late => true) \g /dev/null
SELECT is((SELECT count(*) FROM metering.gap), 1::bigint, 'what is staged is missing until a total contains it');
-- again, and what is counted already: in a sealed window, in an open one
SELECT send('m1', at(:'h', '10 min'), at(:'h', '15 min')), send('m2', :'h', at(:'h', '10 min')),
	send('m3', at(:'h', '2 hours'), at(:'h', '130 min')) \g /dev/null
CALL metering.rollup(at(:'h', '200 min'));
-- partitions are swept in the order of the ring, which hours wrap round
SELECT is((SELECT string_agg(format('%s %s', late, duplicates), ', ' ORDER BY duplicates DESC) FROM metering.rollup_log
	WHERE step = 'late'), '1 3, 1 2', 'two are taken, five were there before');
SELECT is((SELECT count(*) FROM metering.reading), 0::bigint, 'and all are gone from staging');
SELECT is((SELECT count(*) FROM metering.gap), 1::bigint, 'also while it waits in partial totals');
SELECT is((SELECT string_agg(format('%s %s', meter_id, until - :'h'), ', ' ORDER BY meter_id)
	FROM metering.acknowledged), 'm1 00:00:00, m2 02:00:00, m3 02:00:00', 'and it may not be forgotten yet');
SELECT send('m1', at(:'h', '10 min'), at(:'h', '15 min')) \g /dev/null
CALL metering.rollup(at(:'h', '200 min'));
SELECT is((SELECT format('%s %s', late, duplicates) FROM metering.rollup_log ORDER BY id DESC LIMIT 1), '0 1',
	'once more, while they wait');
SELECT send('m.', at(:'h', '3 hours'), at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT bag_eq('SELECT region, hour, total::text, meters, readings FROM metering.region_hour WHERE hour < '
	|| quote_literal(at(:'h', '3 hours')), 'SELECT * FROM before', 'late readings change no regional hour');
SELECT bag_eq('SELECT meter_id, total::text, readings, expected FROM metering.bill_window WHERE window_start = '
	|| quote_literal(:'h'), 'SELECT * FROM before_bill', 'nor the total of a sealed window');
SELECT bag_eq($$ SELECT meter_id, window_start, readings, carried FROM metering.bill_window WHERE meter_id <> 'm3' $$,
	format($$ VALUES ('m1', %1$L::timestamptz, 23, 0), ('m1', %2$L, 25, 1), ('m2', %1$L, 24, 0), ('m2', %2$L, 24, 0) $$,
		:'h', at(:'h', '2 hours')), 'one is carried into the next window');
SELECT is((SELECT count(*) FROM metering.incomplete) || ' ' || (SELECT count(*) FROM metering.gap) || ' '
	|| (SELECT sum(missing) FROM metering.window_grid), '0 0 0', 'its own lacks nothing any more');
SELECT is((SELECT decrypted(total) FROM metering.bill_window WHERE meter_id = 'm1' AND carried = 1),
	(SELECT sum(value) FROM sent WHERE meter_id = 'm1'
		AND (read_at >= at(:'h', '2 hours') OR read_at = at(:'h', '10 min'))), 'and is in its total');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'all bills are exact');
SELECT is((SELECT string_agg(DISTINCT format('%s', until - :'h'), ', ') FROM metering.acknowledged), '04:00:00',
	'all may be forgotten');
SELECT send('m1', at(:'h', '10 min'), at(:'h', '15 min')),
	send('m1', at(:'h', '140 min'), at(:'h', '145 min')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT string_agg(format('%s %s', late, duplicates), ', ')
	FROM (SELECT late, duplicates FROM metering.rollup_log ORDER BY id DESC LIMIT 2) l) || ' '
	|| (SELECT count(*) FROM metering.partial), '0 1, 0 1 0',
	'once more, when they are sealed');

-- a meter with too few readings for a total of its own
SELECT begin_metering('min_share = 0.125, backup_interval = ''0''') \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m2', :'h', at(:'h', '4 hours')), send('m1', :'h', at(:'h', '10 min')),
	send('m1', at(:'h', '2 hours'), at(:'h', '150 min')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT format('%s %s %s', total IS NULL, readings, expected) FROM metering.bill_window
	WHERE meter_id = 'm1'), 't 0 24', 'two readings where three are needed: no total');
SELECT is((SELECT format('%s %s %s', meter_id, received, missing) FROM metering.incomplete), 'm1 {} 24',
	'nothing is received');
SELECT is((SELECT string_agg(format('%s %s', meter_id, readings), ', ') FROM metering.partial WHERE hour = :'h'),
	'm1 2', 'they wait');
SELECT is((SELECT count(*) FROM metering.gap WHERE meter_id = 'm1'), 24::bigint,
	'and are missing until a total contains them');
SELECT send('m1', :'h', at(:'h', '10 min')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT is((SELECT format('%s %s', late, duplicates) FROM metering.rollup_log ORDER BY id DESC LIMIT 1), '0 2',
	'sent again, they are known');
SELECT is((SELECT until FROM metering.acknowledged WHERE meter_id = 'm1'), :'h'::timestamptz,
	'and may not be forgotten');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT bag_eq($$ SELECT window_start, readings, carried, expected FROM metering.bill_window WHERE meter_id = 'm1' $$,
	format($$ VALUES (%L::timestamptz, 0, 0, 24), (%L, 8, 2, 24) $$, :'h', at(:'h', '2 hours')),
		'and go into the next window');
SELECT bag_eq('SELECT window_start, received, missing FROM metering.incomplete', format($$
	SELECT t, ARRAY[(SELECT bit_or(1::bigint << i) FROM generate_series(0, 5 * n - 5, 5) i)],
		24 - n FROM (VALUES (%L::timestamptz, 2), (%L, 6)) v (t, n) $$,
	:'h', at(:'h', '2 hours')), 'each window knows what it has received');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'exactly');

-- readings that were staged before metering was told to start later
SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '4 hours')) \g /dev/null
UPDATE metering.setting SET starts_at = at(:'h', '2 hours');
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT string_agg(format('%s %s', step, refused), ', ' ORDER BY id) FROM metering.rollup_log),
	'hour 0, hour 0, late 24, late 24, window ', 'readings from before the start are dropped');
SELECT is((SELECT count(*) FROM metering.reading), 0::bigint, 'and gone');
SELECT is((SELECT count(*) FROM metering.gap), 0::bigint, 'nothing is missing from before the start');
SELECT is((SELECT string_agg(DISTINCT (hour - :'h')::text, ', ') FROM metering.region_hour) || ' '
	|| (SELECT min(window_start) - :'h' FROM metering.bill_window), '02:00:00, 03:00:00 02:00:00',
	'and nowhere in the totals');
SELECT is((SELECT sum(decrypted(total)) FROM metering.bill_window),
	(SELECT sum(value) FROM sent WHERE read_at >= at(:'h', '2 hours')), 'which are exact');
-- a start that is no start of a window
SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
UPDATE metering.setting SET starts_at = at(:'h', '90 min');
SELECT throws_ok(format($$ INSERT INTO metering.reading VALUES ('m1', %L, encrypted(1)) $$, at(:'h', '85 min')),
	'23514', NULL, 'a reading before the start is refused');
SELECT is((SELECT count(*) FROM metering.gap), 0::bigint, 'and not asked for');

-- ---- the ring comes round ----

SELECT begin_metering($$reading_interval = '15 min'$$) \g /dev/null
SELECT date_bin('2 hours', now() - interval '110 hours', '2000-01-01 00:00Z') AS r \gset
SELECT add_meters('m', 3, 'one') \g /dev/null
SELECT is(send('m.', :'r', at(:'r', '104 hours')), 1248::bigint, '104 hours are staged');
SELECT is((SELECT count(DISTINCT metering.utc_hour(read_at)) FROM metering.reading
	WHERE metering.slot(read_at) = metering.slot(:'r')), 3::bigint, 'some partitions hold three of them');
CALL metering.rollup(at(:'r', '75 min'));
SELECT is((SELECT count(*) FROM metering.reading) || ' '
	|| (SELECT count(*) FROM metering.reading WHERE metering.slot(read_at) = metering.slot(:'r')) || ' '
	|| (SELECT count(*) FROM metering.reading_kept), '1236 24 0',
	'sealing the first of them leaves the others where they are');
SELECT is((SELECT count(*) FROM metering.reading r JOIN sent s USING (meter_id, read_at)
	WHERE decrypted(r.energy) = s.value), 1236::bigint, 'and what they are');
-- a meter that is not to send any more has readings in a partition that comes round; an error would stop the roll-up
-- for good
UPDATE metering.meter SET active = tstzrange(NULL, at(:'r', '40 hours')) WHERE meter_id = 'm2';
\set ON_ERROR_STOP 0
CALL metering.rollup(at(:'r', '150 min'));
\set ON_ERROR_STOP 1
SELECT is((SELECT sealed_until - :'r' FROM metering.progress), interval '2 hours',
	'readings that were accepted once are not looked at again');
UPDATE metering.meter SET active = '(,)';
CALL metering.rollup(at(:'r', '50 hours'));
CALL metering.rollup(at(:'r', '200 hours'));
SELECT is((SELECT count(*) FROM metering.region_hour WHERE readings > 0) || ' '
	|| (SELECT count(*) FROM metering.bill_window WHERE readings > 0), '104 156',
	'104 hours and 52 windows are sealed, however late');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'exactly');
SELECT is((SELECT sum(duplicates + refused + late)::int FROM metering.rollup_log), 0,
	'nothing was taken for anything else');
SELECT is((SELECT count(*) FROM metering.reading), 0::bigint, 'staging is empty');

-- ---- what is next ----

-- Do the next step and say which it was.
CREATE FUNCTION next(as_of timestamptz, origin timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	due record;
	sealed boolean;
BEGIN
	SELECT * INTO due FROM metering.next_step(as_of);
	EXECUTE CASE due.step WHEN 'hour' THEN 'SELECT metering.seal_hour($1)'
		WHEN 'window' THEN 'SELECT metering.seal_window($1)' ELSE 'SELECT NULL' END INTO sealed USING due.starts;
	RETURN format('%s %s', due.step, due.starts - origin);
END
$$;
SELECT begin_metering() \g /dev/null
SELECT is(next(now(), :'h'), ' ', 'nothing to do without meters');
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT is(next(now(), :'h'), ' ', 'nor without readings');
SELECT send('m.', at(:'h', '90 min'), at(:'h', '4 hours')) \g /dev/null
SELECT is(next(as_of, :'h'), step, step || ' as of ' || (as_of - :'h')) FROM (VALUES
	(1, at(:'h', '0'), ' '), (2, at(:'h', '74 min'), ' '), (3, at(:'h', '75 min'), 'hour 00:00:00'),
		(4, at(:'h', '75 min'), ' '), (5, at(:'h', '135 min'), 'hour 01:00:00'),
	-- a window comes before the hour after it, and without waiting
	(6, at(:'h', '0'), 'window 00:00:00'), (7, at(:'h', '9 hours'), 'hour 02:00:00'),
		(8, at(:'h', '9 hours'), 'hour 03:00:00'), (9, at(:'h', '9 hours'), 'window 02:00:00'),
	-- nobody has sent anything of the fifth hour or later
	(10, at(:'h', '6 hours'), ' '), (11, now(), ' ')) v (n, as_of, step) ORDER BY n;
SELECT is((SELECT starts_at FROM metering.setting), :'h'::timestamptz,
	'metering began with the window of the first reading');
SELECT throws_ok($$ UPDATE metering.setting SET starts_at = starts_at - interval '1 day' $$, '55000', NULL,
	'which stays so');
SELECT is(metering.seal_hour(:'h') AND metering.seal_window(:'h'), true, 'what is sealed is not sealed again');
SELECT is((SELECT count(*) FROM metering.rollup_log WHERE step = 'hour') || ' '
	|| (SELECT count(*) FROM metering.rollup_log WHERE step = 'window'), '4 2', 'and nothing was done for it');
-- nothing is sealed before its time, whoever asks
SELECT begin_metering() \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '75 min'));
SELECT throws_ok(format('SELECT metering.seal_window(%L)', :'h'), '55000', NULL,
	'a window is not sealed before its last hour');
SELECT is((SELECT billed_until FROM metering.progress), :'h'::timestamptz, 'and stays open');
SELECT send('m1', t, t + interval '5 min') FROM date_bin('5 min', now() - interval '5 min', '2000-01-01 00:00Z') t
	\g /dev/null
CALL metering.rollup('infinity');
SELECT is((SELECT sealed_until <= now() - interval '15 min' FROM metering.progress), true,
	'a roll-up as of the future seals no future hour');
SELECT throws_ok(format('SELECT metering.seal_hour(%L)', sealed_until), '55000', NULL, 'nor does anybody')
	FROM metering.progress;

-- ---- after a loss of staging ----

SELECT begin_metering($$grace = '1 min'$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
SELECT send('m.', :'h', at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '70 min'));
-- what a crash does
DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(oid::regclass::text, ', ') FROM pg_class
	WHERE relpersistence = 'u' AND relkind = 'r'); END $$;
CALL metering.rollup(at(:'h', '130 min'));
SELECT is((SELECT string_agg(step, ' ' ORDER BY id) FROM metering.rollup_log), 'hour restart',
	'the loss is noticed, and nothing sealed');
SELECT is((SELECT string_agg(format('%s %s %s', since - :'h', until > now() - interval '1 min', reason), ', ')
	FROM metering.lost), '00:00:00 t crash',
	'what was staged is lost, and what was partial');
SELECT is((SELECT s.since = l.until FROM metering.staging_since s, metering.lost l), true, 'since now');
SELECT send('m.', at(:'h', '1 hour'), at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '130 min'));
SELECT is((SELECT sealed_until FROM metering.progress), at(:'h', '1 hour'),
	'an hour waits, although its readings are there: more may come');
SELECT send('m.', :'h', at(:'h', '1 hour')) \g /dev/null
UPDATE metering.staging_since SET since = clock_timestamp() - interval '50 s';
CALL metering.rollup(at(:'h', '130 min'));
SELECT is((SELECT sealed_until FROM metering.progress), at(:'h', '1 hour'), 'for the whole time of grace');
UPDATE metering.staging_since SET since = clock_timestamp() - interval '61 s';
CALL metering.rollup(at(:'h', '130 min'));
SELECT is((SELECT sealed_until - :'h' || ' ' || billed_until - :'h' FROM metering.progress), '02:00:00 02:00:00',
	'then it is sealed, and the window');
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'all totals are exact');
SELECT is((SELECT count(*) FROM metering.gap) || ' ' || (SELECT count(*) FROM metering.lost), '0 1',
	'nothing is missing; the loss stays written down');
-- what never comes again is not waited for longer than the grace time
SELECT send('m.', at(:'h', '2 hours'), at(:'h', '4 hours')) \g /dev/null
DELETE FROM sent WHERE read_at >= at(:'h', '2 hours');
DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg(inhrelid::regclass::text, ', ') FROM pg_inherits
	WHERE inhparent = 'metering.reading'::regclass); END $$;
SELECT send('m1', at(:'h', '4 hours'), at(:'h', '5 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT is((SELECT billed_until - :'h' FROM metering.progress), interval '4 hours',
	'what is lost for good is not waited for');
SELECT is_empty('SELECT wrong_meters()', 'and counted nowhere');

-- ---- health ----

SELECT begin_metering() \g /dev/null
SELECT is((SELECT problems FROM metering.health), '{}', 'a new pipeline has no problems');
DROP EXTENSION paillier_metering;
CREATE EXTENSION paillier_metering;
SELECT is((SELECT problems FROM metering.health), ARRAY['no key: register one and put its id into metering.setting'],
	'but needs a key');
SELECT begin_metering($$grace = '1 hour', bill_window = '1 hour', min_meters = 2$$) \g /dev/null
SELECT add_meters('m', 2, 'one') \g /dev/null
-- not at the end of an hour, after which one more is due
SELECT pg_sleep(left_) FROM (SELECT EXTRACT(epoch FROM metering.utc_hour(now()) + interval '1 hour 1 s' - now())
	AS left_) x WHERE left_ < 20;
SELECT metering.utc_hour(now() - interval '1 hour') - interval '10 hours' AS t \gset
SELECT send('m.', :'t', at(:'t', '10 hours')) \g /dev/null
CALL metering.rollup(at(:'t', '2 hours'));
SELECT is((SELECT hours_overdue FROM metering.health), 9, 'hours that are due');
SELECT is((SELECT problems FROM metering.health), (SELECT ARRAY[hours_overdue
	|| ' hours are due: call metering.rollup(), and see its notices if it leaves them'] FROM metering.health),
	'are said to be');
SELECT is((SELECT oldest_unsealed_hour FROM metering.health), at(:'t', '1 hour'), 'the next one');
SELECT is((SELECT staged_bytes > 9 * 8192 - 1 FROM metering.health), true, 'what is staged has a size');
CALL metering.rollup();
SELECT is((SELECT problems FROM metering.health), '{}', 'no problem once they are sealed');
SELECT is((SELECT staged_bytes FROM metering.health) <= 8192, true, 'and staging is small');
INSERT INTO metering.meter (meter_id, region, active) VALUES ('late', 'alone', tstzrange(:'t', NULL));
UPDATE metering.setting SET grace = '0', clock_tolerance = '10 min';
-- or the hour would be silent
SELECT send('m1', metering.utc_hour(now()), metering.utc_hour(now()) + interval '5 min') \g /dev/null
CALL metering.rollup();
SELECT is((SELECT problems[1] FROM metering.health), format('%s readings are missing: see metering.gap', gaps),
	'missing readings are counted') FROM metering.health;
SELECT is((SELECT gaps FROM metering.health), (SELECT count(*) FROM metering.gap), 'as many as are listed');
SELECT is((SELECT count(*) FROM metering.gap WHERE meter_id = 'late'), 132::bigint,
	'eleven hours of the late meter among them');
SELECT is((SELECT problems[2] FROM metering.health),
	suppressed_last_day || ' regional hours of the last day have no total because too few meters contributed',
	'so are regions without a total') FROM metering.health;
TRUNCATE metering.staging_since;
CALL metering.rollup();
SELECT is((SELECT problems[1] FROM metering.health),
	format('staging was lost at %s: have the readings in metering.lost sent again', staging_lost_at),
	'a loss of staging is told') FROM metering.health;
ALTER EVENT TRIGGER paillier_metering_guard DISABLE;
ALTER TABLE metering.reading_05 SET LOGGED;
ALTER TABLE metering.partial SET LOGGED;
SELECT is((SELECT problems[array_upper(problems, 1)] FROM metering.health),
	'2 staging tables are logged: readings leave traces', 'so is staging that is logged');

SELECT * FROM finish();
