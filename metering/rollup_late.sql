-- Adds up readings of sealed hours to partial totals, which count in bills only.
-- Leaves out readings that were received before.  Returns the number of readings.
CREATE FUNCTION metering.sum_late(partition regclass, sealed_until timestamptz) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' SET jit = off SET enable_nestloop = off
	AS $$
DECLARE
	taken bigint;
BEGIN
	EXECUTE format($query$
		WITH late AS (
			SELECT DISTINCT ON (meter_id, read_at) meter_id, read_at, metering.utc_hour(read_at) AS hour, energy
			FROM %s WHERE read_at < $1 ORDER BY meter_id, read_at, ctid
		), hours AS (
			SELECT h.hour, w.window_start, w.key_id, (EXTRACT(epoch FROM w.reading_interval) / 60)::int AS minutes,
				(EXTRACT(epoch FROM h.hour - w.window_start) / 3600)::int + 1 AS place
			FROM (SELECT DISTINCT hour FROM late) AS h CROSS JOIN LATERAL metering.window_of(h.hour) AS w
		), taken AS (
			INSERT INTO metering.partial (meter_id, hour, key_id, total, readings, received)
			SELECT l.meter_id, l.hour, @paillier@.paillier_key_id(l.energy), @paillier@.sum(l.energy), count(*),
				bit_or(metering.reading_bit(l.read_at, h.minutes))
			FROM late l JOIN hours h USING (hour)
			LEFT JOIN metering.bill_window b ON b.meter_id = l.meter_id AND b.window_start = h.window_start
				AND b.key_id = h.key_id
			WHERE l.hour >= (SELECT starts_at FROM metering.setting)
				AND COALESCE(b.received[h.place], 0) & metering.reading_bit(l.read_at, h.minutes) = 0
				AND NOT EXISTS (
					SELECT FROM metering.partial p
					WHERE p.hour = l.hour AND p.meter_id = l.meter_id
						AND p.received & metering.reading_bit(l.read_at, h.minutes) <> 0)
			GROUP BY l.meter_id, l.hour, @paillier@.paillier_key_id(l.energy)
			RETURNING readings
		)
		SELECT COALESCE(sum(readings), 0) FROM taken
		$query$, partition) INTO taken USING sealed_until;
	RETURN taken;
END
$$;

COMMENT ON FUNCTION metering.sum_late(regclass, timestamptz) IS 'adds up readings of sealed hours in a staging partition to partial totals';

-- Takes late readings from one partition, between two sealed hours.
CREATE FUNCTION metering.sweep(slot int) RETURNS void
	LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	began        timestamptz := clock_timestamp();
	partition    regclass;
	sealed_until timestamptz;
	staged       bigint;
	newest       timestamptz;
	refused      bigint;
	late         bigint;
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
	IF NOT metering.lock_staging(partition) THEN
		RETURN;		-- the next roll-up will find them
	END IF;
	EXECUTE format('SELECT count(*) FILTER (WHERE read_at < $1), count(*) FILTER (WHERE read_at < $2), max(read_at) FROM %s', partition)
		INTO staged, refused, newest USING sealed_until, (SELECT s.starts_at FROM metering.setting s);
	late := metering.sum_late(partition, sealed_until);
	PERFORM metering.purge(partition, sealed_until, newest);
	IF staged = 0 THEN
		RETURN;
	END IF;
	INSERT INTO metering.rollup_log (duration, step, readings, duplicates, refused, late)
	VALUES (clock_timestamp() - began, 'late', late, staged - late - refused, refused, late);
	RAISE NOTICE 'late readings: % taken, % duplicates', late, staged - late - refused;
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
