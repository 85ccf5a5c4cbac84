-- Hours are whole multiples of every reading interval, so all meters send by one grid of
-- hours.
--
-- The row that the install script makes has only_row = false, until it is changed.  A
-- dump holds a row with true.  So a dump can be restored even where triggers are
-- disabled: see metering.drop_initial_rows().
CREATE TABLE metering.setting (
	only_row         boolean PRIMARY KEY DEFAULT true,
	key_id           text,
	bill_key_id      text,
	reading_interval interval NOT NULL DEFAULT '5 min'
		CHECK (reading_interval IN ('1 min', '2 min', '3 min', '4 min', '5 min', '6 min', '10 min', '12 min',
			'15 min', '20 min', '30 min', '1 hour')),
	bill_window      interval NOT NULL DEFAULT '2 hours'
		CHECK (bill_window IN ('1 hour', '2 hours', '4 hours', '6 hours', '12 hours', '24 hours')),
	zone             text NOT NULL DEFAULT 'UTC',
	grace            interval NOT NULL DEFAULT '15 min' CHECK (grace >= '0' AND grace < '1000 years'),
	min_meters       int NOT NULL DEFAULT 100 CHECK (min_meters >= 2),
	min_share        numeric NOT NULL DEFAULT 0.5 CHECK (min_share > 0 AND min_share <= 1),
	retention        interval NOT NULL DEFAULT '45 days' CHECK (retention > '0' AND retention < '1000 years'),
	scale            int NOT NULL DEFAULT 0 CHECK (scale BETWEEN 0 AND 100),
	width            int NOT NULL DEFAULT 64 CHECK (width BETWEEN 1 AND 1024),
	unit_kwh         numeric NOT NULL DEFAULT 0.001 CHECK (unit_kwh > 0 AND unit_kwh <= 1000000 AND scale(unit_kwh) <= 20),
	clock_tolerance  interval NOT NULL DEFAULT '1 min' CHECK (clock_tolerance >= '0' AND clock_tolerance < '1000 years'),
	patience         interval NOT NULL DEFAULT '2 min' CHECK (patience >= '1 s' AND patience <= '1 day'),
	backup_interval  interval NOT NULL DEFAULT '2 days' CHECK (backup_interval >= '0' AND backup_interval < '1000 years'),
	closing          interval NOT NULL DEFAULT '3 days' CHECK (closing >= '0' AND closing <= '30 days'),
	bill_grace       interval NOT NULL DEFAULT '3 days' CHECK (bill_grace >= '0' AND bill_grace < '1000 years'),
	rollup_memory    int NOT NULL DEFAULT 262144 CHECK (rollup_memory BETWEEN 4096 AND 1073741824),
	starts_at        timestamptz CHECK (isfinite(starts_at)),
	CHECK (bill_key_id <> key_id)
);

COMMENT ON TABLE metering.setting IS 'the settings of metering, one row';
COMMENT ON COLUMN metering.setting.key_id IS 'the key that readings are encrypted under, from paillier_register_key()';
COMMENT ON COLUMN metering.setting.bill_key_id IS 'the key that registers are encrypted under, from which bills are made; NULL: there is one key, and bills are made from readings';
COMMENT ON COLUMN metering.setting.reading_interval IS 'time between two readings; a reading is dated by the start of its interval';
COMMENT ON COLUMN metering.setting.bill_window IS 'length of a bill window; nothing finer about one meter is ever kept';
COMMENT ON COLUMN metering.setting.zone IS 'bill windows are counted from midnight in this time zone';
COMMENT ON COLUMN metering.setting.grace IS 'how long after its end an hour waits for readings before it is sealed';
COMMENT ON COLUMN metering.setting.min_meters IS 'a region and hour with fewer meters than this gets no total';
COMMENT ON COLUMN metering.setting.min_share IS 'a meter and bill window with fewer readings than this share of a full window, or fewer than two, gets no total; the readings wait for the next window';
COMMENT ON COLUMN metering.setting.retention IS 'older readings are refused, and not asked for';
COMMENT ON COLUMN metering.setting.scale IS 'decimal digits of readings';
COMMENT ON COLUMN metering.setting.width IS 'largest declared width of readings, in bits';
COMMENT ON COLUMN metering.setting.unit_kwh IS 'kWh in one unit of a reading: 0.001 if readings are in Wh';
COMMENT ON COLUMN metering.setting.clock_tolerance IS 'how far the clock of a meter may be ahead';
COMMENT ON COLUMN metering.setting.patience IS 'how long the roll-up waits for a transaction that uses staging before it ends the session';
COMMENT ON COLUMN metering.setting.backup_interval IS 'metering.acknowledged stays so far behind now, so that meters can send again what a restored backup lacks; at least the time between two backups';
COMMENT ON COLUMN metering.setting.closing IS 'when one key becomes two: how long the last bill window of one key waits for late readings';
COMMENT ON COLUMN metering.setting.bill_grace IS 'how long after the end of a month metering.issue_bills() waits before it issues the bills of the month';
COMMENT ON COLUMN metering.setting.rollup_memory IS 'memory that a step of the roll-up uses, in kB; with less of it a step takes more passes';
COMMENT ON COLUMN metering.setting.starts_at IS 'older readings are refused; the first roll-up sets it if it is NULL; metering.forget() moves it';

SELECT pg_catalog.pg_extension_config_dump('metering.setting', 'WHERE only_row');

CREATE TABLE metering.setting_history (
	until            timestamptz PRIMARY KEY,
	key_id           text,
	reading_interval interval NOT NULL,
	bill_window      interval NOT NULL,
	zone             text NOT NULL,
	bill_key_id      text
);

COMMENT ON TABLE metering.setting_history IS 'earlier values of the settings; each row held until its time';

SELECT pg_catalog.pg_extension_config_dump('metering.setting_history', '');

CREATE VIEW metering.setting_period AS
	SELECT until, key_id, reading_interval, bill_window, zone, bill_key_id FROM metering.setting_history
	UNION ALL
	SELECT 'infinity', key_id, reading_interval, bill_window, zone, bill_key_id FROM metering.setting;

COMMENT ON VIEW metering.setting_period IS 'keys, reading interval, bill window and zone over time; each row holds until its time';

INSERT INTO metering.setting (only_row) VALUES (false);

-- Rules that look at more than one row make writers take turns, by a lock on one of
-- these tables, which stay empty.  An advisory lock could be held by anybody, and a
-- lock on a table that others use would hold them up.
CREATE TABLE metering.meter_turn ();
CREATE TABLE metering.rate_turn ();
CREATE TABLE metering.region_turn ();

COMMENT ON TABLE metering.meter_turn IS 'empty: whoever writes meters holds a lock on it until the end of the transaction';
COMMENT ON TABLE metering.rate_turn IS 'empty: whoever writes rates holds a lock on it until the end of the transaction';
COMMENT ON TABLE metering.region_turn IS 'empty: whoever writes the tree of regions holds a lock on it until the end of the transaction';

SELECT pg_catalog.pg_extension_config_dump('metering.meter_turn', '');
SELECT pg_catalog.pg_extension_config_dump('metering.rate_turn', '');
SELECT pg_catalog.pg_extension_config_dump('metering.region_turn', '');

CREATE FUNCTION metering.announce() RETURNS trigger
	AS 'MODULE_PATHNAME', 'paillier_metering_announce' LANGUAGE C;

COMMENT ON FUNCTION metering.announce() IS 'tells all sessions that their cached settings and meters are out of date, or with an argument this session only';

CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON metering.setting
	FOR EACH STATEMENT EXECUTE FUNCTION metering.announce();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON metering.setting_history
	FOR EACH STATEMENT EXECUTE FUNCTION metering.announce();

-- A key serves one channel for ever.  Whoever holds the key of the registers must never
-- be able to decrypt a reading.
CREATE TABLE metering.key_use (
	key_id  text PRIMARY KEY,
	channel text NOT NULL CHECK (channel IN ('reading', 'register')),
	since   timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE metering.key_use IS 'what each key has been used for; a key serves one channel for ever';
COMMENT ON COLUMN metering.key_use.channel IS 'reading: readings, and registers while there is one key; register: registers only';
COMMENT ON COLUMN metering.key_use.since IS 'since when';

SELECT pg_catalog.pg_extension_config_dump('metering.key_use', '');

CREATE FUNCTION metering.check_key_use(key_id text, bill_key_id text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	used metering.key_use;
BEGIN
	SELECT * INTO used FROM metering.key_use u
	WHERE (u.key_id = $1 AND u.channel = 'register') OR (u.key_id = $2 AND u.channel = 'reading') LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'key % has been used for %s', used.key_id, used.channel
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A key serves one channel for ever: otherwise the holder of one could read the other.',
				HINT = 'Make another key with paillier_keygen() or "paillier keygen".';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.check_key_use(text, text) IS 'refuses a key for readings that has been used for registers, and the other way round';

CREATE FUNCTION metering.note_key_use(key_id text, bill_key_id text) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$
		INSERT INTO metering.key_use (key_id, channel)
		SELECT k.* FROM (VALUES ($1, 'reading'), ($2, 'register')) AS k (key_id, channel) WHERE k.key_id IS NOT NULL
		ON CONFLICT DO NOTHING
	$$;

COMMENT ON FUNCTION metering.note_key_use(text, text) IS 'notes that keys are in use, for readings and for registers';

CREATE FUNCTION metering.change_setting() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	PERFORM '2000-01-01'::timestamptz AT TIME ZONE NEW.zone;
	IF NEW.key_id IS DISTINCT FROM OLD.key_id
		AND NOT EXISTS (SELECT FROM @paillier@.paillier_key k WHERE k.key_id = NEW.key_id) THEN
		RAISE EXCEPTION 'key % is not registered', COALESCE(NEW.key_id, 'NULL')
			USING ERRCODE = 'undefined_object', HINT = 'Register the public key with paillier_register_key().';
	END IF;
	IF NEW.bill_key_id IS DISTINCT FROM OLD.bill_key_id AND NEW.bill_key_id IS NOT NULL
		AND NOT EXISTS (SELECT FROM @paillier@.paillier_key k WHERE k.key_id = NEW.bill_key_id) THEN
		RAISE EXCEPTION 'key % is not registered', NEW.bill_key_id
			USING ERRCODE = 'undefined_object', HINT = 'Register the public key with paillier_register_key().';
	END IF;
	PERFORM metering.check_key_use(NEW.key_id, NEW.bill_key_id);
	IF NEW.starts_at IS DISTINCT FROM OLD.starts_at THEN
		IF OLD.starts_at IS NOT NULL AND EXISTS (SELECT FROM metering.progress g WHERE g.sealed_until IS NOT NULL
				AND NOT COALESCE(NEW.starts_at BETWEEN OLD.starts_at AND least(g.billed_until,
					now() - make_interval(secs => EXTRACT(epoch FROM OLD.retention)::double precision)), false)) THEN
			RAISE EXCEPTION 'metering has started: its start cannot be changed'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					HINT = 'CALL metering.forget() moves it when it forgets what is older.';
		END IF;
		IF NEW.starts_at NOT BETWEEN now() - interval '10 years' AND now() + interval '10 years'
			AND isfinite(NEW.starts_at) THEN
			RAISE EXCEPTION 'metering cannot start at %', NEW.starts_at
				USING ERRCODE = 'invalid_parameter_value', HINT = 'Choose a time within ten years from now.';
		END IF;
	END IF;
	NEW.only_row := true;
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.change_setting() IS 'checks a change of settings';

CREATE TRIGGER change_setting BEFORE UPDATE ON metering.setting
	FOR EACH ROW EXECUTE FUNCTION metering.change_setting();

-- Keys, interval, window and zone change when the open bill window ends: the earlier
-- values are kept until then.  Before the first reading a change takes effect at once.
--
-- This runs when the change is committed, and waits for readings that are on their way
-- in.  So every reading that came in by the earlier values lies before the time that
-- they are kept until, whatever the clock has been set to and however long the
-- transaction took.
CREATE FUNCTION metering.keep_setting() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '30s'
	AS $$
DECLARE
	g         metering.progress;
	last_time timestamptz;
	ends      timestamptz;
	sentinel  CONSTANT timestamptz := '294000-01-01 00:00Z';
BEGIN
	BEGIN
		LOCK TABLE metering.reading IN SHARE MODE;
	EXCEPTION WHEN lock_not_available THEN
		RAISE EXCEPTION 'settings cannot change while readings are being sent'
			USING ERRCODE = 'lock_not_available',
				DETAIL = (SELECT format('Staging is in use by %s.', string_agg(x.who, ', ' ORDER BY x.began))
					FROM metering.staging_users('metering.reading', 'SHARE') AS x), HINT = 'Change them again when the transactions of collectors have ended.';
	END;
	SELECT * INTO g FROM metering.progress;
	IF g.sealed_until IS NULL AND NOT EXISTS (SELECT FROM metering.reading)
		AND NOT EXISTS (SELECT FROM metering.register_read) THEN
		RETURN NULL;
	END IF;
	PERFORM metering.note_key_use(OLD.key_id, OLD.bill_key_id), metering.note_key_use(NEW.key_id, NEW.bill_key_id);
	last_time := greatest(clock_timestamp() + OLD.clock_tolerance, g.sealed_until, g.billed_until);
	-- windows are written down by the earlier values, up to the one that is open
	INSERT INTO metering.setting_history (until, key_id, bill_key_id, reading_interval, bill_window, zone)
	VALUES (sentinel, OLD.key_id, OLD.bill_key_id, OLD.reading_interval, OLD.bill_window, OLD.zone);
	PERFORM metering.open_windows(last_time);
	SELECT w.window_end INTO ends FROM metering.window_of(last_time) w;
	DELETE FROM metering.setting_history h WHERE h.until = sentinel;
	INSERT INTO metering.setting_history (until, key_id, bill_key_id, reading_interval, bill_window, zone)
	VALUES (ends, OLD.key_id, OLD.bill_key_id, OLD.reading_interval, OLD.bill_window, OLD.zone)
	ON CONFLICT DO NOTHING;
	RETURN NULL;
END
$$;

COMMENT ON FUNCTION metering.keep_setting() IS 'keeps earlier settings until the open bill window ends';

CREATE CONSTRAINT TRIGGER keep_setting AFTER UPDATE ON metering.setting
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	WHEN (OLD.key_id IS NOT NULL AND (NEW.key_id, NEW.bill_key_id, NEW.reading_interval, NEW.bill_window, NEW.zone)
		IS DISTINCT FROM (OLD.key_id, OLD.bill_key_id, OLD.reading_interval, OLD.bill_window, OLD.zone))
	EXECUTE FUNCTION metering.keep_setting();
