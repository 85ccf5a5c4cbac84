-- A lock on a table of staging, or false where somebody is still writing to it
-- after a second: then the step is left to the next roll-up, and neither side
-- waits for the other.
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

COMMENT ON FUNCTION metering.lock_staging(regclass, text) IS 'locks a table of staging, unless somebody is writing to it';

CREATE FUNCTION metering.staging_partition(slot int) RETURNS regclass
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$ SELECT ('metering.reading_' || to_char(slot, 'FM00'))::regclass $$;

COMMENT ON FUNCTION metering.staging_partition(int) IS 'the staging partition of a slot of the ring';

-- Sealing reads what was committed before it had the lock: an older snapshot
-- would miss readings that the purge then destroys.
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

COMMENT ON FUNCTION metering.check_isolation() IS 'refuses to seal by an old snapshot';

-- The door has accepted them already, and may not any more: a meter has ended.
CREATE FUNCTION metering.restore_kept_readings(partition regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'paillier_metering_restore_kept_readings' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION metering.restore_kept_readings(regclass) IS 'moves the readings of reading_kept into a staging partition, without the check at the door';

-- Empty a locked staging partition whose newest reading is last_one.  Readings of
-- hours that are not sealed yet, from keep_from on, are put back: the ring has come
-- round because the roll-up is far behind.
CREATE FUNCTION metering.purge(partition regclass, keep_from timestamptz, last_one timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	keeps boolean := last_one >= keep_from;
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

COMMENT ON FUNCTION metering.purge(regclass, timestamptz, timestamptz) IS 'empties a staging partition by TRUNCATE';
