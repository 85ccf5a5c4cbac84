-- metering_time.sql
--	Hours, slots of the ring, bitmaps, bill windows in every time zone and of
--	every length, and how many readings are expected.

\ir fixture.psql
SELECT no_plan();
-- what is tested must not depend on it
SET timezone = 'America/St_Johns';

-- ---- hours, slots, bits ----

SELECT is(metering.utc_hour(t::timestamptz), h::timestamptz, t) FROM (VALUES
	('2026-01-31 12:00Z', '2026-01-31 12:00Z'), ('2026-01-31 12:59:59.999999Z', '2026-01-31 12:00Z'),
		('2026-01-31 13:30+05:30', '2026-01-31 08:00Z'),
	('2000-01-01 00:00Z', '2000-01-01 00:00Z'), ('1999-12-31 23:59:59.999999Z', '1999-12-31 23:00Z'),
		('1999-12-31 23:00Z', '1999-12-31 23:00Z'),
	('1970-01-01 00:30Z', '1970-01-01 00:00Z'), ('0001-01-01 00:20Z BC', '0001-01-01 00:00Z BC'),
		('294276-12-31 23:59Z', '294276-12-31 23:00Z')) v (t, h);
SELECT throws_ok(format('SELECT metering.%I(%L)', f, t), '22008', 'time must be finite', format('%s of %s', f, t))
	FROM unnest(ARRAY['utc_hour', 'slot']) f, unnest(ARRAY['infinity', '-infinity']) t;
SELECT is((SELECT count(*) FROM generate_series(-3000, 3000) i
	WHERE metering.slot('2000-01-01 00:00Z'::timestamptz + i * interval '1 hour') <> (i % 48 + 48) % 48
		OR metering.slot('2000-01-01 00:59:59.999999Z'::timestamptz + i * interval '1 hour') <> (i % 48 + 48) % 48),
			0::bigint, 'the slot is the number of the hour modulo 48, before 2000 too');
SELECT is((SELECT count(DISTINCT metering.slot(h))
	FROM generate_series('2025-03-29 00:00Z', '2025-03-30 23:00Z', interval '1 hour') h), 48::bigint,
	'48 hours in a row fill the ring, over a change of daylight saving time too');
SELECT is((SELECT string_agg(metering.reading_bit('2026-01-31 12:00Z'::timestamptz + i * (m || ' min')::interval,
	m)::text, ' ' ORDER BY i)
	FROM generate_series(0, 60 / m - 1) i), bits, 'bits of readings every ' || m || ' minutes') FROM (VALUES
	(60, '1'), (30, '1 2'), (15, '1 2 4 8'), (10, '1 2 4 8 16 32'), (5, '1 2 4 8 16 32 64 128 256 512 1024 2048')) v (m,
		bits);
SELECT is((SELECT bit_or(metering.reading_bit('2026-01-31 12:00Z'::timestamptz + i * interval '1 min', 1))
	FROM generate_series(0, 59) i), (1::bigint << 60) - 1, 'sixty bits of an hour of minutes');
SELECT throws_ok('SELECT metering.reading_bit(now(), ' || m || ')', '22023', NULL, m || ' minutes are no interval')
	FROM unnest(ARRAY[0, -5, 61]) m;
SELECT is(metering.bits(received), expected, 'bits of ' || received)
	FROM (VALUES (0::bigint, 0), (1, 1), (4095, 12), (2730, 6), ((1::bigint << 60) - 1, 60), (1::bigint << 59, 1),
	(-1, 64)) v (received, expected);
SELECT is(metering.add_received(received::bigint[], place, bits), expected::bigint[],
	format('%s with %s at %s', received, bits, place)) FROM (VALUES
	('{}', 1, 5::bigint, '{5}'), ('{}', 3, 5, '{0,0,5}'), ('{1,2}', 2, 5, '{1,7}'), ('{1,2}', 4, 1, '{1,2,0,1}'),
		('{7}', 1, 2, '{7}')) v (received, place, bits, expected);

-- ---- readings expected ----

SELECT is(metering.expected_readings(active::tstzrange, '2026-01-31 12:00Z', '2026-01-31 14:00Z', step::interval),
	expected, format('%s every %s in two hours', active, step)) FROM (VALUES
	('(,)', '5 min', 24), ('(,)', '1 min', 120), ('(,)', '10 min', 12), ('(,)', '15 min', 8), ('(,)', '30 min', 4),
		('(,)', '1 hour', 2),
	('[2026-01-01 00:00Z,)', '5 min', 24), ('[-infinity,infinity)', '5 min', 24),
		('[2026-01-31 12:00Z,2026-01-31 14:00Z)', '5 min', 24),
	-- a reading is expected when its start lies in the range
	('[2026-01-31 13:00Z,)', '5 min', 12), ('[2026-01-31 13:00:01Z,)', '5 min', 11),
		('[2026-01-31 13:04:59Z,)', '5 min', 11), ('[2026-01-31 12:59:59Z,)', '5 min', 12),
	('(,2026-01-31 13:00Z)', '5 min', 12), ('(,2026-01-31 13:00:01Z)', '5 min', 13),
		('(,2026-01-31 12:59:59Z)', '5 min', 12), ('(,2026-01-31 12:55Z)', '5 min', 11),
	('[2026-01-31 12:10Z,2026-01-31 12:20Z)', '5 min', 2), ('[2026-01-31 12:11Z,2026-01-31 12:12Z)', '5 min', 0),
		('[2026-01-31 12:10Z,2026-01-31 12:11Z)', '5 min', 1),
	('[2026-01-31 13:59Z,)', '1 min', 1), ('[2026-01-31 13:30Z,)', '1 hour', 0), ('[2026-01-31 12:30Z,)', '1 hour', 1),
	('[2026-01-31 14:00Z,)', '5 min', 0), ('(,2026-01-31 12:00Z)', '5 min', 0), ('[2026-03-01 00:00Z,)', '5 min', 0),
		('(,2025-12-01 00:00Z)', '5 min', 0)) v (active, step, expected);
SELECT is((SELECT count(*) FROM generate_series(-20, 140) a, generate_series(a + 1, 145, 7) b,
	unnest(ARRAY[1, 5, 15, 60]) m,
	LATERAL (SELECT '2026-01-31 12:00Z'::timestamptz AS t) s
	WHERE metering.expected_readings(tstzrange(t + a * interval '1 min', t + b * interval '1 min'), t,
		t + interval '2 hours', m * interval '1 min')
		<> (SELECT count(*) FROM generate_series(0, 119, m) i WHERE i >= a AND i < b)), 0::bigint,
			'as many as there are starts in the range, for ranges of all kinds');
SELECT is(metering.expected_readings('(,)', '2025-03-29 23:00Z', '2025-03-30 22:00Z', '5 min'), 276,
	'a day of 23 hours');
SELECT is(metering.expected_readings('(,)', '2025-10-25 22:00Z', '2025-10-26 23:00Z', '5 min'), 300,
	'a day of 25 hours');

-- ---- bill windows ----

-- The windows of a year, walked from one to the next.  Not before the first
-- reading: a change of settings takes effect at once.
CREATE TABLE walked (zone text, hours int, number int, window_start timestamptz, window_end timestamptz);
CREATE FUNCTION walk(walk_zone text, walk_hours int, starts timestamptz,
	ends timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	w record;
	number int := 0;
BEGIN
	UPDATE metering.setting SET zone = walk_zone, bill_window = walk_hours * interval '1 hour';
	WHILE starts < ends LOOP
		SELECT * INTO w FROM metering.window_of(starts);
		INSERT INTO walked VALUES (walk_zone, walk_hours, number, w.window_start, w.window_end);
		IF w.window_end <= starts THEN RAISE 'window % ends at %', starts, w.window_end; END IF;
		starts := w.window_end;
		number := number + 1;
	END LOOP;
	RETURN number;
END
$$;
SELECT count(walk(zone, hours, '2025-01-01 00:00Z', '2026-01-03 00:00Z')) AS x
FROM unnest(ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe']) zone,
	unnest(ARRAY[1, 2, 4, 6, 12, 24]) hours \gset
SELECT ok(:x = 30, '30 walks: five zones, six lengths');

SELECT is((SELECT count(*) FROM (SELECT window_start,
	lag(window_end) OVER (PARTITION BY zone, hours ORDER BY number) AS before FROM walked) w
	WHERE before <> window_start), 0::bigint,
	'each window begins where the one before ends: no hole, no overlap');
SELECT is((SELECT count(*) FROM walked WHERE window_start <> metering.utc_hour(window_start)
	OR window_end <> metering.utc_hour(window_end)), 0::bigint, 'on whole UTC hours');

-- windows per zone and length by how much longer or shorter than usual they are, whole ones only
CREATE TEMPORARY VIEW length AS
SELECT zone, hours, string_agg(format('%sx%s', count, real_hours), ' ' ORDER BY real_hours) AS lengths FROM (
	SELECT zone, hours, EXTRACT(epoch FROM window_end - window_start)::int / 3600 AS real_hours, count(*)
	FROM walked WHERE window_start >= '2025-01-02 00:00Z' AND window_end <= '2026-01-02 00:00Z' GROUP BY 1, 2, 3) c
		GROUP BY 1, 2;
SELECT is((SELECT lengths FROM length l WHERE l.zone = v.zone AND l.hours = v.hours), v.lengths,
	format('windows of %s hours in %s', v.hours, v.zone)) FROM (VALUES
	('UTC', 1, '8760x1'), ('UTC', 2, '4380x2'), ('UTC', 4, '2190x4'), ('UTC', 6, '1460x6'), ('UTC', 12, '730x12'),
		('UTC', 24, '365x24'),
	-- half an hour off: windows start at the first whole UTC hour in them; the last one is cut by the period
	('Asia/Kolkata', 24, '364x24'), ('Asia/Kolkata', 1, '8760x1'),
	-- an hour less in spring and more in autumn, in the window the change falls into
	('Europe/Berlin', 24, '1x23 362x24 1x25'), ('America/New_York', 24, '1x23 362x24 1x25'),
		('Australia/Lord_Howe', 24, '1x23 362x24 1x25'),
	('Europe/Berlin', 2, '1x1 4377x2 1x3'), ('America/New_York', 2, '1x1 4377x2 1x3'),
		('Europe/Berlin', 12, '1x11 727x12 1x13'),
	-- windows of an hour: 02:00 is skipped, and comes twice
	('Europe/Berlin', 1, '8758x1 1x2'), ('America/New_York', 1, '8758x1 1x2')) v (zone, hours, lengths);
SELECT is((SELECT array_agg(format('%s %s %s', zone, window_start AT TIME ZONE 'UTC',
	(EXTRACT(epoch FROM window_end - window_start) / 3600)::int)::text ORDER BY window_start) FROM walked
	WHERE hours = 24 AND number > 0 AND window_end - window_start <> interval '24 hours'), ARRAY[
	'America/New_York 2025-03-09 05:00:00 23', 'Europe/Berlin 2025-03-29 23:00:00 23',
		'Australia/Lord_Howe 2025-04-05 13:00:00 25',
	'Australia/Lord_Howe 2025-10-04 14:00:00 23', 'Europe/Berlin 2025-10-25 22:00:00 25',
		'America/New_York 2025-11-02 04:00:00 25'],
	'the days that are longer or shorter');

-- where the local clock stands when a window begins: within an hour that is a multiple of its length, unless the clock
-- jumps past that
SELECT is((SELECT count(*) FROM walked w WHERE w.zone = v.zone AND number > 0
	AND EXTRACT(hour FROM window_start AT TIME ZONE w.zone)::int % hours <> 0), late,
	'windows in ' || v.zone || ' are counted from midnight') FROM (VALUES
	('UTC', 0::bigint), ('Asia/Kolkata', 0), ('Europe/Berlin', 1), ('America/New_York', 1),
		('Australia/Lord_Howe', 1)) v (zone, late);

-- every hour of a window finds the window it lies in
CREATE FUNCTION lost_hours(lost_zone text, lost_hours int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	UPDATE metering.setting SET zone = lost_zone, bill_window = lost_hours * interval '1 hour';
	RETURN (SELECT count(*) FROM generate_series('2025-01-02 00:00Z'::timestamptz, '2026-01-01 00:00Z',
		interval '67 hours 17 min') t
		LEFT JOIN walked w ON w.zone = lost_zone AND w.hours = lost_hours AND w.window_start <= t AND w.window_end > t,
			metering.window_of(t) o
		WHERE (o.window_start, o.window_end) IS DISTINCT FROM (w.window_start, w.window_end));
END
$$;
SELECT is((SELECT sum(lost_hours(zone, hours))::int FROM (SELECT DISTINCT zone, hours FROM walked) w), 0,
	'a time in the middle of a window finds both of its ends');

-- of a period of settings that has ended only what lies before its end, of the next one only what lies after
UPDATE metering.setting SET zone = 'UTC', bill_window = '24 hours';
INSERT INTO metering.setting_history VALUES ('2025-06-10 15:00Z', NULL, '15 min', '4 hours', 'Europe/Berlin');
SELECT is((SELECT (window_start AT TIME ZONE 'UTC', window_end AT TIME ZONE 'UTC', reading_interval)::text
	FROM metering.window_of(t::timestamptz)), w, t) FROM (VALUES
	('2025-06-10 13:59Z', '("2025-06-10 10:00:00","2025-06-10 14:00:00",00:15:00)'),
		('2025-06-10 14:00Z', '("2025-06-10 14:00:00","2025-06-10 15:00:00",00:15:00)'),
	('2025-06-10 15:00Z', '("2025-06-10 15:00:00","2025-06-11 00:00:00",00:05:00)'),
		('2025-06-11 00:00Z', '("2025-06-11 00:00:00","2025-06-12 00:00:00",00:05:00)')) v (t, w);

SELECT * FROM finish();
