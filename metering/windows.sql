-- Bill windows are written down here when they open.  Nothing computes them again: the
-- rules of a time zone or the settings may have changed since.
CREATE TABLE metering.window_grid (
	window_start     timestamptz PRIMARY KEY,
	window_end       timestamptz NOT NULL,
	key_id           text NOT NULL,
	reading_interval interval NOT NULL,
	slot             int NOT NULL,
	missing          bigint NOT NULL DEFAULT 0,
	bill_key_id      text
);

COMMENT ON TABLE metering.window_grid IS 'the bill windows, each written when it opens';
COMMENT ON COLUMN metering.window_grid.window_end IS 'where the next window starts';
COMMENT ON COLUMN metering.window_grid.key_id IS 'key that its readings are encrypted under';
COMMENT ON COLUMN metering.window_grid.bill_key_id IS 'key that registers are encrypted under; NULL: there is one key, and bills are made from readings';
COMMENT ON COLUMN metering.window_grid.reading_interval IS 'time between two of its readings';
COMMENT ON COLUMN metering.window_grid.slot IS 'partition of metering.bill_window that holds its totals';
COMMENT ON COLUMN metering.window_grid.missing IS 'readings that it lacks, if it is sealed; with two keys, registers at its start';

SELECT pg_catalog.pg_extension_config_dump('metering.window_grid', '');

CREATE VIEW metering.sealed_window AS
	SELECT w.window_start, w.window_end, w.key_id, w.reading_interval, w.slot, w.bill_key_id
	FROM metering.window_grid w
	WHERE w.window_start < (SELECT g.billed_until FROM metering.progress g);

COMMENT ON VIEW metering.sealed_window IS 'the bill windows that are sealed';
COMMENT ON COLUMN metering.sealed_window.window_end IS 'where the next window starts';
COMMENT ON COLUMN metering.sealed_window.reading_interval IS 'time between two of its readings';
COMMENT ON COLUMN metering.sealed_window.bill_key_id IS 'key of its registers; NULL: there is one key';
COMMENT ON COLUMN metering.sealed_window.slot IS 'partition of metering.bill_window that holds its totals';

-- A window that is not open yet begins where the last open one ends.
CREATE FUNCTION metering.window_of(t timestamptz, OUT window_start timestamptz, OUT window_end timestamptz,
		OUT key_id text, OUT reading_interval interval, OUT bill_key_id text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	begins timestamptz;
	r      metering.setting_period;
	label  timestamp;
BEGIN
	SELECT w.window_start, w.window_end, w.key_id, w.reading_interval, w.bill_key_id
	INTO window_start, window_end, key_id, reading_interval, bill_key_id
	FROM metering.window_grid w WHERE w.window_start <= t ORDER BY w.window_start DESC LIMIT 1;
	IF t < window_end THEN
		RETURN;
	END IF;
	begins := greatest(window_end, (SELECT max(p.until) FROM metering.setting_history p WHERE p.until <= t), '-infinity');

	SELECT * INTO r FROM metering.setting_period x WHERE x.until > t ORDER BY x.until LIMIT 1;
	key_id := r.key_id;
	bill_key_id := r.bill_key_id;
	reading_interval := r.reading_interval;
	window_start := metering.utc_hour(t);
	window_end := window_start + interval '1 hour';
	label := metering.window_label(window_start, r.zone, r.bill_window);
	WHILE window_start > begins
		AND metering.window_label(window_start - interval '1 hour', r.zone, r.bill_window) = label LOOP
		window_start := window_start - interval '1 hour';
	END LOOP;
	WHILE window_end < r.until AND metering.window_label(window_end, r.zone, r.bill_window) = label LOOP
		window_end := window_end + interval '1 hour';
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.window_of(timestamptz) IS 'the bill window of a time, with its keys and reading interval';

CREATE FUNCTION metering.open_window(t timestamptz) RETURNS metering.window_grid
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT metering.note_key_use(w.key_id, w.bill_key_id) FROM metering.window_of(t) AS w;
		INSERT INTO metering.window_grid AS g (window_start, window_end, key_id, bill_key_id, reading_interval, slot)
		SELECT w.window_start, w.window_end, w.key_id, w.bill_key_id, w.reading_interval, metering.month_slot(w.window_start)
		FROM metering.window_of(t) AS w
		RETURNING g.*
	$$;

COMMENT ON FUNCTION metering.open_window(timestamptz) IS 'writes down the bill window of a time';

-- Writes down the windows from the last one on to the one that t lies in.
CREATE FUNCTION metering.open_windows(t timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	opens timestamptz := (SELECT max(w.window_end) FROM metering.window_grid w);
BEGIN
	IF t > clock_timestamp() + interval '1 year' THEN
		RAISE EXCEPTION 'bill windows up to % cannot be opened', t
			USING ERRCODE = 'invalid_parameter_value', HINT = 'They are opened as time goes on.';
	END IF;
	WHILE opens <= t LOOP
		opens := (metering.open_window(opens)).window_end;
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.open_windows(timestamptz) IS 'writes down the bill windows up to a time';

CREATE FUNCTION metering.hour_in_grid(hour timestamptz) RETURNS TABLE (window_start timestamptz, window_end timestamptz,
		reading_interval interval, slot int, place int, bill_key_id text)
	LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT w.window_start, w.window_end, w.reading_interval, w.slot,
			(EXTRACT(epoch FROM $1 - w.window_start) / 3600)::int + 1, w.bill_key_id
		FROM metering.window_grid w WHERE w.window_start <= $1 ORDER BY w.window_start DESC LIMIT 1
	$$;

COMMENT ON FUNCTION metering.hour_in_grid(timestamptz) IS 'the bill window of a UTC hour, as it was written down, and the place of the hour in it, from 1 on';
