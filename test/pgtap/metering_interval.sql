-- metering_interval.sql
--	Meters with a reading interval of their own: at the door, in totals, in gaps, in
--	bills, and when it changes.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z') AS h \gset
CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- Readings of a meter by an interval.
CREATE FUNCTION send_every(meter text, step interval, starts timestamptz, ends timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	number bigint;
BEGIN
	WITH new AS (
		INSERT INTO sent SELECT meter, t, (abs(hashtext(meter || EXTRACT(epoch FROM t))) % 5000)::numeric
		FROM generate_series(starts, ends - step, step) t RETURNING *)
	INSERT INTO metering.reading SELECT meter_id, read_at, encrypted(value) FROM new;
	GET DIAGNOSTICS number = ROW_COUNT;
	RETURN number;
END $$;
CREATE FUNCTION refused(meter text, t timestamptz, state text, what text) RETURNS text LANGUAGE sql AS
	$$ SELECT throws_ok(format('INSERT INTO metering.reading VALUES (%L, %L, encrypted(1))', meter, t), state, NULL, what) $$;

SELECT begin_metering($$reading_interval = '10 min', backup_interval = '0', min_meters = 2$$) \g /dev/null
INSERT INTO metering.tariff VALUES ('t');
INSERT INTO metering.rate (tariff, price) VALUES ('t', 0.5);
INSERT INTO metering.meter (meter_id, region, tariff, reading_interval) VALUES ('a', 'r', 't', NULL), ('half', 'r', 't', '30 min'),
	('five', 'r', 't', '5 min'), ('hour', 'r', 't', '1 hour'), ('change', 'r', 't', NULL), ('two', 'r', 't', '2 min');
SELECT throws_ok(format($$UPDATE metering.meter SET reading_interval = %L$$, i), '23514', NULL, i || ' is no interval')
	FROM unnest('{7 min,90 min,0,-5 min,1 day,45 s}'::text[]) i;

-- ---- the door ----

SELECT refused('half', at(:'h', '10 min'), '23514', 'a reading off the grid of its meter');
SELECT refused('a', at(:'h', '5 min'), '23514', 'and off the general grid, of another one');
SELECT refused('hour', date_trunc('hour', now()), '23514', 'before its interval has ended');
SELECT lives_ok($$INSERT INTO metering.reading SELECT 'five', date_bin('5 min', now(), '2000-01-01 00:00Z') - interval '5 min', encrypted(0)$$,
	'an interval that has ended');
TRUNCATE metering.reading;

-- ---- totals, gaps ----

SELECT send_every(m, i::interval, :'h', at(:'h', '4 hours')) FROM (VALUES ('a', '10 min'), ('half', '30 min'), ('hour', '1 hour'),
	('change', '10 min'), ('two', '2 min')) v (m, i) \g /dev/null
SELECT send_every('five', '5 min', :'h', at(:'h', '1 hour')), send_every('five', '5 min', at(:'h', '70 min'), at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '255 min'));
SELECT is_empty('SELECT wrong_regions() UNION ALL SELECT wrong_meters()', 'each total has every reading');
SELECT bag_eq('SELECT hour, readings, expected FROM metering.region_hour', format($$ VALUES (%L::timestamptz, 57::bigint, 57::bigint),
	(%L, 55, 57), (%L, 57, 57), (%L, 57, 57) $$, :'h', at(:'h', '1 hour'), at(:'h', '2 hours'), at(:'h', '3 hours')), 'and what it should have');
SELECT bag_eq('SELECT meter_id, window_start, readings, expected FROM metering.bill_window', format($$ SELECT m, t, n - CASE WHEN m = 'five' AND
	t = %1$L THEN 2 ELSE 0 END, n FROM (VALUES ('a', 12), ('half', 4), ('five', 24), ('hour', 2), ('change', 12), ('two', 60)) v (m, n),
	(VALUES (%1$L::timestamptz), (%2$L)) w (t) $$, :'h', at(:'h', '2 hours')), 'so have bill windows');
SELECT bag_eq('SELECT meter_id, read_at FROM metering.gap', format($$ VALUES ('five', %L::timestamptz), ('five', %L) $$, at(:'h', '60 min'),
	at(:'h', '65 min')), 'only what its own grid lacks is missing');
SELECT is((SELECT sum(missing) FROM metering.bill), 2::numeric, 'bills say so');
SELECT bag_eq('SELECT meter_id, decrypted(amount)::numeric(12, 4) FROM metering.bill',
	'SELECT meter_id, (sum(value) * 0.001 * 0.5)::numeric(12, 4) FROM sent GROUP BY 1', 'and what is owed');
SELECT send_every('five', '5 min', at(:'h', '60 min'), at(:'h', '70 min')) \g /dev/null

-- too few for a total: half of what the meter should send
SELECT send_every('half', '30 min', at(:'h', '4 hours'), at(:'h', '5 hours')), send_every('hour', '1 hour', at(:'h', '4 hours'), at(:'h', '5 hours')),
	send_every('two', '2 min', at(:'h', '4 hours'), at(:'h', '298 min')), send_every('a', '10 min', at(:'h', '4 hours'), at(:'h', '6 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '375 min'));
SELECT bag_eq(format('SELECT meter_id, readings FROM metering.bill_window WHERE window_start = %L AND total IS NOT NULL', at(:'h', '4 hours')),
	$$ VALUES ('half', 2), ('a', 12) $$, 'a share of its own number of readings makes a total');

-- ---- an interval that changes ----

UPDATE metering.meter SET reading_interval = '15 min' WHERE meter_id = 'change';
SELECT is((SELECT until - window_end FROM metering.interval_history, metering.window_of(now()) WHERE meter_id = 'change'), '0'::interval,
	'it holds until the open window ends');
SELECT refused('change', at(:'h', '375 min'), '23514', 'before that the earlier one');
UPDATE metering.interval_history SET until = at(:'h', '8 hours');
-- sessions hear of it with the next change of the meter
UPDATE metering.meter SET region = 'r' WHERE meter_id = 'change';
SELECT refused('change', at(:'h', '8 hours 10 min'), '23514', 'then the later one');
SELECT send_every('change', '10 min', at(:'h', '4 hours'), at(:'h', '8 hours')), send_every('change', '15 min', at(:'h', '8 hours'), at(:'h', '10 hours')),
	send_every('a', '10 min', at(:'h', '6 hours'), at(:'h', '10 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '615 min'));
SELECT bag_eq($$ SELECT window_start, readings, expected FROM metering.bill_window WHERE meter_id = 'change' AND total IS NOT NULL $$,
	format($$ SELECT %1$L::timestamptz + i * interval '2 hours', CASE i WHEN 4 THEN 8 WHEN 3 THEN 24 ELSE 12 END AS r, CASE i WHEN 4 THEN 8 ELSE 12 END AS e
		FROM unnest('{0,1,3,4}'::int[]) i $$, :'h'), 'each window by the interval of its time');
SELECT is_empty($$ SELECT FROM metering.gap WHERE meter_id = 'change' $$, 'nothing is missing');
UPDATE sent SET late = true WHERE (meter_id = 'five' AND read_at BETWEEN at(:'h', '60 min') AND at(:'h', '65 min'))
	OR (meter_id = 'change' AND read_at >= at(:'h', '4 hours') AND read_at < at(:'h', '6 hours'));
SELECT is_empty('SELECT wrong_regions()', 'regional totals');

-- a meter that comes late is asked by its own interval
INSERT INTO metering.meter (meter_id, region, reading_interval, active) VALUES ('late', 'r', '20 min', tstzrange(at(:'h', '2 hours'), at(:'h', '4 hours')));
SELECT is((SELECT string_agg((read_at - :'h')::text, ' ' ORDER BY read_at) FROM metering.gap WHERE meter_id = 'late'),
	'02:00:00 02:20:00 02:40:00 03:00:00 03:20:00 03:40:00', 'what is asked of a late meter');

SELECT * FROM finish();
