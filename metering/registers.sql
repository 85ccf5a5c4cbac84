CREATE TABLE metering.register_read (
	meter_id    text NOT NULL,
	read_at     timestamptz NOT NULL,
	register    @paillier@.paillier_ciphertext NOT NULL,
	received_at timestamptz NOT NULL,
	PRIMARY KEY (meter_id, read_at)
);

COMMENT ON TABLE metering.register_read IS 'energy that meters have counted up to the start of a bill window: collectors INSERT or COPY (meter_id, read_at, register); rows never change';
COMMENT ON COLUMN metering.register_read.read_at IS 'start of a bill window';
COMMENT ON COLUMN metering.register_read.register IS 'encrypted energy that the meter has counted so far, in the unit of readings';
COMMENT ON COLUMN metering.register_read.received_at IS 'when it arrived; set by the database';

SELECT pg_catalog.pg_extension_config_dump('metering.register_read', '');

-- Registers are read at the start of bill windows only: then the difference of two
-- registers is a sum of bill windows, and nothing finer.
CREATE FUNCTION metering.take_register() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF NEW.read_at <> (SELECT w.window_start FROM metering.window_of(NEW.read_at) w) THEN
		RAISE EXCEPTION 'register at % is not read at the start of a bill window', NEW.read_at
			USING ERRCODE = 'check_violation',
				DETAIL = 'At any other time it would reveal the energy of a part of a window.';
	END IF;
	IF EXISTS (SELECT FROM metering.register_read r WHERE (r.meter_id, r.read_at) = (NEW.meter_id, NEW.read_at)) THEN
		RETURN NULL;
	END IF;
	NEW.register := @paillier@.paillier_rerandomize(NEW.register);
	NEW.received_at := clock_timestamp();
	RETURN NEW;
END
$$;

COMMENT ON FUNCTION metering.take_register() IS 're-randomises a register before it is stored; drops a register that was sent before';

-- The door checks a register like the reading of the interval that begins at its time.
-- Rows of a dump have passed it before: their received_at is set.
CREATE TRIGGER take_register BEFORE INSERT ON metering.register_read
	FOR EACH ROW
	WHEN (CASE WHEN NEW.received_at IS NULL THEN metering.accept(NEW.meter_id, NEW.read_at, NEW.register) END)
	EXECUTE FUNCTION metering.take_register();

CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON metering.register_read
	FOR EACH ROW EXECUTE FUNCTION metering.refuse_change();
CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.register_read
	FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_change();
