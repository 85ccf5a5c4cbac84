-- Readings are staged in one place only: a crash keeps the place, and loses staging.  In
-- another place, hours and windows may have been sealed that this database knows
-- nothing of: what is due is closed without a total, so that there are never two
-- versions of one.

-- Closes a window that may have been sealed elsewhere: no total, and nothing received.
-- What meters send again goes into the next window.  Staging is empty.
CREATE FUNCTION metering.close_window(starts timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	w metering.window_grid;
BEGIN
	SELECT * INTO w FROM metering.window_grid x WHERE x.window_start = starts;
	IF w.bill_key_id IS NULL THEN
		PERFORM metering.add_active_meters(starts);
		PERFORM metering.record_incomplete(starts, w.window_end, w.reading_interval);
	ELSE
		PERFORM metering.record_missing_registers(starts);
	END IF;
	UPDATE metering.progress SET billed_until = w.window_end;
END
$$;

COMMENT ON FUNCTION metering.close_window(timestamptz) IS 'closes a bill window without totals';

-- Begins a new epoch in another place.  Returns false if staging is in use.
CREATE FUNCTION metering.change_place() RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	g      metering.progress;
	closed timestamptz;
	starts timestamptz;
BEGIN
	IF NOT (metering.lock_staging('metering.reading') AND metering.lock_staging('metering.partial')
		AND metering.lock_spare_tables()) THEN
		RETURN false;
	END IF;
	TRUNCATE metering.reading, metering.partial, metering.reading_kept, metering.partial_kept, metering.region_slice,
		metering.late_hour, metering.hour_meter, metering.staging_since;
	UPDATE metering.progress
	SET (epoch, system_identifier, database, timeline)
		= (SELECT gen_random_uuid(), p.system_identifier, p.database, p.timeline FROM metering.place() AS p)
	RETURNING * INTO g;
	INSERT INTO metering.staging_since (since, epoch) VALUES (clock_timestamp(), g.epoch);
	IF g.sealed_until IS NULL THEN
		RETURN true;
	END IF;

	closed := metering.utc_hour(clock_timestamp() - (SELECT s.grace FROM metering.setting s));
	PERFORM metering.open_windows(clock_timestamp());
	FOR starts IN
		SELECT w.window_start FROM metering.window_grid w
		WHERE w.window_start >= g.billed_until AND w.window_end <= closed ORDER BY w.window_start
	LOOP
		PERFORM metering.close_window(starts);
	END LOOP;
	UPDATE metering.progress p SET sealed_until = greatest(p.sealed_until, closed);
	-- a dump may have been restored in any order
	UPDATE metering.window_grid w SET missing = c.missing
	FROM (
		SELECT x.window_start, COALESCE(sum(i.missing), 0) AS missing
		FROM metering.window_grid x LEFT JOIN metering.incomplete i ON i.window_start = x.window_start
		GROUP BY x.window_start) AS c
	WHERE c.window_start = w.window_start AND c.missing <> w.missing;
	INSERT INTO metering.lost (since, until, reason) VALUES (g.billed_until, clock_timestamp(), 'other place');
	INSERT INTO metering.rollup_log (duration, step) VALUES ('0', 'place');
	RAISE WARNING 'metering runs in another place: hours before % are closed, and have no total if they were not sealed', closed
		USING HINT = 'Have the readings of the last row of metering.lost sent again.';
	RETURN true;
END
$$;

COMMENT ON FUNCTION metering.change_place() IS 'empties staging, and closes the hours and bill windows that may have been sealed in another place';

-- A copy of the whole machine looks like a crash.
CREATE FUNCTION metering.restored() RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	UPDATE metering.progress SET timeline = NULL;
END
$$;

COMMENT ON FUNCTION metering.restored() IS 'tells the roll-up that this database comes from a copy of the whole machine, which it cannot find out by itself: the next roll-up closes what may have been sealed elsewhere';

-- Notices where it runs, and whether staging was lost.  Returns since when staging holds
-- every reading that was accepted; NULL if staging is in use.
CREATE FUNCTION metering.find_losses() RETURNS timestamptz
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	g      metering.progress;
	staged metering.staging_since;
	moved  boolean;
BEGIN
	SELECT * INTO g FROM metering.progress;
	SELECT (g.system_identifier, g.database, g.timeline) IS DISTINCT FROM (p.system_identifier, p.database, p.timeline)
	INTO moved FROM metering.place() AS p;
	SELECT * INTO staged FROM metering.staging_since;
	IF moved OR staged.epoch <> g.epoch THEN
		-- not in one expression: a table that it reads cannot be truncated in it
		IF NOT metering.change_place() THEN
			RETURN NULL;
		END IF;
		SELECT * INTO staged FROM metering.staging_since;
	ELSIF staged.epoch IS NULL THEN
		INSERT INTO metering.staging_since (since, epoch) VALUES (clock_timestamp(), g.epoch) RETURNING * INTO staged;
		INSERT INTO metering.lost (since, until, reason)
		SELECT CASE WHEN w.bill_key_id IS NULL THEN g.billed_until ELSE g.sealed_until END, staged.since, 'crash'
		FROM metering.window_of(g.billed_until) AS w WHERE g.billed_until IS NOT NULL;
		INSERT INTO metering.rollup_log (duration, step) VALUES ('0', 'restart');
		RAISE NOTICE 'staging was lost in a crash: the last row of metering.lost says which readings to send again';
	END IF;
	RETURN staged.since;
END
$$;

COMMENT ON FUNCTION metering.find_losses() IS 'notices a crash, and that the database is in another place';
