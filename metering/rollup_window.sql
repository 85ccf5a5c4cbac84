-- The hours of partial totals with the bill windows that they belong to.
CREATE FUNCTION metering.partial_hours()
	RETURNS TABLE (hour timestamptz, place int, window_start timestamptz, window_end timestamptz, reading_interval interval, slot int)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT h.hour, w.place, w.window_start, w.window_end, w.reading_interval, w.slot
		FROM (SELECT DISTINCT p.hour FROM metering.partial p) AS h CROSS JOIN LATERAL metering.hour_in_grid(h.hour) AS w
	$$;

COMMENT ON FUNCTION metering.partial_hours() IS 'the hours of partial totals, and the place of each in its bill window, from 1 on';

-- Records carried readings, whose total is in a later window than their own, in the
-- bitmaps of their own windows.
CREATE FUNCTION metering.record_carried(starts timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '256MB'
	AS $$
BEGIN
	INSERT INTO metering.incomplete AS i (meter_id, window_start, expected, received)
	SELECT c.meter_id, c.window_start, c.received, c.received
	FROM (
		SELECT p.meter_id, h.window_start, metering.union_minutes(metering.hour_minutes(h.place, p.received)) AS received
		FROM metering.partial p JOIN metering.partial_hours() AS h ON h.hour = p.hour
		WHERE p.hour < starts AND NOT EXISTS (
			SELECT FROM metering.partial_kept k
			WHERE (k.meter_id, k.key_id, k.hour) = (p.meter_id, p.key_id, p.hour) AND NOT k.destroyed)
		GROUP BY p.meter_id, h.window_start) AS c
	ON CONFLICT (meter_id, window_start) DO UPDATE SET received = metering.union_minutes(i.received, EXCLUDED.received);

	-- windows that have become complete; see metering.incomplete
	DELETE FROM metering.incomplete i
	USING (
		SELECT DISTINCT p.meter_id, h.window_start, h.window_end, h.reading_interval, h.slot
		FROM metering.partial p JOIN metering.partial_hours() AS h ON h.hour = p.hour WHERE p.hour < starts) AS c
	WHERE (i.meter_id, i.window_start) = (c.meter_id, c.window_start)
		AND i.received = metering.expected_minutes('(,)', c.window_start, c.window_end,
			metering.minutes(metering.interval_at(c.meter_id, c.window_start, c.reading_interval)))
		AND EXISTS (SELECT FROM metering.bill_window b
			WHERE (b.slot, b.window_start, b.meter_id) = (c.slot, c.window_start, c.meter_id));
END
$$;

COMMENT ON FUNCTION metering.record_carried(timestamptz) IS 'records carried readings in the bitmaps of the windows that they belong to';

-- Notes windows of meters that have not received every reading.
CREATE FUNCTION metering.record_incomplete(starts timestamptz, ends timestamptz, reading_interval interval) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '256MB'
	AS $$
DECLARE
	complete bigint[] := metering.expected_minutes('(,)', starts, ends, metering.minutes(reading_interval));
BEGIN
	-- a meter with an interval of its own has a row if it is not complete by that
	INSERT INTO metering.incomplete (meter_id, window_start, expected, received)
	SELECT COALESCE(m.meter_id, t.meter_id), starts, metering.union_minutes(COALESCE(m.expected, '{}'), COALESCE(t.received, '{}')),
		COALESCE(t.received, '{}')
	FROM (
		SELECT p.meter_id, metering.union_minutes(metering.hour_minutes(h.place, p.received)) AS received
		FROM metering.partial p JOIN metering.partial_hours() AS h ON h.hour = p.hour
		WHERE p.hour >= starts AND NOT EXISTS (
			SELECT FROM metering.partial_kept k
			WHERE (k.meter_id, k.key_id, k.hour) = (p.meter_id, p.key_id, p.hour) AND NOT k.destroyed)
		GROUP BY p.meter_id) AS t
	FULL JOIN (
		SELECT x.meter_id, metering.expected_minutes(x.active, starts, ends, metering.minutes(COALESCE(o.reading_interval, $3))) AS expected,
			CASE WHEN o.reading_interval IS NOT NULL
				THEN metering.expected_minutes('(,)', starts, ends, metering.minutes(o.reading_interval)) END AS whole
		FROM metering.meter x LEFT JOIN metering.own_intervals(starts) AS o ON o.meter_id = x.meter_id
		WHERE x.active && tstzrange(starts, ends)) AS m ON m.meter_id = t.meter_id
	WHERE t.received IS DISTINCT FROM COALESCE(m.whole, complete);
END
$$;

COMMENT ON FUNCTION metering.record_incomplete(timestamptz, timestamptz, interval) IS 'notes the meters that have not sent every reading of a bill window';

-- Writes a row for each meter that is active in a window and has none under its key.
CREATE FUNCTION metering.add_active_meters(starts timestamptz) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
		INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, expected)
		SELECT w.slot, w.window_start, m.meter_id, w.key_id, metering.count_minutes(
			metering.expected_minutes(m.active, w.window_start, w.window_end,
				metering.minutes(COALESCE(o.reading_interval, w.reading_interval))))
		FROM metering.window_grid w JOIN metering.meter m ON m.active && tstzrange(w.window_start, w.window_end)
		LEFT JOIN metering.own_intervals(starts) AS o ON o.meter_id = m.meter_id
		WHERE w.window_start = starts
		ON CONFLICT DO NOTHING
	$$;

COMMENT ON FUNCTION metering.add_active_meters(timestamptz) IS 'writes a row without a total for each meter that sent too little in a bill window';

CREATE FUNCTION metering.needed_readings(length interval, reading_interval interval, min_share numeric) RETURNS int
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT CASE WHEN x.whole = 1 THEN 1 ELSE greatest(2, ceil(x.whole * min_share))::int END
		FROM (SELECT (EXTRACT(epoch FROM length) / EXTRACT(epoch FROM reading_interval))::int AS whole) AS x
	$$;

COMMENT ON FUNCTION metering.needed_readings(interval, interval, numeric) IS 'how many readings make a total of a meter and bill window of some length';

-- Puts aside the partial totals of meters and keys with too few readings.  They wait for
-- the next window, but not longer than backup_interval if it can bring none to join them:
-- the meter has ended, or the key is not in use any more; and not longer than retention.
-- The last window before a second key comes into use leaves nothing that waits.
CREATE FUNCTION metering.keep_partials(w metering.window_grid, last_window boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '256MB'
	AS $$
BEGIN
	INSERT INTO metering.partial_kept
	SELECT p.*, last_window OR p.hour < w.window_end - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision)
		OR (p.hour < w.window_end - make_interval(secs => EXTRACT(epoch FROM s.backup_interval)::double precision)
			AND (p.key_id NOT IN (w.key_id, s.key_id) OR NOT EXISTS (
				SELECT FROM metering.meter m WHERE m.meter_id = p.meter_id AND m.active && tstzrange(w.window_end, NULL))))
	FROM metering.setting s CROSS JOIN metering.partial p
	JOIN (
		SELECT x.meter_id, x.key_id
		FROM metering.partial x LEFT JOIN metering.own_intervals(w.window_start) AS o ON o.meter_id = x.meter_id
		GROUP BY x.meter_id, x.key_id, o.reading_interval
		HAVING sum(x.readings) < metering.needed_readings(w.window_end - w.window_start, COALESCE(o.reading_interval, w.reading_interval),
			(SELECT s.min_share FROM metering.setting s))) AS few ON (few.meter_id, few.key_id) = (p.meter_id, p.key_id);

	INSERT INTO metering.uncounted (meter_id, hour, key_id, readings)
	SELECT k.meter_id, k.hour, k.key_id, k.readings FROM metering.partial_kept k WHERE k.destroyed;
END
$$;

COMMENT ON FUNCTION metering.keep_partials(metering.window_grid, boolean) IS 'puts aside partial totals that are too few readings for a total';

-- The last window of one key stays open for late readings, because no later one can
-- take them.
CREATE FUNCTION metering.two_keys_follow(window_end timestamptz) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT (SELECT w.bill_key_id FROM metering.window_of(window_end - interval '1 microsecond') AS w) IS NULL
			AND (SELECT w.bill_key_id FROM metering.window_of(window_end) AS w) IS NOT NULL
	$$;

COMMENT ON FUNCTION metering.two_keys_follow(timestamptz) IS 'true if one key is in use before the end of a bill window, and two from then on';

-- Seals the next bill window.  If a meter has too few readings for a total, its
-- partial totals wait for the window after it.
CREATE FUNCTION metering.seal_window(starts timestamptz) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET temp_file_limit = 0
		SET jit = off SET enable_nestloop = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
DECLARE
	began  timestamptz := clock_timestamp();
	w      metering.window_grid;
	slices int;
	added  record;
	meters bigint := 0;
	readings bigint := 0;
	carried bigint := 0;
BEGIN
	-- readings that meters may forget must be on disk
	SET LOCAL synchronous_commit = on;
	PERFORM metering.check_isolation();
	PERFORM FROM metering.progress g WHERE g.billed_until = starts FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;	-- somebody else has sealed it
	END IF;
	PERFORM metering.check_staging();
	PERFORM metering.open_windows(starts);
	SELECT * INTO w FROM metering.window_grid x WHERE x.window_start = starts;
	IF EXISTS (SELECT FROM metering.progress g WHERE g.sealed_until < w.window_end) THEN
		RAISE EXCEPTION 'bill window % has hours that are not sealed', starts
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	PERFORM metering.take_late_registers();
	IF w.bill_key_id IS NOT NULL THEN
		PERFORM metering.record_missing_registers(starts);
		UPDATE metering.progress SET billed_until = w.window_end;
		INSERT INTO metering.rollup_log (duration, step, starts) VALUES (clock_timestamp() - began, 'window', starts);
		RETURN true;
	END IF;
	IF NOT (metering.lock_staging('metering.partial') AND metering.lock_spare_tables()) THEN
		RAISE NOTICE 'bill window % is being read: it will be sealed by the next roll-up', starts;
		RETURN false;
	END IF;
	PERFORM metering.keep_partials(w, metering.two_keys_follow(w.window_end));

	slices := metering.slices((SELECT count(*) FROM metering.meter), 'metering.partial');
	FOR part IN 0 .. slices - 1 LOOP
		-- one row for each meter, and another one for totals under another key
		EXECUTE format($query$
			WITH added AS (
				INSERT INTO metering.bill_window AS b (slot, window_start, meter_id, key_id, total, readings, carried, expected)
				SELECT $5, $1, t.meter_id, t.key_id, @paillier@.paillier_rerandomize(t.total), t.readings, t.carried,
					CASE WHEN t.key_id = $2 THEN metering.count_minutes(
						metering.expected_minutes(COALESCE(m.active, 'empty'), $1, $3, metering.minutes(COALESCE(o.reading_interval, $4)))) ELSE 0 END
				FROM (
					SELECT p.meter_id, p.key_id, @paillier@.sum(p.total) AS total, sum(p.readings) AS readings,
						COALESCE(sum(p.readings) FILTER (WHERE p.hour < $1), 0) AS carried
					FROM metering.partial p
					WHERE %s AND NOT EXISTS (
						SELECT FROM metering.partial_kept k WHERE k.meter_id = p.meter_id AND k.key_id = p.key_id)
					GROUP BY p.meter_id, p.key_id) AS t
				LEFT JOIN metering.meter m ON m.meter_id = t.meter_id
				LEFT JOIN metering.own_intervals($1) AS o ON o.meter_id = t.meter_id
				RETURNING b.readings, b.carried
			)
			SELECT count(*) AS meters, COALESCE(sum(a.readings), 0) AS readings, COALESCE(sum(a.carried), 0) AS carried FROM added a
			$query$, metering.slice('p.meter_id', slices, part))
			INTO added USING starts, w.key_id, w.window_end, w.reading_interval, w.slot;
		meters := meters + added.meters;
		readings := readings + added.readings;
		carried := carried + added.carried;
	END LOOP;
	PERFORM metering.add_active_meters(starts);
	PERFORM metering.record_incomplete(starts, w.window_end, w.reading_interval);
	PERFORM metering.record_carried(starts);

	TRUNCATE metering.partial;
	INSERT INTO metering.partial
	SELECT k.meter_id, k.hour, k.key_id, k.total, k.readings, k.received FROM metering.partial_kept k WHERE NOT k.destroyed;
	TRUNCATE metering.partial_kept;
	UPDATE metering.progress SET billed_until = w.window_end;

	INSERT INTO metering.rollup_log (duration, step, starts, meters, readings, late)
	VALUES (clock_timestamp() - began, 'window', starts, meters, readings, carried);
	RAISE NOTICE 'bill window %: % meters, % readings, of which % carried over', starts, meters, readings, carried;
	RETURN true;
END
$$;

COMMENT ON FUNCTION metering.seal_window(timestamptz) IS 'seals the next bill window: writes one total for each meter, and purges the partial totals';
