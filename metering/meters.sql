CREATE TABLE metering.meter (
	meter_id  text PRIMARY KEY CHECK (meter_id <> '' AND octet_length(meter_id) < 64),
	region    text NOT NULL,
	tariff    text,
	active    tstzrange NOT NULL DEFAULT '(,)'
		CHECK (NOT isempty(active) AND (lower_inc(active) OR lower_inf(active)) AND NOT upper_inc(active)),
	collector name,
	account   text,
	flow      text NOT NULL DEFAULT 'import' CHECK (flow IN ('import', 'export'))
);

CREATE INDEX ON metering.meter (region, flow);

COMMENT ON TABLE metering.meter IS 'the meters whose readings are accepted';
COMMENT ON COLUMN metering.meter.region IS 'region whose hourly totals the meter counts in; a change takes effect at the next hour';
COMMENT ON COLUMN metering.meter.tariff IS 'tariff it is billed by; a change takes effect at the next bill window';
COMMENT ON COLUMN metering.meter.active IS 'when readings are expected';
COMMENT ON COLUMN metering.meter.collector IS 'role that alone may send its readings and see its gaps; NULL: every collector';
COMMENT ON COLUMN metering.meter.account IS 'account that is billed; NULL: one named like the meter; a change takes effect at the next bill window';
COMMENT ON COLUMN metering.meter.flow IS 'import, energy consumed, or export, energy fed in: a channel of its own beside that of import, in a region of its own';

SELECT pg_catalog.pg_extension_config_dump('metering.meter', '');

CREATE TABLE metering.region_history (
	meter_id text NOT NULL,
	until    timestamptz NOT NULL,
	region   text NOT NULL,
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE metering.region_history IS 'the region of a meter up to a time, where it has changed since';

SELECT pg_catalog.pg_extension_config_dump('metering.region_history', '');

CREATE TABLE metering.contract_history (
	meter_id text NOT NULL,
	until    timestamptz NOT NULL,
	tariff   text,
	account  text,
	flow     text NOT NULL DEFAULT 'import',
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE metering.contract_history IS 'the tariff and account of a meter up to a time, where one of them has changed since or the meter is gone';

SELECT pg_catalog.pg_extension_config_dump('metering.contract_history', '');

CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON metering.meter
	FOR EACH STATEMENT EXECUTE FUNCTION metering.announce();

-- A meter counts in one region in any hour, and by one tariff in any window.
CREATE FUNCTION metering.change_meter() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF TG_OP = 'DELETE' OR (NEW.tariff, NEW.account) IS DISTINCT FROM (OLD.tariff, OLD.account) THEN
		INSERT INTO metering.contract_history (meter_id, until, tariff, account, flow)
		SELECT OLD.meter_id, w.window_end, OLD.tariff, OLD.account, OLD.flow FROM metering.window_of(clock_timestamp()) w
		ON CONFLICT DO NOTHING;
	END IF;
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	IF NEW.meter_id <> OLD.meter_id THEN
		RAISE EXCEPTION 'the id of a meter cannot be changed'
			USING ERRCODE = 'feature_not_supported', HINT = 'End its active range and add another meter.';
	END IF;
	IF NEW.flow <> OLD.flow THEN
		RAISE EXCEPTION 'the flow of a meter cannot be changed'
			USING ERRCODE = 'feature_not_supported', HINT = 'Import and export are two channels, each with an id of its own.';
	END IF;
	IF NEW.region <> OLD.region THEN
		INSERT INTO metering.region_history
		VALUES (OLD.meter_id, metering.utc_hour(clock_timestamp()) + interval '1 hour', OLD.region)
		ON CONFLICT DO NOTHING;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.change_meter() IS 'keeps the region, tariff and account of a meter until the hour or window ends';

CREATE TRIGGER change_meter BEFORE UPDATE OR DELETE ON metering.meter
	FOR EACH ROW EXECUTE FUNCTION metering.change_meter();

-- A total of what comes in and what goes out would be neither.  The lock makes
-- writers take turns; an advisory lock could be held by anybody.
CREATE FUNCTION metering.check_flow() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	mixed text;
BEGIN
	PERFORM FROM metering.setting FOR NO KEY UPDATE;
	SELECT n.region INTO mixed FROM (SELECT DISTINCT region, flow FROM changed) AS n
	WHERE EXISTS (SELECT FROM metering.meter m WHERE m.region = n.region AND m.flow <> n.flow);
	IF FOUND THEN
		RAISE EXCEPTION 'region "%" would hold meters of both import and export', mixed
			USING ERRCODE = 'check_violation', HINT = 'Give export meters a region of their own.';
	END IF;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.check_flow() IS 'refuses a region of import and export meters';

CREATE TRIGGER check_flow_insert AFTER INSERT ON metering.meter REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.check_flow();
CREATE TRIGGER check_flow_update AFTER UPDATE ON metering.meter REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.check_flow();
