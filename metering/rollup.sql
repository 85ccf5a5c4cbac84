-- Before the first step, metering starts with the bill window of the first reading, or
-- where the settings say so.
CREATE FUNCTION metering.start() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	starts timestamptz := (SELECT s.starts_at FROM metering.setting s);
BEGIN
	IF starts IS NULL THEN
		-- a reading that is being inserted may be older than all staged ones
		IF NOT metering.lock_staging('metering.reading', 'SHARE') THEN
			RAISE NOTICE 'readings are being sent: metering will start with the next roll-up';
			RETURN;
		END IF;
		SELECT min(r.read_at) INTO starts FROM metering.reading r;
	END IF;
	IF starts <= clock_timestamp() AND EXISTS (SELECT FROM metering.setting s WHERE s.key_id IS NOT NULL) THEN
		starts := (metering.open_window(starts)).window_start;
		UPDATE metering.setting SET starts_at = starts;
		UPDATE metering.progress SET only_row = true, sealed_until = starts, billed_until = starts;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.start() IS 'starts metering, if there are readings or settings to start with';

-- True if nobody has sent a reading of an hour, and less than half of the meters of the
-- last hour have sent anything newer.  Then it is not the meters that are silent: the
-- clock of the server may be ahead.  With two keys one meter is enough: an hour that is
-- sealed too early costs a regional total, and no bill.
CREATE FUNCTION metering.hour_is_silent(hour timestamptz) RETURNS boolean
	LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	found_one boolean;
	needed    bigint := CASE WHEN (SELECT w.bill_key_id FROM metering.window_of(hour) AS w) IS NULL THEN greatest(1, (
		SELECT (l.meters + 1) / 2 FROM metering.rollup_log l WHERE l.step = 'hour' AND l.meters > 0 ORDER BY l.id DESC LIMIT 1))
		ELSE 1 END;
BEGIN
	EXECUTE format('SELECT EXISTS (SELECT FROM %s r WHERE r.read_at >= $1 AND r.read_at < $1 + interval ''1 hour'')',
		metering.staging_partition(metering.slot(hour))) INTO found_one USING hour;
	RETURN NOT found_one AND needed > (
		SELECT count(*) FROM (
			SELECT DISTINCT r.meter_id FROM metering.reading r WHERE r.read_at >= hour + interval '1 hour' LIMIT needed) AS newer);
END
$$;

COMMENT ON FUNCTION metering.hour_is_silent(timestamptz) IS 'true if no meter has sent a reading of the hour, and too few have sent anything newer';

-- The next step of the roll-up, and the start of its hour or window.  NULL if nothing
-- is due.
--
-- After a loss of staging, hours and windows that lost readings wait for the grace
-- time, so that these can be sent again.  SET lock_timeout takes back at the end what is
-- set within.
CREATE FUNCTION metering.next_step(as_of timestamptz, OUT step text, OUT starts timestamptz)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = 0
	AS $$
DECLARE
	g            metering.progress;
	grace        interval := (SELECT s.grace FROM metering.setting s);
	staged_since timestamptz;
	ends         timestamptz;
BEGIN
	PERFORM metering.check_isolation();
	BEGIN
		PERFORM set_config('lock_timeout', (SELECT EXTRACT(epoch FROM s.patience)::int * 1000 FROM metering.setting s)::text, true);
		PERFORM FROM metering.progress FOR UPDATE;
	EXCEPTION WHEN lock_not_available THEN
		RAISE EXCEPTION 'another transaction has held metering.progress for longer than the patience of the settings'
			USING ERRCODE = 'lock_not_available',
				DETAIL = (SELECT format('It is in use by %s.', string_agg(x.who, ', ' ORDER BY x.began))
					FROM metering.staging_users('metering.progress') AS x),
				HINT = 'Another roll-up may be running. Otherwise end the transaction, or ROLLBACK PREPARED.';
	END;
	staged_since := metering.find_losses();
	IF staged_since IS NULL THEN
		RETURN;
	END IF;
	IF (SELECT p.sealed_until IS NULL FROM metering.progress p) THEN
		PERFORM metering.start();
	END IF;
	SELECT * INTO g FROM metering.progress;
	IF g.sealed_until IS NULL THEN
		RETURN;
	END IF;

	-- not far ahead of what is sealed, whatever the clock says
	PERFORM metering.open_windows(least(clock_timestamp(), g.sealed_until + interval '2 days'));
	ends := (SELECT w.window_end FROM metering.window_of(g.billed_until) AS w);
	-- not longer than there are two keys: hours of a later window of one key would be added to it
	IF g.sealed_until >= ends AND (NOT metering.two_keys_follow(ends)
			OR ends + (SELECT s.closing FROM metering.setting s) <= as_of
			OR (SELECT w.bill_key_id IS NULL FROM metering.window_of(g.sealed_until) AS w)) THEN
		step := 'window';
		starts := g.billed_until;
	ELSIF g.sealed_until + interval '1 hour' + grace <= as_of THEN
		step := 'hour';
		starts := g.sealed_until;
	END IF;
	IF starts < staged_since AND clock_timestamp() < staged_since + grace THEN
		RAISE NOTICE '% % waits until % for readings that were lost', step, starts, staged_since + grace;
		step := NULL;
	ELSIF step = 'hour' AND metering.hour_is_silent(starts) THEN
		RAISE NOTICE 'hour % waits: no meter has sent a reading of it, and too few have sent newer ones', starts;
		step := NULL;
	END IF;
	IF step IS NULL THEN
		starts := NULL;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.next_step(timestamptz) IS 'the next hour or bill window to seal; NULL if nothing is due, or if it waits for readings that were lost or for newer readings';

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
