-- A resend of a reading is the same ciphertext, unless a collector encrypts it again.
CREATE FUNCTION metering.digest(energy @paillier@.paillier_ciphertext) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT encode(sha256(@paillier@.paillier_bytes(energy)), 'hex') $$;

COMMENT ON FUNCTION metering.digest(@paillier@.paillier_ciphertext) IS 'SHA-256 of a ciphertext, by which two copies of a reading are compared';

CREATE FUNCTION metering.differ(state text, energy @paillier@.paillier_ciphertext) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT CASE WHEN state IS NULL THEN metering.digest(energy) WHEN state = metering.digest(energy) THEN state ELSE '' END $$;

COMMENT ON FUNCTION metering.differ(text, @paillier@.paillier_ciphertext) IS 'step of the aggregate of that name: the digest of all ciphertexts so far, or empty if two differ';

CREATE FUNCTION metering.differ(state text) RETURNS boolean
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT COALESCE(state = '', false) $$;

COMMENT ON FUNCTION metering.differ(text) IS 'result of the aggregate of that name';

CREATE AGGREGATE metering.differ(@paillier@.paillier_ciphertext) (
	SFUNC = metering.differ, STYPE = text, FINALFUNC = metering.differ);

COMMENT ON AGGREGATE metering.differ(@paillier@.paillier_ciphertext) IS 'true if not all ciphertexts are the same';

-- Adds up the readings of an hour to one partial total for each meter.  If a meter
-- sent a reading twice, its count of readings exceeds the bits of its bitmap: then its
-- readings are added up again, each as it was stored first.  Returns the number of
-- readings, and of those that were sent with different ciphertexts.
--
-- A step of the roll-up must not write ciphertexts to temporary files: temp_file_limit
-- ends a step that would.  So the functions that add up forbid plans that sort.
CREATE FUNCTION metering.sum_hour(partition regclass, starts timestamptz, key_id text, one_key boolean,
		OUT taken bigint, OUT conflicts bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
DECLARE
	-- after a change of key, some readings of the hour may be under the new key
	due      CONSTANT text := CASE WHEN one_key THEN '%1$s.read_at >= $1 AND %1$s.read_at < $1 + interval ''1 hour'''
		ELSE '%1$s.read_at >= $1 AND %1$s.read_at < $1 + interval ''1 hour'' AND @paillier@.paillier_key_id(%1$s.energy) = $2' END;
	command  CONSTANT text := '
		INSERT INTO metering.partial (meter_id, hour, key_id, total, readings, received)
		SELECT r.meter_id, $1, $2, @paillier@.sum(r.energy), count(*), bit_or(metering.minute_bit(r.read_at))
		FROM %s WHERE %s GROUP BY r.meter_id';
	slices   int := metering.slices((SELECT count(*) FROM metering.meter), partition);
	repeated text[];
	number   bigint;
	found    bigint;
BEGIN
	conflicts := 0;
	FOR part IN 0 .. slices - 1 LOOP
		EXECUTE format(command, format('%s r', partition),
			format('%s AND %s', format(due, 'r'), metering.slice('r.meter_id', slices, part))) USING starts, key_id;
	END LOOP;
	SELECT array_agg(p.meter_id), sum(metering.bits(p.received)) INTO repeated, number
	FROM metering.partial p WHERE p.hour = starts AND p.readings <> metering.bits(p.received);
	IF repeated IS NULL THEN
		taken := (SELECT COALESCE(sum(p.readings), 0) FROM metering.partial p WHERE p.hour = starts);
		RETURN;
	END IF;
	DELETE FROM metering.partial p WHERE p.hour = starts AND p.meter_id = ANY (repeated);
	slices := metering.slices(number, partition);
	FOR part IN 0 .. slices - 1 LOOP
		EXECUTE format('
			SELECT count(*) FROM (
				SELECT FROM %1$s x
				WHERE %2$s AND x.meter_id IN (SELECT unnest($3)) AND %3$s GROUP BY x.meter_id, x.read_at
				HAVING metering.differ(x.energy)) AS y', partition, format(due, 'x'), metering.slice('x.meter_id', slices, part))
			INTO found USING starts, key_id, repeated;
		conflicts := conflicts + found;
		EXECUTE format(command, format('(
				SELECT min(x.ctid) AS place FROM %1$s x
				WHERE %2$s AND x.meter_id IN (SELECT unnest($3)) AND %3$s GROUP BY x.meter_id, x.read_at) AS f
			JOIN %1$s r ON r.ctid = f.place', partition, format(due, 'x'), metering.slice('x.meter_id', slices, part)), 'true')
			USING starts, key_id, repeated;
	END LOOP;
	taken := (SELECT COALESCE(sum(p.readings), 0) FROM metering.partial p WHERE p.hour = starts);
END
$$;

COMMENT ON FUNCTION metering.sum_hour(regclass, timestamptz, text, boolean) IS 'adds up the readings of an hour to one partial total for each meter';

-- A query for the region that each meter counts in during the hour $1, and the number of
-- readings that it should send; part is a condition on meters m.
CREATE FUNCTION metering.meter_places(part text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format($query$
			SELECT m.meter_id, COALESCE(x.region, m.region) AS region, metering.count_minutes(metering.expected_minutes(
				m.active, $1, $1 + interval '1 hour', metering.minutes(COALESCE(o.reading_interval, w.reading_interval)))) AS expected
			FROM metering.window_of($1) AS w CROSS JOIN metering.meter m
			LEFT JOIN metering.own_intervals($1) AS o ON o.meter_id = m.meter_id
			LEFT JOIN (
				SELECT h.meter_id, (array_agg(h.region ORDER BY h.until))[1] AS region FROM metering.region_history h
				WHERE h.until > $1 GROUP BY h.meter_id) AS x ON x.meter_id = m.meter_id
			WHERE m.active && tstzrange($1, $1 + interval '1 hour') AND %s
			$query$, part)
	$$;

COMMENT ON FUNCTION metering.meter_places(text) IS 'a query for the region of each meter in an hour, which is its parameter, and how many readings are expected of it';

-- Adds up the partial totals of an hour to one re-randomised total for each region, or
-- to none if too few meters contributed.
CREATE FUNCTION metering.seal_regions(hour timestamptz, key_id text, OUT meters bigint, OUT suppressed bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET enable_nestloop = off
		SET work_mem = '256MB'
	AS $$
DECLARE
	slices int := metering.slices((SELECT count(*) FROM metering.meter), 'metering.partial');
BEGIN
	FOR part IN 0 .. slices - 1 LOOP
		EXECUTE format($query$
			INSERT INTO metering.region_slice (region, total, meters, readings, expected)
			SELECT place.region, @paillier@.sum(p.total), count(p.meter_id), COALESCE(sum(p.readings), 0), sum(place.expected)
			FROM (%s) AS place
			LEFT JOIN (SELECT * FROM metering.partial p WHERE p.hour = $1 AND p.key_id = $2 AND %s) AS p
				ON p.meter_id = place.meter_id
			GROUP BY place.region
			$query$, metering.meter_places(metering.slice('m.meter_id', slices, part)), metering.slice('p.meter_id', slices, part))
			USING hour, key_id;
	END LOOP;
	WITH sealed AS (
		INSERT INTO metering.region_hour AS r (region, hour, key_id, total, meters, readings, expected)
		SELECT s.region, $1, $2,
			CASE WHEN sum(s.meters) >= (SELECT x.min_meters FROM metering.setting x)
				THEN @paillier@.paillier_rerandomize(@paillier@.sum(s.total)) END,
			sum(s.meters), sum(s.readings), sum(s.expected)
		FROM metering.region_slice s GROUP BY s.region
		RETURNING r.meters, r.total IS NULL AS suppressed
	)
	SELECT COALESCE(sum(s.meters), 0), count(*) FILTER (WHERE s.suppressed) INTO meters, suppressed FROM sealed s;
	TRUNCATE metering.region_slice;
END
$$;

COMMENT ON FUNCTION metering.seal_regions(timestamptz, text) IS 'writes the regional totals of an hour; returns the meters in them, and the number of regions without a total';

-- Seals one hour: writes its regional and partial totals and purges its readings, in
-- one transaction.  Returns false if its partition is in use.
CREATE FUNCTION metering.seal_hour(starts timestamptz) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET temp_file_limit = 0
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
	dropped    bigint := 0;
	placeless  bigint := 0;
	conflicts  bigint;
	regions    record;
BEGIN
	PERFORM metering.check_isolation();
	PERFORM FROM metering.progress WHERE sealed_until = starts FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;	-- somebody else has sealed it
	END IF;
	PERFORM metering.check_staging();
	IF next_hour + (SELECT s.grace FROM metering.setting s) > clock_timestamp() THEN
		RAISE EXCEPTION 'hour % is not due', starts
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'An hour is sealed when it has ended and its time of grace has passed.';
	END IF;
	IF NOT (metering.lock_staging(partition) AND metering.lock_spare_tables()) THEN
		RAISE NOTICE 'hour % is still being written to: it will be sealed by the next roll-up', starts;
		RETURN false;
	END IF;
	SELECT * INTO w FROM metering.window_of(starts);
	EXECUTE format('SELECT count(*) FILTER (WHERE read_at < $2), count(*) FILTER (WHERE read_at < $1), count(*) FILTER (WHERE read_at < $3),
		COALESCE(bool_and(@paillier@.paillier_key_id(energy) = $4), true), max(read_at) FROM %s', partition)
		INTO staged, staged_late, refused, one_key, newest
		USING starts, next_hour, (SELECT s.starts_at FROM metering.setting s), w.key_id;

	IF w.bill_key_id IS NOT NULL THEN
		SELECT * INTO regions FROM metering.sum_regions(partition, starts, w.key_id, one_key);
		taken := regions.taken;
		conflicts := regions.conflicts;
		placeless := regions.dropped;
	ELSE
		SELECT s.taken, s.conflicts INTO taken, conflicts FROM metering.sum_hour(partition, starts, w.key_id, one_key) AS s;
		SELECT * INTO regions FROM metering.seal_regions(starts, w.key_id);
	END IF;
	IF w.bill_key_id IS NULL AND NOT one_key THEN
		SELECT s.taken, s.dropped INTO late, dropped FROM metering.sum_late(partition, next_hour) AS s;
	ELSIF staged_late > 0 THEN
		SELECT s.taken, s.dropped INTO late, dropped FROM metering.sum_late(partition, starts) AS s;
	END IF;
	dropped := dropped + placeless;
	PERFORM metering.purge(partition, next_hour, newest);
	UPDATE metering.progress SET sealed_until = next_hour;

	INSERT INTO metering.rollup_log (duration, step, starts, meters, readings, duplicates, conflicts, refused, late, dropped,
		suppressed)
	VALUES (clock_timestamp() - began, 'hour', starts, regions.meters, taken,
		staged - taken - late - dropped - refused, conflicts, refused, late, dropped, regions.suppressed);
	RAISE NOTICE 'hour %: % readings, % duplicates, % late, % regions without a total',
		starts, taken, staged - taken - late - dropped - refused, late, regions.suppressed;
	RETURN true;
END
$$;

COMMENT ON FUNCTION metering.seal_hour(timestamptz) IS 'seals the next hour, even if nobody has sent a reading of it: writes regional and partial totals, and purges the readings';
