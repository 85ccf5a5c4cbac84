-- Locks a staging table.  Returns false if another session still uses it after one
-- second: then the step is left to the next roll-up, and neither side waits longer for
-- the other.
CREATE FUNCTION metering.lock_staging(staging_table regclass, lock_mode text DEFAULT 'ACCESS EXCLUSIVE') RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
	AS $$
BEGIN
	EXECUTE format('LOCK TABLE %s IN %s MODE', staging_table, lock_mode);
	RETURN true;
EXCEPTION WHEN lock_not_available THEN
	RETURN false;
END
$$;

COMMENT ON FUNCTION metering.lock_staging(regclass, text) IS 'locks a staging table; false if another session is using it';

CREATE FUNCTION metering.staging_partition(slot int) RETURNS regclass
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT ('metering.reading_' || to_char(slot, 'FM00'))::regclass $$;

COMMENT ON FUNCTION metering.staging_partition(int) IS 'the staging partition of a slot of the ring';

-- Sealing must see every reading that was committed before it got the lock.  With an
-- older snapshot it would miss readings, and the purge would destroy them.
CREATE FUNCTION metering.check_isolation() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'a roll-up step cannot run in isolation level %', current_setting('transaction_isolation')
			USING ERRCODE = 'invalid_transaction_state', HINT = 'Use CALL rollup(), or isolation level read committed.';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.check_isolation() IS 'refuses to seal with an old snapshot';

-- Skips the door.  It accepted these readings before and might refuse them now, for
-- example if the active range of their meter has ended.
CREATE FUNCTION metering.restore_kept_readings(partition regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'paillier_metering_restore_kept_readings' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION metering.restore_kept_readings(regclass) IS 'moves the readings of reading_kept back into a staging partition, without the check at the door';

-- Empties a locked staging partition.  newest is the time of its newest reading.
-- Readings from keep_from on are not sealed yet: they are moved out and back.  A
-- partition holds such readings if the roll-up is far behind.
CREATE FUNCTION metering.purge(partition regclass, keep_from timestamptz, newest timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	keeps boolean := newest >= keep_from;
BEGIN
	IF keep_from IS NULL THEN
		RAISE EXCEPTION 'cannot purge % before an hour is sealed', partition
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	IF keeps THEN
		EXECUTE format('INSERT INTO metering.reading_kept SELECT * FROM %s WHERE read_at >= $1', partition)
			USING keep_from;
	END IF;
	EXECUTE format('TRUNCATE %s', partition);
	IF keeps THEN
		PERFORM metering.restore_kept_readings(partition);
		TRUNCATE metering.reading_kept;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.purge(regclass, timestamptz, timestamptz) IS 'empties a staging partition by TRUNCATE, but keeps readings that are not sealed yet';
