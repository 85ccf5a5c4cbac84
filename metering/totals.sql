CREATE TABLE metering.region_hour (
	region   text NOT NULL,
	hour     timestamptz NOT NULL,
	key_id   text NOT NULL,
	total    @paillier@.paillier_ciphertext,
	meters   int NOT NULL,
	readings bigint NOT NULL,
	expected bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (region, hour)
);

CREATE INDEX ON metering.region_hour (hour);

COMMENT ON TABLE metering.region_hour IS 'encrypted energy of each region and UTC hour; written once, when the hour is sealed';
COMMENT ON COLUMN metering.region_hour.total IS 'NULL if fewer than min_meters meters contributed';
COMMENT ON COLUMN metering.region_hour.meters IS 'meters that contributed';
COMMENT ON COLUMN metering.region_hour.readings IS 'readings in the total';
COMMENT ON COLUMN metering.region_hour.expected IS 'readings that the meters of the region should have sent';

SELECT pg_catalog.pg_extension_config_dump('metering.region_hour', '');

-- Rows are inserted when a window is sealed, in the order of windows, and never
-- change.  So the primary key begins with the window: new rows go to the end of table
-- and index.  Partitions by month are emptied by metering.forget().
CREATE TABLE metering.bill_window (
	slot         int NOT NULL,
	window_start timestamptz NOT NULL,
	meter_id     text NOT NULL,
	key_id       text NOT NULL,
	total        @paillier@.paillier_ciphertext,
	readings     int NOT NULL DEFAULT 0,
	carried      int NOT NULL DEFAULT 0,
	expected     int NOT NULL DEFAULT 0,
	PRIMARY KEY (window_start, meter_id, key_id, slot)
) PARTITION BY LIST (slot);

COMMENT ON TABLE metering.bill_window IS 'encrypted energy of each meter and bill window; written once, when the window is sealed';
COMMENT ON COLUMN metering.bill_window.slot IS 'partition: metering.month_slot(window_start)';
COMMENT ON COLUMN metering.bill_window.key_id IS 'key of the total; if it is not the key of the window, the row holds readings that were sent under it, and expected is 0';
COMMENT ON COLUMN metering.bill_window.total IS 'NULL if there were too few readings for a total, or if the window was closed in another place; readings of the window are then in the total of a later one';
COMMENT ON COLUMN metering.bill_window.readings IS 'readings in the total';
COMMENT ON COLUMN metering.bill_window.carried IS 'how many of these are late readings of earlier windows';
COMMENT ON COLUMN metering.bill_window.expected IS 'readings that this window should have, as of when it was sealed';

DO $do$
DECLARE
	partition text;
BEGIN
	FOR slot IN 0 .. metering.month_slots() - 1 LOOP
		partition := 'bill_window_' || to_char(slot, 'FM00');
		EXECUTE format('CREATE TABLE metering.%I PARTITION OF metering.bill_window FOR VALUES IN (%s)', partition, slot);
		EXECUTE format('COMMENT ON TABLE metering.%I IS %L', partition,
			format('bill windows of months whose number is %s modulo %s', slot, metering.month_slots()));
		PERFORM pg_extension_config_dump(('metering.' || partition)::regclass, '');
	END LOOP;
END
$do$;

-- The only table about bill windows that changes.  A sealed window of a meter is
--	complete, if it has a row in bill_window and none here: then it has every reading;
--	empty, if it has neither: then it expects none and has received none;
--	otherwise a row here says what it expects and what it has received.
CREATE TABLE metering.incomplete (
	meter_id     text NOT NULL,
	window_start timestamptz NOT NULL,
	expected     bigint[] NOT NULL,
	received     bigint[] NOT NULL,
	missing      int GENERATED ALWAYS AS (metering.count_minutes(metering.missing_minutes(expected, received))) STORED,
	PRIMARY KEY (meter_id, window_start)
);

COMMENT ON TABLE metering.incomplete IS 'sealed bill windows of meters that have not received every reading of the window';
COMMENT ON COLUMN metering.incomplete.expected IS 'readings that the meter should send: bit m of element h stands for minute m of hour h of the window';
COMMENT ON COLUMN metering.incomplete.received IS 'readings of the window that are in a total, or in metering.uncounted';
COMMENT ON COLUMN metering.incomplete.missing IS 'readings that are expected and not received';

SELECT pg_catalog.pg_extension_config_dump('metering.incomplete', '');

-- What windows lack is counted here, so that metering.health need not count it.
CREATE FUNCTION metering.count_missing() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	UPDATE metering.window_grid w SET missing = w.missing + CASE TG_OP WHEN 'DELETE' THEN -c.missing ELSE c.missing END
	FROM (SELECT x.window_start, sum(x.missing) AS missing FROM changed x GROUP BY x.window_start) AS c
	WHERE c.window_start = w.window_start AND c.missing <> 0;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.count_missing() IS 'counts missing readings of each window';

CREATE FUNCTION metering.recount_missing() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	UPDATE metering.window_grid w SET missing = w.missing + c.missing
	FROM (
		SELECT x.window_start, sum(x.missing) AS missing
		FROM (SELECT n.window_start, n.missing FROM now_rows n UNION ALL SELECT o.window_start, -o.missing FROM old_rows o) AS x
		GROUP BY x.window_start) AS c
	WHERE c.window_start = w.window_start AND c.missing <> 0;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.recount_missing() IS 'counts missing readings of each window again after a change';

CREATE TRIGGER count_insert AFTER INSERT ON metering.incomplete REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.count_missing();
CREATE TRIGGER count_delete AFTER DELETE ON metering.incomplete REFERENCING OLD TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.count_missing();
CREATE TRIGGER count_update AFTER UPDATE ON metering.incomplete REFERENCING NEW TABLE AS now_rows OLD TABLE AS old_rows
	FOR EACH STATEMENT EXECUTE FUNCTION metering.recount_missing();

-- A total that cannot be decrypted, or that is known to be wrong, can be declared
-- void.  Its row stays, because totals are written once; views leave it out.
CREATE TABLE metering.voided_region_hour (
	region    text NOT NULL,
	hour      timestamptz NOT NULL,
	reason    text,
	voided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	voided_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (region, hour)
);

COMMENT ON TABLE metering.voided_region_hour IS 'regional hours whose total is declared void, by void_region_hour()';
COMMENT ON COLUMN metering.voided_region_hour.reason IS 'reason that the role gave';
COMMENT ON COLUMN metering.voided_region_hour.voided_at IS 'when it was declared void';
COMMENT ON COLUMN metering.voided_region_hour.voided_by IS 'role that declared it void';

SELECT pg_catalog.pg_extension_config_dump('metering.voided_region_hour', '');

CREATE FUNCTION metering.void_region_hour(region text, hour timestamptz, reason text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM metering.region_hour h WHERE (h.region, h.hour) = ($1, $2)) THEN
		RAISE EXCEPTION 'region "%" has no total at %', COALESCE($1, 'NULL'), COALESCE($2::text, 'NULL')
			USING ERRCODE = 'no_data_found', HINT = 'Only hours that are sealed can be declared void.';
	END IF;
	INSERT INTO metering.voided_region_hour (region, hour, reason) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;
END
$$;

COMMENT ON FUNCTION metering.void_region_hour(text, timestamptz, text) IS 'declares the total of a region and UTC hour void, for good: statistics and forecasts leave it out, as if too few meters had contributed';

-- All statistics and forecasts are computed from this view.
CREATE VIEW metering.region_total AS
	SELECT h.region, h.hour, h.key_id, CASE WHEN v.region IS NULL THEN h.total END AS total, h.meters, h.readings,
		h.expected, v.region IS NOT NULL AS void
	FROM metering.region_hour h
	LEFT JOIN metering.voided_region_hour v ON v.region = h.region AND v.hour = h.hour;

COMMENT ON VIEW metering.region_total IS 'region_hour without the totals that are declared void';
COMMENT ON COLUMN metering.region_total.total IS 'NULL if too few meters contributed, or if it is void';
COMMENT ON COLUMN metering.region_total.meters IS 'meters that contributed';
COMMENT ON COLUMN metering.region_total.readings IS 'readings that arrived for the hour';
COMMENT ON COLUMN metering.region_total.expected IS 'readings that the meters of the region should have sent';
COMMENT ON COLUMN metering.region_total.void IS 'true if the total is declared void';

-- Totals are written once: the quotient of two versions of a total would be the
-- ciphertext of their difference.  What lies before the start of metering may be
-- forgotten.
CREATE FUNCTION metering.refuse_change() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RAISE EXCEPTION 'totals in %.% are written once and never change', TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'CALL metering.forget() forgets old ones.';
END
$$;

COMMENT ON FUNCTION metering.refuse_change() IS 'refuses to change or delete a total';

CREATE FUNCTION metering.refuse_truncate() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	holds boolean;
BEGIN
	EXECUTE format('SELECT max(x.%I) >= COALESCE((SELECT s.starts_at FROM metering.setting s), ''-infinity'') FROM %s x',
		COALESCE(TG_ARGV[0], 'window_start'), TG_RELID::regclass) INTO holds;
	IF holds THEN
		RAISE EXCEPTION 'totals in %.% are written once and never change', TG_TABLE_SCHEMA, TG_TABLE_NAME
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'CALL metering.forget() forgets old ones.';
	END IF;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.refuse_truncate() IS 'refuses to empty a partition that holds rows from after the start of metering; its argument is the column of their time, if it is not window_start';

CREATE FUNCTION metering.forget_region_hour() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF OLD.hour < (SELECT s.starts_at FROM metering.setting s) THEN
		RETURN OLD;
	END IF;
	RAISE EXCEPTION 'totals in %.% are written once and never change', TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'CALL metering.forget() forgets old ones.';
END
$$;

COMMENT ON FUNCTION metering.forget_region_hour() IS 'refuses to delete a regional total from after the start of metering';

CREATE TRIGGER write_once BEFORE UPDATE ON metering.region_hour
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER forget BEFORE DELETE ON metering.region_hour
	FOR EACH ROW EXECUTE FUNCTION metering.forget_region_hour();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.region_hour
	FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON metering.bill_window
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.bill_window
	FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_truncate();
DO $$
BEGIN
	FOR slot IN 0 .. metering.month_slots() - 1 LOOP
		EXECUTE format('CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.bill_window_%s '
			'FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_truncate()', to_char(slot, 'FM00'));
	END LOOP;
END
$$;
