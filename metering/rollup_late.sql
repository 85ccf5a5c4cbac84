-- A state of sum() takes about three times the bytes of a ciphertext.  The executor
-- allows for SSPACE of the aggregate at least, and the row of the group.
CREATE FUNCTION metering.slices(groups bigint, source regclass) RETURNS int
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	bytes  bigint;
	amount name := CASE WHEN source = 'metering.partial'::regclass THEN 'total' ELSE 'energy' END;
BEGIN
	EXECUTE format('SELECT pg_column_size(%I) FROM %s LIMIT 1', amount, source) INTO bytes;
	RETURN metering.passes(groups * greatest(3.0 * COALESCE(bytes, 0) + 300, 1024));
END
$$;

COMMENT ON FUNCTION metering.slices(bigint, regclass) IS 'number of slices in which a step of the roll-up adds up so many groups; sets work_mem to rollup_memory';

-- A condition for one slice of the meters.
CREATE FUNCTION metering.slice(meter_id text, slices int, part int) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE slices WHEN 1 THEN 'true' ELSE format('(hashtext(%s) & 2147483647) %% %s = %s', meter_id, slices, part) END $$;

COMMENT ON FUNCTION metering.slice(text, int, int) IS 'SQL condition that holds for one of several slices of the meters; meter_id is an expression';

-- Adds up readings of sealed hours to partial totals, which count in bills only.
-- Leaves out readings that were received before.  With two keys no total takes a late
-- reading: it is dropped.  Returns how many readings were taken, and dropped.
--
-- First it finds out which readings are new, in one row for each meter and hour.  So the
-- ciphertexts are read once, and not sorted: a sort could write them to a file.
CREATE FUNCTION metering.sum_late(partition regclass, sealed_until timestamptz, OUT taken bigint, OUT dropped bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
DECLARE
	slices   int;
	groups   bigint;
	repeated bigint;
	open     boolean := (SELECT w.bill_key_id IS NULL FROM metering.window_of((SELECT g.billed_until FROM metering.progress g)) AS w);
	command  CONSTANT text := '
		INSERT INTO metering.partial (meter_id, hour, key_id, total, readings, received)
		SELECT r.meter_id, l.hour, @paillier@.paillier_key_id(r.energy), @paillier@.sum(r.energy), count(*),
			bit_or(metering.minute_bit(r.read_at))
		FROM %s JOIN metering.late_hour l ON l.meter_id = r.meter_id AND l.hour = metering.utc_hour(r.read_at)
		WHERE r.read_at < $1 AND l.taken & metering.minute_bit(r.read_at) <> 0 AND %s AND %s
		GROUP BY r.meter_id, l.hour, @paillier@.paillier_key_id(r.energy)';
BEGIN
	EXECUTE format($query$
		WITH staged AS MATERIALIZED (
			SELECT r.meter_id, metering.utc_hour(r.read_at) AS hour, count(*) AS readings,
				bit_or(metering.minute_bit(r.read_at)) AS sent
			FROM %s r WHERE r.read_at < $1 AND r.read_at >= (SELECT s.starts_at FROM metering.setting s)
			GROUP BY 1, 2
		), hours AS MATERIALIZED (
			SELECT h.hour, w.window_start, w.slot, w.place, w.bill_key_id IS NOT NULL AS two_keys,
				w.window_start < (SELECT g.billed_until FROM metering.progress g) AS sealed
			FROM (SELECT DISTINCT s.hour FROM staged s) AS h CROSS JOIN LATERAL metering.hour_in_grid(h.hour) AS w
		), late AS (
			INSERT INTO metering.late_hour (meter_id, hour, readings, sent, taken)
			SELECT s.meter_id, s.hour, s.readings, s.sent, s.sent & ~COALESCE((
					SELECT bit_or(p.received) FROM metering.partial p WHERE p.hour = s.hour AND p.meter_id = s.meter_id), 0)
				& ~CASE WHEN h.sealed THEN COALESCE(
					(SELECT COALESCE(i.received[h.place], 0) FROM metering.incomplete i
						WHERE i.meter_id = s.meter_id AND i.window_start = h.window_start),
					(SELECT -1::bigint FROM metering.bill_window b
						WHERE b.slot = h.slot AND b.window_start = h.window_start AND b.meter_id = s.meter_id LIMIT 1), 0)
					ELSE 0 END
			FROM staged s JOIN hours h ON h.hour = s.hour AND NOT h.two_keys
		)
		SELECT COALESCE(sum(s.readings), 0) FROM staged s JOIN hours h ON h.hour = s.hour AND h.two_keys
		$query$, partition) INTO dropped USING sealed_until;
	IF NOT open THEN
		-- the last bill window of one key is sealed
		UPDATE metering.incomplete i SET received = metering.union_minutes(i.received, l.received)
		FROM (
			SELECT x.meter_id, w.window_start, metering.union_minutes(metering.hour_minutes(w.place, x.taken)) AS received
			FROM metering.late_hour x CROSS JOIN LATERAL metering.hour_in_grid(x.hour) AS w WHERE x.taken <> 0 GROUP BY 1, 2) AS l
		WHERE (i.meter_id, i.window_start) = (l.meter_id, l.window_start);
		WITH refused AS (
			INSERT INTO metering.uncounted AS u (meter_id, hour, key_id, readings)
			SELECT l.meter_id, l.hour, w.key_id, metering.bits(l.taken)
			FROM metering.late_hour l CROSS JOIN LATERAL metering.window_of(l.hour) AS w WHERE l.taken <> 0
			RETURNING u.readings
		)
		SELECT dropped + COALESCE(sum(r.readings), 0) INTO dropped FROM refused r;
		DELETE FROM metering.late_hour;
	END IF;
	SELECT COALESCE(sum(metering.bits(l.taken)), 0), count(*), count(*) FILTER (WHERE l.readings <> metering.bits(l.sent))
	INTO taken, groups, repeated FROM metering.late_hour l WHERE l.taken <> 0;
	slices := metering.slices(groups, partition);
	FOR part IN 0 .. slices - 1 LOOP
		EXIT WHEN taken = 0;
		EXECUTE format(command, format('%s r', partition), 'l.readings = metering.bits(l.sent)', metering.slice('r.meter_id', slices, part))
			USING sealed_until;
	END LOOP;
	-- a reading that was sent twice is taken from where it was stored first; a place of
	-- each of up to 60 readings takes more memory than a state
	slices := metering.slices(repeated * 8, partition);
	FOR part IN 0 .. slices - 1 LOOP
		EXIT WHEN repeated = 0;
		EXECUTE format(command, format('(
				SELECT min(x.ctid) AS place
				FROM %1$s x JOIN metering.late_hour y ON y.meter_id = x.meter_id AND y.hour = metering.utc_hour(x.read_at)
				WHERE x.read_at < $1 AND y.taken & metering.minute_bit(x.read_at) <> 0 AND y.readings <> metering.bits(y.sent) AND %2$s
				GROUP BY x.meter_id, x.read_at) AS f JOIN %1$s r ON r.ctid = f.place', partition,
			metering.slice('x.meter_id', slices, part)), 'true', 'true') USING sealed_until;
	END LOOP;
	TRUNCATE metering.late_hour;
END
$$;

COMMENT ON FUNCTION metering.sum_late(regclass, timestamptz) IS 'adds up readings of sealed hours in a staging partition to partial totals';

-- Takes late readings from one partition, between two sealed hours.
CREATE FUNCTION metering.sweep(slot int) RETURNS void
	LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET temp_file_limit = 0
	AS $$
DECLARE
	began        timestamptz := clock_timestamp();
	partition    regclass;
	sealed_until timestamptz;
	staged       bigint;
	newest       timestamptz;
	refused      bigint;
	late         bigint;
	dropped      bigint;
BEGIN
	IF slot NOT BETWEEN 0 AND metering.slots() - 1 THEN
		RAISE EXCEPTION 'staging has no partition %', slot
			USING ERRCODE = 'invalid_parameter_value', HINT = format('Partitions are numbered from 0 to %s.', metering.slots() - 1);
	END IF;
	partition := metering.staging_partition(slot);
	PERFORM metering.check_isolation();
	SELECT g.sealed_until INTO sealed_until FROM metering.progress g FOR UPDATE;
	IF sealed_until IS NULL THEN
		RETURN;		-- metering has not started: nothing can be late
	END IF;
	PERFORM metering.check_staging();
	IF NOT (metering.lock_staging(partition) AND metering.lock_spare_tables()) THEN
		RETURN;		-- the next roll-up will find them
	END IF;
	EXECUTE format('SELECT count(*) FILTER (WHERE read_at < $1), count(*) FILTER (WHERE read_at < $2), max(read_at) FROM %s', partition)
		INTO staged, refused, newest USING sealed_until, (SELECT s.starts_at FROM metering.setting s);
	SELECT s.taken, s.dropped INTO late, dropped FROM metering.sum_late(partition, sealed_until) AS s;
	PERFORM metering.purge(partition, sealed_until, newest);
	IF staged = 0 THEN
		RETURN;
	END IF;
	INSERT INTO metering.rollup_log (duration, step, readings, duplicates, refused, late, dropped)
	VALUES (clock_timestamp() - began, 'late', late, staged - late - dropped - refused, refused, late, dropped);
	RAISE NOTICE 'late readings: % taken, % duplicates', late, staged - late - dropped - refused;
END
$$;

COMMENT ON FUNCTION metering.sweep(int) IS 'takes the late readings from a staging partition, and purges what refused batches left in it';

-- Partitions that hold readings of sealed hours, or only the bytes of refused
-- readings.  It leaves out partitions of hours that collectors may be writing to: late
-- readings in these are taken when the hour is sealed.
CREATE FUNCTION metering.late_slots(as_of timestamptz) RETURNS SETOF int
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	sealed_until timestamptz := (SELECT g.sealed_until FROM metering.progress g);
	live         int[];
	partition    regclass;
	due          boolean;
BEGIN
	IF sealed_until IS NULL THEN
		RETURN;		-- metering has not started: nothing can be late
	END IF;
	live := ARRAY(SELECT metering.slot(h)
		FROM generate_series(sealed_until, least(as_of, sealed_until + (metering.slots() - 1) * interval '1 hour'), interval '1 hour') AS h);
	FOR slot IN 0 .. metering.slots() - 1 LOOP
		CONTINUE WHEN slot = ANY (live);
		partition := metering.staging_partition(slot);
		CONTINUE WHEN (SELECT pg_relation_size(c.oid) + COALESCE(pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0) = 0
			FROM pg_class c WHERE c.oid = partition);
		EXECUTE format('SELECT COALESCE(min(read_at) < $1, true) FROM %s', partition) INTO due USING sealed_until;
		IF due THEN
			RETURN NEXT slot;
		END IF;
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.late_slots(timestamptz) IS 'numbers of the staging partitions that hold late or refused readings';
