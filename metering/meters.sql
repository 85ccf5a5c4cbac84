CREATE TABLE metering.meter (
	meter_id  text PRIMARY KEY CHECK (meter_id <> '' AND octet_length(meter_id) < 64),
	region    text NOT NULL,
	tariff    text,
	active    tstzrange NOT NULL DEFAULT '(,)'
		CHECK (NOT isempty(active) AND (lower_inc(active) OR lower_inf(active)) AND NOT upper_inc(active)),
	collector name,
	account   text,
	flow      text NOT NULL DEFAULT 'import' CHECK (flow IN ('import', 'export')),
	reading_interval interval CHECK (reading_interval IN ('1 min', '2 min', '3 min', '4 min', '5 min', '6 min', '10 min', '12 min',
			'15 min', '20 min', '30 min', '1 hour'))
);

CREATE INDEX ON metering.meter (region, flow);
CREATE INDEX ON metering.meter (collector);
CREATE INDEX ON metering.meter (tariff, flow);
CREATE INDEX ON metering.meter (reading_interval) WHERE reading_interval IS NOT NULL;

COMMENT ON TABLE metering.meter IS 'the meters whose readings are accepted';
COMMENT ON COLUMN metering.meter.region IS 'region whose hourly totals contain the meter; a change takes effect with the next hour';
COMMENT ON COLUMN metering.meter.tariff IS 'tariff that it is billed by; a change takes effect with the next bill window';
COMMENT ON COLUMN metering.meter.active IS 'range of time in which readings are expected; if it has a begin, readings of bill windows that are sealed already are asked for';
COMMENT ON COLUMN metering.meter.collector IS 'the only role that may send its readings and see its gaps; NULL: every collector';
COMMENT ON COLUMN metering.meter.account IS 'account that is billed; NULL: an account with the name of the meter; a change takes effect with the next bill window';
COMMENT ON COLUMN metering.meter.reading_interval IS 'time between two of its readings; NULL: that of the settings; a change takes effect with the next bill window';
COMMENT ON COLUMN metering.meter.flow IS 'import (energy consumed) or export (energy fed in); a home with both has two meters, in separate regions';

SELECT pg_catalog.pg_extension_config_dump('metering.meter', '');

CREATE TABLE metering.region_history (
	meter_id text NOT NULL,
	until    timestamptz NOT NULL,
	region   text NOT NULL,
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE metering.region_history IS 'earlier values of the region of a meter; each row held until its time';

SELECT pg_catalog.pg_extension_config_dump('metering.region_history', '');

CREATE TABLE metering.contract_history (
	meter_id text NOT NULL,
	until    timestamptz NOT NULL,
	tariff   text,
	account  text,
	flow     text NOT NULL DEFAULT 'import',
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE metering.contract_history IS 'earlier values of tariff, account and flow of a meter, and the last ones of a deleted meter; each row held until its time';

SELECT pg_catalog.pg_extension_config_dump('metering.contract_history', '');

CREATE TABLE metering.interval_history (
	meter_id         text NOT NULL,
	until            timestamptz NOT NULL,
	reading_interval interval,
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE metering.interval_history IS 'earlier values of the reading interval of a meter; each row held until its time';

SELECT pg_catalog.pg_extension_config_dump('metering.interval_history', '');

CREATE FUNCTION metering.own_intervals(t timestamptz) RETURNS TABLE (meter_id text, reading_interval interval)
	LANGUAGE sql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT m.meter_id, m.reading_interval FROM metering.meter m
		WHERE m.reading_interval IS NOT NULL
			AND NOT EXISTS (SELECT FROM metering.interval_history h WHERE h.meter_id = m.meter_id AND h.until > t)
		UNION ALL
		SELECT x.meter_id, x.reading_interval
		FROM (SELECT DISTINCT ON (h.meter_id) h.meter_id, h.reading_interval FROM metering.interval_history h
			WHERE h.until > t ORDER BY h.meter_id, h.until) AS x
		WHERE x.reading_interval IS NOT NULL
	$$;

COMMENT ON FUNCTION metering.own_intervals(timestamptz) IS 'the meters that had a reading interval of their own at a time';

CREATE FUNCTION metering.interval_at(meter_id text, t timestamptz, general interval) RETURNS interval
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT COALESCE(CASE WHEN EXISTS (SELECT FROM metering.interval_history h WHERE h.meter_id = $1 AND h.until > t)
			THEN (SELECT h.reading_interval FROM metering.interval_history h
				WHERE h.meter_id = $1 AND h.until > t ORDER BY h.until LIMIT 1)
			ELSE (SELECT m.reading_interval FROM metering.meter m WHERE m.meter_id = $1) END, general)
	$$;

COMMENT ON FUNCTION metering.interval_at(text, timestamptz, interval) IS 'reading interval of a meter at a time; general is that of its bill window';

-- A meter that lacks no reading of a window has at most this many.
CREATE FUNCTION metering.shortest_interval(general interval) RETURNS interval
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT least(general, (SELECT min(m.reading_interval) FROM metering.meter m WHERE m.reading_interval IS NOT NULL),
			(SELECT min(h.reading_interval) FROM metering.interval_history h))
	$$;

COMMENT ON FUNCTION metering.shortest_interval(interval) IS 'the shortest reading interval of any meter; general is that of a bill window';

-- Sessions that send readings remember meters.  Those that have changed since are listed
-- here, in the order of commits: writers take turns.
CREATE TABLE metering.meter_change (
	version  bigint PRIMARY KEY,
	meter_id text
);

COMMENT ON TABLE metering.meter_change IS 'the latest changes of metering.meter, from which sessions learn which meters to read again';
COMMENT ON COLUMN metering.meter_change.version IS 'number of the change';
COMMENT ON COLUMN metering.meter_change.meter_id IS 'the meter; NULL: many meters';

SELECT pg_catalog.pg_extension_config_dump('metering.meter_change', '');

CREATE FUNCTION metering.note_meter_change() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	latest bigint;
BEGIN
	LOCK TABLE metering.meter_turn IN EXCLUSIVE MODE;
	SELECT COALESCE(max(c.version), 0) INTO latest FROM metering.meter_change c;
	INSERT INTO metering.meter_change (version, meter_id)
	SELECT latest + row_number() OVER (), c.meter_id
	FROM (SELECT DISTINCT CASE WHEN (SELECT count(*) FROM changed) <= 100 THEN x.meter_id END AS meter_id FROM changed x) AS c;
	DELETE FROM metering.meter_change c WHERE c.version <= latest - 1000;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.note_meter_change() IS 'lists meters that have changed';

CREATE TRIGGER note_update AFTER UPDATE ON metering.meter REFERENCING OLD TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.note_meter_change();
CREATE TRIGGER note_delete AFTER DELETE ON metering.meter REFERENCING OLD TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.note_meter_change();
CREATE TRIGGER announce_insert AFTER INSERT ON metering.meter
	FOR EACH STATEMENT EXECUTE FUNCTION metering.announce('here');
CREATE TRIGGER announce AFTER TRUNCATE ON metering.meter
	FOR EACH STATEMENT EXECUTE FUNCTION metering.announce();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON metering.meter_change
	FOR EACH STATEMENT EXECUTE FUNCTION metering.announce();

-- In each hour a meter counts in one region, and in each window it has one tariff.
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
	IF NEW.reading_interval IS DISTINCT FROM OLD.reading_interval THEN
		INSERT INTO metering.interval_history
		SELECT OLD.meter_id, w.window_end, OLD.reading_interval FROM metering.window_of(clock_timestamp()) w
		ON CONFLICT DO NOTHING;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.change_meter() IS 'keeps the earlier region until the hour ends, and the earlier tariff, account and reading interval until the bill window ends';

CREATE TRIGGER change_meter BEFORE UPDATE OR DELETE ON metering.meter
	FOR EACH ROW EXECUTE FUNCTION metering.change_meter();

-- A total of both import and export would mean neither.
CREATE FUNCTION metering.check_flow() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	mixed text;
BEGIN
	LOCK TABLE metering.meter_turn IN EXCLUSIVE MODE;
	SELECT n.region INTO mixed FROM (SELECT DISTINCT region, flow FROM changed) AS n
	WHERE EXISTS (SELECT FROM metering.meter m WHERE m.region = n.region AND m.flow <> n.flow);
	IF FOUND THEN
		RAISE EXCEPTION 'region "%" would hold meters of both import and export', mixed
			USING ERRCODE = 'check_violation', HINT = 'Give export meters a region of their own.';
	END IF;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.check_flow() IS 'refuses a region with both import and export meters';

CREATE TRIGGER check_flow_insert AFTER INSERT ON metering.meter REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.check_flow();
CREATE TRIGGER check_flow_update AFTER UPDATE ON metering.meter REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION metering.check_flow();
