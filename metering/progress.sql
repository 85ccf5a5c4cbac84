-- Where this database is: no other database has been here, unless it was restored or
-- copied from this one, or promoted beside it.
CREATE FUNCTION metering.place(OUT system_identifier bigint, OUT database oid, OUT timeline int)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT c.system_identifier, d.oid, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
		FROM pg_control_system() AS c, pg_database d WHERE d.datname = current_database()
	$$;

COMMENT ON FUNCTION metering.place() IS 'server, database and timeline: a crash changes none of them; a promotion, a point-in-time recovery, a restored dump or a copy of the database changes one';

-- The row that the install script makes has only_row = false: see metering.setting.
CREATE TABLE metering.progress (
	only_row          boolean PRIMARY KEY DEFAULT true,
	sealed_until      timestamptz,
	billed_until      timestamptz,
	epoch             uuid NOT NULL DEFAULT gen_random_uuid(),
	system_identifier bigint,
	database          oid,
	timeline          int,
	blocked_since     timestamptz,
	blocked_by        text,
	blocked_table     text
);

COMMENT ON TABLE metering.progress IS 'progress of the roll-up, one row; a roll-up holds a lock on it';
COMMENT ON COLUMN metering.progress.sealed_until IS 'all hours before this are sealed';
COMMENT ON COLUMN metering.progress.billed_until IS 'all bill windows before this are sealed';
COMMENT ON COLUMN metering.progress.epoch IS 'changes when the roll-up finds that it runs in another place than before';
COMMENT ON COLUMN metering.progress.system_identifier IS 'the place where the roll-up ran last: its server; see metering.place()';
COMMENT ON COLUMN metering.progress.database IS 'its database';
COMMENT ON COLUMN metering.progress.timeline IS 'its timeline';
COMMENT ON COLUMN metering.progress.blocked_since IS 'since when the roll-up could not lock staging; NULL if it is not blocked';
COMMENT ON COLUMN metering.progress.blocked_by IS 'the sessions and prepared transactions that held the lock';
COMMENT ON COLUMN metering.progress.blocked_table IS 'the staging table that it could not lock';

SELECT pg_catalog.pg_extension_config_dump('metering.progress', 'WHERE only_row');

INSERT INTO metering.progress (only_row, system_identifier, database, timeline) SELECT false, p.* FROM metering.place() AS p;
INSERT INTO metering.staging_since (epoch) SELECT g.epoch FROM metering.progress g;

-- Readings that were lost with staging.  Everybody may know these times.
CREATE TABLE metering.lost (
	lost_id bigint PRIMARY KEY DEFAULT (EXTRACT(epoch FROM clock_timestamp()) * 1000000)::bigint,
	since   timestamptz NOT NULL,
	until   timestamptz NOT NULL,
	reason  text NOT NULL CHECK (reason IN ('crash', 'other place'))
);

COMMENT ON TABLE metering.lost IS 'ranges of time whose readings were lost with staging: meters send all readings of a range again, once for each lost_id';
COMMENT ON COLUMN metering.lost.lost_id IS 'number of the loss; it grows with time, in any database that comes from the same backup';
COMMENT ON COLUMN metering.lost.since IS 'start of the range';
COMMENT ON COLUMN metering.lost.until IS 'end of the range: when the loss was found';
COMMENT ON COLUMN metering.lost.reason IS 'crash: the server has crashed; other place: a standby was promoted, or a backup, a dump or a copy of the database is in use. Hours that were due then have no total';

SELECT pg_catalog.pg_extension_config_dump('metering.lost', '');

-- Readings that can be in no total, and that are destroyed.
CREATE TABLE metering.uncounted (
	meter_id     text NOT NULL,
	hour         timestamptz NOT NULL,
	key_id       text NOT NULL,
	readings     int NOT NULL,
	destroyed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE metering.uncounted REPLICA IDENTITY FULL;

COMMENT ON TABLE metering.uncounted IS 'readings that were destroyed without being counted, because no total could take them any more';
COMMENT ON COLUMN metering.uncounted.hour IS 'their UTC hour';
COMMENT ON COLUMN metering.uncounted.key_id IS 'key that they were encrypted under';
COMMENT ON COLUMN metering.uncounted.readings IS 'how many';
COMMENT ON COLUMN metering.uncounted.destroyed_at IS 'when';

SELECT pg_catalog.pg_extension_config_dump('metering.uncounted', '');

CREATE TABLE metering.rollup_log (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	duration    interval NOT NULL,
	step        text NOT NULL CHECK (step IN ('hour', 'late', 'window', 'restart', 'place')),
	starts      timestamptz,
	meters      bigint,
	readings    bigint,
	duplicates  bigint,
	conflicts   bigint,
	refused     bigint,
	late        bigint,
	dropped     bigint,
	suppressed  bigint
);

COMMENT ON TABLE metering.rollup_log IS 'what each step of the roll-up did';
COMMENT ON COLUMN metering.rollup_log.finished_at IS 'when the step was done';
COMMENT ON COLUMN metering.rollup_log.duration IS 'how long it took';
COMMENT ON COLUMN metering.rollup_log.step IS 'hour: an hour was sealed; late: late readings were taken; window: a bill window was sealed; restart: a crash had emptied staging; place: the database is in another place than before';
COMMENT ON COLUMN metering.rollup_log.starts IS 'start of the hour or window';
COMMENT ON COLUMN metering.rollup_log.meters IS 'meters that contributed';
COMMENT ON COLUMN metering.rollup_log.readings IS 'readings in the totals';
COMMENT ON COLUMN metering.rollup_log.duplicates IS 'readings dropped because they had been received before';
COMMENT ON COLUMN metering.rollup_log.conflicts IS 'readings of which copies with different ciphertexts were staged: the first one counts';
COMMENT ON COLUMN metering.rollup_log.refused IS 'readings dropped because they lie before the start of metering';
COMMENT ON COLUMN metering.rollup_log.late IS 'readings taken for hours that had been sealed';
COMMENT ON COLUMN metering.rollup_log.dropped IS 'readings that are in no total: with two keys, those that came after their hour was sealed, or whose meter was not active in it';
COMMENT ON COLUMN metering.rollup_log.suppressed IS 'regions without a total, because too few meters contributed';

SELECT pg_catalog.pg_extension_config_dump('metering.rollup_log', '');
SELECT pg_catalog.pg_extension_config_dump('metering.rollup_log_id_seq', '');

COMMENT ON SEQUENCE metering.rollup_log_id_seq IS 'numbers of metering.rollup_log';

-- Keeps one row.  When a dump is restored, its row replaces the row made here.
CREATE FUNCTION metering.replace_row() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF (TG_RELID = 'metering.progress'::regclass OR EXISTS (SELECT FROM metering.setting s WHERE s.key_id IS NOT NULL))
		AND EXISTS (SELECT FROM metering.progress g WHERE g.sealed_until IS NOT NULL AND g.timeline IS NOT NULL) THEN
		RAISE EXCEPTION 'metering has started here: % is not replaced', TG_RELID::regclass
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Restore a dump into a database where metering has not started.';
	END IF;
	EXECUTE format('DELETE FROM %s', TG_RELID::regclass);
	IF TG_RELID = 'metering.progress'::regclass THEN
		NEW.timeline := NULL;	-- totals may have been sealed since the dump was made
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.replace_row() IS 'replaces the row of a table that has one row';

CREATE TRIGGER replace_row BEFORE INSERT ON metering.setting
	FOR EACH ROW EXECUTE FUNCTION metering.replace_row();
CREATE TRIGGER replace_row BEFORE INSERT ON metering.progress
	FOR EACH ROW EXECUTE FUNCTION metering.replace_row();

-- A dump can be restored while triggers are disabled.  Then its rows stand beside those
-- of the install script, until the triggers are enabled again: that is a command, for
-- which the event trigger calls this.
CREATE FUNCTION metering.drop_initial_rows() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	DELETE FROM metering.setting s WHERE NOT s.only_row AND EXISTS (SELECT FROM metering.setting x WHERE x.only_row);
	DELETE FROM metering.progress g WHERE NOT g.only_row AND EXISTS (SELECT FROM metering.progress x WHERE x.only_row);
	IF FOUND THEN
		UPDATE metering.progress SET timeline = NULL;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.drop_initial_rows() IS 'deletes the rows of the install script from tables of one row, if a restored dump has put its own there';
