-- The next step of the roll-up, and the start of its hour or window.  NULL if nothing
-- is due.
--
-- After a crash, hours and windows that lost readings wait until these have been sent
-- again, but no longer than the grace time.
CREATE FUNCTION metering.next_step(as_of timestamptz, OUT step text, OUT starts timestamptz)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	g            metering.progress;
	w            record;
	grace        interval := (SELECT s.grace FROM metering.setting s);
	staged_since timestamptz;
	ends         timestamptz;
BEGIN
	PERFORM metering.check_isolation();
	SELECT * INTO g FROM metering.progress FOR UPDATE;
	SELECT since INTO staged_since FROM metering.staging_since;
	IF NOT FOUND THEN
		staged_since := clock_timestamp();
		INSERT INTO metering.staging_since VALUES (staged_since);
		INSERT INTO metering.rollup_log (duration, step) VALUES ('0', 'restart');
		RAISE NOTICE 'staging was lost in a crash: metering.gap lists the readings to send again';
	END IF;

	IF g.sealed_until IS NULL THEN
		SELECT s.starts_at INTO starts FROM metering.setting s;
		IF starts IS NULL THEN
			-- a reading that is being inserted may be older than all staged ones
			IF NOT metering.lock_staging('metering.reading', 'SHARE') THEN
				RAISE NOTICE 'readings are being sent: metering will start with the next roll-up';
				RETURN;
			END IF;
			SELECT min(r.read_at) INTO starts FROM metering.reading r;
		END IF;
		IF starts IS NULL THEN
			RETURN;
		END IF;
		SELECT * INTO w FROM metering.window_of(starts);
		g.sealed_until := w.window_start;
		g.billed_until := w.window_start;
		UPDATE metering.setting SET starts_at = w.window_start;
		UPDATE metering.progress SET sealed_until = g.sealed_until, billed_until = g.billed_until;
		starts := NULL;
	END IF;

	SELECT * INTO w FROM metering.window_of(g.billed_until);
	IF g.sealed_until >= w.window_end THEN
		step := 'window';
		starts := g.billed_until;
		ends := w.window_end;
	ELSIF g.sealed_until + interval '1 hour' + grace <= as_of THEN
		step := 'hour';
		starts := g.sealed_until;
		ends := g.sealed_until + interval '1 hour';
	END IF;
	IF starts < staged_since AND clock_timestamp() < staged_since + grace AND EXISTS (
		SELECT FROM metering.gap_of_all x WHERE x.read_at >= starts AND x.read_at < ends) THEN
		RAISE NOTICE '% % waits for readings that were lost', step, starts;
		step := NULL;
		starts := NULL;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.next_step(timestamptz) IS 'the next hour or bill window to seal';

-- No SET and no SECURITY DEFINER: both forbid COMMIT. So the functions above do all
-- that needs the rights of the owner.  Each step is a transaction of its own.  So is
-- the search for late readings, because it reads every partition.  The isolation level
-- must be set before any expression is evaluated.
CREATE PROCEDURE metering.rollup(as_of timestamptz DEFAULT now())
	LANGUAGE plpgsql
	AS $$
DECLARE
	due   record;
	slots int[];
	slot  int;
	done  boolean;
BEGIN
	LOOP
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		SELECT * INTO due FROM metering.next_step(least(as_of, pg_catalog.clock_timestamp()));
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		IF due.step IS NULL OR due.step OPERATOR(pg_catalog.=) 'window' THEN
			slots := ARRAY(SELECT metering.late_slots(least(as_of, pg_catalog.clock_timestamp())));
			COMMIT;
			SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			FOREACH slot IN ARRAY slots LOOP
				PERFORM metering.sweep(slot);
				COMMIT;
				SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			END LOOP;
		END IF;
		EXIT WHEN due.step IS NULL;
		IF due.step OPERATOR(pg_catalog.=) 'window' THEN
			done := metering.seal_window(due.starts);
		ELSE
			done := metering.seal_hour(due.starts);
		END IF;
		EXIT WHEN NOT done;
	END LOOP;
END
$$;

COMMENT ON PROCEDURE metering.rollup(timestamptz) IS 'seals every hour and bill window that is due as of a time, each in a transaction of its own; several sessions may call it, at any time';
