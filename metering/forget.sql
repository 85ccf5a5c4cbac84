-- Once bills are issued, what was not issued is not forgotten.  Meters without a tariff
-- do not count: nobody is billed for them.  Nor do windows whose registers are missing: what
-- a bill opens with is kept in metering.issued_stretch.
CREATE FUNCTION metering.check_issued(before timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	covered timestamptz;
	late    text;
BEGIN
	SELECT r.covered_until INTO covered FROM metering.issue_run r ORDER BY r.run DESC LIMIT 1;
	IF covered < before THEN
		RAISE EXCEPTION 'bill windows from % on are not issued: they are not forgotten', covered
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CALL metering.issue_bills() first, or forget only what is older.';
	END IF;
	SELECT n.meter_id INTO late FROM metering.unbilled n
	WHERE n.since < before AND EXISTS (SELECT FROM metering.unissued_contract c
		WHERE c.meter_id = n.meter_id AND c.since < least(before, n.until))
		AND (EXISTS (SELECT FROM metering.window_grid w
				WHERE w.bill_key_id IS NULL AND w.window_start >= n.since AND w.window_start < least(before, n.until))
			OR EXISTS (SELECT FROM metering.unissued_register u WHERE u.meter_id = n.meter_id AND u.since < before
				AND (metering.registers_around(u.meter_id, u.series, least(before, u.until))).before > u.since))
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'bill windows of meter "%" from before % have a tariff and are not issued: they are not forgotten', late, before
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'CALL metering.issue_bills(); if the tariff has no price then, add one to metering.rate.';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.check_issued(timestamptz) IS 'refuses to forget bill windows that will be issued';

-- Moves the start of metering: from then on the door refuses what is older.
CREATE FUNCTION metering.move_start(before timestamptz) RETURNS timestamptz
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	starts timestamptz;
	latest timestamptz;
BEGIN
	SELECT least(g.billed_until, now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision))
	INTO latest FROM metering.progress g CROSS JOIN metering.setting s;
	IF before IS NULL OR NOT isfinite(before) OR COALESCE(before > latest, true) THEN
		RAISE EXCEPTION 'bill windows from before % cannot be forgotten', COALESCE(before::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value',
				HINT = format('Forget only what is sealed and older than the retention of readings: up to %s.', COALESCE(latest::text, 'now nothing'));
	END IF;
	SELECT max(w.window_start) INTO starts FROM metering.window_grid w WHERE w.window_start <= before;
	PERFORM metering.check_issued(starts);
	UPDATE metering.setting s SET starts_at = starts WHERE s.starts_at < starts;
	RETURN (SELECT s.starts_at FROM metering.setting s);
END
$$;

COMMENT ON FUNCTION metering.move_start(timestamptz) IS 'moves the start of metering to the bill window of a time';

-- Registers that the next draft of a bill subtracts are kept: the last one of a series,
-- if there is none at the start of metering.
CREATE FUNCTION metering.forget_registers(slot int) RETURNS boolean
	LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	partition regclass := ('metering.register_read_' || to_char(slot, 'FM00'))::regclass;
	starts    timestamptz := (SELECT s.starts_at FROM metering.setting s);
	newest    timestamptz;
	forgotten boolean;
BEGIN
	EXECUTE format('SELECT max(r.read_at) FROM %s r', partition) INTO newest;
	IF newest IS NULL OR newest >= COALESCE(starts, '-infinity') THEN
		RETURN false;
	END IF;
	IF NOT metering.try_lock(partition, 'ACCESS EXCLUSIVE') THEN
		RAISE NOTICE '% is being read: call metering.forget() again', partition;
		RETURN false;
	END IF;
	EXECUTE format('
		INSERT INTO metering.register_kept
		SELECT r.* FROM (SELECT DISTINCT ON (x.meter_id, x.series) x.* FROM %s x ORDER BY x.meter_id, x.series, x.read_at DESC) AS r
		WHERE NOT EXISTS (
			SELECT FROM metering.register_read y WHERE metering.month_slot(y.read_at) = metering.month_slot($1)
				AND (y.read_at, y.meter_id, y.series) = ($1, r.meter_id, r.series))
			AND (metering.registers_around(r.meter_id, r.series, $1)).before = r.read_at', partition) USING starts;
	EXECUTE format('SELECT count(*) > (SELECT count(*) FROM metering.register_kept) FROM %s', partition) INTO forgotten;
	IF forgotten THEN
		EXECUTE format('TRUNCATE %s', partition);
		INSERT INTO metering.register_read SELECT * FROM metering.register_kept;
		RAISE NOTICE '%: forgotten, up to %', partition, newest;
	END IF;
	TRUNCATE metering.register_kept;
	RETURN forgotten;
END
$$;

COMMENT ON FUNCTION metering.forget_registers(int) IS 'empties a partition of registers that were all forgotten, but for those that open the next bill';

-- Empties a partition of months that lies before the start of metering as a whole.
CREATE FUNCTION metering.forget_slot(slot int) RETURNS boolean
	LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
	AS $$
DECLARE
	partition regclass;
	newest    timestamptz;
	emptied   boolean;
BEGIN
	IF slot NOT BETWEEN 0 AND metering.month_slots() - 1 THEN
		RAISE EXCEPTION 'bill windows have no partition %', slot
			USING ERRCODE = 'invalid_parameter_value', HINT = format('Partitions are numbered from 0 to %s.', metering.month_slots() - 1);
	END IF;
	partition := ('metering.bill_window_' || to_char(slot, 'FM00'))::regclass;
	EXECUTE format('SELECT max(b.window_start) FROM %s b', partition) INTO newest;
	emptied := metering.forget_registers(slot);
	IF newest IS NULL OR newest >= COALESCE((SELECT s.starts_at FROM metering.setting s), '-infinity') THEN
		RETURN emptied;
	END IF;
	IF NOT metering.try_lock(partition, 'ACCESS EXCLUSIVE') THEN
		RAISE NOTICE '% is being read: call metering.forget() again', partition;
		RETURN emptied;
	END IF;
	EXECUTE format('TRUNCATE %s', partition);
	RAISE NOTICE '%: forgotten, up to %', partition, newest;
	RETURN true;
END
$$;

COMMENT ON FUNCTION metering.forget_slot(int) IS 'empties the partitions of bill windows and of registers of a month that were all forgotten; false if they hold others, or are being read';

CREATE FUNCTION metering.forget_rows(regions boolean) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	before timestamptz := (SELECT s.starts_at FROM metering.setting s);
	rows   bigint;
BEGIN
	DELETE FROM metering.incomplete i WHERE i.window_start < before;
	DELETE FROM metering.window_grid w WHERE w.window_end <= before
		AND NOT EXISTS (SELECT FROM metering.bill_window b WHERE (b.slot, b.window_start) = (w.slot, w.window_start))
		AND NOT EXISTS (SELECT FROM metering.register_read r
			WHERE metering.month_slot(r.read_at) = w.slot AND r.read_at = w.window_start);
	DELETE FROM metering.unbilled n WHERE n.until <= before;
	DELETE FROM metering.rollup_log l WHERE l.finished_at < before;
	DELETE FROM metering.uncounted u WHERE u.hour < before;
	DELETE FROM metering.voided_register v WHERE v.read_at < before;
	DELETE FROM metering.lost l WHERE l.until < before;
	IF regions THEN
		DELETE FROM metering.region_hour r WHERE r.hour < before;
		GET DIAGNOSTICS rows = ROW_COUNT;
		DELETE FROM metering.voided_region_hour r WHERE r.hour < before;
		RAISE NOTICE '% regional hours: forgotten', rows;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.forget_rows(boolean) IS 'deletes what else was written before the start of metering, regional totals only if asked to';

CREATE PROCEDURE metering.forget(before timestamptz, regions boolean DEFAULT false)
	LANGUAGE plpgsql
	AS $$
BEGIN
	PERFORM metering.move_start(before);
	COMMIT;
	FOR slot IN 0 .. metering.month_slots() OPERATOR(pg_catalog.-) 1 LOOP
		PERFORM metering.forget_slot(slot);
		COMMIT;
	END LOOP;
	PERFORM metering.forget_rows(regions);
END
$$;

COMMENT ON PROCEDURE metering.forget(timestamptz, boolean) IS 'forgets bill windows before a time that is older than the retention of readings: empties the partitions of whole months; true for regions: regional totals too';
