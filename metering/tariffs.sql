CREATE TABLE metering.tariff (
	tariff      text PRIMARY KEY,
	description text,
	zone        text NOT NULL DEFAULT 'UTC',
	rounding    int NOT NULL DEFAULT 2 CHECK (rounding BETWEEN 0 AND 12)
);

COMMENT ON TABLE metering.tariff IS 'tariffs; a bill covers a month in the time zone of its tariff';
COMMENT ON COLUMN metering.tariff.zone IS 'time zone of its prices, days and months; use that of the bill windows, so that no window belongs to two days';
COMMENT ON COLUMN metering.tariff.rounding IS 'decimal digits of an amount due; halves are rounded away from zero, as by round(numeric, int)';

SELECT pg_catalog.pg_extension_config_dump('metering.tariff', '');

-- A rate holds until the next rate of its day begins.  Before the first rate of a day,
-- the last rate of the day holds.  Two rates that begin at the same time never hold on
-- the same day.
CREATE TABLE metering.rate (
	tariff    text NOT NULL,
	from_time time NOT NULL DEFAULT '00:00',
	price     numeric NOT NULL CHECK (abs(price) < 1000000000 AND scale(price) <= 20),
	charge    text NOT NULL DEFAULT 'import' CHECK (charge IN ('import', 'export', 'standing')),
	weekdays  int[] NOT NULL DEFAULT '{1,2,3,4,5,6,7}' CHECK (weekdays <> '{}' AND weekdays <@ '{1,2,3,4,5,6,7}'),
	months    int[] NOT NULL DEFAULT '{1,2,3,4,5,6,7,8,9,10,11,12}'
		CHECK (months <> '{}' AND months <@ '{1,2,3,4,5,6,7,8,9,10,11,12}'),
	valid     daterange NOT NULL DEFAULT '(,)' CHECK (NOT isempty(valid)),
	PRIMARY KEY (tariff, charge, from_time, weekdays, months, valid),
	CHECK (charge <> 'standing' OR from_time = '00:00')
);

COMMENT ON TABLE metering.rate IS 'prices by time of day, weekday, month and date; past bills are computed from the present rows, so add a new price as a new row with its dates';
COMMENT ON COLUMN metering.rate.from_time IS 'local time of day at which the price begins to hold, until the next rate of that day begins';
COMMENT ON COLUMN metering.rate.price IS 'price of one kWh; for standing, of one day';
COMMENT ON COLUMN metering.rate.charge IS 'import: a kWh consumed; export: a kWh fed in, which is credited; standing: a day';
COMMENT ON COLUMN metering.rate.weekdays IS 'weekdays on which it holds, from 1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN metering.rate.months IS 'months in which it holds';
COMMENT ON COLUMN metering.rate.valid IS 'dates on which it holds';

SELECT pg_catalog.pg_extension_config_dump('metering.rate', '');

-- No foreign keys: a dump is restored table by table, in any order.
CREATE FUNCTION metering.change_tariff() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF TG_OP <> 'DELETE' THEN
		PERFORM now() AT TIME ZONE NEW.zone;
	END IF;
	IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.tariff = OLD.tariff) THEN
		RETURN NEW;
	END IF;
	IF EXISTS (SELECT FROM metering.meter m WHERE m.tariff = OLD.tariff)
		OR EXISTS (SELECT FROM metering.contract_history x WHERE x.tariff = OLD.tariff) THEN
		RAISE EXCEPTION 'tariff "%" has meters that are billed by it', OLD.tariff
			USING ERRCODE = 'foreign_key_violation';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

COMMENT ON FUNCTION metering.change_tariff() IS 'checks the time zone of a tariff; refuses to delete or rename a tariff that meters are billed by';

CREATE TRIGGER change_tariff BEFORE INSERT OR UPDATE OR DELETE ON metering.tariff
	FOR EACH ROW EXECUTE FUNCTION metering.change_tariff();

-- A tariff has one price at any time.
CREATE FUNCTION metering.check_rate() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	LOCK TABLE metering.rate_turn IN EXCLUSIVE MODE;
	IF EXISTS (SELECT FROM metering.rate r
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

COMMENT ON FUNCTION metering.check_rate() IS 'refuses a rate that would make a price ambiguous';

CREATE TRIGGER check_rate AFTER INSERT OR UPDATE ON metering.rate
	FOR EACH ROW EXECUTE FUNCTION metering.check_rate();
