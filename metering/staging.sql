CREATE FUNCTION metering.accept(meter_id text, read_at timestamptz, energy @paillier@.paillier_ciphertext) RETURNS boolean
	AS 'MODULE_PATHNAME', 'paillier_metering_accept' LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 200;

COMMENT ON FUNCTION metering.accept(text, timestamptz, @paillier@.paillier_ciphertext) IS 'true if a reading may enter staging; otherwise an error that says why not';

CREATE TABLE metering.reading (
	meter_id text NOT NULL,
	read_at  timestamptz NOT NULL,
	energy   @paillier@.paillier_ciphertext NOT NULL,
	CONSTRAINT accepted CHECK (metering.accept(meter_id, read_at, energy))
) PARTITION BY LIST (metering.slot(read_at));

COMMENT ON TABLE metering.reading IS 'staging: collectors INSERT or COPY readings here; unlogged, emptied by TRUNCATE as soon as they are rolled up';
COMMENT ON COLUMN metering.reading.read_at IS 'start of the interval that was metered';
COMMENT ON COLUMN metering.reading.energy IS 'encrypted energy of the interval';

-- Partial totals of one meter and hour, until their bill window is sealed.  Then the
-- table is emptied, as staged readings are.
CREATE UNLOGGED TABLE metering.partial (
	meter_id text NOT NULL,
	hour     timestamptz NOT NULL,
	key_id   text NOT NULL,
	total    @paillier@.paillier_ciphertext NOT NULL,
	readings int NOT NULL,
	received bigint NOT NULL
) WITH (autovacuum_enabled = off);

CREATE INDEX ON metering.partial (hour, meter_id);

COMMENT ON TABLE metering.partial IS 'staging: totals of one meter and hour, which wait for their bill window to end; unlogged, emptied by TRUNCATE';

-- Rows that have to survive a TRUNCATE of staging within one transaction.
CREATE UNLOGGED TABLE metering.reading_kept (LIKE metering.reading) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE metering.partial_kept (LIKE metering.partial, destroyed boolean NOT NULL) WITH (autovacuum_enabled = off);

COMMENT ON TABLE metering.reading_kept IS 'staging: readings that are not due, while their partition is emptied; empty outside that transaction';
COMMENT ON TABLE metering.partial_kept IS 'staging: partial totals that wait for the next window, while the table is emptied; empty outside that transaction';
COMMENT ON COLUMN metering.partial_kept.destroyed IS 'true if no later total can take them, so that they do not wait any longer';

-- A crash empties this table like all of staging.  That is how the roll-up notices the
-- crash.
CREATE UNLOGGED TABLE metering.staging_since (
	since timestamptz NOT NULL DEFAULT '-infinity',
	epoch uuid NOT NULL
);

COMMENT ON TABLE metering.staging_since IS 'no staged reading has been lost since then; one row, which a crash deletes and the next roll-up writes again';
COMMENT ON COLUMN metering.staging_since.epoch IS 'that of metering.progress; if it differs, the readings in staging were accepted elsewhere';

-- What a slice of the meters adds to the total of its region, within one transaction.
CREATE UNLOGGED TABLE metering.region_slice (
	region   text NOT NULL,
	total    @paillier@.paillier_ciphertext,
	meters   int NOT NULL,
	readings bigint NOT NULL,
	expected bigint NOT NULL
) WITH (autovacuum_enabled = off);

COMMENT ON TABLE metering.region_slice IS 'staging: regional totals of a part of the meters, while an hour is sealed; empty outside that transaction';

-- Which meters have sent readings of an hour, within one transaction.
CREATE UNLOGGED TABLE metering.hour_meter (
	meter_id text NOT NULL,
	region   text,
	readings bigint NOT NULL,
	received bigint NOT NULL
) WITH (autovacuum_enabled = off);

CREATE INDEX ON metering.hour_meter (meter_id);

COMMENT ON TABLE metering.hour_meter IS 'staging: which meters have sent readings of an hour, while it is sealed with two keys; empty outside that transaction';

-- The late readings of one meter and hour, and which of them are new, within one transaction.
CREATE UNLOGGED TABLE metering.late_hour (
	meter_id text NOT NULL,
	hour     timestamptz NOT NULL,
	readings bigint NOT NULL,
	sent     bigint NOT NULL,
	taken    bigint NOT NULL
) WITH (autovacuum_enabled = off);

COMMENT ON TABLE metering.late_hour IS 'staging: the bitmaps of late readings, sent and taken, while they are added up; empty outside that transaction';

DO $$
BEGIN
	FOR slot IN 0 .. metering.slots() - 1 LOOP
		EXECUTE format('CREATE UNLOGGED TABLE metering.reading_%s PARTITION OF metering.reading '
			'FOR VALUES IN (%s) WITH (autovacuum_enabled = off)', to_char(slot, 'FM00'), slot);
		EXECUTE format('COMMENT ON TABLE metering.reading_%s IS %L', to_char(slot, 'FM00'),
			format('staging ring: readings of hours whose number is %s modulo %s', slot, metering.slots()));
	END LOOP;
END
$$;

-- Reads catalogs only: a lock would last until the end of the caller's transaction,
-- and delay the roll-up.
CREATE FUNCTION metering.staging_relations() RETURNS TABLE (staging_table regclass, persistence "char", kind "char")
	LANGUAGE sql STABLE ROWS 60 SET search_path = pg_catalog, pg_temp
	AS $$
		WITH RECURSIVE member AS (
			SELECT c.oid, c.relname, c.relkind, c.relpersistence FROM pg_class c
			WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'metering')
				AND c.relname IN ('reading', 'reading_kept', 'partial', 'partial_kept', 'region_slice', 'late_hour', 'hour_meter', 'staging_since')
			UNION
			SELECT c.oid, c.relname, c.relkind, c.relpersistence
			FROM member m JOIN pg_inherits i ON i.inhparent = m.oid JOIN pg_class c ON c.oid = i.inhrelid
		)
		SELECT oid, relpersistence, relkind FROM member WHERE relkind IN ('r', 'p', 'f')
	$$;

COMMENT ON FUNCTION metering.staging_relations() IS 'every staging table, including partitioned tables, partitions of partitions and foreign tables';

CREATE VIEW metering.staging_table AS
	SELECT s.staging_table, s.persistence = 'u' AS unlogged FROM metering.staging_relations() AS s WHERE s.kind <> 'p';

COMMENT ON VIEW metering.staging_table IS 'every staging table, and whether it is unlogged, as it must be';
