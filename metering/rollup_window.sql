-- Readings that arrived count as expected too: the active range may have been
-- shortened since.  count_expected() counts readings one by one.  expected_readings()
-- is an expression that the planner inlines, which is fast for the many meters that
-- are active all the time.  An inlined function cannot have a search path of its own:
-- so its operators are qualified.
CREATE FUNCTION metering.count_expected(active tstzrange, starts timestamptz, ends timestamptz, step interval,
		received bigint[])
	RETURNS int
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	seconds int := EXTRACT(epoch FROM step);
BEGIN
	IF seconds < 60 OR ends - starts > interval '48 hours' THEN
		RAISE EXCEPTION 'cannot count readings every % from % to %', step, starts, ends
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Readings are at least one minute apart, and a bill window has at most 48 hours.';
	END IF;
	RETURN (
		SELECT count(*)
		FROM generate_series(0, (EXTRACT(epoch FROM ends - starts) / seconds)::int - 1) AS i
		CROSS JOIN LATERAL (SELECT step * i, seconds * i) AS t (after, past)
		WHERE active @> starts + t.after
			OR received[t.past / 3600 + 1] >> (t.past % 3600 / seconds) & 1 = 1);
END
$$;

COMMENT ON FUNCTION metering.count_expected(tstzrange, timestamptz, timestamptz, interval, bigint[]) IS 'expected_readings() for a meter that was not active all the time';

CREATE FUNCTION metering.expected_readings(active tstzrange, starts timestamptz, ends timestamptz, step interval,
		received bigint[] DEFAULT '{}')
	RETURNS int
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	AS $$
		SELECT CASE WHEN active OPERATOR(pg_catalog.@>) pg_catalog.tstzrange(starts, ends)
			THEN (EXTRACT(epoch FROM ends OPERATOR(pg_catalog.-) starts) OPERATOR(pg_catalog./) EXTRACT(epoch FROM step))::int
			ELSE metering.count_expected(active, starts, ends, step, received)
			END
	$$;

COMMENT ON FUNCTION metering.expected_readings(tstzrange, timestamptz, timestamptz, interval, bigint[]) IS 'how many readings a meter should send in a range of time; readings that arrived from outside its active range count too';

CREATE FUNCTION metering.add_received(received bigint[], place int, bits bigint) RETURNS bigint[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF place NOT BETWEEN 1 AND 48 THEN
		RAISE EXCEPTION 'a bill window has no hour %', place
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Its hours are numbered from 1 to at most 48.';
	END IF;
	FOR i IN COALESCE(array_length(received, 1), 0) + 1 .. place LOOP
		received[i] := 0;
	END LOOP;
	received[place] := received[place] | bits;
	RETURN received;
END
$$;

COMMENT ON FUNCTION metering.add_received(bigint[], int, bigint) IS 'adds bits to one hour of a bitmap of received readings';

-- Records readings whose total is in another row than that of their own window and
-- key: carried readings, and readings under another key.  Works hour by hour.  Returns
-- the number of carried readings.
CREATE FUNCTION metering.record_carried(starts timestamptz, window_key text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	late    record;
	carried bigint;
BEGIN
	FOR late IN
		SELECT h.hour, w.window_start, w.window_end, w.key_id, w.reading_interval,
			(EXTRACT(epoch FROM h.hour - w.window_start) / 3600)::int + 1 AS place
		FROM (SELECT DISTINCT p.hour FROM metering.partial p WHERE p.hour < starts OR p.key_id <> window_key) AS h
		CROSS JOIN LATERAL metering.window_of(h.hour) AS w
	LOOP
		INSERT INTO metering.bill_window AS b (meter_id, window_start, key_id, expected, counted, received)
		SELECT p.meter_id, late.window_start, late.key_id,
			metering.expected_readings(m.active, late.window_start, late.window_end, late.reading_interval, r.received),
			metering.bits(p.bits), r.received
		FROM (
			SELECT meter_id, bit_or(received) AS bits FROM metering.partial
			WHERE hour = late.hour AND (hour < starts OR key_id <> window_key)
				AND NOT EXISTS (SELECT FROM metering.partial_kept s
					WHERE s.meter_id = partial.meter_id AND s.key_id = partial.key_id)
			GROUP BY meter_id) AS p
		CROSS JOIN LATERAL metering.add_received('{}', late.place, p.bits) AS r (received)
		LEFT JOIN metering.meter m USING (meter_id)
		ON CONFLICT (meter_id, window_start, key_id) DO UPDATE
			SET counted = b.counted + EXCLUDED.counted,
				received = metering.add_received(b.received, late.place, EXCLUDED.received[late.place]),
				expected = metering.expected_readings((SELECT m.active FROM metering.meter m WHERE m.meter_id = b.meter_id),
					late.window_start, late.window_end, late.reading_interval,
					metering.add_received(b.received, late.place, EXCLUDED.received[late.place]));
	END LOOP;
	SELECT COALESCE(sum(b.carried), 0) INTO carried FROM metering.bill_window b WHERE b.window_start = starts;
	RETURN carried;
END
$$;

COMMENT ON FUNCTION metering.record_carried(timestamptz, text) IS 'records carried readings in the bitmaps of the windows that they belong to';

-- Seals the next bill window.  If a meter has too few readings for a total, its
-- partial totals wait for the window after it.
CREATE FUNCTION metering.seal_window(starts timestamptz) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' SET jit = off SET enable_nestloop = off SET enable_sort = off
	AS $$
DECLARE
	began  timestamptz := clock_timestamp();
	w      record;
	hours  int;
	most   int;			-- readings of one meter, where none is missing
	totals record;
	late   bigint;
BEGIN
	-- readings that meters may forget must be on disk
	SET LOCAL synchronous_commit = on;
	PERFORM metering.check_isolation();
	PERFORM FROM metering.progress WHERE billed_until = starts FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;	-- somebody else has sealed it
	END IF;
	SELECT * INTO w FROM metering.window_of(starts);
	IF EXISTS (SELECT FROM metering.progress WHERE sealed_until < w.window_end) THEN
		RAISE EXCEPTION 'bill window % has hours that are not sealed', starts
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	IF NOT metering.lock_staging('metering.partial') THEN
		RAISE NOTICE 'bill window % is being read: it will be sealed by the next roll-up', starts;
		RETURN false;
	END IF;
	hours := EXTRACT(epoch FROM w.window_end - starts) / 3600;
	most := EXTRACT(epoch FROM w.window_end - starts) / EXTRACT(epoch FROM w.reading_interval);

	INSERT INTO metering.partial_kept
	SELECT p.* FROM metering.partial p JOIN (
		SELECT meter_id, key_id FROM metering.partial GROUP BY meter_id, key_id
		HAVING sum(readings) < least((SELECT min_readings FROM metering.setting), most)) AS few
		USING (meter_id, key_id);

	-- one row for each meter, and another one for totals under another key
	EXECUTE format($query$
		INSERT INTO metering.bill_window (meter_id, window_start, key_id, total, readings, carried, expected, counted, received)
		SELECT COALESCE(m.meter_id, t.meter_id), $1, COALESCE(t.key_id, $2), @paillier@.paillier_rerandomize(t.total),
			COALESCE(t.readings, 0), COALESCE(t.carried, 0),
			CASE WHEN COALESCE(t.key_id, $2) = $2 THEN metering.expected_readings(m.active, $1, $3, $4, t.received) ELSE 0 END,
			CASE WHEN t.key_id = $2 THEN t.readings - t.carried ELSE 0 END,
			CASE WHEN t.key_id = $2 THEN t.received ELSE '{}' END
		FROM (
			SELECT meter_id, key_id, @paillier@.sum(total) AS total, sum(readings) AS readings,
				COALESCE(sum(readings) FILTER (WHERE hour < $1), 0) AS carried, ARRAY[%s] AS received
			FROM metering.partial p
			WHERE NOT EXISTS (
				SELECT FROM metering.partial_kept s WHERE s.meter_id = p.meter_id AND s.key_id = p.key_id)
			GROUP BY meter_id, key_id
		) AS t
		FULL JOIN (
			SELECT meter_id, active FROM metering.meter WHERE active && tstzrange($1, $3)
		) AS m ON m.meter_id = t.meter_id AND t.key_id = $2
		$query$, (
			SELECT string_agg(format('COALESCE(bit_or(received) FILTER (WHERE hour = $1 + interval ''%s hours''), 0)', h),
				', ' ORDER BY h)
			FROM generate_series(0, hours - 1) AS h))
		USING starts, w.key_id, w.window_end, w.reading_interval;
	late := metering.record_carried(starts, w.key_id);

	TRUNCATE metering.partial;
	INSERT INTO metering.partial SELECT * FROM metering.partial_kept;
	TRUNCATE metering.partial_kept;
	INSERT INTO metering.sealed_window VALUES (starts, w.window_end, w.key_id, w.reading_interval);
	UPDATE metering.progress SET billed_until = w.window_end;

	SELECT count(total) AS meters, COALESCE(sum(readings), 0) AS readings INTO totals
	FROM metering.bill_window WHERE window_start = starts;
	INSERT INTO metering.rollup_log (duration, step, starts, meters, readings, late)
	VALUES (clock_timestamp() - began, 'window', starts, totals.meters, totals.readings, late);
	RAISE NOTICE 'bill window %: % meters, % readings, of which % carried over', starts, totals.meters, totals.readings, late;
	RETURN true;
END
$$;

COMMENT ON FUNCTION metering.seal_window(timestamptz) IS 'seals the next bill window: writes one total for each meter, and purges the partial totals';
