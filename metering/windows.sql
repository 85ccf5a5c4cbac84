CREATE TABLE metering.sealed_window (
	window_start     timestamptz PRIMARY KEY,
	window_end       timestamptz NOT NULL,
	key_id           text NOT NULL,
	reading_interval interval NOT NULL
);

COMMENT ON TABLE metering.sealed_window IS 'the bill windows that are sealed';

SELECT pg_catalog.pg_extension_config_dump('metering.sealed_window', '');

-- Reads sealed windows instead of computing them again: the rules of a time zone may
-- have changed since.  The first window that is not sealed begins where the last
-- sealed one ends.
CREATE FUNCTION metering.window_of(t timestamptz, OUT window_start timestamptz, OUT window_end timestamptz,
		OUT key_id text, OUT reading_interval interval)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	begins timestamptz;
	r      metering.setting_period;
	label  timestamp;
BEGIN
	SELECT w.window_start, w.window_end, w.key_id, w.reading_interval
	INTO window_start, window_end, key_id, reading_interval
	FROM metering.sealed_window w WHERE w.window_start <= t ORDER BY w.window_start DESC LIMIT 1;
	IF t < window_end THEN
		RETURN;
	END IF;
	begins := greatest(window_end, (SELECT max(p.until) FROM metering.setting_history p WHERE p.until <= t), '-infinity');

	SELECT * INTO r FROM metering.setting_period x WHERE x.until > t ORDER BY x.until LIMIT 1;
	key_id := r.key_id;
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

COMMENT ON FUNCTION metering.window_of(timestamptz) IS 'the bill window of a time, with its key and reading interval';
