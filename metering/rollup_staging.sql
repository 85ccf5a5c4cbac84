-- In how many slices of the meters a step works, so that a slice fits into rollup_memory.
CREATE FUNCTION metering.passes(bytes numeric) RETURNS int
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	memory int := (SELECT s.rollup_memory FROM metering.setting s);
BEGIN
	PERFORM set_config('work_mem', memory::text, true);
	RETURN least(1000, greatest(1, ceil(bytes / 1024 / memory)));
END
$$;

COMMENT ON FUNCTION metering.passes(numeric) IS 'number of slices that a step of the roll-up takes one after the other; sets work_mem to rollup_memory';

-- Sessions that use a staging table, by locks or prepared transactions.  Anybody can
-- hold such a lock, for example by pg_partition_tree() in an open transaction.
CREATE FUNCTION metering.staging_users(staging_table regclass, lock_mode text DEFAULT 'ACCESS EXCLUSIVE')
	RETURNS TABLE (pid int, began timestamptz, who text)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		WITH locks AS MATERIALIZED (SELECT * FROM pg_locks k WHERE k.granted AND k.pid IS DISTINCT FROM pg_backend_pid())
		SELECT l.pid, a.xact_start,
			CASE WHEN l.pid IS NULL THEN format('prepared transaction "%s" of role "%s"', x.gid, x.owner)
				ELSE format('session %s of role "%s"%s', l.pid, a.usename,
					' (' || NULLIF(regexp_replace(a.application_name, '[^[:alnum:] ._-]', '?', 'g'), '') || ')') END
		FROM (
			SELECT DISTINCT k.pid, k.virtualtransaction FROM locks k
			WHERE k.locktype = 'relation' AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
				AND ($2 = 'ACCESS EXCLUSIVE' OR k.mode NOT IN ('AccessShareLock', 'RowShareLock', 'ShareLock'))
				AND (k.relation = $1 OR k.relation IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = $1))) AS l
		LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		LEFT JOIN locks t ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid'
			AND t.virtualtransaction = l.virtualtransaction
		LEFT JOIN pg_prepared_xacts x ON x.transaction = t.transactionid
	$$;

COMMENT ON FUNCTION metering.staging_users(regclass, text) IS 'sessions and prepared transactions that hold a lock on a staging table or its partitions, in a mode that conflicts with ACCESS EXCLUSIVE or SHARE';

CREATE FUNCTION metering.try_lock(staging_table regclass, lock_mode text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	EXECUTE format('LOCK TABLE %s IN %s MODE', staging_table, lock_mode);
	RETURN true;
EXCEPTION WHEN lock_not_available THEN
	RETURN false;
END
$$;

COMMENT ON FUNCTION metering.try_lock(regclass, text) IS 'locks a table; false after lock_timeout';

-- Locks a staging table.  It waits one second.  Then it returns false, and the step is
-- left to the next roll-up, so that collectors do not queue behind it.  Transactions
-- that keep it from its work for longer than the patience of the settings are ended.
CREATE FUNCTION metering.lock_staging(staging_table regclass, lock_mode text DEFAULT 'ACCESS EXCLUSIVE') RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
	AS $$
DECLARE
	patience interval := (SELECT s.patience FROM metering.setting s);
	since    timestamptz;
	users    text;
	u        record;
	ended    boolean := false;
BEGIN
	IF metering.try_lock(staging_table, lock_mode) THEN
		-- other tables may be free while one is blocked
		UPDATE metering.progress SET blocked_since = NULL, blocked_by = NULL, blocked_table = NULL
		WHERE blocked_table = staging_table::text;
		RETURN true;
	END IF;
	SELECT string_agg(x.who, ', ' ORDER BY x.began) INTO users FROM metering.staging_users(staging_table, lock_mode) AS x;
	UPDATE metering.progress g
	SET blocked_since = CASE WHEN g.blocked_table = staging_table::text THEN COALESCE(g.blocked_since, clock_timestamp())
			ELSE clock_timestamp() END, blocked_by = users, blocked_table = staging_table::text
	RETURNING g.blocked_since INTO since;
	IF since > clock_timestamp() - patience THEN
		RAISE NOTICE '% is in use by %', staging_table, users;
		RETURN false;
	END IF;
	FOR u IN
		SELECT x.* FROM metering.staging_users(staging_table, lock_mode) AS x
		WHERE x.pid IS NOT NULL AND x.began <= clock_timestamp() - patience
	LOOP
		ended := pg_terminate_backend(u.pid) OR ended;
		RAISE WARNING '% was ended: it has used % since %', u.who, staging_table, u.began;
	END LOOP;
	IF NOT ended THEN
		RAISE WARNING '% has been in use since %, by %', staging_table, since, users
			USING HINT = 'End them: ROLLBACK PREPARED, or pg_terminate_backend().';
	END IF;
	-- transactions that begin now queue behind this; the others end within the patience
	PERFORM set_config('lock_timeout', greatest(10000, EXTRACT(epoch FROM patience) * 1000)::int::text, true);
	IF metering.try_lock(staging_table, lock_mode) THEN
		UPDATE metering.progress SET blocked_since = NULL, blocked_by = NULL, blocked_table = NULL;
		RETURN true;
	END IF;
	RETURN false;
END
$$;

COMMENT ON FUNCTION metering.lock_staging(regclass, text) IS 'locks a staging table; false if another session is using it; ends sessions that use it for longer than the patience of the settings';

-- Locks the tables that a step empties besides its own.  Anybody may be looking at them.
CREATE FUNCTION metering.lock_spare_tables() RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RETURN metering.lock_staging('metering.reading_kept') AND metering.lock_staging('metering.partial_kept')
		AND metering.lock_staging('metering.region_slice') AND metering.lock_staging('metering.late_hour')
		AND metering.lock_staging('metering.hour_meter');
END
$$;

COMMENT ON FUNCTION metering.lock_spare_tables() IS 'locks the staging tables that are empty outside a step; false if another session is using one';

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

-- Only the roll-up notices a loss of staging.  A step that somebody calls by itself must
-- not seal an hour before that.
CREATE FUNCTION metering.check_staging() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT EXISTS (
		SELECT FROM metering.progress g JOIN metering.staging_since s ON s.epoch = g.epoch
		JOIN metering.place() AS p ON (p.system_identifier, p.database, p.timeline) = (g.system_identifier, g.database, g.timeline)) THEN
		RAISE EXCEPTION 'staging was lost, or comes from another database'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CALL metering.rollup() first.';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.check_staging() IS 'refuses to seal if staging was lost or copied since the last roll-up';

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
