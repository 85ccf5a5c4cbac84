-- Expands what sealed windows lack.  Staged readings are not looked at: a query of
-- anybody would hold up the roll-up.  So it lists readings that wait for a later total.
CREATE VIEW metering.gap_of_all AS
	SELECT m.meter_id, t.read_at, m.collector, CASE WHEN w.bill_key_id IS NULL THEN 'reading' ELSE 'register' END AS kind
	FROM (SELECT * FROM metering.setting LIMIT 1) AS s
	CROSS JOIN metering.incomplete i
	JOIN metering.window_grid w ON w.window_start = i.window_start
	JOIN metering.meter m ON m.meter_id = i.meter_id
	CROSS JOIN LATERAL (SELECT metering.missing_minutes(i.expected, i.received) AS missing) AS b
	LEFT JOIN LATERAL (
		SELECT h.reading_interval, true AS found FROM metering.interval_history h
		WHERE h.meter_id = i.meter_id AND h.until > i.window_start ORDER BY h.until LIMIT 1) AS h ON true
	CROSS JOIN LATERAL (
		SELECT COALESCE(CASE WHEN h.found THEN h.reading_interval ELSE m.reading_interval END, w.reading_interval) AS step) AS x
	CROSS JOIN LATERAL generate_series(w.window_start,
		CASE WHEN w.bill_key_id IS NULL THEN w.window_end - x.step ELSE w.window_start END, x.step) AS t (read_at)
	WHERE i.missing > 0
		AND i.window_start >= now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision) - interval '48 hours'
		AND t.read_at >= now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision)
		AND b.missing[floor(EXTRACT(epoch FROM t.read_at - w.window_start) / 3600)::int + 1] & metering.minute_bit(t.read_at) <> 0
		AND (w.bill_key_id IS NULL OR NOT EXISTS (
			SELECT FROM metering.register_read r
			WHERE metering.month_slot(r.read_at) = w.slot AND r.read_at = w.window_start AND r.meter_id = m.meter_id));

COMMENT ON VIEW metering.gap_of_all IS 'readings that sealed bill windows lack, and with two keys registers, of the meters of all collectors';

-- The roles whose meters the current user may see.  The column collector is the name
-- of a role, not its OID, for dumps: so the role may no longer exist.
CREATE FUNCTION metering.own_roles() RETURNS name[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT array_agg(r.rolname) FROM pg_roles r WHERE pg_has_role(r.oid, 'USAGE') $$;

COMMENT ON FUNCTION metering.own_roles() IS 'the roles whose rights the current user has';

-- The views are security barriers with OFFSET: conditions of a query are evaluated only
-- on rows that the reader may see.  Otherwise EXPLAIN ANALYZE would count rows of other
-- collectors for which they hold.
CREATE VIEW metering.gap WITH (security_barrier) AS
	SELECT e.meter_id, e.read_at, e.kind FROM metering.gap_of_all e
	WHERE e.collector IS NULL OR e.collector = ANY (metering.own_roles())
	OFFSET 0;

COMMENT ON VIEW metering.gap IS 'readings that are expected and that no total of a sealed bill window contains, or with two keys registers that are missing: send them again';
COMMENT ON COLUMN metering.gap.read_at IS 'start of the interval of the reading, or time of the register';
COMMENT ON COLUMN metering.gap.kind IS 'reading or register';

-- A meter may forget readings that totals on disk contain, and that a backup contains;
-- with two keys, also registers.
CREATE VIEW metering.acknowledged WITH (security_barrier) AS
	SELECT m.meter_id, COALESCE(least(x.first_missed, g.until), g.until) AS until
	FROM (SELECT * FROM metering.setting LIMIT 1) AS s
	CROSS JOIN LATERAL (
		SELECT max(w.window_end) AS until FROM metering.sealed_window w
		WHERE w.window_end <= clock_timestamp() - make_interval(secs => EXTRACT(epoch FROM s.backup_interval)::double precision)) AS g
	CROSS JOIN metering.meter m
	CROSS JOIN LATERAL (
		SELECT min(i.window_start) AS first_missed FROM metering.incomplete i
		WHERE i.meter_id = m.meter_id AND i.missing > 0
			AND i.window_start >= now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision) - interval '48 hours') AS x
	WHERE g.until IS NOT NULL AND (m.collector IS NULL OR m.collector = ANY (metering.own_roles()))
	OFFSET 0;

COMMENT ON VIEW metering.acknowledged IS 'the time before which a meter may forget its readings, because totals on disk contain them, and backups of these';
COMMENT ON COLUMN metering.acknowledged.until IS 'start of a bill window, at least backup_interval ago; the meter may forget readings that start before this';

CREATE FUNCTION metering.expected_of_window(active tstzrange, w metering.sealed_window, reading_interval interval) RETURNS bigint[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT CASE WHEN w.bill_key_id IS NULL
			THEN metering.expected_minutes(active, w.window_start, w.window_end, metering.minutes(reading_interval))
			WHEN metering.expects_register(active, w.window_start) THEN '{1}' ELSE '{}' END
	$$;

COMMENT ON FUNCTION metering.expected_of_window(tstzrange, metering.sealed_window, interval) IS 'the readings that a meter with an active range and an interval should send in a bill window; with two keys the first minute stands for its register';

-- Meters that come late, or whose active range changes, lack readings of windows that
-- are sealed.  A meter that has no begin is not asked for readings from before it was
-- registered.  It runs at COMMIT: no window is sealed between it and the end of the
-- transaction.  While a dump is restored it does nothing: its rows are in the dump.
CREATE FUNCTION metering.expect_readings() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	earlier tstzrange := 'empty';
	asked   tstzrange;
	present tstzrange;
	billed  timestamptz;
	since   timestamptz;
	w       record;
BEGIN
	SELECT g.billed_until INTO billed FROM metering.progress g
	WHERE (g.system_identifier, g.database) = (SELECT p.system_identifier, p.database FROM metering.place() AS p)
	FOR SHARE OF g;
	SELECT m.active INTO present FROM metering.meter m WHERE m.meter_id = NEW.meter_id;
	IF billed IS NULL OR NOT FOUND THEN
		RETURN NULL;
	END IF;
	IF TG_OP = 'UPDATE' THEN
		earlier := OLD.active;
	END IF;
	IF lower_inf(present) AND NOT lower_inf(earlier) THEN
		present := present * tstzrange(CASE WHEN isempty(earlier) THEN billed ELSE lower(earlier) END, NULL);
	END IF;
	-- a meter that had no begin may not have been asked
	asked := CASE WHEN lower_inf(earlier) AND NOT lower_inf(present) THEN 'empty' ELSE earlier END;
	SELECT greatest(s.starts_at, now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision))
	INTO since FROM metering.setting s;
	FOR w IN
		SELECT x.window_start, x.key_id, x.slot, x.bill_key_id, e.expected, metering.missing_minutes(e.expected, e.asked) AS added
		FROM metering.sealed_window x
		CROSS JOIN LATERAL (
			SELECT metering.expected_of_window(present, x, o.step) AS expected, metering.expected_of_window(earlier, x, o.step) AS earlier,
				metering.expected_of_window(asked, x, o.step) AS asked
			FROM metering.interval_at(NEW.meter_id, x.window_start, x.reading_interval) AS o (step)) AS e
		WHERE x.window_end > since AND (e.expected <> e.earlier OR e.expected <> e.asked)
	LOOP
		CONTINUE WHEN w.bill_key_id IS NOT NULL AND EXISTS (
			SELECT FROM metering.register_read r
			WHERE metering.month_slot(r.read_at) = w.slot AND r.read_at = w.window_start AND r.meter_id = NEW.meter_id);
		UPDATE metering.incomplete i SET expected = w.expected
		WHERE (i.meter_id, i.window_start) = (NEW.meter_id, w.window_start);
		CONTINUE WHEN FOUND;
		IF w.bill_key_id IS NOT NULL THEN
			INSERT INTO metering.incomplete (meter_id, window_start, expected, received)
			SELECT NEW.meter_id, w.window_start, w.added, '{}' WHERE metering.count_minutes(w.added) > 0;
			CONTINUE;
		END IF;
		-- a row that is there already belongs to a window that is complete
		INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, expected)
		SELECT w.slot, w.window_start, NEW.meter_id, w.key_id, metering.count_minutes(w.added)
		WHERE metering.count_minutes(w.added) > 0 AND NOT EXISTS (
			SELECT FROM metering.bill_window b
			WHERE (b.slot, b.window_start, b.meter_id) = (w.slot, w.window_start, NEW.meter_id));
		IF FOUND THEN
			INSERT INTO metering.incomplete (meter_id, window_start, expected, received)
			VALUES (NEW.meter_id, w.window_start, w.added, '{}');
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.expect_readings() IS 'notes what sealed bill windows lack when a meter is registered or its active range changes';

CREATE CONSTRAINT TRIGGER expect_insert AFTER INSERT ON metering.meter
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NOT lower_inf(NEW.active))
	EXECUTE FUNCTION metering.expect_readings();
CREATE CONSTRAINT TRIGGER expect_update AFTER UPDATE ON metering.meter
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.active IS DISTINCT FROM NEW.active)
	EXECUTE FUNCTION metering.expect_readings();
