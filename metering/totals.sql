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

COMMENT ON TABLE metering.region_hour IS 'encrypted energy of each region and UTC hour; written once, when the hour is sealed';
COMMENT ON COLUMN metering.region_hour.total IS 'NULL if fewer than min_meters meters contributed';
COMMENT ON COLUMN metering.region_hour.meters IS 'meters that contributed';
COMMENT ON COLUMN metering.region_hour.readings IS 'readings in the total';
COMMENT ON COLUMN metering.region_hour.expected IS 'readings that the meters of the region should have sent';

SELECT pg_catalog.pg_extension_config_dump('metering.region_hour', '');

CREATE TABLE metering.bill_window (
	meter_id     text NOT NULL,
	window_start timestamptz NOT NULL,
	key_id       text NOT NULL,
	total        @paillier@.paillier_ciphertext,
	readings     int NOT NULL DEFAULT 0,
	carried      int NOT NULL DEFAULT 0,
	expected     int NOT NULL DEFAULT 0,
	counted      int NOT NULL DEFAULT 0,
	received     bigint[] NOT NULL DEFAULT '{}',
	PRIMARY KEY (meter_id, window_start, key_id)
);

CREATE INDEX ON metering.bill_window (window_start) WHERE counted < expected;
CREATE INDEX ON metering.bill_window USING brin (window_start);

COMMENT ON TABLE metering.bill_window IS 'encrypted energy of each meter and bill window; the total is written once, when the window is sealed';
COMMENT ON COLUMN metering.bill_window.key_id IS 'key of the total; if it is not the key of the window, the row holds readings that were sent under it, and expected and counted are 0';
COMMENT ON COLUMN metering.bill_window.total IS 'NULL if there were too few readings for a total; they are in the total of a later window';
COMMENT ON COLUMN metering.bill_window.readings IS 'readings in the total';
COMMENT ON COLUMN metering.bill_window.carried IS 'how many of these are late readings of earlier windows';
COMMENT ON COLUMN metering.bill_window.expected IS 'readings that this window should have';
COMMENT ON COLUMN metering.bill_window.counted IS 'readings of this window that are in its total or a later one';
COMMENT ON COLUMN metering.bill_window.received IS 'the counted readings: bit i of element h stands for reading i of hour h of the window';

SELECT pg_catalog.pg_extension_config_dump('metering.bill_window', '');

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
-- ciphertext of their difference.
CREATE FUNCTION metering.refuse_change() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RAISE EXCEPTION 'totals in %.% are written once and never change', TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

COMMENT ON FUNCTION metering.refuse_change() IS 'refuses to change or delete a total';

CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON metering.region_hour
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once_delete BEFORE DELETE ON metering.bill_window
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once BEFORE UPDATE ON metering.bill_window
	FOR EACH ROW
	WHEN (@paillier@.paillier_ciphertext_send(OLD.total) IS DISTINCT FROM @paillier@.paillier_ciphertext_send(NEW.total) OR (OLD.readings, OLD.carried) <> (NEW.readings, NEW.carried)
		OR (OLD.meter_id, OLD.window_start, OLD.key_id) <> (NEW.meter_id, NEW.window_start, NEW.key_id))
	EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.region_hour
	FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.bill_window
	FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_change();
