-- With two keys, readings are added up to regional totals only: no product of readings
-- of one meter is ever stored.

-- Notes which meters have sent readings of an hour, and counts them by region.
CREATE FUNCTION metering.count_hour(partition regclass, starts timestamptz, due text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET enable_nestloop = off
	AS $$
DECLARE
	slices int := metering.passes((SELECT count(*) FROM metering.meter) * 400);
BEGIN
	FOR part IN 0 .. slices - 1 LOOP
		EXECUTE format($query$
			INSERT INTO metering.hour_meter (meter_id, region, readings, received)
			SELECT r.meter_id, p.region, r.readings, r.received
			FROM (
				SELECT r.meter_id, count(*) AS readings, bit_or(metering.minute_bit(r.read_at)) AS received
				FROM %s r WHERE %s AND %s GROUP BY r.meter_id) AS r
			LEFT JOIN (%s) AS p ON p.meter_id = r.meter_id
			$query$, partition, due, metering.slice('r.meter_id', slices, part),
			metering.meter_places(metering.slice('m.meter_id', slices, part)))
			USING starts;
		EXECUTE format($query$
			INSERT INTO metering.region_slice (region, meters, readings, expected)
			SELECT p.region, count(h.meter_id), COALESCE(sum(metering.bits(h.received)), 0), sum(p.expected)
			FROM (%s) AS p
			LEFT JOIN (SELECT * FROM metering.hour_meter h WHERE %s) AS h ON h.meter_id = p.meter_id
			GROUP BY p.region
			$query$, metering.meter_places(metering.slice('m.meter_id', slices, part)), metering.slice('h.meter_id', slices, part))
			USING starts;
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.count_hour(regclass, timestamptz, text) IS 'notes which meters have sent readings of an hour, and counts them by region; due is the condition for readings of the hour';

-- Of a reading that was sent twice, the one that was stored first counts.  The others are
-- deleted, so that what is left can be added up in one pass.  Returns how many readings
-- were sent with different ciphertexts.
CREATE FUNCTION metering.drop_repeated(partition regclass, starts timestamptz, due text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET enable_nestloop = off
	AS $$
DECLARE
	repeated  bigint := (SELECT COALESCE(sum(metering.bits(h.received)), 0) FROM metering.hour_meter h
		WHERE h.readings <> metering.bits(h.received));
	slices    int := metering.passes(repeated * 400);
	conflicts bigint := 0;
	found     bigint;
BEGIN
	FOR part IN 0 .. slices - 1 LOOP
		EXIT WHEN repeated = 0;
		EXECUTE format($query$
			WITH first AS MATERIALIZED (
				SELECT r.meter_id, r.read_at, min(r.ctid) AS place, metering.differ(r.energy) AS differ
				FROM %1$s r JOIN metering.hour_meter h ON h.meter_id = r.meter_id
				WHERE %2$s AND h.readings <> metering.bits(h.received) AND %3$s
				GROUP BY r.meter_id, r.read_at
			), dropped AS (
				DELETE FROM %1$s r USING first f
				WHERE r.meter_id = f.meter_id AND r.read_at = f.read_at AND r.ctid <> f.place AND %2$s AND %3$s
			)
			SELECT count(*) FROM first f WHERE f.differ
			$query$, partition, due, metering.slice('r.meter_id', slices, part)) INTO found USING starts;
		conflicts := conflicts + found;
	END LOOP;
	RETURN conflicts;
END
$$;

COMMENT ON FUNCTION metering.drop_repeated(regclass, timestamptz, text) IS 'deletes repeated readings of an hour from a staging partition; returns the number of those that differed';

-- Adds up the readings of an hour to one re-randomised total for each region that enough
-- meters contributed to.  Whole regions are added up at once: a part of one could be a single meter.
CREATE FUNCTION metering.sum_regions(partition regclass, starts timestamptz, key_id text, one_key boolean,
		OUT meters bigint, OUT taken bigint, OUT suppressed bigint, OUT conflicts bigint, OUT dropped bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET enable_mergejoin = off
		SET enable_hashjoin = on
	AS $$
DECLARE
	due     CONSTANT text := format('r.read_at >= $1 AND r.read_at < $1 + interval ''1 hour''%s',
		CASE WHEN NOT one_key THEN format(' AND @paillier@.paillier_key_id(r.energy) = %L', key_id) END);
	needed  CONSTANT int := (SELECT s.min_meters FROM metering.setting s);
	largest bigint;
	slices  int;
	added   record;
BEGIN
	PERFORM metering.count_hour(partition, starts, due);
	conflicts := metering.drop_repeated(partition, starts, due);
	WITH counted AS (
		SELECT s.region, sum(s.meters) AS meters, sum(s.readings) AS readings, sum(s.expected) AS expected
		FROM metering.region_slice s GROUP BY s.region
	), small AS (
		INSERT INTO metering.region_hour (region, hour, key_id, meters, readings, expected)
		SELECT c.region, $2, $3, c.meters, c.readings, c.expected FROM counted c WHERE c.meters < needed
	)
	SELECT COALESCE(sum(c.meters), 0), COALESCE(sum(c.readings), 0), count(*) FILTER (WHERE c.meters < needed),
		COALESCE(max(c.meters), 0), count(*) FILTER (WHERE c.meters >= needed)
	INTO meters, taken, suppressed, largest, slices FROM counted c;
	SELECT COALESCE(sum(metering.bits(h.received)), 0) INTO dropped FROM metering.hour_meter h WHERE h.region IS NULL;
	DELETE FROM metering.hour_meter h WHERE h.region IS NULL OR h.region IN (
		SELECT r.region FROM metering.region_hour r WHERE r.hour = starts);

	slices := greatest(metering.slices(slices, partition), metering.passes(meters * 150));
	IF metering.passes(largest * 150) > 1 THEN
		SET LOCAL enable_hashjoin = off;	-- the meters of one region do not fit into memory
	END IF;
	FOR part IN 0 .. slices - 1 LOOP
		EXECUTE format($query$
			INSERT INTO metering.region_hour (region, hour, key_id, total, meters, readings, expected)
			SELECT t.region, $1, $2, @paillier@.paillier_rerandomize(t.total), c.meters, c.readings, c.expected
			FROM (
				SELECT h.region, @paillier@.sum(r.energy) AS total
				FROM %s r JOIN metering.hour_meter h ON h.meter_id = r.meter_id
				WHERE %s AND %s
				GROUP BY h.region) AS t
			JOIN (
				SELECT s.region, sum(s.meters) AS meters, sum(s.readings) AS readings, sum(s.expected) AS expected
				FROM metering.region_slice s GROUP BY s.region) AS c ON c.region = t.region
			$query$, partition, due, metering.slice('h.region', slices, part)) USING starts, key_id;
	END LOOP;
	TRUNCATE metering.hour_meter, metering.region_slice;
END
$$;

COMMENT ON FUNCTION metering.sum_regions(regclass, timestamptz, text, boolean) IS 'adds up the readings of an hour to regional totals; returns the meters and readings in regions, the number of regions without a total, readings that were sent twice with different ciphertexts, and readings of meters that are in no region';
