-- paillier_metering 1.0: from encrypted readings to totals, and nothing in between

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION paillier_metering" to load this file. \quit

-- Functions keep the search path that is set here: their own schema, that of
-- paillier, and no temporary object before them.
SELECT pg_catalog.set_config('search_path',
	'pg_catalog, @extschema@, ' || pg_catalog.quote_ident(n.nspname) || ', pg_temp', true)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'paillier';

-- ---- time ----

CREATE FUNCTION @extschema@.utc_hour(t timestamptz) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'paillier_metering_utc_hour' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.utc_hour(timestamptz) IS 'the start of the UTC hour that t lies in';

CREATE FUNCTION @extschema@.slot(t timestamptz) RETURNS int
	AS 'MODULE_PATHNAME', 'paillier_metering_slot' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.slot(timestamptz) IS 'the partition of the staging ring that holds the hour of t: hour number modulo 48';

CREATE FUNCTION @extschema@.reading_bit(read_at timestamptz, minutes int) RETURNS bigint
	AS 'MODULE_PATHNAME', 'paillier_metering_reading_bit' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.reading_bit(timestamptz, int) IS 'the bit of a reading in the received bitmap of its hour, for readings every so many minutes';

CREATE FUNCTION @extschema@.bits(received bigint) RETURNS int
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	AS $$ SELECT pg_catalog.length(pg_catalog.replace((received::bit(64))::text, '0', '')) $$;

COMMENT ON FUNCTION @extschema@.bits(bigint) IS 'how many readings a received bitmap of an hour holds';

-- ---- configuration ----

CREATE TABLE @extschema@.setting (
	only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	key_id           text,
	reading_interval interval NOT NULL DEFAULT '5 min'
		CHECK (reading_interval IN ('1 min', '5 min', '10 min', '15 min', '30 min', '1 hour')),
	bill_window      interval NOT NULL DEFAULT '2 hours'
		CHECK (bill_window IN ('1 hour', '2 hours', '4 hours', '6 hours', '12 hours', '24 hours')),
	zone             text NOT NULL DEFAULT 'UTC',
	grace            interval NOT NULL DEFAULT '15 min' CHECK (grace >= '0' AND grace < '1000 years'),
	min_meters       int NOT NULL DEFAULT 100 CHECK (min_meters >= 2),
	min_readings     int NOT NULL DEFAULT 2 CHECK (min_readings >= 2),
	retention        interval NOT NULL DEFAULT '45 days' CHECK (retention > '0' AND retention < '1000 years'),
	scale            int NOT NULL DEFAULT 0 CHECK (scale BETWEEN 0 AND 255),
	width            int NOT NULL DEFAULT 64 CHECK (width BETWEEN 1 AND 1024),
	unit_kwh         numeric NOT NULL DEFAULT 0.001 CHECK (unit_kwh > 0 AND unit_kwh <= 1000000),
	clock_tolerance  interval NOT NULL DEFAULT '1 min' CHECK (clock_tolerance >= '0' AND clock_tolerance < '1000 years'),
	starts_at        timestamptz
);

COMMENT ON TABLE @extschema@.setting IS 'the settings of metering, one row';
COMMENT ON COLUMN @extschema@.setting.key_id IS 'the key that readings are encrypted under, from paillier_register_key()';
COMMENT ON COLUMN @extschema@.setting.reading_interval IS 'time between two readings; a reading is dated by the start of its interval';
COMMENT ON COLUMN @extschema@.setting.bill_window IS 'stretch of time that a meter is billed by: nothing finer about one meter is ever kept';
COMMENT ON COLUMN @extschema@.setting.zone IS 'time zone whose midnight bill windows are counted from';
COMMENT ON COLUMN @extschema@.setting.grace IS 'how long after its end an hour waits for readings before it is sealed';
COMMENT ON COLUMN @extschema@.setting.min_meters IS 'fewer meters than this in a region and hour get no total';
COMMENT ON COLUMN @extschema@.setting.min_readings IS 'fewer readings than this of one meter get no total: they wait for the next window';
COMMENT ON COLUMN @extschema@.setting.retention IS 'how old a reading may be when it comes';
COMMENT ON COLUMN @extschema@.setting.scale IS 'decimal digits of readings';
COMMENT ON COLUMN @extschema@.setting.width IS 'largest declared width of readings in bits';
COMMENT ON COLUMN @extschema@.setting.unit_kwh IS 'kWh in one unit of reading: 0.001 where readings are in Wh';
COMMENT ON COLUMN @extschema@.setting.clock_tolerance IS 'how far the clocks of meters may be ahead';
COMMENT ON COLUMN @extschema@.setting.starts_at IS 'readings before this are refused; set by the first roll-up where it is not set';

CREATE TABLE @extschema@.setting_past (
	until            timestamptz PRIMARY KEY,
	key_id           text,
	reading_interval interval NOT NULL,
	bill_window      interval NOT NULL,
	zone             text NOT NULL
);

COMMENT ON TABLE @extschema@.setting_past IS 'what of the settings held up to a time, where it has changed since';

CREATE VIEW @extschema@.regime AS
	SELECT until, key_id, reading_interval, bill_window, zone FROM @extschema@.setting_past
	UNION ALL
	SELECT 'infinity', key_id, reading_interval, bill_window, zone FROM @extschema@.setting;

COMMENT ON VIEW @extschema@.regime IS 'key, reading interval and bill window over time: each row holds up to its end';

CREATE TABLE @extschema@.tariff (
	tariff      text PRIMARY KEY,
	description text,
	zone        text NOT NULL DEFAULT 'UTC',
	rounding    int NOT NULL DEFAULT 2 CHECK (rounding BETWEEN 0 AND 12)
);

COMMENT ON TABLE @extschema@.tariff IS 'tariffs; a bill covers months of the tariff''s time zone';
COMMENT ON COLUMN @extschema@.tariff.zone IS 'time zone of its prices, days and months; that of the bill windows, or these divide its days';
COMMENT ON COLUMN @extschema@.tariff.rounding IS 'decimal digits that an amount due is rounded to, half away from zero as by round(numeric, int)';

-- The rates that hold on a day divide it; before the first of them the last one
-- holds.  Two that begin at the same time never hold on the same day.
CREATE TABLE @extschema@.rate (
	tariff    text NOT NULL,
	from_time time NOT NULL DEFAULT '00:00',
	price     numeric NOT NULL CHECK (abs(price) < 1000000000),
	charge    text NOT NULL DEFAULT 'import' CHECK (charge IN ('import', 'export', 'standing')),
	weekdays  int[] NOT NULL DEFAULT '{1,2,3,4,5,6,7}' CHECK (weekdays <> '{}' AND weekdays <@ '{1,2,3,4,5,6,7}'),
	months    int[] NOT NULL DEFAULT '{1,2,3,4,5,6,7,8,9,10,11,12}'
		CHECK (months <> '{}' AND months <@ '{1,2,3,4,5,6,7,8,9,10,11,12}'),
	valid     daterange NOT NULL DEFAULT '(,)' CHECK (NOT isempty(valid)),
	PRIMARY KEY (tariff, charge, from_time, weekdays, months, valid),
	CHECK (charge <> 'standing' OR from_time = '00:00')
);

COMMENT ON TABLE @extschema@.rate IS 'prices by time of day, weekday, month and date; bills are computed from them as they are: a new price is a new row, with its dates';
COMMENT ON COLUMN @extschema@.rate.from_time IS 'local time of day from which the price holds, up to the next one that holds on that day';
COMMENT ON COLUMN @extschema@.rate.price IS 'price of one kWh, or of one day';
COMMENT ON COLUMN @extschema@.rate.charge IS 'what it is the price of: import, a kWh consumed; export, a kWh fed in, which is credited; standing, a day';
COMMENT ON COLUMN @extschema@.rate.weekdays IS 'on which weekdays, from 1, Monday, to 7, Sunday';
COMMENT ON COLUMN @extschema@.rate.months IS 'in which months: its season';
COMMENT ON COLUMN @extschema@.rate.valid IS 'on which dates';

CREATE TABLE @extschema@.meter (
	meter_id  text PRIMARY KEY CHECK (meter_id <> '' AND octet_length(meter_id) < 64),
	region    text NOT NULL,
	tariff    text,
	active    tstzrange NOT NULL DEFAULT '(,)'
		CHECK (NOT isempty(active) AND (lower_inc(active) OR lower_inf(active)) AND NOT upper_inc(active)),
	collector name,
	account   text,
	flow      text NOT NULL DEFAULT 'import' CHECK (flow IN ('import', 'export'))
);

CREATE INDEX ON @extschema@.meter (region, flow);

COMMENT ON TABLE @extschema@.meter IS 'the meters whose readings are accepted';
COMMENT ON COLUMN @extschema@.meter.region IS 'region whose hourly totals the meter counts in; a change takes effect at the next hour';
COMMENT ON COLUMN @extschema@.meter.tariff IS 'tariff it is billed by; a change takes effect at the next bill window';
COMMENT ON COLUMN @extschema@.meter.active IS 'when readings are expected';
COMMENT ON COLUMN @extschema@.meter.collector IS 'role that alone may send its readings and see its gaps; NULL: every collector';
COMMENT ON COLUMN @extschema@.meter.account IS 'account that is billed; NULL: one named like the meter; a change takes effect at the next bill window';
COMMENT ON COLUMN @extschema@.meter.flow IS 'import, energy consumed, or export, energy fed in: a channel of its own beside that of import, in a region of its own';

CREATE TABLE @extschema@.region_past (
	meter_id text NOT NULL,
	until    timestamptz NOT NULL,
	region   text NOT NULL,
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE @extschema@.region_past IS 'the region of a meter up to a time, where it has changed since';

CREATE TABLE @extschema@.tariff_past (
	meter_id text NOT NULL,
	until    timestamptz NOT NULL,
	tariff   text,
	account  text,
	flow     text NOT NULL DEFAULT 'import',
	PRIMARY KEY (meter_id, until)
);

COMMENT ON TABLE @extschema@.tariff_past IS 'the tariff and account of a meter up to a time, where one of them has changed since or the meter is gone';

-- ---- staging: the only place of fine-grained readings ----

CREATE FUNCTION @extschema@.accept(meter_id text, read_at timestamptz, energy paillier_ciphertext) RETURNS boolean
	AS 'MODULE_PATHNAME', 'paillier_metering_accept' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 200;

COMMENT ON FUNCTION @extschema@.accept(text, timestamptz, paillier_ciphertext) IS 'true for a reading that may enter the staging table, an error that says why for any other';

CREATE TABLE @extschema@.reading (
	meter_id text NOT NULL,
	read_at  timestamptz NOT NULL,
	energy   paillier_ciphertext NOT NULL,
	CONSTRAINT accepted CHECK (@extschema@.accept(meter_id, read_at, energy))
) PARTITION BY LIST (@extschema@.slot(read_at));

COMMENT ON TABLE @extschema@.reading IS 'staging: collectors INSERT or COPY readings here; unlogged, emptied by TRUNCATE as soon as they are rolled up';
COMMENT ON COLUMN @extschema@.reading.read_at IS 'start of the interval that was metered';
COMMENT ON COLUMN @extschema@.reading.energy IS 'encrypted energy of the interval';

-- Partial totals of one meter and hour, on their way into a bill window.  As
-- short-lived as readings: emptied when the window is sealed.
CREATE UNLOGGED TABLE @extschema@.partial (
	meter_id text NOT NULL,
	hour     timestamptz NOT NULL,
	key_id   text NOT NULL,
	total    paillier_ciphertext NOT NULL,
	readings int NOT NULL,
	received bigint NOT NULL
) WITH (autovacuum_enabled = off);

CREATE INDEX ON @extschema@.partial (hour, meter_id);

COMMENT ON TABLE @extschema@.partial IS 'staging: totals of one meter and hour that wait for their bill window to end; unlogged, emptied by TRUNCATE';

-- What must outlive a TRUNCATE of staging within one transaction waits here.
CREATE UNLOGGED TABLE @extschema@.reading_spare (LIKE @extschema@.reading) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE @extschema@.partial_spare (LIKE @extschema@.partial) WITH (autovacuum_enabled = off);

COMMENT ON TABLE @extschema@.reading_spare IS 'staging: holds readings that are not due while their partition is emptied; empty outside of that transaction';
COMMENT ON TABLE @extschema@.partial_spare IS 'staging: holds partial totals that wait on while the table is emptied; empty outside of that transaction';

-- Emptied by a crash like all of staging, and this is how the crash shows.
CREATE UNLOGGED TABLE @extschema@.staging_since (
	since timestamptz NOT NULL
);

COMMENT ON TABLE @extschema@.staging_since IS 'since when staging has been kept: one row, lost with the rest of staging in a crash and made again by the next roll-up';

INSERT INTO @extschema@.staging_since VALUES ('-infinity');

DO $$
BEGIN
	FOR slot IN 0 .. 47 LOOP
		EXECUTE format('CREATE UNLOGGED TABLE @extschema@.reading_%s PARTITION OF @extschema@.reading '
			'FOR VALUES IN (%s) WITH (autovacuum_enabled = off)', to_char(slot, 'FM00'), slot);
		EXECUTE format('COMMENT ON TABLE @extschema@.reading_%s IS %L', to_char(slot, 'FM00'),
			format('staging ring: readings of hours whose number is %s modulo 48', slot));
	END LOOP;
END
$$;

CREATE VIEW @extschema@.staging_table AS
	SELECT c.oid::regclass AS staging_table, c.relpersistence = 'u' AS unlogged
	FROM pg_class c
	WHERE c.oid IN (SELECT t.relid FROM pg_partition_tree('@extschema@.reading') t WHERE t.isleaf)
		OR c.oid IN ('@extschema@.reading_spare'::regclass, '@extschema@.partial'::regclass,
			'@extschema@.partial_spare'::regclass, '@extschema@.staging_since'::regclass);

COMMENT ON VIEW @extschema@.staging_table IS 'every table of staging, and whether it is unlogged, as it must be';

-- ---- totals: all that is kept ----

CREATE TABLE @extschema@.region_hour (
	region   text NOT NULL,
	hour     timestamptz NOT NULL,
	key_id   text NOT NULL,
	total    paillier_ciphertext,
	meters   int NOT NULL,
	readings bigint NOT NULL,
	expected bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (region, hour)
);

COMMENT ON TABLE @extschema@.region_hour IS 'encrypted energy of each region and UTC hour; written once, when the hour is sealed';
COMMENT ON COLUMN @extschema@.region_hour.total IS 'NULL where fewer than min_meters contributed';
COMMENT ON COLUMN @extschema@.region_hour.meters IS 'meters that contributed';
COMMENT ON COLUMN @extschema@.region_hour.readings IS 'readings in the total';
COMMENT ON COLUMN @extschema@.region_hour.expected IS 'readings that the meters of the region should have sent';

CREATE TABLE @extschema@.sealed_window (
	window_start     timestamptz PRIMARY KEY,
	window_end       timestamptz NOT NULL,
	key_id           text NOT NULL,
	reading_interval interval NOT NULL
);

COMMENT ON TABLE @extschema@.sealed_window IS 'the bill windows that are sealed';

CREATE TABLE @extschema@.bill_window (
	meter_id     text NOT NULL,
	window_start timestamptz NOT NULL,
	key_id       text NOT NULL,
	total        paillier_ciphertext,
	readings     int NOT NULL DEFAULT 0,
	carried      int NOT NULL DEFAULT 0,
	expected     int NOT NULL DEFAULT 0,
	counted      int NOT NULL DEFAULT 0,
	received     bigint[] NOT NULL DEFAULT '{}',
	PRIMARY KEY (meter_id, window_start, key_id)
);

CREATE INDEX ON @extschema@.bill_window (window_start) WHERE counted < expected;
CREATE INDEX ON @extschema@.bill_window USING brin (window_start);

COMMENT ON TABLE @extschema@.bill_window IS 'encrypted energy of each meter and bill window; the total is written once, when the window is sealed';
COMMENT ON COLUMN @extschema@.bill_window.key_id IS 'key of the total; a row under another key than that of its window holds readings sent under that key and says nothing of what is expected';
COMMENT ON COLUMN @extschema@.bill_window.total IS 'NULL where there were too few readings for one: they go into a later window';
COMMENT ON COLUMN @extschema@.bill_window.readings IS 'readings in the total';
COMMENT ON COLUMN @extschema@.bill_window.carried IS 'of these, late readings of earlier windows';
COMMENT ON COLUMN @extschema@.bill_window.expected IS 'readings of this window without gaps';
COMMENT ON COLUMN @extschema@.bill_window.counted IS 'readings of this window that are in its total or a later one';
COMMENT ON COLUMN @extschema@.bill_window.received IS 'the counted readings: bit i of element h stands for reading i of hour h of the window';

CREATE TABLE @extschema@.register_read (
	meter_id    text NOT NULL,
	read_at     timestamptz NOT NULL,
	register    paillier_ciphertext NOT NULL,
	received_at timestamptz NOT NULL,
	PRIMARY KEY (meter_id, read_at)
);

COMMENT ON TABLE @extschema@.register_read IS 'registers as they stand between bill windows: collectors INSERT or COPY (meter_id, read_at, register) here; written once';
COMMENT ON COLUMN @extschema@.register_read.read_at IS 'start of a bill window';
COMMENT ON COLUMN @extschema@.register_read.register IS 'encrypted energy that the meter has counted up to then, in the unit of readings';
COMMENT ON COLUMN @extschema@.register_read.received_at IS 'when it came; set by the database';

CREATE TABLE @extschema@.progress (
	only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	sealed_until timestamptz,
	billed_until timestamptz
);

COMMENT ON TABLE @extschema@.progress IS 'how far the roll-up has come, one row; whoever rolls up holds a lock on it';
COMMENT ON COLUMN @extschema@.progress.sealed_until IS 'all hours before this are sealed';
COMMENT ON COLUMN @extschema@.progress.billed_until IS 'all bill windows before this are sealed';

CREATE TABLE @extschema@.rollup_log (
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

COMMENT ON TABLE @extschema@.rollup_log IS 'what each step of the roll-up did';
COMMENT ON COLUMN @extschema@.rollup_log.finished_at IS 'when the step was done';
COMMENT ON COLUMN @extschema@.rollup_log.duration IS 'how long it took';
COMMENT ON COLUMN @extschema@.rollup_log.step IS 'hour: an hour was sealed; late: late readings were taken; window: a bill window was sealed; restart: staging was found lost';
COMMENT ON COLUMN @extschema@.rollup_log.starts IS 'start of the hour or window';
COMMENT ON COLUMN @extschema@.rollup_log.meters IS 'meters that contributed';
COMMENT ON COLUMN @extschema@.rollup_log.readings IS 'readings in the totals';
COMMENT ON COLUMN @extschema@.rollup_log.duplicates IS 'readings dropped because they had been received before';
COMMENT ON COLUMN @extschema@.rollup_log.refused IS 'readings dropped because they lie before the start of metering';
COMMENT ON COLUMN @extschema@.rollup_log.late IS 'readings taken for hours that had been sealed';
COMMENT ON COLUMN @extschema@.rollup_log.suppressed IS 'regions without a total for want of meters';

INSERT INTO @extschema@.setting DEFAULT VALUES;
INSERT INTO @extschema@.progress DEFAULT VALUES;

-- A dump holds the durable tables and never staging.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.setting', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.setting_past', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.tariff', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.rate', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.meter', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.region_past', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.tariff_past', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.region_hour', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sealed_window', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.bill_window', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.register_read', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.progress', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.rollup_log', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.rollup_log_id_seq', '');

-- ---- rules of configuration ----

CREATE FUNCTION @extschema@.announce() RETURNS trigger
	AS 'MODULE_PATHNAME', 'paillier_metering_announce' LANGUAGE C;

COMMENT ON FUNCTION @extschema@.announce() IS 'tells the doors of all sessions that settings or meters have changed';

CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @extschema@.setting
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.announce();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @extschema@.setting_past
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.announce();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @extschema@.meter
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.announce();

-- The bill window that an hour lies in: hours with the same label, a local time
-- of the window's zone, within one regime.  A window over a change of daylight
-- saving time has an hour more or less.
CREATE FUNCTION @extschema@.window_label(hour timestamptz, zone text, bill_window interval) RETURNS timestamp
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	AS $$
		SELECT pg_catalog.date_trunc('day', hour AT TIME ZONE zone)
			+ bill_window * pg_catalog.floor(EXTRACT(hour FROM hour AT TIME ZONE zone)
				/ (EXTRACT(epoch FROM bill_window) / 3600))::double precision
	$$;

COMMENT ON FUNCTION @extschema@.window_label(timestamptz, text, interval) IS 'the local time that names the bill window of an hour';

CREATE FUNCTION @extschema@.window_of(t timestamptz, OUT window_start timestamptz, OUT window_end timestamptz,
		OUT key_id text, OUT reading_interval interval)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
DECLARE
	begins timestamptz := COALESCE((SELECT max(until) FROM @extschema@.setting_past WHERE until <= t), '-infinity');
	r      @extschema@.regime;
	label  timestamp;
BEGIN
	SELECT * INTO r FROM @extschema@.regime WHERE until > t ORDER BY until LIMIT 1;
	key_id := r.key_id;
	reading_interval := r.reading_interval;
	window_start := @extschema@.utc_hour(t);
	window_end := window_start + interval '1 hour';
	label := @extschema@.window_label(window_start, r.zone, r.bill_window);
	WHILE window_start > begins
		AND @extschema@.window_label(window_start - interval '1 hour', r.zone, r.bill_window) = label LOOP
		window_start := window_start - interval '1 hour';
	END LOOP;
	WHILE window_end < r.until AND @extschema@.window_label(window_end, r.zone, r.bill_window) = label LOOP
		window_end := window_end + interval '1 hour';
	END LOOP;
END
$$;

COMMENT ON FUNCTION @extschema@.window_of(timestamptz) IS 'the bill window that a time lies in, with its key and reading interval';

-- One row only; the row of a dump that is restored replaces the one made here.
-- Where progress is restored staging is not: it counts as lost.
CREATE FUNCTION @extschema@.replace_row() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
BEGIN
	EXECUTE format('DELETE FROM %s', TG_RELID::regclass);
	IF TG_RELID = '@extschema@.progress'::regclass THEN
		DELETE FROM @extschema@.staging_since;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION @extschema@.replace_row() IS 'keeps one-row tables at one row';

CREATE TRIGGER replace_row BEFORE INSERT ON @extschema@.setting
	FOR EACH ROW EXECUTE FUNCTION @extschema@.replace_row();
CREATE TRIGGER replace_row BEFORE INSERT ON @extschema@.progress
	FOR EACH ROW EXECUTE FUNCTION @extschema@.replace_row();

-- Key, interval, window and zone change at the end of the bill window that is
-- open: what held before is kept up to then.  Before the first reading a change
-- takes effect at once.
CREATE FUNCTION @extschema@.change_setting() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
BEGIN
	PERFORM '2000-01-01'::timestamptz AT TIME ZONE NEW.zone;
	IF NEW.key_id IS DISTINCT FROM OLD.key_id AND NOT EXISTS (SELECT FROM paillier_key k WHERE k.key_id = NEW.key_id) THEN
		RAISE EXCEPTION 'key % is not registered', COALESCE(NEW.key_id, 'NULL')
			USING ERRCODE = 'undefined_object', HINT = 'Register the public key with paillier_register_key().';
	END IF;
	IF NEW.starts_at IS DISTINCT FROM OLD.starts_at AND OLD.starts_at IS NOT NULL
		AND EXISTS (SELECT FROM @extschema@.progress WHERE sealed_until IS NOT NULL) THEN
		RAISE EXCEPTION 'metering has started: its start cannot be changed'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	IF (NEW.key_id, NEW.reading_interval, NEW.bill_window, NEW.zone)
			IS DISTINCT FROM (OLD.key_id, OLD.reading_interval, OLD.bill_window, OLD.zone)
		AND OLD.key_id IS NOT NULL
		AND (EXISTS (SELECT FROM @extschema@.progress WHERE sealed_until IS NOT NULL)
			OR EXISTS (SELECT FROM @extschema@.reading) OR EXISTS (SELECT FROM @extschema@.register_read)) THEN
		INSERT INTO @extschema@.setting_past (until, key_id, reading_interval, bill_window, zone)
		SELECT w.window_end, OLD.key_id, OLD.reading_interval, OLD.bill_window, OLD.zone
		FROM @extschema@.window_of(clock_timestamp()) w
		ON CONFLICT DO NOTHING;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION @extschema@.change_setting() IS 'checks a change of settings and keeps what held before until the open bill window ends';

CREATE TRIGGER change_setting BEFORE UPDATE ON @extschema@.setting
	FOR EACH ROW EXECUTE FUNCTION @extschema@.change_setting();

-- No foreign keys: a dump is restored table by table, in any order.
CREATE FUNCTION @extschema@.change_tariff() RETURNS trigger
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
BEGIN
	IF TG_OP <> 'DELETE' THEN
		PERFORM now() AT TIME ZONE NEW.zone;
	END IF;
	IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.tariff = OLD.tariff) THEN
		RETURN NEW;
	END IF;
	IF EXISTS (SELECT FROM @extschema@.meter m WHERE m.tariff = OLD.tariff)
		OR EXISTS (SELECT FROM @extschema@.tariff_past x WHERE x.tariff = OLD.tariff) THEN
		RAISE EXCEPTION 'tariff "%" has meters that are billed by it', OLD.tariff
			USING ERRCODE = 'foreign_key_violation';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

COMMENT ON FUNCTION @extschema@.change_tariff() IS 'checks the time zone of a tariff, and that none is taken away that meters are billed by';

CREATE TRIGGER change_tariff BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.tariff
	FOR EACH ROW EXECUTE FUNCTION @extschema@.change_tariff();

-- A meter counts in one region in any hour, and by one tariff in any window.
CREATE FUNCTION @extschema@.change_meter() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
BEGIN
	IF TG_OP = 'DELETE' OR (NEW.tariff, NEW.account) IS DISTINCT FROM (OLD.tariff, OLD.account) THEN
		INSERT INTO @extschema@.tariff_past (meter_id, until, tariff, account, flow)
		SELECT OLD.meter_id, w.window_end, OLD.tariff, OLD.account, OLD.flow FROM @extschema@.window_of(clock_timestamp()) w
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
		INSERT INTO @extschema@.region_past
		VALUES (OLD.meter_id, @extschema@.utc_hour(clock_timestamp()) + interval '1 hour', OLD.region)
		ON CONFLICT DO NOTHING;
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION @extschema@.change_meter() IS 'keeps the region, tariff and account of a meter until the hour or window ends';

CREATE TRIGGER change_meter BEFORE UPDATE OR DELETE ON @extschema@.meter
	FOR EACH ROW EXECUTE FUNCTION @extschema@.change_meter();

-- A total of what comes in and what goes out would be neither.
CREATE FUNCTION @extschema@.check_flow() RETURNS trigger
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
DECLARE
	mixed text;
BEGIN
	PERFORM pg_advisory_xact_lock(TG_RELID::bigint);
	SELECT n.region INTO mixed FROM (SELECT DISTINCT region, flow FROM changed) AS n
	WHERE EXISTS (SELECT FROM @extschema@.meter m WHERE m.region = n.region AND m.flow <> n.flow);
	IF FOUND THEN
		RAISE EXCEPTION 'region "%" would hold meters of both import and export', mixed
			USING ERRCODE = 'check_violation', HINT = 'Give export meters a region of their own.';
	END IF;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION @extschema@.check_flow() IS 'refuses a region of import and export meters';

CREATE TRIGGER check_flow_insert AFTER INSERT ON @extschema@.meter REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.check_flow();
CREATE TRIGGER check_flow_update AFTER UPDATE ON @extschema@.meter REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.check_flow();

-- The price at any time is one.
CREATE FUNCTION @extschema@.check_rate() RETURNS trigger
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(TG_RELID::bigint);
	IF EXISTS (SELECT FROM @extschema@.rate r
		WHERE (r.tariff, r.charge, r.from_time) = (NEW.tariff, NEW.charge, NEW.from_time)
			AND r.weekdays && NEW.weekdays AND r.months && NEW.months AND r.valid && NEW.valid
			AND (r.weekdays, r.months, r.valid) <> (NEW.weekdays, NEW.months, NEW.valid)) THEN
		RAISE EXCEPTION 'two % rates of tariff "%" from % hold on the same day', NEW.charge, NEW.tariff, NEW.from_time
			USING ERRCODE = 'exclusion_violation',
				HINT = 'Rates that begin at the same time must differ in weekdays, months or valid.';
	END IF;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION @extschema@.check_rate() IS 'refuses a rate that would make a price ambiguous';

CREATE TRIGGER check_rate AFTER INSERT OR UPDATE ON @extschema@.rate
	FOR EACH ROW EXECUTE FUNCTION @extschema@.check_rate();

-- Where a total is known for both, the difference of two registers is one of
-- bill windows, and nothing finer.
CREATE FUNCTION @extschema@.take_register() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
BEGIN
	IF NEW.read_at <> (SELECT w.window_start FROM @extschema@.window_of(NEW.read_at) w) THEN
		RAISE EXCEPTION 'register at % is not read at the start of a bill window', NEW.read_at
			USING ERRCODE = 'check_violation',
				DETAIL = 'Any other time would give away a part of a window.';
	END IF;
	IF EXISTS (SELECT FROM @extschema@.register_read r WHERE (r.meter_id, r.read_at) = (NEW.meter_id, NEW.read_at)) THEN
		RETURN NULL;
	END IF;
	NEW.register := paillier_rerandomize(NEW.register);
	NEW.received_at := clock_timestamp();
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION @extschema@.take_register() IS 'takes a register in, re-randomised; one that was sent before is dropped';

-- The door of readings holds for registers, as for a reading of the interval
-- that begins there.  Rows of a dump have been through it.
CREATE TRIGGER take_register BEFORE INSERT ON @extschema@.register_read
	FOR EACH ROW
	WHEN (CASE WHEN NEW.received_at IS NULL THEN @extschema@.accept(NEW.meter_id, NEW.read_at, NEW.register) END)
	EXECUTE FUNCTION @extschema@.take_register();

-- Totals are written once: two versions of a total, divided, would give away
-- what was added between them.
CREATE FUNCTION @extschema@.refuse_change() RETURNS trigger
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
BEGIN
	RAISE EXCEPTION 'totals in %.% are written once and never change', TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

COMMENT ON FUNCTION @extschema@.refuse_change() IS 'refuses to change or delete a total';

CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON @extschema@.region_hour
	FOR EACH ROW EXECUTE FUNCTION @extschema@.refuse_change();
CREATE TRIGGER write_once_delete BEFORE DELETE ON @extschema@.bill_window
	FOR EACH ROW EXECUTE FUNCTION @extschema@.refuse_change();
CREATE TRIGGER write_once BEFORE UPDATE ON @extschema@.bill_window
	FOR EACH ROW
	WHEN (paillier_ciphertext_send(OLD.total) IS DISTINCT FROM paillier_ciphertext_send(NEW.total) OR (OLD.readings, OLD.carried) <> (NEW.readings, NEW.carried)
		OR (OLD.meter_id, OLD.window_start, OLD.key_id) <> (NEW.meter_id, NEW.window_start, NEW.key_id))
	EXECUTE FUNCTION @extschema@.refuse_change();
CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON @extschema@.register_read
	FOR EACH ROW EXECUTE FUNCTION @extschema@.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON @extschema@.register_read
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON @extschema@.region_hour
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON @extschema@.bill_window
	FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.refuse_change();

-- ---- what is missing ----

-- Every reading of the time that is not billed yet, up to now.
CREATE VIEW @extschema@.open_reading AS
	SELECT h.hour, h.hour + r.reading_interval * i.i AS read_at, 1::bigint << i.i AS bit
	FROM @extschema@.setting s
	CROSS JOIN @extschema@.progress g
	CROSS JOIN LATERAL generate_series(@extschema@.utc_hour(COALESCE(g.billed_until, s.starts_at)), now(),
		interval '1 hour') AS h (hour)
	CROSS JOIN LATERAL (
		SELECT x.reading_interval FROM @extschema@.regime x WHERE x.until > h.hour ORDER BY x.until LIMIT 1) AS r
	CROSS JOIN LATERAL generate_series(0, (3600 / EXTRACT(epoch FROM r.reading_interval))::int - 1) AS i (i)
	WHERE h.hour + r.reading_interval * (i.i + 1) <= now()
		AND h.hour + r.reading_interval * i.i >= s.starts_at;

COMMENT ON VIEW @extschema@.open_reading IS 'times of the readings that belong to bill windows not sealed yet';

-- Every reading that a sealed window went without.
CREATE VIEW @extschema@.missed_reading AS
	SELECT b.meter_id, t.hour, t.read_at, t.bit
	FROM @extschema@.bill_window b
	JOIN @extschema@.sealed_window w ON w.window_start = b.window_start AND w.key_id = b.key_id
	CROSS JOIN LATERAL (
		SELECT @extschema@.utc_hour(g.read_at) AS hour, g.read_at,
			@extschema@.reading_bit(g.read_at, (EXTRACT(epoch FROM w.reading_interval) / 60)::int) AS bit
		FROM generate_series(w.window_start, w.window_end - w.reading_interval, w.reading_interval) AS g (read_at)) AS t
	WHERE b.counted < b.expected
		AND COALESCE(b.received[(EXTRACT(epoch FROM t.hour - w.window_start) / 3600)::int + 1], 0) & t.bit = 0;

COMMENT ON VIEW @extschema@.missed_reading IS 'readings that were expected in sealed bill windows and have not been counted yet';

CREATE VIEW @extschema@.gap_of_all AS
	SELECT m.meter_id, e.read_at, m.collector
	FROM (
		SELECT m.meter_id, o.hour, o.read_at, o.bit FROM @extschema@.meter m CROSS JOIN @extschema@.open_reading o
		UNION ALL
		SELECT meter_id, hour, read_at, bit FROM @extschema@.missed_reading
	) AS e
	JOIN @extschema@.meter m ON m.meter_id = e.meter_id
	CROSS JOIN @extschema@.setting s
	WHERE m.active @> e.read_at
		AND e.read_at >= now() - s.retention
		AND NOT EXISTS (
			SELECT FROM @extschema@.partial p
			WHERE p.meter_id = e.meter_id AND p.hour = e.hour AND p.received & e.bit <> 0)
		AND NOT EXISTS (
			SELECT FROM @extschema@.reading r WHERE r.meter_id = e.meter_id AND r.read_at = e.read_at);

COMMENT ON VIEW @extschema@.gap_of_all IS 'readings expected and not received, of the meters of every collector';

-- The name of a role is kept rather than its number, for dumps; the role may be gone.
CREATE VIEW @extschema@.gap AS
	SELECT e.meter_id, e.read_at FROM @extschema@.gap_of_all e
	WHERE e.collector IS NULL OR EXISTS (
		SELECT FROM pg_roles r WHERE r.rolname = e.collector AND pg_has_role(r.oid, 'USAGE'));

COMMENT ON VIEW @extschema@.gap IS 'readings expected and not received: what to send again';
COMMENT ON COLUMN @extschema@.gap.read_at IS 'start of the interval of the reading';

-- What a meter may forget: sealed and on disk, not merely staged.
CREATE VIEW @extschema@.acknowledged AS
	SELECT m.meter_id, COALESCE(x.first_missed, g.billed_until) AS until
	FROM @extschema@.meter m
	CROSS JOIN @extschema@.progress g
	CROSS JOIN @extschema@.setting s
	LEFT JOIN (
		SELECT e.meter_id, min(e.read_at) AS first_missed
		FROM @extschema@.missed_reading e
		JOIN @extschema@.meter USING (meter_id)
		CROSS JOIN @extschema@.setting
		WHERE active @> e.read_at AND e.read_at >= now() - retention
		GROUP BY e.meter_id) AS x ON x.meter_id = m.meter_id
	WHERE g.billed_until IS NOT NULL
		AND (m.collector IS NULL OR EXISTS (
			SELECT FROM pg_roles r WHERE r.rolname = m.collector AND pg_has_role(r.oid, 'USAGE')));

COMMENT ON VIEW @extschema@.acknowledged IS 'up to when a meter may forget its readings: all before are counted in totals on disk';
COMMENT ON COLUMN @extschema@.acknowledged.until IS 'readings that start before this will never be asked for again';

-- ---- the roll-up, step by step ----

-- The functions that work on whole tables plan for tables without statistics:
-- autovacuum leaves staging alone.  A nested loop that looks cheap for a few rows
-- would take forever over all of them, and so may a sort where groups are hashed.

-- An exclusive lock on a staging partition, or false where somebody is still
-- writing to it after a second: then the step is left to the next roll-up, and
-- neither side waits for the other.
CREATE FUNCTION @extschema@.lock_staging(partition regclass) RETURNS boolean
	LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '1s'
	AS $$
BEGIN
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
	RETURN true;
EXCEPTION WHEN lock_not_available THEN
	RETURN false;
END
$$;

COMMENT ON FUNCTION @extschema@.lock_staging(regclass) IS 'locks a staging partition, unless somebody is writing to it';

CREATE FUNCTION @extschema@.staging_partition(slot int) RETURNS regclass
	LANGUAGE sql STABLE STRICT
	AS $$ SELECT ('@extschema@.reading_' || pg_catalog.to_char(slot, 'FM00'))::pg_catalog.regclass $$;

COMMENT ON FUNCTION @extschema@.staging_partition(int) IS 'the staging partition of a slot of the ring';

-- Sealing reads what was committed before it had the lock: an older snapshot
-- would miss readings that the purge then destroys.
CREATE FUNCTION @extschema@.check_isolation() RETURNS void
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'a roll-up step cannot run in isolation level %', current_setting('transaction_isolation')
			USING ERRCODE = 'invalid_transaction_state', HINT = 'Use CALL rollup(), or isolation level read committed.';
	END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.check_isolation() IS 'refuses to seal by an old snapshot';

-- The door has accepted them already, and may not any more: a meter has ended.
CREATE FUNCTION @extschema@.put_back(partition regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'paillier_metering_put_back' LANGUAGE C VOLATILE STRICT;

COMMENT ON FUNCTION @extschema@.put_back(regclass) IS 'moves the readings of reading_spare into a staging partition, without the check at the door';

-- Empty a locked staging partition.  Readings of hours that are not sealed yet
-- (the ring has come round because the roll-up is far behind), from keep_from on,
-- are put back; NULL: there are none.
CREATE FUNCTION @extschema@.purge(partition regclass, keep_from timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
BEGIN
	IF keep_from IS NOT NULL THEN
		EXECUTE format('INSERT INTO @extschema@.reading_spare SELECT * FROM %s WHERE read_at >= $1', partition)
			USING keep_from;
	END IF;
	EXECUTE format('TRUNCATE %s', partition);
	IF keep_from IS NOT NULL THEN
		PERFORM @extschema@.put_back(partition);
		TRUNCATE @extschema@.reading_spare;
	END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.purge(regclass, timestamptz) IS 'empties a staging partition by TRUNCATE';

-- Readings of hours that are sealed become partial totals of their own, for the
-- bill only, unless they were received before.  Returns how many were taken.
CREATE FUNCTION @extschema@.take_late(partition regclass, sealed_until timestamptz) RETURNS bigint
	LANGUAGE plpgsql SET search_path FROM CURRENT SET work_mem = '256MB' SET jit = off SET enable_nestloop = off
	AS $$
DECLARE
	taken bigint;
BEGIN
	EXECUTE format($query$
		WITH late AS (
			SELECT DISTINCT ON (meter_id, read_at) meter_id, read_at, @extschema@.utc_hour(read_at) AS hour, energy
			FROM %s WHERE read_at < $1 ORDER BY meter_id, read_at, ctid
		), hours AS (
			SELECT h.hour, w.window_start, w.key_id, (EXTRACT(epoch FROM w.reading_interval) / 60)::int AS minutes,
				(EXTRACT(epoch FROM h.hour - w.window_start) / 3600)::int + 1 AS place
			FROM (SELECT DISTINCT hour FROM late) AS h CROSS JOIN LATERAL @extschema@.window_of(h.hour) AS w
		), taken AS (
			INSERT INTO @extschema@.partial (meter_id, hour, key_id, total, readings, received)
			SELECT l.meter_id, l.hour, paillier_key_id(l.energy), sum(l.energy), count(*),
				bit_or(@extschema@.reading_bit(l.read_at, h.minutes))
			FROM late l JOIN hours h USING (hour)
			LEFT JOIN @extschema@.bill_window b ON b.meter_id = l.meter_id AND b.window_start = h.window_start
				AND b.key_id = h.key_id
			WHERE l.hour >= (SELECT starts_at FROM @extschema@.setting)
				AND COALESCE(b.received[h.place], 0) & @extschema@.reading_bit(l.read_at, h.minutes) = 0
				AND NOT EXISTS (
					SELECT FROM @extschema@.partial p
					WHERE p.hour = l.hour AND p.meter_id = l.meter_id
						AND p.received & @extschema@.reading_bit(l.read_at, h.minutes) <> 0)
			GROUP BY l.meter_id, l.hour, paillier_key_id(l.energy)
			RETURNING readings
		)
		SELECT COALESCE(sum(readings), 0) FROM taken
		$query$, partition) INTO taken USING sealed_until;
	RETURN taken;
END
$$;

COMMENT ON FUNCTION @extschema@.take_late(regclass, timestamptz) IS 'turns the readings of sealed hours in a staging partition into partial totals';

-- The readings of an hour, one partial total a meter.  Resends within the hour
-- show as more readings than bits: these meters are added up again from
-- distinct readings.  Returns how many readings were taken.
CREATE FUNCTION @extschema@.take_hour(partition regclass, starts timestamptz, key_id text, minutes int, one_key boolean)
	RETURNS bigint
	LANGUAGE plpgsql SET search_path FROM CURRENT SET work_mem = '256MB' SET jit = off SET enable_nestloop = off SET enable_sort = off
	AS $$
DECLARE
	-- after a change of key some readings of the hour may be under the new one
	source   text := format('%s WHERE read_at >= $1 AND read_at < $1 + interval ''1 hour''%s', partition,
		CASE WHEN one_key THEN '' ELSE ' AND paillier_key_id(energy) = $2' END);
	command  text := '
		INSERT INTO @extschema@.partial (meter_id, hour, key_id, total, readings, received)
		SELECT meter_id, $1, $2, sum(energy), count(*), bit_or(@extschema@.reading_bit(read_at, $3))
		FROM %s GROUP BY meter_id';
	repeated text[];
BEGIN
	EXECUTE format(command, source) USING starts, key_id, minutes;
	SELECT array_agg(p.meter_id) INTO repeated
	FROM @extschema@.partial p WHERE p.hour = starts AND p.readings <> @extschema@.bits(p.received);
	IF repeated IS NOT NULL THEN
		DELETE FROM @extschema@.partial p WHERE p.hour = starts AND p.meter_id = ANY (repeated);
		EXECUTE format(command, format('(SELECT DISTINCT ON (meter_id, read_at) meter_id, read_at, energy
			FROM %s AND meter_id = ANY ($4) ORDER BY meter_id, read_at, ctid) AS once', source))
			USING starts, key_id, minutes, repeated;
	END IF;
	RETURN (SELECT COALESCE(sum(p.readings), 0) FROM @extschema@.partial p WHERE p.hour = starts);
END
$$;

COMMENT ON FUNCTION @extschema@.take_hour(regclass, timestamptz, text, int, boolean) IS 'turns the readings of an hour into one partial total a meter';

-- The partial totals of an hour become one total a region: re-randomised, and
-- none where too few meters contributed.  Returns the regions without one.
CREATE FUNCTION @extschema@.seal_regions(hour timestamptz, key_id text) RETURNS bigint
	LANGUAGE sql SET search_path FROM CURRENT SET work_mem = '256MB' SET jit = off SET enable_nestloop = off SET enable_sort = off
	AS $$
		WITH place AS (
			SELECT m.meter_id, COALESCE(x.region, m.region) AS region,
				@extschema@.expected_readings(m.active, $1, $1 + interval '1 hour', w.reading_interval) AS expected
			FROM @extschema@.window_of($1) AS w CROSS JOIN @extschema@.meter m
			LEFT JOIN (
				SELECT DISTINCT ON (meter_id) meter_id, region FROM @extschema@.region_past
				WHERE until > $1 ORDER BY meter_id, until) AS x USING (meter_id)
			WHERE m.active && tstzrange($1, $1 + interval '1 hour')
		), sealed AS (
			INSERT INTO @extschema@.region_hour (region, hour, key_id, total, meters, readings, expected)
			SELECT region, $1, $2,
				CASE WHEN count(p.meter_id) >= (SELECT min_meters FROM @extschema@.setting)
					THEN paillier_rerandomize(sum(p.total)) END,
				count(p.meter_id), COALESCE(sum(p.readings), 0), sum(place.expected)
			FROM place LEFT JOIN @extschema@.partial p
				ON p.meter_id = place.meter_id AND p.hour = $1 AND p.key_id = $2
			GROUP BY region
			RETURNING total
		)
		SELECT count(*) FROM sealed WHERE total IS NULL
	$$;

COMMENT ON FUNCTION @extschema@.seal_regions(timestamptz, text) IS 'writes the regional totals of an hour';

-- Seal one hour: its regional totals, its partial totals, the purge of its
-- readings, all in one transaction.  False where its partition is in use.
CREATE FUNCTION @extschema@.seal_hour(starts timestamptz) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
DECLARE
	began      timestamptz := clock_timestamp();
	partition  regclass := @extschema@.staging_partition(@extschema@.slot(starts));
	next_hour  timestamptz := starts + interval '1 hour';
	w          record;
	one_key    boolean;
	staged     bigint;
	staged_late bigint;
	last_one   timestamptz;
	refused    bigint;
	taken      bigint;
	late       bigint := 0;
	suppressed bigint;
BEGIN
	PERFORM @extschema@.check_isolation();
	PERFORM FROM @extschema@.progress WHERE sealed_until = starts FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;	-- somebody else has sealed it
	END IF;
	IF next_hour + (SELECT s.grace FROM @extschema@.setting s) > clock_timestamp() THEN
		RAISE EXCEPTION 'hour % is not due', starts
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'An hour is sealed when it has ended and its time of grace has passed.';
	END IF;
	IF NOT @extschema@.lock_staging(partition) THEN
		RAISE NOTICE 'hour % is still being written to: it will be sealed by the next roll-up', starts;
		RETURN false;
	END IF;
	SELECT * INTO w FROM @extschema@.window_of(starts);
	EXECUTE format('SELECT count(*) FILTER (WHERE read_at < $2), count(*) FILTER (WHERE read_at < $1), count(*) FILTER (WHERE read_at < $3),
		COALESCE(bool_and(paillier_key_id(energy) = $4), true), max(read_at) FROM %s', partition)
		INTO staged, staged_late, refused, one_key, last_one
		USING starts, next_hour, (SELECT s.starts_at FROM @extschema@.setting s), w.key_id;

	taken := @extschema@.take_hour(partition, starts, w.key_id, (EXTRACT(epoch FROM w.reading_interval) / 60)::int, one_key);
	suppressed := @extschema@.seal_regions(starts, w.key_id);
	IF NOT one_key THEN
		late := @extschema@.take_late(partition, next_hour);
	ELSIF staged_late > 0 THEN
		late := @extschema@.take_late(partition, starts);
	END IF;
	PERFORM @extschema@.purge(partition, CASE WHEN last_one >= next_hour THEN next_hour END);
	UPDATE @extschema@.progress SET sealed_until = next_hour;

	INSERT INTO @extschema@.rollup_log (duration, step, starts, meters, readings, duplicates, refused, late, suppressed)
	SELECT clock_timestamp() - began, 'hour', starts, COALESCE(sum(r.meters), 0), taken,
		staged - taken - late - refused, refused, late, suppressed
	FROM @extschema@.region_hour r WHERE r.hour = starts;
	RAISE NOTICE 'hour %: % readings, % duplicates, % late, % regions without a total',
		starts, taken, staged - taken - late - refused, late, suppressed;
	RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.seal_hour(timestamptz) IS 'seals the hour that is next: regional totals, partial totals, purge';

-- Late readings in a partition of the ring, between two sealings.
CREATE FUNCTION @extschema@.sweep(slot int) RETURNS void
	LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
DECLARE
	began        timestamptz := clock_timestamp();
	partition    regclass := @extschema@.staging_partition(slot);
	sealed_until timestamptz;
	staged       bigint;
	last_one     timestamptz;
	refused      bigint;
	late         bigint;
BEGIN
	PERFORM @extschema@.check_isolation();
	SELECT g.sealed_until INTO sealed_until FROM @extschema@.progress g FOR UPDATE;
	IF NOT @extschema@.lock_staging(partition) THEN
		RETURN;		-- the next roll-up will find them
	END IF;
	EXECUTE format('SELECT count(*) FILTER (WHERE read_at < $1), count(*) FILTER (WHERE read_at < $2), max(read_at) FROM %s', partition)
		INTO staged, refused, last_one USING sealed_until, (SELECT s.starts_at FROM @extschema@.setting s);
	late := @extschema@.take_late(partition, sealed_until);
	PERFORM @extschema@.purge(partition, CASE WHEN last_one >= sealed_until THEN sealed_until END);
	IF staged = 0 THEN
		RETURN;
	END IF;
	INSERT INTO @extschema@.rollup_log (duration, step, readings, duplicates, refused, late)
	VALUES (clock_timestamp() - began, 'late', late, staged - late - refused, refused, late);
	RAISE NOTICE 'late readings: % taken, % duplicates', late, staged - late - refused;
END
$$;

COMMENT ON FUNCTION @extschema@.sweep(int) IS 'takes the late readings out of a staging partition, and purges what was refused there';

-- Partitions with readings of sealed hours, or with nothing but the bytes of
-- readings that were refused.  Those of hours that collectors may be writing to
-- now are left alone: sealing these hours takes what is late in them.
CREATE FUNCTION @extschema@.late_slots(as_of timestamptz) RETURNS SETOF int
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
DECLARE
	sealed_until timestamptz := (SELECT g.sealed_until FROM @extschema@.progress g);
	live         int[];
	partition    regclass;
	due          boolean;
BEGIN
	live := ARRAY(SELECT @extschema@.slot(h)
		FROM generate_series(sealed_until, least(as_of, sealed_until + interval '47 hours'), interval '1 hour') AS h);
	FOR slot IN 0 .. 47 LOOP
		CONTINUE WHEN slot = ANY (live);
		partition := @extschema@.staging_partition(slot);
		CONTINUE WHEN (SELECT pg_relation_size(c.oid) + COALESCE(pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0) = 0
			FROM pg_class c WHERE c.oid = partition);
		EXECUTE format('SELECT COALESCE(min(read_at) < $1, true) FROM %s', partition) INTO due USING sealed_until;
		IF due THEN
			RETURN NEXT slot;
		END IF;
	END LOOP;
END
$$;

COMMENT ON FUNCTION @extschema@.late_slots(timestamptz) IS 'staging partitions that hold late or refused readings';

-- What was received is expected too: the active range may have been cut short
-- since.  The first function counts one by one; the second one is an expression
-- that the planner takes apart, for the many meters that are active all the time.
CREATE FUNCTION @extschema@.count_expected(active tstzrange, starts timestamptz, ends timestamptz, step interval,
		received bigint[])
	RETURNS int
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	AS $$
		SELECT pg_catalog.count(*)::int
		FROM pg_catalog.generate_series(0, (EXTRACT(epoch FROM ends - starts) / EXTRACT(epoch FROM step))::int - 1) AS i
		CROSS JOIN LATERAL (SELECT step * i, EXTRACT(epoch FROM step)::int * i) AS t (after, seconds)
		WHERE active @> starts + t.after
			OR received[t.seconds / 3600 + 1] >> (t.seconds % 3600 / EXTRACT(epoch FROM step)::int) & 1 = 1
	$$;

COMMENT ON FUNCTION @extschema@.count_expected(tstzrange, timestamptz, timestamptz, interval, bigint[]) IS 'expected_readings() of a meter that was not active all the time';

CREATE FUNCTION @extschema@.expected_readings(active tstzrange, starts timestamptz, ends timestamptz, step interval,
		received bigint[] DEFAULT '{}')
	RETURNS int
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	AS $$
		SELECT CASE WHEN active @> pg_catalog.tstzrange(starts, ends)
			THEN (EXTRACT(epoch FROM ends - starts) / EXTRACT(epoch FROM step))::int
			ELSE @extschema@.count_expected(active, starts, ends, step, received)
			END
	$$;

COMMENT ON FUNCTION @extschema@.expected_readings(tstzrange, timestamptz, timestamptz, interval, bigint[]) IS 'how many readings a meter should send in a stretch of time, with those it has sent outside of its active range';

CREATE FUNCTION @extschema@.add_received(received bigint[], place int, bits bigint) RETURNS bigint[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
	AS $$
BEGIN
	FOR i IN COALESCE(array_length(received, 1), 0) + 1 .. place LOOP
		received[i] := 0;
	END LOOP;
	received[place] := received[place] | bits;
	RETURN received;
END
$$;

COMMENT ON FUNCTION @extschema@.add_received(bigint[], int, bigint) IS 'a received bitmap with more bits in one of its hours';

-- Record readings that count in the total of another row than that of their
-- own window and key, hour by hour.
CREATE FUNCTION @extschema@.record_elsewhere(starts timestamptz, window_key text) RETURNS bigint
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
DECLARE
	late   record;
	number bigint := 0;
BEGIN
	FOR late IN
		SELECT h.hour, w.window_start, w.window_end, w.key_id, w.reading_interval,
			(EXTRACT(epoch FROM h.hour - w.window_start) / 3600)::int + 1 AS place
		FROM (SELECT DISTINCT p.hour FROM @extschema@.partial p WHERE p.hour < starts OR p.key_id <> window_key) AS h
		CROSS JOIN LATERAL @extschema@.window_of(h.hour) AS w
	LOOP
		INSERT INTO @extschema@.bill_window AS b (meter_id, window_start, key_id, expected, counted, received)
		SELECT p.meter_id, late.window_start, late.key_id,
			@extschema@.expected_readings(m.active, late.window_start, late.window_end, late.reading_interval, r.received),
			@extschema@.bits(p.bits), r.received
		FROM (
			SELECT meter_id, bit_or(received) AS bits FROM @extschema@.partial
			WHERE hour = late.hour AND (hour < starts OR key_id <> window_key)
				AND NOT EXISTS (SELECT FROM @extschema@.partial_spare s
					WHERE s.meter_id = partial.meter_id AND s.key_id = partial.key_id)
			GROUP BY meter_id) AS p
		CROSS JOIN LATERAL @extschema@.add_received('{}', late.place, p.bits) AS r (received)
		LEFT JOIN @extschema@.meter m USING (meter_id)
		ON CONFLICT (meter_id, window_start, key_id) DO UPDATE
			SET counted = b.counted + EXCLUDED.counted,
				received = @extschema@.add_received(b.received, late.place, EXCLUDED.received[late.place]),
				expected = @extschema@.expected_readings((SELECT m.active FROM @extschema@.meter m WHERE m.meter_id = b.meter_id),
					late.window_start, late.window_end, late.reading_interval,
					@extschema@.add_received(b.received, late.place, EXCLUDED.received[late.place]));
	END LOOP;
	SELECT COALESCE(sum(carried), 0) INTO number FROM @extschema@.bill_window WHERE window_start = starts;
	RETURN number;
END
$$;

COMMENT ON FUNCTION @extschema@.record_elsewhere(timestamptz, text) IS 'records carried readings in the bitmaps of the windows they belong to';

-- Seal the bill window that is next.  Meters with too few readings for a total
-- of their own keep their partial totals, which go into the next window.
CREATE FUNCTION @extschema@.seal_window(starts timestamptz) RETURNS boolean
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET work_mem = '256MB' SET jit = off SET enable_nestloop = off SET enable_sort = off
	AS $$
DECLARE
	began  timestamptz := clock_timestamp();
	w      record;
	hours  int;
	full_  int;
	number record;
	late   bigint;
BEGIN
	-- what a meter may forget must be on disk
	SET LOCAL synchronous_commit = on;
	PERFORM @extschema@.check_isolation();
	PERFORM FROM @extschema@.progress WHERE billed_until = starts FOR UPDATE;
	IF NOT FOUND THEN
		RETURN true;	-- somebody else has sealed it
	END IF;
	SELECT * INTO w FROM @extschema@.window_of(starts);
	IF EXISTS (SELECT FROM @extschema@.progress WHERE sealed_until < w.window_end) THEN
		RAISE EXCEPTION 'bill window % has hours that are not sealed', starts
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	IF NOT @extschema@.lock_staging('@extschema@.partial') THEN
		RAISE NOTICE 'bill window % is being read: it will be sealed by the next roll-up', starts;
		RETURN false;
	END IF;
	hours := EXTRACT(epoch FROM w.window_end - starts) / 3600;
	full_ := EXTRACT(epoch FROM w.window_end - starts) / EXTRACT(epoch FROM w.reading_interval);

	INSERT INTO @extschema@.partial_spare
	SELECT p.* FROM @extschema@.partial p JOIN (
		SELECT meter_id, key_id FROM @extschema@.partial GROUP BY meter_id, key_id
		HAVING sum(readings) < least((SELECT min_readings FROM @extschema@.setting), full_)) AS few
		USING (meter_id, key_id);

	-- one row a meter, and one more for totals under another key
	EXECUTE format($query$
		INSERT INTO @extschema@.bill_window (meter_id, window_start, key_id, total, readings, carried, expected, counted, received)
		SELECT COALESCE(m.meter_id, t.meter_id), $1, COALESCE(t.key_id, $2), paillier_rerandomize(t.total),
			COALESCE(t.readings, 0), COALESCE(t.carried, 0),
			CASE WHEN COALESCE(t.key_id, $2) = $2 THEN @extschema@.expected_readings(m.active, $1, $3, $4, t.received) ELSE 0 END,
			CASE WHEN t.key_id = $2 THEN t.readings - t.carried ELSE 0 END,
			CASE WHEN t.key_id = $2 THEN t.received ELSE '{}' END
		FROM (
			SELECT meter_id, key_id, sum(total) AS total, sum(readings) AS readings,
				COALESCE(sum(readings) FILTER (WHERE hour < $1), 0) AS carried, ARRAY[%s] AS received
			FROM @extschema@.partial p
			WHERE NOT EXISTS (
				SELECT FROM @extschema@.partial_spare s WHERE s.meter_id = p.meter_id AND s.key_id = p.key_id)
			GROUP BY meter_id, key_id
		) AS t
		FULL JOIN (
			SELECT meter_id, active FROM @extschema@.meter WHERE active && tstzrange($1, $3)
		) AS m ON m.meter_id = t.meter_id AND t.key_id = $2
		$query$, (
			SELECT string_agg(format('COALESCE(bit_or(received) FILTER (WHERE hour = $1 + interval ''%s hours''), 0)', h),
				', ' ORDER BY h)
			FROM generate_series(0, hours - 1) AS h))
		USING starts, w.key_id, w.window_end, w.reading_interval;
	late := @extschema@.record_elsewhere(starts, w.key_id);

	TRUNCATE @extschema@.partial;
	INSERT INTO @extschema@.partial SELECT * FROM @extschema@.partial_spare;
	TRUNCATE @extschema@.partial_spare;
	INSERT INTO @extschema@.sealed_window VALUES (starts, w.window_end, w.key_id, w.reading_interval);
	UPDATE @extschema@.progress SET billed_until = w.window_end;

	SELECT count(total) AS meters, COALESCE(sum(readings), 0) AS readings INTO number
	FROM @extschema@.bill_window WHERE window_start = starts;
	INSERT INTO @extschema@.rollup_log (duration, step, starts, meters, readings, late)
	VALUES (clock_timestamp() - began, 'window', starts, number.meters, number.readings, late);
	RAISE NOTICE 'bill window %: % meters, % readings, of which % carried over', starts, number.meters, number.readings, late;
	RETURN true;
END
$$;

COMMENT ON FUNCTION @extschema@.seal_window(timestamptz) IS 'seals the bill window that is next: one total a meter, purge of partial totals';

-- What the roll-up has to do next, and where: NULL when nothing is due.
--
-- After a crash, hours and windows that lost readings wait for them to be sent
-- again: until they are complete, or until the grace time has passed once more.
CREATE FUNCTION @extschema@.next_step(as_of timestamptz, OUT step text, OUT starts timestamptz)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
DECLARE
	g            @extschema@.progress;
	w            record;
	grace        interval := (SELECT s.grace FROM @extschema@.setting s);
	staged_since timestamptz;
	ends         timestamptz;
BEGIN
	SELECT * INTO g FROM @extschema@.progress FOR UPDATE;
	SELECT since INTO staged_since FROM @extschema@.staging_since;
	IF NOT FOUND THEN
		staged_since := clock_timestamp();
		INSERT INTO @extschema@.staging_since VALUES (staged_since);
		INSERT INTO @extschema@.rollup_log (duration, step) VALUES ('0', 'restart');
		RAISE NOTICE 'staging was lost in a crash: metering.gap lists the readings to send again';
	END IF;

	IF g.sealed_until IS NULL THEN
		SELECT COALESCE((SELECT s.starts_at FROM @extschema@.setting s), min(r.read_at)) INTO starts FROM @extschema@.reading r;
		IF starts IS NULL THEN
			RETURN;
		END IF;
		SELECT * INTO w FROM @extschema@.window_of(starts);
		g.sealed_until := w.window_start;
		g.billed_until := w.window_start;
		UPDATE @extschema@.setting SET starts_at = w.window_start;
		UPDATE @extschema@.progress SET sealed_until = g.sealed_until, billed_until = g.billed_until;
		starts := NULL;
	END IF;

	SELECT * INTO w FROM @extschema@.window_of(g.billed_until);
	IF g.sealed_until >= w.window_end THEN
		step := 'window';
		starts := g.billed_until;
		ends := w.window_end;
	ELSIF g.sealed_until + interval '1 hour' + grace <= as_of THEN
		step := 'hour';
		starts := g.sealed_until;
		ends := g.sealed_until + interval '1 hour';
	END IF;
	IF starts < staged_since AND clock_timestamp() < staged_since + grace AND EXISTS (
		SELECT FROM @extschema@.gap_of_all x WHERE x.read_at >= starts AND x.read_at < ends) THEN
		RAISE NOTICE '% % waits for readings that were lost', step, starts;
		step := NULL;
		starts := NULL;
	END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.next_step(timestamptz) IS 'the hour or bill window that is to be sealed next';

-- No SET and no SECURITY DEFINER: either would forbid COMMIT.  Everything with
-- a right to it is in the functions above.  Each step has a transaction of its
-- own, also that which only looks for late readings: it reads every partition.
-- The isolation level must be set before anything else is evaluated.
CREATE PROCEDURE @extschema@.rollup(as_of timestamptz DEFAULT now())
	LANGUAGE plpgsql
	AS $$
DECLARE
	due   record;
	slots int[];
	slot  int;
	done  boolean;
BEGIN
	LOOP
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		SELECT * INTO due FROM @extschema@.next_step(least(as_of, pg_catalog.clock_timestamp()));
		COMMIT;
		SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
		IF due.step IS NULL OR due.step OPERATOR(pg_catalog.=) 'window' THEN
			slots := ARRAY(SELECT @extschema@.late_slots(least(as_of, pg_catalog.clock_timestamp())));
			COMMIT;
			SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			FOREACH slot IN ARRAY slots LOOP
				PERFORM @extschema@.sweep(slot);
				COMMIT;
				SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
			END LOOP;
		END IF;
		EXIT WHEN due.step IS NULL;
		IF due.step OPERATOR(pg_catalog.=) 'window' THEN
			done := @extschema@.seal_window(due.starts);
		ELSE
			done := @extschema@.seal_hour(due.starts);
		END IF;
		EXIT WHEN NOT done;
	END LOOP;
END
$$;

COMMENT ON PROCEDURE @extschema@.rollup(timestamptz) IS 'seals every hour and bill window that is due as of a time, each in a transaction of its own; may be called at any time, also twice at once';

-- ---- contracts and prices ----

CREATE VIEW @extschema@.contract AS
	SELECT meter_id, COALESCE(account, meter_id) AS account, tariff, flow,
		lag(until, 1, '-infinity') OVER (PARTITION BY meter_id ORDER BY until) AS since, until
	FROM (
		SELECT meter_id, account, tariff, flow, until FROM @extschema@.tariff_past
		UNION ALL
		SELECT meter_id, account, tariff, flow, 'infinity' FROM @extschema@.meter) AS stretch;

COMMENT ON VIEW @extschema@.contract IS 'account and tariff of each meter over time, also of meters that are gone';
COMMENT ON COLUMN @extschema@.contract.account IS 'who is billed';
COMMENT ON COLUMN @extschema@.contract.flow IS 'import or export';
COMMENT ON COLUMN @extschema@.contract.since IS 'bill windows that begin from then on …';
COMMENT ON COLUMN @extschema@.contract.until IS '… and before then';

CREATE FUNCTION @extschema@.price(tariff text, charge text, local timestamp) RETURNS numeric
	LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 1000 SET search_path FROM CURRENT
	AS $$
		SELECT r.price FROM @extschema@.rate r
		WHERE (r.tariff, r.charge) = ($1, $2) AND r.valid @> $3::date
			AND EXTRACT(isodow FROM $3)::int = ANY (r.weekdays) AND EXTRACT(month FROM $3)::int = ANY (r.months)
		ORDER BY r.from_time <= $3::time DESC, r.from_time DESC LIMIT 1
	$$;

COMMENT ON FUNCTION @extschema@.price(text, text, timestamp) IS 'price of a tariff for import, export or standing charge at a local time; NULL where no rate holds';

CREATE VIEW @extschema@.window_price AS
	SELECT t.tariff, f.flow, w.window_start, date_trunc('month', l.starts)::date AS period, p.price, p.standing, t.rounding
	FROM @extschema@.sealed_window w
	CROSS JOIN @extschema@.tariff t
	CROSS JOIN (VALUES ('import'), ('export')) AS f (flow)
	CROSS JOIN LATERAL (
		SELECT w.window_start AT TIME ZONE t.zone AS starts, w.window_end AT TIME ZONE t.zone AS ends) AS l
	CROSS JOIN LATERAL (
		SELECT @extschema@.price(t.tariff, f.flow, l.starts) AS price,
			CASE WHEN f.flow = 'import' AND l.ends::date > l.starts::date
				THEN @extschema@.price(t.tariff, 'standing', l.starts::date) END AS standing) AS p;

COMMENT ON VIEW @extschema@.window_price IS 'what a kWh cost in each sealed bill window: the price at the start of the window in the tariff''s local time';
COMMENT ON COLUMN @extschema@.window_price.flow IS 'import or export';
COMMENT ON COLUMN @extschema@.window_price.period IS 'first day of the month, in the tariff''s time zone';
COMMENT ON COLUMN @extschema@.window_price.price IS 'price of one kWh; NULL where no rate holds';
COMMENT ON COLUMN @extschema@.window_price.standing IS 'standing charge of the day whose last window it is';
COMMENT ON COLUMN @extschema@.window_price.rounding IS 'decimal digits that an amount due is rounded to';

-- What is wrong with tariffs, in the coming year.  A price that changes within
-- a bill window is applied from the next window on.
CREATE VIEW @extschema@.tariff_problem AS
	SELECT u.tariff, format('no %s price on %s days of the coming year, the first of them %s', u.flow, count(*), min(d.day)) AS problem
	FROM (SELECT DISTINCT tariff, flow FROM @extschema@.meter) AS u
	JOIN @extschema@.tariff t ON t.tariff = u.tariff
	CROSS JOIN LATERAL (
		SELECT ((now() AT TIME ZONE t.zone)::date + i) AS day FROM generate_series(0, 364) AS i) AS d
	WHERE @extschema@.price(u.tariff, u.flow, d.day) IS NULL
	GROUP BY u.tariff, u.flow
	UNION ALL
	SELECT b.tariff, format('%s is within a bill window in %s months of the year', b.from_time, count(*))
	FROM (
		SELECT t.tariff, x.from_time, (d.day + x.from_time) AT TIME ZONE t.zone AS at
		FROM @extschema@.tariff t
		CROSS JOIN generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
			now() AT TIME ZONE 'UTC' + interval '11 months', interval '1 month') AS d (day)
		CROSS JOIN LATERAL (
			SELECT time '00:00' AS from_time
			UNION SELECT r.from_time FROM @extschema@.rate r
			WHERE r.tariff = t.tariff AND r.valid @> d.day::date AND EXTRACT(month FROM d.day)::int = ANY (r.months)) AS x
		WHERE EXISTS (SELECT FROM @extschema@.meter m WHERE m.tariff = t.tariff)) AS b
	CROSS JOIN @extschema@.setting s
	WHERE @extschema@.utc_hour(b.at) <> b.at
		OR @extschema@.window_label(b.at, s.zone, s.bill_window) = @extschema@.window_label(b.at - interval '1 hour', s.zone, s.bill_window)
	GROUP BY b.tariff, b.from_time;

COMMENT ON VIEW @extschema@.tariff_problem IS 'tariffs in use that leave times without a price, or whose prices or days begin within a bill window and so take effect with the next';
COMMENT ON COLUMN @extschema@.tariff_problem.problem IS 'what is wrong';

-- ---- watching over it ----

CREATE VIEW @extschema@.health AS
	SELECT h.*, array_remove(ARRAY[
		CASE WHEN s.key_id IS NULL THEN 'no key: register one and put its id into metering.setting' END,
		CASE WHEN h.hours_overdue > 0 THEN format('%s hours are due: is metering.rollup() called?', h.hours_overdue) END,
		CASE WHEN h.staging_lost_at IS NOT NULL THEN format('staging was lost at %s: have metering.gap sent again', h.staging_lost_at) END,
		CASE WHEN h.gaps > 0 THEN format('%s readings of %s meters are missing', h.gaps, h.meters_with_gaps) END,
		CASE WHEN h.suppressed_last_day > 0
			THEN format('%s regional hours of the last day have no total for want of meters', h.suppressed_last_day) END,
		CASE WHEN h.tariff_problems > 0 THEN format('%s problems with tariffs: see metering.tariff_problem', h.tariff_problems) END,
		CASE WHEN h.meters_without_tariff > 0 THEN format('%s meters have a tariff that does not exist', h.meters_without_tariff) END,
		CASE WHEN h.staging_logged > 0 THEN format('%s staging tables are logged: readings leave traces', h.staging_logged) END
		], NULL) AS problems
	FROM @extschema@.setting s
	CROSS JOIN LATERAL (
		SELECT g.sealed_until AS oldest_unsealed_hour,
			greatest(0, floor(EXTRACT(epoch FROM now() - s.grace - g.sealed_until) / 3600))::int AS hours_overdue,
			(SELECT sum(pg_relation_size(c.oid) + COALESCE(pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0))
				FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '@extschema@.reading'::regclass)::bigint AS staged_bytes,
			x.gaps, x.meters_with_gaps,
			(SELECT count(*) FROM @extschema@.region_hour r
				WHERE r.total IS NULL AND r.hour >= g.sealed_until - interval '1 day') AS suppressed_last_day,
			(SELECT max(l.finished_at) FROM @extschema@.rollup_log l
				WHERE l.step = 'restart' AND l.finished_at > now() - interval '1 day') AS staging_lost_at,
			(SELECT count(*) FROM @extschema@.meter m
				WHERE NOT EXISTS (SELECT FROM @extschema@.tariff t WHERE t.tariff = m.tariff) AND m.tariff IS NOT NULL) AS meters_without_tariff,
			(SELECT count(*) FROM @extschema@.tariff_problem) AS tariff_problems,
			(SELECT count(*) FROM @extschema@.staging_table WHERE NOT unlogged) AS staging_logged
		FROM @extschema@.progress g
		CROSS JOIN (SELECT count(*) AS gaps, count(DISTINCT meter_id) AS meters_with_gaps FROM @extschema@.gap_of_all
			WHERE read_at < (SELECT sealed_until FROM @extschema@.progress)) AS x) AS h;

COMMENT ON VIEW @extschema@.health IS 'is anything wrong? one row; problems is empty when nothing is';
COMMENT ON COLUMN @extschema@.health.oldest_unsealed_hour IS 'the hour that is sealed next';
COMMENT ON COLUMN @extschema@.health.hours_overdue IS 'hours that could have been sealed and have not been';
COMMENT ON COLUMN @extschema@.health.staged_bytes IS 'size of the staging table';
COMMENT ON COLUMN @extschema@.health.gaps IS 'missing readings of sealed hours';
COMMENT ON COLUMN @extschema@.health.meters_with_gaps IS 'meters that they are missing from';
COMMENT ON COLUMN @extschema@.health.suppressed_last_day IS 'regional hours of the last 24 sealed hours without a total';
COMMENT ON COLUMN @extschema@.health.staging_lost_at IS 'when the roll-up last found staging lost, within a day';
COMMENT ON COLUMN @extschema@.health.tariff_problems IS 'rows of metering.tariff_problem';
COMMENT ON COLUMN @extschema@.health.meters_without_tariff IS 'meters whose tariff is not in metering.tariff';
COMMENT ON COLUMN @extschema@.health.staging_logged IS 'staging tables that are not unlogged, which must be none';
COMMENT ON COLUMN @extschema@.health.problems IS 'what is wrong and what to do';

-- Staging must stay out of the WAL and of publications.  Runs as its owner:
-- it sees every command, also of roles that have nothing to do with metering.
CREATE FUNCTION @extschema@.guard_staging() RETURNS event_trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
	AS $$
DECLARE
	offender text;
BEGIN
	SELECT c.relname INTO offender FROM @extschema@.staging_table t JOIN pg_class c ON c.oid = t.staging_table WHERE NOT t.unlogged;
	IF FOUND THEN
		RAISE EXCEPTION '% must stay unlogged', offender
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A logged table would leave readings in the WAL, in replicas and in backups.';
	END IF;
	SELECT format('%I.%I', t.schemaname, t.tablename) INTO offender FROM pg_publication_tables t
	WHERE t.schemaname = '@extschema@' AND (t.tablename LIKE 'reading%' OR t.tablename LIKE 'partial%');
	IF FOUND THEN
		RAISE EXCEPTION '% must not be published', offender
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A subscriber would get a copy of staged readings.';
	END IF;
END
$$;

COMMENT ON FUNCTION @extschema@.guard_staging() IS 'refuses commands that would let readings leave staging';

CREATE EVENT TRIGGER paillier_metering_guard ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE', 'CREATE PUBLICATION', 'ALTER PUBLICATION')
	EXECUTE FUNCTION @extschema@.guard_staging();

COMMENT ON EVENT TRIGGER paillier_metering_guard IS 'keeps staging out of the WAL and of publications';

-- ---- views for those who hold the key ----

CREATE VIEW @extschema@.region_load AS
	SELECT region, hour, total, meters, readings, expected, key_id FROM @extschema@.region_hour WHERE total IS NOT NULL;

COMMENT ON VIEW @extschema@.region_load IS 'encrypted energy of each region and UTC hour with enough meters; decrypt total with paillier_decrypt()';
COMMENT ON COLUMN @extschema@.region_load.total IS 'encrypted energy of the hour; total / meters is the mean of a meter';
COMMENT ON COLUMN @extschema@.region_load.meters IS 'meters that contributed';
COMMENT ON COLUMN @extschema@.region_load.readings IS 'readings in the total';
COMMENT ON COLUMN @extschema@.region_load.expected IS 'readings that the meters of the region should have sent: readings / expected is the coverage';

-- ---- statistics ----
--
-- All that follows is made from the totals in region_hour, each of at least
-- min_meters meters, and from nothing finer: however results are added to or
-- taken from one another, what comes out is a combination of these totals.
-- Nothing here runs as its owner but views.  Ciphertexts of two keys are never
-- added: there is a row for each key.

-- Days, weeks and months by one rule; region_day and its like show one of them.
CREATE VIEW @extschema@.region_period AS
	SELECT u.unit, h.region, pg_catalog.date_trunc(u.unit, h.hour AT TIME ZONE s.zone)::date AS starts_on,
		sum(h.total) AS total, count(h.total)::int AS hours, (count(*) - count(h.total))::int AS hours_suppressed,
		COALESCE(sum(h.meters) FILTER (WHERE h.total IS NOT NULL), 0) AS meter_hours,
		COALESCE(sum(h.readings) FILTER (WHERE h.total IS NOT NULL), 0) AS readings,
		COALESCE(sum(h.expected) FILTER (WHERE h.total IS NOT NULL), 0) AS expected, h.key_id
	FROM @extschema@.region_hour h
	CROSS JOIN @extschema@.setting s
	CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS u (unit)
	GROUP BY u.unit, h.region, starts_on, h.key_id;

COMMENT ON VIEW @extschema@.region_period IS 'what region_day, region_week and region_month have in common';

DO $do$
DECLARE
	unit text;
BEGIN
	FOREACH unit IN ARRAY ARRAY['day', 'week', 'month'] LOOP
		EXECUTE format($sql$
			CREATE VIEW @extschema@.region_%1$s AS
				SELECT region, starts_on AS %1$s, total, hours, hours_suppressed, meter_hours, readings, expected, key_id
				FROM @extschema@.region_period WHERE unit = '%1$s' AND total IS NOT NULL;

			COMMENT ON VIEW @extschema@.region_%1$s IS 'encrypted energy of each region and %1$s; decrypt total with paillier_decrypt()';
			COMMENT ON COLUMN @extschema@.region_%1$s.%1$s IS 'its first day, in the time zone of the settings';
			COMMENT ON COLUMN @extschema@.region_%1$s.total IS 'encrypted energy of the hours that have a total; total / meter_hours is the mean of a meter and hour';
			COMMENT ON COLUMN @extschema@.region_%1$s.hours IS 'hours in the total';
			COMMENT ON COLUMN @extschema@.region_%1$s.hours_suppressed IS 'hours that have none for want of meters';
			COMMENT ON COLUMN @extschema@.region_%1$s.meter_hours IS 'meters that contributed, added up over the hours';
			COMMENT ON COLUMN @extschema@.region_%1$s.readings IS 'readings in the total';
			COMMENT ON COLUMN @extschema@.region_%1$s.expected IS 'readings that should be in it';
			$sql$, unit);
	END LOOP;
END
$do$;

CREATE VIEW @extschema@.region_week_profile AS
	SELECT h.region, EXTRACT(isodow FROM h.hour AT TIME ZONE s.zone)::int AS weekday,
		EXTRACT(hour FROM h.hour AT TIME ZONE s.zone)::int AS hour_of_day,
		sum(h.total) AS total, count(*)::int AS hours, sum(h.meters) AS meter_hours, h.key_id
	FROM @extschema@.region_load h
	CROSS JOIN @extschema@.setting s
	GROUP BY h.region, weekday, hour_of_day, h.key_id;

COMMENT ON VIEW @extschema@.region_week_profile IS 'encrypted load of each region by hour of the week: total / hours is the mean';
COMMENT ON COLUMN @extschema@.region_week_profile.weekday IS '1 for Monday to 7 for Sunday, in the time zone of the settings';
COMMENT ON COLUMN @extschema@.region_week_profile.hour_of_day IS '0 to 23, in the time zone of the settings';
COMMENT ON COLUMN @extschema@.region_week_profile.total IS 'encrypted energy of all such hours';
COMMENT ON COLUMN @extschema@.region_week_profile.hours IS 'hours in the total';
COMMENT ON COLUMN @extschema@.region_week_profile.meter_hours IS 'meters that contributed, added up over the hours';

CREATE VIEW @extschema@.region_profile AS
	SELECT region, hour_of_day, sum(total) AS total, sum(hours)::int AS hours, sum(meter_hours) AS meter_hours, key_id
	FROM @extschema@.region_week_profile GROUP BY region, hour_of_day, key_id;

COMMENT ON VIEW @extschema@.region_profile IS 'encrypted load of each region by hour of the day: total / hours is the mean';
COMMENT ON COLUMN @extschema@.region_profile.hour_of_day IS '0 to 23, in the time zone of the settings';
COMMENT ON COLUMN @extschema@.region_profile.total IS 'encrypted energy of all such hours';
COMMENT ON COLUMN @extschema@.region_profile.hours IS 'hours in the total';
COMMENT ON COLUMN @extschema@.region_profile.meter_hours IS 'meters that contributed, added up over the hours';

-- ---- regions of regions ----

CREATE TABLE @extschema@.region (
	region text PRIMARY KEY,
	parent text NOT NULL
);

COMMENT ON TABLE @extschema@.region IS 'which region is part of which';
COMMENT ON COLUMN @extschema@.region.region IS 'a region of meters, or one that has parts itself';
COMMENT ON COLUMN @extschema@.region.parent IS 'the region it is part of';

-- One writer at a time: two changes, each without a cycle, could make one together.
CREATE FUNCTION @extschema@.refuse_cycle() RETURNS trigger
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
BEGIN
	PERFORM pg_advisory_xact_lock('@extschema@.region'::regclass::oid::bigint);
	IF EXISTS (
		WITH RECURSIVE above AS (
			SELECT NEW.parent AS region
			UNION
			SELECT r.parent FROM @extschema@.region r JOIN above USING (region) WHERE r.region <> NEW.region
		)
		SELECT FROM above WHERE region = NEW.region) THEN
		RAISE EXCEPTION 'region "%" cannot be part of "%"', NEW.region, NEW.parent
			USING ERRCODE = 'check_violation', DETAIL = 'That would make it a part of itself.';
	END IF;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION @extschema@.refuse_cycle() IS 'refuses to make a region a part of itself';

CREATE TRIGGER refuse_cycle BEFORE INSERT OR UPDATE ON @extschema@.region
	FOR EACH ROW EXECUTE FUNCTION @extschema@.refuse_cycle();

CREATE VIEW @extschema@.region_part AS
	WITH RECURSIVE below AS (
		SELECT region AS whole, region AS part FROM @extschema@.region
		UNION
		SELECT parent, parent FROM @extschema@.region
		UNION
		SELECT b.whole, r.region FROM below b JOIN @extschema@.region r ON r.parent = b.part
	)
	SELECT whole, part FROM below;

COMMENT ON VIEW @extschema@.region_part IS 'every region of the tree with all of its parts, itself and parts of parts among them';

-- Parts without a total are not in the sum: it is one of totals that are
-- released anyway, and taking these from it leaves nothing.
CREATE VIEW @extschema@.region_tree_load AS
	SELECT p.whole AS region, h.hour, sum(h.total) AS total,
		sum(h.meters) FILTER (WHERE h.total IS NOT NULL) AS meters,
		sum(h.readings) FILTER (WHERE h.total IS NOT NULL) AS readings,
		sum(h.expected) FILTER (WHERE h.total IS NOT NULL) AS expected,
		count(h.total)::int AS parts, (count(*) - count(h.total))::int AS parts_suppressed, h.key_id
	FROM @extschema@.region_part p JOIN @extschema@.region_hour h ON h.region = p.part
	GROUP BY p.whole, h.hour, h.key_id
	HAVING count(h.total) > 0;

COMMENT ON VIEW @extschema@.region_tree_load IS 'encrypted energy of each region of the tree and UTC hour, its parts included';
COMMENT ON COLUMN @extschema@.region_tree_load.total IS 'sum of the totals of its parts, as far as they have one';
COMMENT ON COLUMN @extschema@.region_tree_load.meters IS 'meters in the total';
COMMENT ON COLUMN @extschema@.region_tree_load.readings IS 'readings in the total';
COMMENT ON COLUMN @extschema@.region_tree_load.expected IS 'readings that should be in it';
COMMENT ON COLUMN @extschema@.region_tree_load.parts IS 'regions in the total';
COMMENT ON COLUMN @extschema@.region_tree_load.parts_suppressed IS 'regions that are not in it for want of meters';

-- ---- forecasts: weighted sums of past hours ----

CREATE TABLE @extschema@.forecast_model (
	model       text PRIMARY KEY,
	description text NOT NULL
);

COMMENT ON TABLE @extschema@.forecast_model IS 'the forecast models';

CREATE TABLE @extschema@.forecast_weight (
	model  text NOT NULL,
	step   int NOT NULL CHECK (step BETWEEN 0 AND 168),
	lag    int NOT NULL CHECK (lag BETWEEN 1 AND 8784 AND lag >= step),
	weight numeric NOT NULL CHECK (weight BETWEEN -1e12 AND 1e12),
	PRIMARY KEY (model, step, lag)
);

COMMENT ON TABLE @extschema@.forecast_weight IS 'what a model makes a forecast of: sum(load of lag hours before * weight) / sum(weight)';
COMMENT ON COLUMN @extschema@.forecast_weight.step IS 'how many hours ahead the weight is for, 1 for the next one; 0: any number';
COMMENT ON COLUMN @extschema@.forecast_weight.lag IS 'hours between the past hour and the one that is forecast; where that past is yet to come, whole days more';
COMMENT ON COLUMN @extschema@.forecast_weight.weight IS 'whole numbers are fastest; only their proportions matter';

CREATE TABLE @extschema@.region_model (
	region text PRIMARY KEY,
	model  text NOT NULL
);

COMMENT ON TABLE @extschema@.region_model IS 'the forecast model of each region that is to have another than "seasonal"';

INSERT INTO @extschema@.forecast_model VALUES
	('seasonal', 'yesterday and the same hour of four weeks, 2 : 4 : 2 : 2 : 2'),
	('last_week', 'the same hour of the week before'),
	('last_day', 'the same hour of the day before');
INSERT INTO @extschema@.forecast_weight VALUES
	('seasonal', 0, 24, 2), ('seasonal', 0, 168, 4), ('seasonal', 0, 336, 2), ('seasonal', 0, 504, 2), ('seasonal', 0, 672, 2),
	('last_week', 0, 168, 1),
	('last_day', 0, 24, 1);

-- The models that come with the extension stay as they are documented, and a
-- dump does not hold them.
CREATE FUNCTION @extschema@.keep_model() RETURNS trigger
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
DECLARE
	changed text;
BEGIN
	FOREACH changed IN ARRAY CASE TG_OP
		WHEN 'INSERT' THEN ARRAY[NEW.model] WHEN 'DELETE' THEN ARRAY[OLD.model] ELSE ARRAY[OLD.model, NEW.model] END
	LOOP
		IF changed IN ('seasonal', 'last_week', 'last_day') THEN
			RAISE EXCEPTION 'model "%" cannot be changed', changed
				USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Add a model of another name.';
		END IF;
	END LOOP;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

COMMENT ON FUNCTION @extschema@.keep_model() IS 'refuses to change a forecast model that comes with the extension';

CREATE TRIGGER keep_model BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.forecast_model
	FOR EACH ROW EXECUTE FUNCTION @extschema@.keep_model();
CREATE TRIGGER keep_model BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.forecast_weight
	FOR EACH ROW EXECUTE FUNCTION @extschema@.keep_model();

SELECT pg_catalog.pg_extension_config_dump('@extschema@.region', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.region_model', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.forecast_model', $$WHERE model NOT IN ('seasonal', 'last_week', 'last_day')$$);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.forecast_weight', $$WHERE model NOT IN ('seasonal', 'last_week', 'last_day')$$);

-- The functions that follow give weights to insert into forecast_weight.

CREATE FUNCTION @extschema@.moving_average(days int) RETURNS TABLE (step int, lag int, weight numeric)
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	AS $$ SELECT 0, 24 * d, 1::numeric FROM pg_catalog.generate_series(1, days) AS d $$;

COMMENT ON FUNCTION @extschema@.moving_average(int) IS 'weights of the mean of the same hour of so many days';

-- Least squares over whole weeks before the forecast, one mean an hour of the
-- week and, if wanted, a slope that all have in common.  With weeks counted
-- j = 0 .. W-1 the slope is sum((j - (W-1)/2) y) / (168 W (W^2-1) / 12) a week, and
-- the forecast lies (W+1)/2 weeks from their middle.  Times 168 W (W-1):
--		168 (W-1) for the same hour of each week, 3 (2j - W + 1) for every hour
CREATE FUNCTION @extschema@.calendar_regression(weeks int, trend boolean DEFAULT true, steps int DEFAULT 24)
	RETURNS TABLE (step int, lag int, weight numeric)
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	AS $$
		SELECT 0, 168 * w, 1::numeric FROM pg_catalog.generate_series(1, weeks) AS w WHERE NOT trend
		UNION ALL
		SELECT x.step, x.lag, x.weight
		FROM (
			SELECT s AS step, b + s - 1 AS lag, CASE WHEN (b + s - 1) % 168 = 0 THEN 168 * (weeks - 1) ELSE 0 END
				+ 3 * (2 * (weeks - 1 - (b - 1) / 168) - weeks + 1)::numeric AS weight
			FROM pg_catalog.generate_series(1, steps) AS s, pg_catalog.generate_series(1, 168 * weeks) AS b
			WHERE trend) AS x
		WHERE x.weight <> 0
	$$;

COMMENT ON FUNCTION @extschema@.calendar_regression(int, boolean, int) IS 'weights of the least-squares fit of one level an hour of the week, with or without a linear trend, over so many weeks (a trend takes two at least)';

-- Additive Holt-Winters in error-correction form, with e the error of the
-- forecast of y one hour before:
--		level' = level + slope + alpha e,  slope' = slope + alpha beta e,  season' = season + gamma e
-- run over the last `periods` periods only.  It starts from the mean of the first
-- as level, what the second lies above it as slope, and the first's
-- differences from its mean as season.  The forecast is linear in y; its weights
-- are found by going through the hours backwards with the derivatives of the
-- forecast by level, slope and season.
CREATE FUNCTION @extschema@.holt_winters(alpha float8 DEFAULT 0.02, beta float8 DEFAULT 0, gamma float8 DEFAULT 0.3,
		period int DEFAULT 168, periods int DEFAULT 4, steps int DEFAULT 24, unit int DEFAULT 1000000)
	RETURNS TABLE (step int, lag int, weight numeric)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT
	AS $$
DECLARE
	hours   int := period * periods;
	level   float8;
	slope   float8;
	season  float8[];
	by_y    float8[];
	change  float8;
	place   int;
BEGIN
	IF NOT (alpha BETWEEN 0 AND 1 AND beta BETWEEN 0 AND 1 AND gamma BETWEEN 0 AND 1 AND period >= 2 AND periods >= 2) THEN
		RAISE EXCEPTION 'alpha, beta and gamma must be from 0 to 1, period and periods at least 2'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	FOR s IN 1 .. steps LOOP
		level := 1;
		slope := s;
		season := array_fill(0::float8, ARRAY[period]);
		season[(s - 1) % period + 1] := 1;
		by_y := array_fill(0::float8, ARRAY[hours]);
		FOR t IN REVERSE hours .. period + 1 LOOP
			place := (t - 1) % period + 1;
			change := alpha * level + alpha * beta * slope + gamma * season[place];
			slope := slope + level - change;
			level := level - change;
			season[place] := season[place] - change;
			by_y[t] := change;
		END LOOP;
		slope := slope / period / period;
		level := (level - (SELECT sum(x) FROM unnest(season) AS x)) / period;
		FOR t IN 1 .. period LOOP
			by_y[t] := level + season[t] - slope;
			by_y[t + period] := by_y[t + period] + slope;
		END LOOP;
		RETURN QUERY SELECT s, hours - t::int + s, round((y * unit)::numeric)
			FROM unnest(by_y) WITH ORDINALITY AS w (y, t) WHERE round((y * unit)::numeric) <> 0;
	END LOOP;
END
$$;

COMMENT ON FUNCTION @extschema@.holt_winters(float8, float8, float8, int, int, int, int) IS 'weights of additive Holt-Winters smoothing with fixed parameters over the last periods, as whole numbers of which `unit` are one';

CREATE VIEW @extschema@.forecast_lag AS
	SELECT model, step, lag, sum(weight) AS weight
	FROM (
		SELECT model, step, lag, weight FROM @extschema@.forecast_weight WHERE step > 0
		UNION ALL
		SELECT w.model, s.step, w.lag + 24 * ((greatest(s.step - w.lag, 0) + 23) / 24), w.weight
		FROM @extschema@.forecast_weight w CROSS JOIN generate_series(1, 168) AS s (step) WHERE w.step = 0) AS x
	GROUP BY model, step, lag
	HAVING sum(weight) <> 0;

COMMENT ON VIEW @extschema@.forecast_lag IS 'the weights of each model for each hour ahead, with all lags in the past';
COMMENT ON COLUMN @extschema@.forecast_lag.step IS 'how many hours ahead, 1 for the next one';
COMMENT ON COLUMN @extschema@.forecast_lag.lag IS 'hours between the past hour and the one that is forecast';

-- Hours without a total are left out of numerator and divisor alike.  A model
-- is used where the weights of the missing hours, all taken as positive, are at
-- most half of its divisor, under one key; otherwise the week before, and then
-- the day before.
CREATE FUNCTION @extschema@.forecast(hours int DEFAULT 24, as_of timestamptz DEFAULT NULL, with_model text DEFAULT NULL)
	RETURNS TABLE (region text, hour timestamptz, forecast paillier_ciphertext, divisor numeric, model text,
		hours_used int, hours_missing int, key_id text)
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT SET jit = off
	AS $$
#variable_conflict use_column
DECLARE
	origin timestamptz := (SELECT max(h.hour) + interval '1 hour' FROM @extschema@.region_hour h);
BEGIN
	IF hours IS NULL OR hours NOT BETWEEN 1 AND 168 THEN
		RAISE EXCEPTION 'a forecast of % hours is not possible', COALESCE(hours::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'From 1 to 168 hours are.';
	END IF;
	IF with_model IS NOT NULL AND NOT EXISTS (SELECT FROM @extschema@.forecast_weight w WHERE w.model = with_model) THEN
		RAISE EXCEPTION 'model "%" has no weights', with_model USING ERRCODE = 'undefined_object';
	END IF;
	origin := least(origin, @extschema@.utc_hour(as_of));
	RETURN QUERY
	WITH place AS MATERIALIZED (
		SELECT r.region, COALESCE(with_model, m.model, 'seasonal') AS model
		FROM (SELECT DISTINCT h.region FROM @extschema@.region_hour h
			WHERE h.hour >= origin - interval '7 days' AND h.hour < origin) AS r
		LEFT JOIN @extschema@.region_model m ON m.region = r.region
	), candidate AS MATERIALIZED (
		SELECT region, model, 1 AS choice FROM place
		UNION ALL SELECT region, 'last_week', 2 FROM place
		UNION ALL SELECT region, 'last_day', 3 FROM place
	), weight AS MATERIALIZED (
		SELECT l.model, l.step, l.lag, l.weight, sum(abs(l.weight) - l.weight / 2) OVER w AS needed, count(*) OVER w AS lags
		FROM @extschema@.forecast_lag l
		WHERE l.step <= forecast.hours AND l.model IN (SELECT model FROM candidate)
		WINDOW w AS (PARTITION BY l.model, l.step)
	), made AS (
		SELECT DISTINCT ON (region, step) * FROM (
			SELECT c.region, w.step, c.choice, c.model, h.key_id, sum(h.total, w.weight) AS forecast,
				sum(w.weight) AS divisor, sum(abs(w.weight)) AS share, count(*)::int AS used, w.lags, max(h.hour) AS latest
			FROM candidate c
			JOIN weight w USING (model)
			JOIN @extschema@.region_hour h ON h.region = c.region AND h.hour = origin + interval '1 hour' * (w.step - 1 - w.lag)
			WHERE h.total IS NOT NULL
			GROUP BY c.region, w.step, c.choice, c.model, h.key_id, w.needed, w.lags
			HAVING sum(abs(w.weight)) >= w.needed AND sum(w.weight) > 0) AS x
		ORDER BY region, step, choice, share DESC, latest DESC
	)
	SELECT p.region, origin + interval '1 hour' * (s.step - 1), m.forecast, m.divisor, COALESCE(m.model, 'none'),
		COALESCE(m.used, 0), COALESCE(m.lags - m.used, w.lags, 0)::int, m.key_id
	FROM place p
	CROSS JOIN generate_series(1, forecast.hours) AS s (step)
	LEFT JOIN made m ON m.region = p.region AND m.step = s.step
	LEFT JOIN (SELECT DISTINCT model, step, lags FROM weight) AS w ON w.model = p.model AND w.step = s.step
	ORDER BY 1, 2;
END
$$;

COMMENT ON FUNCTION @extschema@.forecast(int, timestamptz, text) IS 'encrypted load of the next hours of every region metered in the week before, by its model or a given one, as of the last sealed hour or an earlier time';

CREATE VIEW @extschema@.region_forecast AS
	SELECT region, hour, forecast, divisor, model, hours_used, hours_missing, key_id FROM @extschema@.forecast();

COMMENT ON VIEW @extschema@.region_forecast IS 'encrypted load of the next 24 hours of every region: paillier_decrypt(forecast, key) / divisor';
COMMENT ON COLUMN @extschema@.region_forecast.forecast IS 'encrypted weighted sum of past hours; NULL where there are too few of them';
COMMENT ON COLUMN @extschema@.region_forecast.divisor IS 'sum of the weights of these hours';
COMMENT ON COLUMN @extschema@.region_forecast.model IS 'model that was used: the region''s own; "last_week" or "last_day" where too many of its past hours are missing; "none"';
COMMENT ON COLUMN @extschema@.region_forecast.hours_used IS 'past hours in the forecast';
COMMENT ON COLUMN @extschema@.region_forecast.hours_missing IS 'past hours that the model would have used besides: not there, without a total or under another key';

-- ---- statistics that need the key ----
--
-- Pass the private key as a parameter of the statement, not as a literal in it:
-- statements are logged, shown to other sessions and kept in statistics.  The
-- hours are those under that key.

CREATE FUNCTION @extschema@.decrypted_load(key paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL)
	RETURNS TABLE (region text, hour timestamptz, energy numeric, meters int, readings bigint, expected bigint)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path FROM CURRENT SET jit = off
	AS $$
		SELECT r.region, x.hour, x.energy, x.meters, x.readings, x.expected
		FROM (
			SELECT l.region, array_agg(l.hour ORDER BY l.hour) AS hours, array_agg(l.total ORDER BY l.hour) AS totals,
				array_agg(l.meters ORDER BY l.hour) AS meters, array_agg(l.readings ORDER BY l.hour) AS readings,
				array_agg(l.expected ORDER BY l.hour) AS expected
			FROM @extschema@.region_load l
			WHERE l.hour >= starts AND l.hour < ends AND (of_region IS NULL OR l.region = of_region)
				AND l.key_id = paillier_key_id(key)
			GROUP BY l.region) AS r
		CROSS JOIN LATERAL unnest(r.hours, paillier_decrypt_array(r.totals, key), r.meters, r.readings, r.expected)
			AS x (hour, energy, meters, readings, expected)
		ORDER BY 1, 2
	$$;

COMMENT ON FUNCTION @extschema@.decrypted_load(paillier_private_key, timestamptz, timestamptz, text) IS 'region_load decrypted, all regions or one';

CREATE FUNCTION @extschema@.region_statistics(key paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL)
	RETURNS TABLE (region text, hours int, energy numeric, mean_load numeric, mean_per_meter numeric,
		peak numeric, peak_at timestamptz, low numeric, low_at timestamptz, load_factor numeric,
		rise numeric, rise_at timestamptz, fall numeric, fall_at timestamptz, coverage numeric)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT SET jit = off
	AS $$
		SELECT l.region, count(*)::int, sum(l.energy), round(avg(l.energy), 3), round(sum(l.energy) / sum(l.meters), 3),
			max(l.energy), (array_agg(l.hour ORDER BY l.energy DESC, l.hour))[1],
			min(l.energy), (array_agg(l.hour ORDER BY l.energy, l.hour))[1],
			round(avg(l.energy) / nullif(max(l.energy), 0), 4),
			max(l.ramp), (array_agg(l.hour ORDER BY l.ramp DESC NULLS LAST, l.hour) FILTER (WHERE l.ramp IS NOT NULL))[1],
			min(l.ramp), (array_agg(l.hour ORDER BY l.ramp NULLS LAST, l.hour) FILTER (WHERE l.ramp IS NOT NULL))[1],
			round(sum(l.readings) / nullif(sum(l.expected), 0), 4)
		FROM (
			SELECT d.*, CASE WHEN d.hour - lag(d.hour) OVER w = interval '1 hour' THEN d.energy - lag(d.energy) OVER w END AS ramp
			FROM @extschema@.decrypted_load(key, starts, ends, of_region) AS d
			WINDOW w AS (PARTITION BY d.region ORDER BY d.hour)) AS l
		GROUP BY l.region ORDER BY l.region
	$$;

COMMENT ON FUNCTION @extschema@.region_statistics(paillier_private_key, timestamptz, timestamptz, text) IS 'energy, mean, peak, low, load factor (mean / peak), largest change from one hour to the next and coverage (readings received / expected) of each region over a time';

CREATE FUNCTION @extschema@.region_quantiles(key paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL,
		shares numeric[] DEFAULT '{0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1}')
	RETURNS TABLE (region text, share numeric, load numeric)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT SET jit = off
	AS $$
		SELECT l.region, s.share, l.loads[greatest(1, ceil(s.share * cardinality(l.loads)))::int]
		FROM (
			SELECT d.region, array_agg(d.energy ORDER BY d.energy DESC) AS loads
			FROM @extschema@.decrypted_load(key, starts, ends, of_region) AS d GROUP BY d.region) AS l
		CROSS JOIN unnest(shares) AS s (share)
		ORDER BY 1, 2
	$$;

COMMENT ON FUNCTION @extschema@.region_quantiles(paillier_private_key, timestamptz, timestamptz, text, numeric[]) IS 'load duration of each region: the load that is reached or exceeded in a share (0 to 1) of the hours';

-- As if a forecast of 24 hours had been made every day at the hour that is the first.
CREATE FUNCTION @extschema@.backtest(key paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL, with_model text DEFAULT NULL)
	RETURNS TABLE (region text, model text, hours int, mape numeric, bias numeric, rmse numeric)
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT SET jit = off SET work_mem = '256MB'
	AS $$
#variable_conflict use_column
BEGIN
	IF with_model IS NOT NULL AND NOT EXISTS (SELECT FROM @extschema@.forecast_weight w WHERE w.model = with_model) THEN
		RAISE EXCEPTION 'model "%" has no weights', with_model USING ERRCODE = 'undefined_object';
	END IF;
	RETURN QUERY
	WITH load AS MATERIALIZED (
		SELECT d.region, d.hour, (EXTRACT(epoch FROM d.hour) / 3600)::int AS number, d.energy
		FROM @extschema@.decrypted_load(key, starts - interval '8784 hours', ends, of_region) AS d
	), candidate AS MATERIALIZED (
		SELECT r.region, COALESCE(with_model, m.model, 'seasonal') AS model
		FROM (SELECT DISTINCT region FROM load) AS r LEFT JOIN @extschema@.region_model m ON m.region = r.region
		UNION SELECT DISTINCT region, unnest(ARRAY['last_week', 'last_day']) FROM load
	), weight AS MATERIALIZED (
		SELECT l.model, l.step, l.lag, l.weight,
			sum(abs(l.weight) - l.weight / 2) OVER (PARTITION BY l.model, l.step) AS needed
		FROM @extschema@.forecast_lag l
		WHERE l.step <= 24 AND l.model IN (SELECT c.model FROM candidate c)
	), task AS MATERIALIZED (
		SELECT row_number() OVER () AS id, t.*, c.model
		FROM (
			SELECT l.*, (l.number - min(l.number) FILTER (WHERE l.hour >= starts) OVER (PARTITION BY l.region)) % 24 + 1 AS step
			FROM load l) AS t
		JOIN candidate c ON c.region = t.region
		WHERE t.hour >= starts AND t.energy <> 0
	), made AS (
		SELECT t.*, f.forecast, count(*) OVER (PARTITION BY t.region, t.hour) AS models
		FROM (
			SELECT k.id, sum(p.energy * w.weight) / sum(w.weight) AS forecast
			FROM task k
			JOIN weight w ON w.model = k.model AND w.step = k.step
			JOIN load p ON p.region = k.region AND p.number = k.number - w.lag
			GROUP BY k.id
			HAVING sum(abs(w.weight)) >= max(w.needed) AND sum(w.weight) > 0) AS f
		JOIN task t ON t.id = f.id
	)
	SELECT m.region, m.model, count(*)::int, round(100 * avg(abs((m.forecast - m.energy) / m.energy)), 2),
		round(avg(m.forecast - m.energy), 3), round(sqrt(avg((m.forecast - m.energy) ^ 2)), 3)
	FROM made m
	WHERE m.models = (SELECT count(*) FROM candidate c WHERE c.region = m.region)
	GROUP BY m.region, m.model ORDER BY 1, 4;
END
$$;

COMMENT ON FUNCTION @extschema@.backtest(paillier_private_key, timestamptz, timestamptz, text, text) IS 'how far off day-ahead forecasts would have been, by the region''s model or a given one beside "last_week" and "last_day", over the same hours: mean absolute error in percent, mean error and root mean square error in units of the readings';

-- ---- bills ----

-- STABLE in that it always decrypts to the same: what is not asked for need not be computed.
CREATE FUNCTION @extschema@.known_charge(charge numeric, key_id text) RETURNS paillier_ciphertext
	LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 2000 SET search_path FROM CURRENT
	AS $$ SELECT paillier_encrypt($1, k.public_key, scale($1)) FROM paillier_key k WHERE k.key_id = $2 $$;

COMMENT ON FUNCTION @extschema@.known_charge(numeric, text) IS 'a charge that is no secret, as a ciphertext to stand beside those that are';

-- A window of a tariff is priced once, however many meters have it.  Windows of
-- one price are added up first: a product costs more than a sum.
CREATE VIEW @extschema@.bill AS
	WITH price AS MATERIALIZED (SELECT * FROM @extschema@.window_price)
	SELECT x.meter_id, x.period, x.tariff,
		CASE WHEN x.unpriced = 0
			THEN COALESCE(x.cost + x.standing, x.cost, @extschema@.known_charge(x.standing, x.key_id)) END AS amount,
		x.energy, x.key_id, x.readings, x.carried, x.missing, x.account, x.flow, x.unpriced, x.days, x.standing, x.rounding,
		x.unit_kwh
	FROM (
		SELECT y.meter_id, y.period, y.tariff, y.key_id, y.account, y.flow, y.rounding, y.unit_kwh,
			sum(y.energy, y.price * CASE y.flow WHEN 'export' THEN -y.unit_kwh ELSE y.unit_kwh END) AS cost,
			sum(y.energy) AS energy, sum(y.readings)::bigint AS readings, sum(y.carried)::bigint AS carried,
			sum(y.missing)::bigint AS missing, COALESCE(sum(y.windows) FILTER (WHERE y.price IS NULL), 0)::bigint AS unpriced,
			sum(y.days)::bigint AS days, sum(y.standing) AS standing
		FROM (
			SELECT b.meter_id, p.period, c.tariff, b.key_id, c.account, c.flow, p.rounding, s.unit_kwh, p.price,
				sum(b.total) AS energy, count(b.total) AS windows,
				sum(b.readings) AS readings, sum(b.carried) AS carried, sum(b.expected - b.counted) AS missing,
				count(p.standing) FILTER (WHERE b.expected > 0) AS days,
				sum(p.standing) FILTER (WHERE b.expected > 0) AS standing
			FROM @extschema@.bill_window b
			CROSS JOIN @extschema@.setting s
			JOIN @extschema@.contract c ON c.meter_id = b.meter_id AND b.window_start >= c.since AND b.window_start < c.until
			JOIN price p ON p.window_start = b.window_start AND p.tariff = c.tariff AND p.flow = c.flow
			GROUP BY b.meter_id, p.period, c.tariff, b.key_id, c.account, c.flow, p.rounding, s.unit_kwh, p.price) AS y
		GROUP BY y.meter_id, y.period, y.tariff, y.key_id, y.account, y.flow, y.rounding, y.unit_kwh) AS x;

COMMENT ON VIEW @extschema@.bill IS 'one row a meter, month, tariff and account: decrypt amount (currency of the prices) and energy (units of the readings) with paillier_decrypt()';
COMMENT ON COLUMN @extschema@.bill.period IS 'first day of the month, in the tariff''s time zone';
COMMENT ON COLUMN @extschema@.bill.amount IS 'encrypted sum of energy times price, negative for export, and of standing charges; NULL where a window has energy and no price';
COMMENT ON COLUMN @extschema@.bill.energy IS 'encrypted sum of energy';
COMMENT ON COLUMN @extschema@.bill.key_id IS 'the key that decrypts both';
COMMENT ON COLUMN @extschema@.bill.readings IS 'readings in the bill';
COMMENT ON COLUMN @extschema@.bill.carried IS 'of these, readings that came after their window was sealed and are priced in a later one';
COMMENT ON COLUMN @extschema@.bill.missing IS 'readings that were expected and never came';
COMMENT ON COLUMN @extschema@.bill.account IS 'who is billed';
COMMENT ON COLUMN @extschema@.bill.flow IS 'import or export';
COMMENT ON COLUMN @extschema@.bill.unpriced IS 'bill windows with energy that no rate has a price for';
COMMENT ON COLUMN @extschema@.bill.days IS 'days in the standing charge: those whose last window is sealed and expected readings';
COMMENT ON COLUMN @extschema@.bill.standing IS 'standing charge in the amount; NULL: none';
COMMENT ON COLUMN @extschema@.bill.rounding IS 'decimal digits that an amount due is rounded to, half away from zero';
COMMENT ON COLUMN @extschema@.bill.unit_kwh IS 'kWh in one unit of energy';

CREATE VIEW @extschema@.account_bill AS
	SELECT account, period, CASE WHEN sum(unpriced) = 0 THEN sum(amount) END AS amount,
		sum(energy) FILTER (WHERE flow = 'import') AS imported, sum(energy) FILTER (WHERE flow = 'export') AS exported,
		key_id, max(rounding) AS rounding, sum(readings)::bigint AS readings, sum(carried)::bigint AS carried,
		sum(missing)::bigint AS missing, sum(unpriced)::bigint AS unpriced, sum(standing) AS standing,
		array_agg(DISTINCT tariff) AS tariffs, unit_kwh
	FROM @extschema@.bill GROUP BY account, period, key_id, unit_kwh;

COMMENT ON VIEW @extschema@.account_bill IS 'one row an account and month: the bills of all its meters; decrypt amount and round it for the amount due';
COMMENT ON COLUMN @extschema@.account_bill.account IS 'who is billed';
COMMENT ON COLUMN @extschema@.account_bill.period IS 'first day of the month';
COMMENT ON COLUMN @extschema@.account_bill.amount IS 'encrypted sum of the amounts; NULL where a window has energy and no price';
COMMENT ON COLUMN @extschema@.account_bill.imported IS 'encrypted energy consumed; NULL: none was metered';
COMMENT ON COLUMN @extschema@.account_bill.exported IS 'encrypted energy fed in; NULL: none was metered';
COMMENT ON COLUMN @extschema@.account_bill.key_id IS 'the key that decrypts them: a month in which it changed has a row for each';
COMMENT ON COLUMN @extschema@.account_bill.rounding IS 'decimal digits that the amount due is rounded to, half away from zero';
COMMENT ON COLUMN @extschema@.account_bill.readings IS 'readings in the bill';
COMMENT ON COLUMN @extschema@.account_bill.carried IS 'of these, readings that came after their window was sealed';
COMMENT ON COLUMN @extschema@.account_bill.missing IS 'readings that were expected and never came';
COMMENT ON COLUMN @extschema@.account_bill.unpriced IS 'bill windows with energy that no rate has a price for';
COMMENT ON COLUMN @extschema@.account_bill.standing IS 'standing charge in the amount; NULL: none';
COMMENT ON COLUMN @extschema@.account_bill.tariffs IS 'tariffs that were applied';
COMMENT ON COLUMN @extschema@.account_bill.unit_kwh IS 'kWh in one unit of energy';

-- Decrypted by the hundred, which is faster.  Plans are made without the key, so
-- that none that is logged has it.
CREATE FUNCTION @extschema@.invoice(key paillier_private_key, period date)
	RETURNS TABLE (account text, amount_due numeric, imported_kwh numeric, exported_kwh numeric, standing numeric,
		readings bigint, carried bigint, missing bigint, unpriced bigint, tariffs text[], key_id text)
	LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan SET jit = off
	AS $$
		SELECT u.account, round(u.amount_due, u.rounding), u.units_in * u.unit_kwh, u.units_out * u.unit_kwh, u.standing,
			u.readings, u.carried, u.missing, u.unpriced, u.tariffs, u.key_id
		FROM (
			SELECT array_agg(n.bill ORDER BY n.account) AS bills,
				CASE WHEN n.mine THEN paillier_decrypt_array(array_agg((n.bill).amount ORDER BY n.account), $1) END AS amounts,
				CASE WHEN n.mine THEN paillier_decrypt_array(array_agg((n.bill).imported ORDER BY n.account), $1) END AS imports,
				CASE WHEN n.mine THEN paillier_decrypt_array(array_agg((n.bill).exported ORDER BY n.account), $1) END AS exports
			FROM (
				SELECT b AS bill, b.account, b.key_id = (SELECT paillier_key_id($1)) AS mine,
					row_number() OVER (ORDER BY b.key_id, b.account) / 500 AS batch
				FROM @extschema@.account_bill b WHERE b.period = date_trunc('month', $2)::date) AS n
			GROUP BY n.mine, n.batch) AS x
		CROSS JOIN LATERAL ROWS FROM (unnest(x.bills), unnest(x.amounts), unnest(x.imports), unnest(x.exports))
			AS u (account, period, amount, imported, exported, key_id, rounding, readings, carried, missing, unpriced, standing,
				tariffs, unit_kwh, amount_due, units_in, units_out)
		ORDER BY u.account, u.key_id
	$$;

COMMENT ON FUNCTION @extschema@.invoice(paillier_private_key, date) IS 'what every account owes for the month of a date, rounded; rows under another key than the given one are not decrypted';

-- Both sides are sums of the same readings where all that were taken in time
-- are on both and no other was: then it is 0, and tells nothing else.
CREATE VIEW @extschema@.reconciliation AS
	SELECT w.window_start, w.window_end, w.key_id, b.readings,
		CASE WHEN r.reason IS NULL THEN paillier_rerandomize(
			(SELECT sum(x.total) FROM @extschema@.bill_window x WHERE x.window_start = w.window_start)
			- (SELECT sum(x.total) FROM @extschema@.region_hour x WHERE x.hour >= w.window_start AND x.hour < w.window_end))
			END AS difference,
		r.reason
	FROM @extschema@.sealed_window w
	CROSS JOIN LATERAL (
		SELECT COALESCE(sum(x.readings), 0) AS readings, COALESCE(sum(x.carried), 0) AS carried,
			COALESCE(sum(x.readings) FILTER (WHERE x.key_id <> w.key_id), 0) AS elsewhere
		FROM @extschema@.bill_window x WHERE x.window_start = w.window_start) AS b
	CROSS JOIN LATERAL (
		SELECT COALESCE(sum(x.readings), 0) AS readings, count(*) FILTER (WHERE x.total IS NULL AND x.readings > 0) AS suppressed
		FROM @extschema@.region_hour x WHERE x.hour >= w.window_start AND x.hour < w.window_end) AS h
	CROSS JOIN LATERAL (
		SELECT count(*) AS hours, COALESCE(sum(x.readings), 0) AS readings, min(x.id) AS first,
			(SELECT max(y.id) FROM @extschema@.rollup_log y WHERE y.step = 'window' AND y.starts = w.window_start) AS last
		FROM @extschema@.rollup_log x
		WHERE x.step = 'hour' AND x.starts >= w.window_start AND x.starts < w.window_end) AS l
	CROSS JOIN LATERAL (
		SELECT COALESCE(sum(x.late), 0) AS readings FROM @extschema@.rollup_log x
		WHERE x.id >= l.first AND x.id < l.last AND x.step <> 'window') AS late
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN l.last IS NULL OR l.hours * interval '1 hour' <> w.window_end - w.window_start THEN 'the log of the roll-up is not complete'
			WHEN b.readings = 0 THEN 'no readings'
			WHEN late.readings > 0 THEN format('%s late readings', late.readings)
			WHEN b.carried > 0 THEN format('%s readings of earlier windows', b.carried)
			WHEN b.elsewhere > 0 THEN format('%s readings under another key', b.elsewhere)
			WHEN h.suppressed > 0 THEN format('%s regional hours without a total', h.suppressed)
			WHEN h.readings <> l.readings THEN format('%s readings of meters without a region', l.readings - h.readings)
			WHEN b.readings <> l.readings THEN format('%s readings that wait for a later window or were lost', l.readings - b.readings)
			END AS reason) AS r;

COMMENT ON VIEW @extschema@.reconciliation IS 'the energy of all bills less that of all regions, by bill window: decrypts to 0';
COMMENT ON COLUMN @extschema@.reconciliation.window_end IS 'end of the bill window';
COMMENT ON COLUMN @extschema@.reconciliation.readings IS 'readings in the bills';
COMMENT ON COLUMN @extschema@.reconciliation.difference IS 'encrypted difference; NULL where bills and regions do not hold the same readings';
COMMENT ON COLUMN @extschema@.reconciliation.reason IS 'why there is none';

-- Only where every reading between two registers is in the windows between
-- them, and no other: any other difference would be that of single readings.
CREATE VIEW @extschema@.register_check AS
	SELECT r.meter_id, r.since, r.until, r.key_id,
		CASE WHEN x.reason IS NULL THEN paillier_rerandomize(r.register - r.earlier - w.energy) END AS difference, x.reason
	FROM (
		SELECT meter_id, lag(read_at) OVER before AS since, read_at AS until, register,
			lag(register) OVER before AS earlier, paillier_key_id(register) AS key_id
		FROM @extschema@.register_read
		WINDOW before AS (PARTITION BY meter_id ORDER BY read_at)) AS r
	CROSS JOIN LATERAL (
		SELECT sum(b.total) FILTER (WHERE b.key_id = r.key_id) AS energy,
			COALESCE(sum(w.window_end - w.window_start), '0') AS covered,
			sum(EXTRACT(epoch FROM w.window_end - w.window_start) / EXTRACT(epoch FROM w.reading_interval))::bigint AS expected,
			COALESCE(sum(b.readings), 0) AS readings, COALESCE(sum(b.carried), 0) AS carried,
			bool_and(w.key_id = r.key_id) AS one_key
		FROM @extschema@.sealed_window w
		LEFT JOIN @extschema@.bill_window b ON b.meter_id = r.meter_id AND b.window_start = w.window_start AND b.key_id = w.key_id
		WHERE w.window_start >= r.since AND w.window_end <= r.until) AS w
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN w.covered <> r.until - r.since THEN 'not all windows are sealed'
			WHEN NOT w.one_key OR paillier_key_id(r.earlier) <> r.key_id THEN 'the key has changed'
			WHEN w.carried > 0 THEN format('%s readings of earlier windows', w.carried)
			WHEN w.readings <> w.expected THEN format('%s readings are missing', w.expected - w.readings)
			END AS reason) AS x
	WHERE r.since IS NOT NULL;

COMMENT ON VIEW @extschema@.register_check IS 'what a meter''s register has advanced less what it was billed for, between two registers that follow each other: decrypts to 0 for an honest meter';
COMMENT ON COLUMN @extschema@.register_check.since IS 'when the earlier register was read';
COMMENT ON COLUMN @extschema@.register_check.until IS 'when the later one was';
COMMENT ON COLUMN @extschema@.register_check.difference IS 'encrypted difference; NULL where the bill windows between them do not hold every reading, and no other';
COMMENT ON COLUMN @extschema@.register_check.reason IS 'why there is none';

-- ---- access ----

-- Nobody reads staging; everything else is granted by level.
CREATE FUNCTION @extschema@.grant_access(role name, level text) RETURNS void
	LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$
DECLARE
	rights text[];
	one    text;
BEGIN
	rights := CASE level
		WHEN 'collector' THEN ARRAY[
			'INSERT ON @extschema@.reading', 'INSERT (meter_id, read_at, register) ON @extschema@.register_read',
			'SELECT ON @extschema@.gap', 'SELECT ON @extschema@.acknowledged']
		WHEN 'operator' THEN ARRAY[
			'EXECUTE ON PROCEDURE @extschema@.rollup(timestamptz)', 'EXECUTE ON FUNCTION @extschema@.next_step(timestamptz)',
			'EXECUTE ON FUNCTION @extschema@.late_slots(timestamptz)', 'EXECUTE ON FUNCTION @extschema@.sweep(int)',
			'EXECUTE ON FUNCTION @extschema@.seal_hour(timestamptz)', 'EXECUTE ON FUNCTION @extschema@.seal_window(timestamptz)',
			'SELECT, UPDATE ON @extschema@.setting', 'SELECT, INSERT, UPDATE, DELETE ON @extschema@.meter',
			'SELECT, INSERT, UPDATE, DELETE ON @extschema@.tariff', 'SELECT, INSERT, UPDATE, DELETE ON @extschema@.rate',
			'SELECT ON @extschema@.gap', 'SELECT ON @extschema@.acknowledged', 'SELECT ON @extschema@.health', 'SELECT ON @extschema@.progress', 'SELECT ON @extschema@.rollup_log',
			'SELECT ON @extschema@.regime', 'SELECT ON @extschema@.contract', 'SELECT ON @extschema@.tariff_problem',
			'EXECUTE ON FUNCTION @extschema@.price(text, text, timestamp)', 'SELECT ON @extschema@.reconciliation']
		WHEN 'analyst' THEN ARRAY[
			'SELECT ON @extschema@.region_load', 'SELECT ON @extschema@.region_hour',
			'SELECT ON @extschema@.region_day', 'SELECT ON @extschema@.region_week', 'SELECT ON @extschema@.region_month',
			'SELECT ON @extschema@.region_profile', 'SELECT ON @extschema@.region_week_profile',
			'SELECT, INSERT, UPDATE, DELETE ON @extschema@.region', 'SELECT ON @extschema@.region_part',
			'SELECT ON @extschema@.region_tree_load',
			'SELECT, INSERT, UPDATE, DELETE ON @extschema@.forecast_model',
			'SELECT, INSERT, UPDATE, DELETE ON @extschema@.forecast_weight',
			'SELECT, INSERT, UPDATE, DELETE ON @extschema@.region_model',
			'SELECT ON @extschema@.forecast_lag', 'SELECT ON @extschema@.region_forecast',
			'EXECUTE ON FUNCTION @extschema@.moving_average(int)',
			'EXECUTE ON FUNCTION @extschema@.calendar_regression(int, boolean, int)',
			'EXECUTE ON FUNCTION @extschema@.holt_winters(float8, float8, float8, int, int, int, int)',
			'EXECUTE ON FUNCTION @extschema@.forecast(int, timestamptz, text)',
			'EXECUTE ON FUNCTION @extschema@.decrypted_load(paillier_private_key, timestamptz, timestamptz, text)',
			'EXECUTE ON FUNCTION @extschema@.region_statistics(paillier_private_key, timestamptz, timestamptz, text)',
			'EXECUTE ON FUNCTION @extschema@.region_quantiles(paillier_private_key, timestamptz, timestamptz, text, numeric[])',
			'EXECUTE ON FUNCTION @extschema@.backtest(paillier_private_key, timestamptz, timestamptz, text, text)']
		WHEN 'biller' THEN ARRAY[
			'SELECT ON @extschema@.bill', 'SELECT ON @extschema@.account_bill',
			'EXECUTE ON FUNCTION @extschema@.invoice(paillier_private_key, date)',
			'EXECUTE ON FUNCTION @extschema@.price(text, text, timestamp)',
			'EXECUTE ON FUNCTION @extschema@.known_charge(numeric, text)',
			'SELECT ON @extschema@.bill_window', 'SELECT ON @extschema@.sealed_window', 'SELECT ON @extschema@.meter',
			'SELECT ON @extschema@.contract', 'SELECT ON @extschema@.tariff', 'SELECT ON @extschema@.rate',
			'SELECT ON @extschema@.window_price', 'SELECT ON @extschema@.register_check', 'SELECT ON @extschema@.reconciliation']
		END;
	IF rights IS NULL THEN
		RAISE EXCEPTION 'access level "%" does not exist', COALESCE(level, 'NULL')
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Levels are collector, operator, analyst and biller.';
	END IF;
	EXECUTE format('GRANT USAGE ON SCHEMA @extschema@ TO %I', role);
	FOREACH one IN ARRAY rights LOOP
		EXECUTE format('GRANT %s TO %I', one, role);
	END LOOP;
END
$$;

COMMENT ON FUNCTION @extschema@.grant_access(name, text) IS 'gives a role the rights of a level: collector, operator, analyst or biller';

-- Functions are for the roles that are granted them, and the few that act
-- within views and constraints for everybody who may use those.
DO $$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT p.oid::regprocedure AS signature, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind
		FROM pg_proc p WHERE p.pronamespace = '@extschema@'::regnamespace
			AND p.proname NOT IN ('utc_hour', 'slot', 'reading_bit', 'bits', 'accept', 'window_label', 'window_of')
	LOOP
		EXECUTE format('REVOKE ALL ON %s %s FROM PUBLIC', f.kind, f.signature);
	END LOOP;
END
$$;
