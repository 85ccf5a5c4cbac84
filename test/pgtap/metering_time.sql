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
SELECT is(metering.minute_bit(t::timestamptz), bit, 'the bit of ' || t) FROM (VALUES
	('2026-01-31 12:00Z', 1::bigint), ('2026-01-31 12:00:59.999999Z', 1), ('2026-01-31 12:01Z', 2),
		('2026-01-31 12:59:59Z', 1::bigint << 59),
	('1999-12-31 23:59Z', 1::bigint << 59), ('1999-12-31 23:00Z', 1), ('2026-01-31 13:35+05:30', 1 << 5),
		('0001-01-01 00:20Z BC', 1 << 20)) v (t, bit);
SELECT is((SELECT bit_or(metering.minute_bit('2026-01-31 12:00Z'::timestamptz + i * interval '1 min'))
	FROM generate_series(0, 59) i),
	(1::bigint << 60) - 1, 'sixty bits of an hour of minutes');
SELECT is(metering.bits(received), expected, 'bits of ' || received)
	FROM (VALUES (0::bigint, 0), (1, 1), (4095, 12), (2730, 6), ((1::bigint << 60) - 1, 60), (1::bigint << 59, 1),
	(-1, 64)) v (received, expected);

-- ---- months ----

SELECT is((SELECT count(*) FROM generate_series('0001-01-15 00:00Z'::timestamptz, '2600-01-15', interval '1 month') t
	WHERE metering.month_slot(t) <> (EXTRACT(year FROM t AT TIME ZONE 'UTC') * 12 + EXTRACT(month
		FROM t AT TIME ZONE 'UTC') - 1)::int
		% metering.month_slots()), 0::bigint, 'the slot of a month is its number modulo the number of slots');
SELECT is(metering.month_slot(t::timestamptz), (metering.month_slot('2026-01-15 00:00Z') + n) % metering.month_slots(),
	t) FROM (VALUES
	('2026-01-31 23:59:59.999999Z', 0), ('2026-02-01 00:00Z', 1), ('2026-02-01 05:00+05:30', 0),
		('2025-12-31 23:59Z', metering.month_slots() - 1)) v (t, n);
SELECT is((SELECT count(DISTINCT metering.month_slot(t)) FROM generate_series('2025-01-15 00:00Z'::timestamptz,
	'2025-01-15 00:00Z'::timestamptz + (metering.month_slots() - 1) * interval '1 month', interval '1 month') t),
		metering.month_slots()::bigint,
	'months in a row fill the ring');
SELECT is((SELECT array_agg(DISTINCT metering.month_slot(t) BETWEEN 0 AND metering.month_slots() - 1)
	FROM unnest(ARRAY['4714-11-24 00:00:00Z BC', '0001-12-31 00:00Z BC', '294276-12-31 23:59Z']::timestamptz[]) t),
		'{t}', 'of the first and the last year too');
SELECT throws_ok(format('SELECT metering.%I(%L)', f, t), '22008', 'time must be finite', format('%s of %s', f, t))
FROM unnest(ARRAY['minute_bit', 'month_slot']) f, unnest(ARRAY['infinity', '-infinity']) t;

-- ---- bitmaps ----

SELECT is(metering.hour_minutes(place, bits), expected::bigint[], format('%s in hour %s', bits, place)) FROM (VALUES
	(1, 5::bigint, '{5}'), (3, 5, '{0,0,5}'), (2, 0, '{0,0}'), (2, -1, '{0,-1}')) v (place, bits, expected);
SELECT is(array_length(metering.hour_minutes(48, 7), 1), 48, 'a bitmap has 48 hours at most');
SELECT throws_ok(format('SELECT metering.hour_minutes(%s, 1)', place), '22023', 'a bill window has no hour ' || place,
	'there is no hour ' || place)
FROM unnest(ARRAY[0, -1, 49, 2147483647, -2147483648]) place;
SELECT is(metering.union_minutes(a::bigint[], b::bigint[]), u::bigint[], format('%s or %s', a, b)) FROM (VALUES
	('{}', '{}', '{}'), ('{5}', '{}', '{5}'), ('{}', '{0,0,5}', '{0,0,5}'), ('{1,2}', '{0,5}', '{1,7}'),
		('{1,2}', '{8,0,0,1}', '{9,2,0,1}')) v (a, b, u);
SELECT is(metering.missing_minutes(a::bigint[], b::bigint[]), m::bigint[], format('%s without %s', a, b)) FROM (VALUES
	('{}', '{}', '{}'), ('{5}', '{}', '{5}'), ('{}', '{7}', '{}'), ('{7,7}', '{5}', '{2,7}'), ('{7}', '{5,7}', '{2}'),
		('{-1}', '{1}', '{-2}')) v (a, b, m);
SELECT is(metering.count_minutes(a::bigint[]), n, a || ' has so many') FROM (VALUES
	('{}', 0), ('{0,0}', 0), ('{7,1}', 4), ('{-1}', 64), ('{1152921504606846975,1}', 61)) v (a, n);

-- random bitmaps beside sets of (hour, minute)
SELECT setseed(0.25) IS NULL AS x \gset
CREATE TABLE bitmap AS
	SELECT i, ARRAY(SELECT trunc(random() * 2 ^ 60)::bigint & trunc(random() * 2 ^ 60)::bigint
		FROM generate_series(1, 1 + i % 48)) AS a,
		ARRAY(SELECT trunc(random() * 2 ^ 60)::bigint FROM generate_series(1, 1 + i * 7 % 48)) AS b
	FROM generate_series(1, 50) i;
CREATE FUNCTION in_words(bitmap bigint[]) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$
	SELECT COALESCE(array_agg(h * 60 + m ORDER BY h, m), '{}')
		FROM generate_series(1, COALESCE(array_length(bitmap, 1), 0)) h, generate_series(0, 59) m
	WHERE bitmap[h] & (1::bigint << m) <> 0 $$;
SELECT is((SELECT count(*) FROM bitmap WHERE in_words(metering.union_minutes(a, b))
	<> ARRAY(SELECT unnest(in_words(a)) UNION SELECT unnest(in_words(b)) ORDER BY 1)), 0::bigint,
		'the union is that of sets');
SELECT is((SELECT count(*) FROM bitmap WHERE in_words(metering.missing_minutes(a, b))
	<> ARRAY(SELECT unnest(in_words(a)) EXCEPT SELECT unnest(in_words(b)) ORDER BY 1)), 0::bigint,
		'what is missing is the difference of sets');
SELECT is((SELECT count(*) FROM bitmap WHERE metering.count_minutes(a) <> cardinality(in_words(a))), 0::bigint,
	'and their number that of elements');
SELECT is((SELECT in_words(metering.union_minutes(a)) FROM bitmap),
	ARRAY(SELECT DISTINCT unnest(in_words(a)) FROM bitmap ORDER BY 1),
	'the aggregate is the union of all');
SELECT is((SELECT metering.union_minutes(a) FROM bitmap WHERE false), '{}', 'of none the empty one');
SELECT is((SELECT metering.union_minutes(a) FROM (VALUES ('{4}'::bigint[]), (NULL), ('{1}')) v (a)), '{5}',
	'and leaves out NULL');

-- what is no bitmap
CREATE TABLE no_bitmap (what text, a text);
INSERT INTO no_bitmap VALUES ('a NULL', '''{1,NULL}'''), ('two dimensions', '''{{1,2},{3,4}}'''),
	('49 hours', 'array_fill(1::bigint, ARRAY[49])'),
	('many hours', 'array_fill(1::bigint, ARRAY[100000])');
SELECT throws_ok(format('SELECT metering.%s', format(call, a)), '22023', 'array is not a bitmap of minutes',
	format(call, what)) FROM no_bitmap, unnest(ARRAY[
	'count_minutes(%s)', 'union_minutes(%s, ''{}'')', 'union_minutes(''{}'', %s)', 'missing_minutes(%s, ''{}'')',
		'missing_minutes(''{}'', %s)']) call;
SELECT throws_ok(format('SELECT metering.union_minutes(x) FROM (VALUES (%s::bigint[])) v (x)', a), '22023', NULL,
	'the aggregate of ' || what) FROM no_bitmap;
SELECT is(metering.count_minutes(array_fill(-1::bigint, ARRAY[48])), 3072, '48 hours are a bitmap');

-- ---- readings expected ----

CREATE FUNCTION expected(active tstzrange, starts timestamptz, ends timestamptz, step interval) RETURNS int LANGUAGE sql
	AS
	$$ SELECT metering.count_minutes(metering.expected_minutes(active, starts, ends, metering.minutes(step))) $$;
SELECT is(expected(active::tstzrange, '2026-01-31 12:00Z', '2026-01-31 14:00Z', step::interval), expected,
	format('%s every %s in two hours', active, step)) FROM (VALUES
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
	WHERE expected(tstzrange(t + a * interval '1 min', t + b * interval '1 min'), t, t + interval '2 hours',
		m * interval '1 min')
		<> (SELECT count(*) FROM generate_series(0, 119, m) i WHERE i >= a AND i < b)), 0::bigint,
			'as many as there are starts in the range, for ranges of all kinds');
SELECT is(expected('(,)', '2025-03-29 23:00Z', '2025-03-30 22:00Z', '5 min'), 276, 'a day of 23 hours');
SELECT is(expected('(,)', '2025-10-25 22:00Z', '2025-10-26 23:00Z', '5 min'), 300, 'a day of 25 hours');

SELECT is(expected('empty', '2026-01-31 12:00Z', '2026-01-31 14:00Z', '5 min'), 0, 'an empty range');

-- the readings themselves, beside generate_series, in windows of all lengths
SELECT is((SELECT count(*) FROM generate_series(-30, 3000, 401) a, generate_series(a + 1, 3100, 911) b,
	unnest(ARRAY[1, 5, 10, 15, 30, 60]) m,
		unnest(ARRAY[1, 2, 23, 25, 48]) hours, LATERAL (SELECT '2026-01-31 12:00Z'::timestamptz AS t) s
	WHERE in_words(metering.expected_minutes(tstzrange(t + a * interval '1 min', t + b * interval '1 min'), t,
		t + hours * interval '1 hour', m))
		<> ARRAY(SELECT i + 60 FROM generate_series(0, hours * 60 - 1, m) i WHERE i >= a AND i < b)), 0::bigint,
	'bits stand for the starts in the range, hour by hour');
SELECT is(metering.expected_minutes('(,)', '2026-01-31 12:00Z', '2026-01-31 14:00Z', 5),
	array_fill(((1::bigint << 60) - 1) / 31, ARRAY[2]),
	'a full hour of readings every five minutes');
SELECT is(metering.expected_minutes('(,)', '2026-01-31 12:00Z', '2026-01-31 12:00Z', 5), '{}', 'no time, no hour');
SELECT is(metering.expected_minutes('(,)', '2026-01-31 12:00Z', '2026-01-31 13:30Z', 30), ARRAY[1 + (1 << 30),
	1]::bigint[], 'a part of an hour');
SELECT throws_ok(format('SELECT metering.expected_minutes(''(,)'', %L, %L, %s)', starts, ends, m), code, NULL,
	format('not from %s to %s every %s minutes', starts, ends, m)) FROM (VALUES
	('2026-01-31 12:00Z', '2026-01-31 14:00Z', 0, '22023'), ('2026-01-31 12:00Z', '2026-01-31 14:00Z', -5, '22023'),
	('2026-01-31 12:00Z', '2026-01-31 14:00Z', 61, '22023'),
		('2026-01-31 12:00Z', '2026-01-31 14:00Z', -2147483648, '22023'),
	('2026-01-31 12:00Z', '2026-02-02 13:00Z', 5, '22023'),
		('2026-01-31 12:00Z', '2026-02-02 12:00:00.000001Z', 5, '22023'),
	('2026-01-31 12:00Z', '2026-01-31 11:00Z', 5, '22023'), ('2026-01-31 12:30Z', '2026-01-31 14:00Z', 5, '22023'),
	('2026-01-31 12:00Z', 'infinity', 5, '22023'), ('2026-01-31 12:00Z', '-infinity', 5, '22023'),
	('4714-11-24 00:00:00Z BC', '294276-12-31 23:00Z', 5, '22023'),
	('-infinity', '2026-01-31 14:00Z', 5, '22008'), ('infinity', 'infinity', 5, '22023')) v (starts, ends, m, code);
SELECT is(metering.minutes(i::interval), n, i || ' in minutes')
	FROM (VALUES ('1 min', 1), ('5 min', 5), ('1 hour', 60), ('1 day', 1440)) v (i, n);

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

-- days of zones that are no whole number of hours from UTC, beside the change of clocks: a local midnight belongs to
-- the day before, up to the next full hour of UTC
CREATE FUNCTION window_at(of_zone text, length interval, t timestamptz) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE metering.setting SET zone = of_zone, bill_window = length;
	RETURN (SELECT format('%s to %s UTC', to_char(window_start AT TIME ZONE 'UTC', 'DD HH24:MI'),
		to_char(window_end AT TIME ZONE 'UTC', 'DD HH24:MI')) FROM metering.window_of(t));
END
$$;
SELECT is(window_at(zone, hours * interval '1 hour', t::timestamptz), w,
	format('%s hours in %s at %s', hours, zone, t)) FROM (VALUES
	('Asia/Kolkata', 24, '2026-01-15 00:00+05:30', '13 19:00 to 14 19:00 UTC'),
	('Asia/Kolkata', 24, '2026-01-15 00:30+05:30', '14 19:00 to 15 19:00 UTC'),
	('Asia/Kolkata', 2, '2026-01-15 12:29+05:30', '15 05:00 to 15 07:00 UTC'),
	('Asia/Kolkata', 2, '2026-01-15 12:30+05:30', '15 07:00 to 15 09:00 UTC'),
	('Asia/Kathmandu', 24, '2026-01-15 00:44+05:45', '13 19:00 to 14 19:00 UTC'),
	('Asia/Kathmandu', 24, '2026-01-15 00:45+05:45', '14 19:00 to 15 19:00 UTC'),
	('Australia/Adelaide', 24, '2026-01-15 12:00+10:30', '14 14:00 to 15 14:00 UTC'),
	('Australia/Adelaide', 24, '2026-04-05 12:00+09:30', '04 14:00 to 05 15:00 UTC'),
	('Australia/Adelaide', 24, '2026-10-04 12:00+10:30', '03 15:00 to 04 14:00 UTC'),
	('Australia/Lord_Howe', 24, '2026-04-05 12:00+10:30', '04 13:00 to 05 14:00 UTC'),
	('Australia/Lord_Howe', 24, '2026-10-04 12:00+11', '03 14:00 to 04 13:00 UTC'),
	('Pacific/Chatham', 24, '2026-01-15 12:00+13:45', '14 11:00 to 15 11:00 UTC'),
	('Pacific/Chatham', 24, '2026-04-05 12:00+12:45', '04 11:00 to 05 12:00 UTC'),
	('Pacific/Chatham', 24, '2026-09-27 12:00+13:45', '26 12:00 to 27 11:00 UTC')) v (zone, hours, t, w);

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
