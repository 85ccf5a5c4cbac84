-- Registers of meters.  While there is one key they check the bills, which are made from
-- readings; with two keys bills are made from them.
--
-- Registers are read at the start of bill windows only: then the difference of two
-- registers is a sum of bill windows, and nothing finer.  Unique within a partition,
-- because a partition is found by an expression.
CREATE TABLE metering.register_read (
	read_at     timestamptz NOT NULL,
	meter_id    text NOT NULL,
	series      text NOT NULL DEFAULT '' CHECK (octet_length(series) < 64),
	register    @paillier@.paillier_ciphertext NOT NULL,
	received_at timestamptz NOT NULL
) PARTITION BY LIST (metering.month_slot(read_at));

COMMENT ON TABLE metering.register_read IS 'energy that meters have counted up to the start of a bill window: collectors INSERT or COPY (read_at, meter_id, series, register); rows never change';
COMMENT ON COLUMN metering.register_read.read_at IS 'start of a bill window';
COMMENT ON COLUMN metering.register_read.series IS 'from where the register counts: another one begins when it is exchanged or set back, or when its key changes';
COMMENT ON COLUMN metering.register_read.register IS 'encrypted energy that the meter has counted so far, in the unit of readings';
COMMENT ON COLUMN metering.register_read.received_at IS 'when it arrived; set by the database';

DO $do$
DECLARE
	partition text;
BEGIN
	FOR slot IN 0 .. metering.month_slots() - 1 LOOP
		partition := 'register_read_' || to_char(slot, 'FM00');
		EXECUTE format('CREATE TABLE metering.%I PARTITION OF metering.register_read FOR VALUES IN (%s)', partition, slot);
		EXECUTE format('ALTER TABLE metering.%I ADD PRIMARY KEY (read_at, meter_id, series)', partition);
		EXECUTE format('COMMENT ON TABLE metering.%I IS %L', partition,
			format('registers of months whose number is %s modulo %s', slot, metering.month_slots()));
		PERFORM pg_extension_config_dump(('metering.' || partition)::regclass, '');
	END LOOP;
END
$do$;

CREATE TABLE metering.register_series (
	meter_id text NOT NULL,
	series   text NOT NULL,
	key_id   text NOT NULL,
	since    timestamptz NOT NULL,
	PRIMARY KEY (meter_id, series)
);

COMMENT ON TABLE metering.register_series IS 'the series of registers of each meter';
COMMENT ON COLUMN metering.register_series.series IS 'name of the series, which the meter chooses';
COMMENT ON COLUMN metering.register_series.key_id IS 'key of its first register';
COMMENT ON COLUMN metering.register_series.since IS 'time of its first register that is not void';

SELECT pg_catalog.pg_extension_config_dump('metering.register_series', '');

-- Registers that arrive after their window has ended.  The roll-up looks here for windows
-- that lack a register no more.
CREATE TABLE metering.late_register (
	meter_id text NOT NULL,
	read_at  timestamptz NOT NULL,
	PRIMARY KEY (meter_id, read_at)
);

COMMENT ON TABLE metering.late_register IS 'registers that came after their bill window had ended, until the next window is sealed';
COMMENT ON COLUMN metering.late_register.read_at IS 'start of the bill window';

SELECT pg_catalog.pg_extension_config_dump('metering.late_register', '');

CREATE TABLE metering.register_kept (LIKE metering.register_read, PRIMARY KEY (read_at, meter_id, series));

COMMENT ON TABLE metering.register_kept IS 'registers that are kept while metering.forget() empties their partition; empty outside that transaction';

SELECT pg_catalog.pg_extension_config_dump('metering.register_kept', '');

CREATE TABLE metering.voided_register (
	meter_id  text NOT NULL,
	series    text NOT NULL,
	read_at   timestamptz NOT NULL,
	reason    text,
	voided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	voided_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (meter_id, series, read_at)
);

COMMENT ON TABLE metering.voided_register IS 'registers that are declared void, by void_register()';
COMMENT ON COLUMN metering.voided_register.series IS 'its series';
COMMENT ON COLUMN metering.voided_register.read_at IS 'its time';
COMMENT ON COLUMN metering.voided_register.reason IS 'reason that the role gave';
COMMENT ON COLUMN metering.voided_register.voided_at IS 'when it was declared void';
COMMENT ON COLUMN metering.voided_register.voided_by IS 'role that declared it void';

SELECT pg_catalog.pg_extension_config_dump('metering.voided_register', '');

-- The nearest register of a series at or before a time, and at or after it, without those
-- that are void.  It looks at one window after the other: most often the first has one.  The
-- plan does not depend on statistics: OFFSET 0 keeps the windows first, and for each a probe
-- of an index.
CREATE FUNCTION metering.registers_around(meter_id text, series text, t timestamptz, OUT before timestamptz, OUT after timestamptz)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
		SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off
		SET jit = off
	AS $$
DECLARE
	since timestamptz := (SELECT s.since FROM metering.register_series s WHERE (s.meter_id, s.series) = ($1, $2));
BEGIN
	SELECT r.read_at INTO before
	FROM metering.window_grid w
	CROSS JOIN LATERAL (
		SELECT x.read_at FROM metering.register_read x
		WHERE metering.month_slot(x.read_at) = w.slot AND x.read_at = w.window_start AND x.meter_id = $1 AND x.series = $2
		OFFSET 0) AS r
	WHERE w.window_start <= $3 AND w.window_start >= since AND NOT EXISTS (SELECT FROM metering.voided_register v
		WHERE v.meter_id = $1 AND v.series = $2 AND v.read_at = w.window_start)
	ORDER BY w.window_start DESC LIMIT 1;
	IF before = $3 THEN
		after := $3;
		RETURN;
	END IF;
	SELECT r.read_at INTO after
	FROM metering.window_grid w
	CROSS JOIN LATERAL (
		SELECT x.read_at FROM metering.register_read x
		WHERE metering.month_slot(x.read_at) = w.slot AND x.read_at = w.window_start AND x.meter_id = $1 AND x.series = $2
		OFFSET 0) AS r
	WHERE w.window_start > $3 AND NOT EXISTS (SELECT FROM metering.voided_register v
		WHERE v.meter_id = $1 AND v.series = $2 AND v.read_at = w.window_start)
	ORDER BY w.window_start LIMIT 1;
END
$$;

COMMENT ON FUNCTION metering.registers_around(text, text, timestamptz) IS 'times of the last register of a series at or before a time, and of the first one at or after it';

-- The first register of a series after a time, without those that are void.  Windows are
-- written down by the roll-up: registers may have come for later ones.
CREATE FUNCTION metering.register_after(meter_id text, series text, t timestamptz) RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT COALESCE((metering.registers_around($1, $2, $3 + interval '1 microsecond')).after, (
			SELECT min(r.read_at) FROM metering.register_read r
			WHERE r.read_at > greatest($3, (SELECT max(w.window_start) FROM metering.window_grid w)) AND (r.meter_id, r.series) = ($1, $2)
				AND NOT EXISTS (SELECT FROM metering.voided_register v WHERE (v.meter_id, v.series, v.read_at) = ($1, $2, r.read_at))))
	$$;

COMMENT ON FUNCTION metering.register_after(text, text, timestamptz) IS 'time of the first register of a series after a time';

-- True if one key was in use at some time between two others.
CREATE FUNCTION metering.one_key_between(starts timestamptz, ends timestamptz) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT EXISTS (
			SELECT FROM (SELECT p.until, p.bill_key_id, lag(p.until, 1, '-infinity') OVER (ORDER BY p.until) AS since
				FROM metering.setting_period p) AS p
			WHERE p.bill_key_id IS NULL AND p.since < ends AND p.until > starts)
	$$;

COMMENT ON FUNCTION metering.one_key_between(timestamptz, timestamptz) IS 'true if one key was in use at some time between two others: then bills are made from readings';

-- A series lies before or after another one of its meter: they may touch.  Registers that
-- are void do not count.  So only the time between the register and the start of the
-- series can be taken; and a series that begins earlier does not reach beyond that start.
CREATE FUNCTION metering.take_series(meter_id text, series text, key_id text, read_at timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
	AS $$
DECLARE
	s     metering.register_series;
	other text;
	lower timestamptz;
	upper timestamptz;
BEGIN
	SELECT * INTO s FROM metering.register_series x WHERE (x.meter_id, x.series) = ($1, $2);
	IF COALESCE(s.key_id <> key_id, false) AND EXISTS (
			SELECT FROM metering.key_use u WHERE u.key_id IN (s.key_id, $3) AND u.channel = 'register') THEN
		RAISE EXCEPTION 'series "%" of meter "%" is under key %', series, meter_id, s.key_id
			USING ERRCODE = 'data_exception',
				HINT = 'Begin another series: send the last register under the old key, and one of the same time under the new key.';
	END IF;
	lower := least($4, s.since);
	upper := greatest($4, s.since);
	IF COALESCE($4 < s.since, false) AND metering.register_after($1, $2, s.since) IS NOT NULL THEN
		upper := s.since + interval '1 microsecond';	-- another series may consist of one register at that time
	END IF;
	IF lower < upper AND metering.one_key_between(lower, upper)
		AND EXISTS (SELECT FROM metering.key_use u WHERE u.key_id = s.key_id AND u.channel = 'register') THEN
		RAISE EXCEPTION 'one key was in use within series "%" of meter "%", between % and %', series, meter_id, lower, upper
			USING ERRCODE = 'data_exception',
				DETAIL = 'Bills of that time are made from readings.', HINT = 'Begin another series.';
	END IF;
	SELECT x.series INTO other FROM metering.register_series x
	WHERE x.meter_id = $1 AND x.series <> $2 AND x.since < upper AND (s.since IS NULL OR $4 < s.since OR x.since >= s.since)
		AND metering.register_after($1, x.series, lower) IS NOT NULL
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'register at % of series "%" lies within series "%" of meter "%"', read_at, series, other, meter_id
			USING ERRCODE = 'exclusion_violation',
				DETAIL = 'Registers are subtracted within a series only; two series of a meter may touch, but not overlap.';
	END IF;
	IF s.since IS NULL THEN
		IF (SELECT count(*) FILTER (WHERE x.since = $4) >= 4 OR count(*) >= 100 FROM metering.register_series x
			WHERE x.meter_id = $1 AND x.since BETWEEN $4 - interval '15 days' AND $4 + interval '15 days') THEN
			RAISE EXCEPTION 'too many series of meter "%" begin at %', meter_id, read_at
				USING ERRCODE = 'program_limit_exceeded', HINT = 'Send the registers of one series together.';
		END IF;
		INSERT INTO metering.register_series VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;
	ELSIF $4 < s.since THEN
		UPDATE metering.register_series x SET since = $4 WHERE (x.meter_id, x.series) = ($1, $2) AND x.since > $4;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.take_series(text, text, text, timestamptz) IS 'notes the series of a register; refuses one that would overlap another series';

CREATE FUNCTION metering.take_register() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
	AS $$
DECLARE
	ends timestamptz := (SELECT w.window_end FROM metering.window_grid w WHERE w.window_start = NEW.read_at);
BEGIN
	IF ends IS NULL
		AND NEW.read_at <> (SELECT w.window_start FROM metering.window_of(NEW.read_at) w) THEN
		RAISE EXCEPTION 'register at % is not read at the start of a bill window', NEW.read_at
			USING ERRCODE = 'check_violation',
				DETAIL = 'At any other time it would reveal the energy of a part of a window.';
	END IF;
	IF EXISTS (
		SELECT FROM metering.register_read r WHERE metering.month_slot(r.read_at) = metering.month_slot(NEW.read_at)
			AND (r.read_at, r.meter_id, r.series) = (NEW.read_at, NEW.meter_id, NEW.series)) THEN
		RETURN NULL;
	END IF;
	PERFORM metering.take_series(NEW.meter_id, NEW.series, @paillier@.paillier_key_id(NEW.register), NEW.read_at);
	-- the window may be written down and sealed before this transaction is committed
	IF NEW.read_at < (SELECT g.billed_until FROM metering.progress g) OR COALESCE(ends, NEW.read_at) <= clock_timestamp() THEN
		INSERT INTO metering.late_register VALUES (NEW.meter_id, NEW.read_at) ON CONFLICT DO NOTHING;
	END IF;
	NEW.register := @paillier@.paillier_rerandomize(NEW.register);
	NEW.received_at := clock_timestamp();
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.take_register() IS 're-randomises a register before it is stored; drops a register that was sent before';

CREATE FUNCTION metering.accept_register(meter_id text, read_at timestamptz, register @paillier@.paillier_ciphertext) RETURNS boolean
	AS 'MODULE_PATHNAME', 'paillier_metering_accept_register' LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 200;

COMMENT ON FUNCTION metering.accept_register(text, timestamptz, @paillier@.paillier_ciphertext) IS 'true if a register may be stored; otherwise an error that says why not';

-- Rows of a dump have passed the door before: their received_at is set.
CREATE TRIGGER take_register BEFORE INSERT ON metering.register_read
	FOR EACH ROW
	WHEN (CASE WHEN NEW.received_at IS NULL THEN metering.accept_register(NEW.meter_id, NEW.read_at, NEW.register) END)
	EXECUTE FUNCTION metering.take_register();

CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON metering.register_read
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.register_read
	FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_change();
DO $$
BEGIN
	FOR slot IN 0 .. metering.month_slots() - 1 LOOP
		EXECUTE format('CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.register_read_%s '
			'FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_truncate(''read_at'')', to_char(slot, 'FM00'));
	END LOOP;
END
$$;

CREATE FUNCTION metering.void_register(meter_id text, read_at timestamptz, series text DEFAULT '', reason text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NOT EXISTS (
		SELECT FROM metering.register_read r WHERE metering.month_slot(r.read_at) = metering.month_slot($2)
			AND (r.read_at, r.meter_id, r.series) = ($2, $1, $3)) THEN
		RAISE EXCEPTION 'meter "%" has no register of series "%" at %', COALESCE($1, 'NULL'), COALESCE($3, 'NULL'), COALESCE($2::text, 'NULL')
			USING ERRCODE = 'no_data_found', HINT = 'Registers are read at the start of bill windows.';
	END IF;
	INSERT INTO metering.voided_register (meter_id, series, read_at, reason) VALUES ($1, $3, $2, $4) ON CONFLICT DO NOTHING;
	DELETE FROM metering.register_series s
	WHERE (s.meter_id, s.series, s.since) = ($1, $3, $2) AND metering.register_after($1, $3, $2) IS NULL;
	UPDATE metering.register_series s SET since = metering.register_after($1, $3, $2)
	WHERE (s.meter_id, s.series, s.since) = ($1, $3, $2);
END
$$;

COMMENT ON FUNCTION metering.void_register(text, timestamptz, text, text) IS 'declares a register void, for good: bills subtract the registers before and after it';

-- ---- registers that are missing ----

-- A meter sends a register at the start of every window, and one when it ends.
CREATE FUNCTION metering.expects_register(active tstzrange, t timestamptz) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT active @> t OR COALESCE(upper(active) = t, false) $$;

COMMENT ON FUNCTION metering.expects_register(tstzrange, timestamptz) IS 'true if a meter with an active range should send a register at the start of a bill window';

-- In metering.incomplete a register that is missing stands as the first minute.
CREATE FUNCTION metering.record_missing_registers(starts timestamptz) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off
	AS $$
DECLARE
	slices int := metering.passes((SELECT count(*) FROM metering.meter) * 200);
BEGIN
	FOR part IN 0 .. slices - 1 LOOP
		EXECUTE format($query$
			INSERT INTO metering.incomplete (meter_id, window_start, expected, received)
			SELECT m.meter_id, $1, '{1}', '{}' FROM metering.meter m
			WHERE metering.expects_register(m.active, $1) AND %s AND NOT EXISTS (
				SELECT FROM metering.register_read r
				WHERE metering.month_slot(r.read_at) = metering.month_slot($1) AND r.read_at = $1 AND r.meter_id = m.meter_id)
			ON CONFLICT DO NOTHING
			$query$, metering.slice('m.meter_id', slices, part)) USING starts;
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.record_missing_registers(timestamptz) IS 'notes the meters that have not sent a register at the start of a bill window';

CREATE FUNCTION metering.take_late_registers() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF EXISTS (SELECT FROM metering.late_register) THEN
		WITH late AS (DELETE FROM metering.late_register l RETURNING l.*)
		DELETE FROM metering.incomplete i USING (SELECT DISTINCT l.meter_id, l.read_at FROM late l) AS l, metering.window_grid w
		WHERE (i.meter_id, i.window_start) = (l.meter_id, l.read_at) AND w.window_start = i.window_start
			AND w.bill_key_id IS NOT NULL;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.take_late_registers() IS 'crosses out windows that lacked a register which has come since';
