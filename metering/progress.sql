CREATE TABLE metering.progress (
	only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	sealed_until timestamptz,
	billed_until timestamptz
);

COMMENT ON TABLE metering.progress IS 'progress of the roll-up, one row; a roll-up holds a lock on it';
COMMENT ON COLUMN metering.progress.sealed_until IS 'all hours before this are sealed';
COMMENT ON COLUMN metering.progress.billed_until IS 'all bill windows before this are sealed';

SELECT pg_catalog.pg_extension_config_dump('metering.progress', '');

INSERT INTO metering.progress DEFAULT VALUES;

CREATE TABLE metering.rollup_log (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	duration    interval NOT NULL,
	step        text NOT NULL CHECK (step IN ('hour', 'late', 'window', 'restart')),
	starts      timestamptz,
	meters      bigint,
	readings    bigint,
	duplicates  bigint,
	refused     bigint,
	late        bigint,
	suppressed  bigint
);

COMMENT ON TABLE metering.rollup_log IS 'what each step of the roll-up did';
COMMENT ON COLUMN metering.rollup_log.finished_at IS 'when the step was done';
COMMENT ON COLUMN metering.rollup_log.duration IS 'how long it took';
COMMENT ON COLUMN metering.rollup_log.step IS 'hour: an hour was sealed; late: late readings were taken; window: a bill window was sealed; restart: a crash had emptied staging';
COMMENT ON COLUMN metering.rollup_log.starts IS 'start of the hour or window';
COMMENT ON COLUMN metering.rollup_log.meters IS 'meters that contributed';
COMMENT ON COLUMN metering.rollup_log.readings IS 'readings in the totals';
COMMENT ON COLUMN metering.rollup_log.duplicates IS 'readings dropped because they had been received before';
COMMENT ON COLUMN metering.rollup_log.refused IS 'readings dropped because they lie before the start of metering';
COMMENT ON COLUMN metering.rollup_log.late IS 'readings taken for hours that had been sealed';
COMMENT ON COLUMN metering.rollup_log.suppressed IS 'regions without a total, because too few meters contributed';

SELECT pg_catalog.pg_extension_config_dump('metering.rollup_log', '');
SELECT pg_catalog.pg_extension_config_dump('metering.rollup_log_id_seq', '');

COMMENT ON SEQUENCE metering.rollup_log_id_seq IS 'numbers of metering.rollup_log';

-- Keeps one row.  When a dump is restored, its row replaces the row made here.  A dump
-- has no staging: so staging counts as lost when progress is restored.
CREATE FUNCTION metering.replace_row() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF (TG_RELID = 'metering.progress'::regclass OR EXISTS (SELECT FROM metering.setting s WHERE s.key_id IS NOT NULL))
		AND EXISTS (SELECT FROM metering.progress g WHERE g.sealed_until IS NOT NULL) THEN
		RAISE EXCEPTION 'metering has started here: % is not replaced', TG_RELID::regclass
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Restore a dump into a database where metering has not started.';
	END IF;
	EXECUTE format('DELETE FROM %s', TG_RELID::regclass);
	IF TG_RELID = 'metering.progress'::regclass THEN
		DELETE FROM metering.staging_since;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.replace_row() IS 'replaces the row of a table that has one row';

CREATE TRIGGER replace_row BEFORE INSERT ON metering.setting
	FOR EACH ROW EXECUTE FUNCTION metering.replace_row();
CREATE TRIGGER replace_row BEFORE INSERT ON metering.progress
	FOR EACH ROW EXECUTE FUNCTION metering.replace_row();
