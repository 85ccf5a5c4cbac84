-- Adds up the readings of an hour to one partial total for each meter.  If a meter
-- sent a reading twice, its count of readings exceeds the bits of its bitmap: then its
-- readings are added up again without duplicates.  Returns the number of readings.
CREATE FUNCTION metering.sum_hour(partition regclass, starts timestamptz, key_id text, minutes int, one_key boolean)
	RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' SET jit = off SET enable_nestloop = off SET enable_sort = off
	AS $$
DECLARE
	-- after a change of key, some readings of the hour may be under the new key
	source   text := format('%s WHERE read_at >= $1 AND read_at < $1 + interval ''1 hour''%s', partition,
		CASE WHEN one_key THEN '' ELSE ' AND @paillier@.paillier_key_id(energy) = $2' END);
	command  text := '
		INSERT INTO metering.partial (meter_id, hour, key_id, total, readings, received)
		SELECT meter_id, $1, $2, @paillier@.sum(energy), count(*), bit_or(metering.reading_bit(read_at, $3))
		FROM %s GROUP BY meter_id';
	repeated text[];
BEGIN
	EXECUTE format(command, source) USING starts, key_id, minutes;
	SELECT array_agg(p.meter_id) INTO repeated
	FROM metering.partial p WHERE p.hour = starts AND p.readings <> metering.bits(p.received);
	IF repeated IS NOT NULL THEN
		DELETE FROM metering.partial p WHERE p.hour = starts AND p.meter_id = ANY (repeated);
		EXECUTE format(command, format('(SELECT DISTINCT ON (meter_id, read_at) meter_id, read_at, energy
			FROM %s AND meter_id = ANY ($4) ORDER BY meter_id, read_at, ctid) AS once', source))
			USING starts, key_id, minutes, repeated;
	END IF;
	RETURN (SELECT COALESCE(sum(p.readings), 0) FROM metering.partial p WHERE p.hour = starts);
END
$$;

COMMENT ON FUNCTION metering.sum_hour(regclass, timestamptz, text, int, boolean) IS 'adds up the readings of an hour to one partial total for each meter';

-- Adds up the partial totals of an hour to one re-randomised total for each region, or
-- to none if too few meters contributed.  Returns the number of regions without a
-- total.
CREATE FUNCTION metering.seal_regions(hour timestamptz, key_id text) RETURNS bigint
	LANGUAGE sql SET search_path = pg_catalog, pg_temp SET work_mem = '256MB' SET jit = off SET enable_nestloop = off SET enable_sort = off
	AS $$
		WITH place AS (
			SELECT m.meter_id, COALESCE(x.region, m.region) AS region,
				metering.expected_readings(m.active, $1, $1 + interval '1 hour', w.reading_interval) AS expected
			FROM metering.window_of($1) AS w CROSS JOIN metering.meter m
			LEFT JOIN (
				SELECT DISTINCT ON (meter_id) meter_id, region FROM metering.region_history
				WHERE until > $1 ORDER BY meter_id, until) AS x USING (meter_id)
			WHERE m.active && tstzrange($1, $1 + interval '1 hour')
		), sealed AS (
			INSERT INTO metering.region_hour (region, hour, key_id, total, meters, readings, expected)
			SELECT region, $1, $2,
				CASE WHEN count(p.meter_id) >= (SELECT min_meters FROM metering.setting)
					THEN @paillier@.paillier_rerandomize(@paillier@.sum(p.total)) END,
				count(p.meter_id), COALESCE(sum(p.readings), 0), sum(place.expected)
			FROM place LEFT JOIN metering.partial p
				ON p.meter_id = place.meter_id AND p.hour = $1 AND p.key_id = $2
			GROUP BY region
			RETURNING total
		)
		SELECT count(*) FROM sealed WHERE total IS NULL
	$$;

COMMENT ON FUNCTION metering.seal_regions(timestamptz, text) IS 'writes the regional totals of an hour';

-- Seals one hour: writes its regional and partial totals and purges its readings, in
-- one transaction.  Returns false if its partition is in use.
CREATE FUNCTION metering.seal_hour(starts timestamptz) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	began      timestamptz := clock_timestamp();
	partition  regclass := metering.staging_partition(metering.slot(starts));
	next_hour  timestamptz := starts + interval '1 hour';
	w          record;
	one_key    boolean;
	staged     bigint;
	staged_late bigint;
	newest     timestamptz;
	refused    bigint;
	taken      bigint;
	late       bigint := 0;
	suppressed bigint;
BEGIN
	PERFORM metering.check_isolation();
	PERFORM FROM metering.progress WHERE sealed_until = starts FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;	-- somebody else has sealed it
	END IF;
	IF next_hour + (SELECT s.grace FROM metering.setting s) > clock_timestamp() THEN
		RAISE EXCEPTION 'hour % is not due', starts
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'An hour is sealed when it has ended and its time of grace has passed.';
	END IF;
	IF NOT metering.lock_staging(partition) THEN
		RAISE NOTICE 'hour % is still being written to: it will be sealed by the next roll-up', starts;
		RETURN false;
	END IF;
	SELECT * INTO w FROM metering.window_of(starts);
	EXECUTE format('SELECT count(*) FILTER (WHERE read_at < $2), count(*) FILTER (WHERE read_at < $1), count(*) FILTER (WHERE read_at < $3),
		COALESCE(bool_and(@paillier@.paillier_key_id(energy) = $4), true), max(read_at) FROM %s', partition)
		INTO staged, staged_late, refused, one_key, newest
		USING starts, next_hour, (SELECT s.starts_at FROM metering.setting s), w.key_id;

	taken := metering.sum_hour(partition, starts, w.key_id, (EXTRACT(epoch FROM w.reading_interval) / 60)::int, one_key);
	suppressed := metering.seal_regions(starts, w.key_id);
	IF NOT one_key THEN
		late := metering.sum_late(partition, next_hour);
	ELSIF staged_late > 0 THEN
		late := metering.sum_late(partition, starts);
	END IF;
	PERFORM metering.purge(partition, next_hour, newest);
	UPDATE metering.progress SET sealed_until = next_hour;

	INSERT INTO metering.rollup_log (duration, step, starts, meters, readings, duplicates, refused, late, suppressed)
	SELECT clock_timestamp() - began, 'hour', starts, COALESCE(sum(r.meters), 0), taken,
		staged - taken - late - refused, refused, late, suppressed
	FROM metering.region_hour r WHERE r.hour = starts;
	RAISE NOTICE 'hour %: % readings, % duplicates, % late, % regions without a total',
		starts, taken, staged - taken - late - refused, late, suppressed;
	RETURN true;
END
$$;

COMMENT ON FUNCTION metering.seal_hour(timestamptz) IS 'seals the next hour: writes regional and partial totals, and purges the readings';
