-- Bills that were issued.  A run of issue_bills() writes its rows once: prices, stretches
-- of time, amounts, and at last a row about itself.
CREATE TABLE metering.issue_run (
	run              bigint PRIMARY KEY,
	period           date,
	issued_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
	issued_by        name NOT NULL DEFAULT session_user,
	epoch            uuid NOT NULL,
	elsewhere        boolean NOT NULL,
	covered_until    timestamptz NOT NULL,
	covered_period   date,
	accounts         bigint NOT NULL,
	meters           bigint NOT NULL,
	unbilled_meters  bigint NOT NULL,
	unbilled_windows bigint NOT NULL
);

COMMENT ON TABLE metering.issue_run IS 'runs of issue_bills() and calls of confirm_issued(); written once; a run with a higher number was committed later';
COMMENT ON COLUMN metering.issue_run.run IS 'number of the run';
COMMENT ON COLUMN metering.issue_run.period IS 'first day of the month that was asked for; NULL if confirm_issued() said that no bills were issued elsewhere';
COMMENT ON COLUMN metering.issue_run.issued_at IS 'when';
COMMENT ON COLUMN metering.issue_run.issued_by IS 'by whom';
COMMENT ON COLUMN metering.issue_run.epoch IS 'epoch of metering.progress: after a change of place no bills are issued until confirm_issued()';
COMMENT ON COLUMN metering.issue_run.elsewhere IS 'true: no bills, but what confirm_issued() says of bills that were issued in another place';
COMMENT ON COLUMN metering.issue_run.covered_until IS 'every sealed bill window before this time is in an issued stretch, or its meter is in metering.unbilled';
COMMENT ON COLUMN metering.issue_run.covered_period IS 'latest month that this run or an earlier one was asked for';
COMMENT ON COLUMN metering.issue_run.accounts IS 'accounts that got a bill';
COMMENT ON COLUMN metering.issue_run.meters IS 'meters in these bills';
COMMENT ON COLUMN metering.issue_run.unbilled_meters IS 'meters with sealed bill windows that nobody was billed for when the run ended: rows of metering.unbilled';
COMMENT ON COLUMN metering.issue_run.unbilled_windows IS 'how many windows these were';

CREATE TABLE metering.issued_price (
	run          bigint NOT NULL,
	tariff       text NOT NULL,
	flow         text NOT NULL,
	window_start timestamptz NOT NULL,
	price        numeric,
	standing     numeric,
	PRIMARY KEY (run, tariff, flow, window_start)
);

COMMENT ON TABLE metering.issued_price IS 'prices that the bills of a run were computed from; written once';
COMMENT ON COLUMN metering.issued_price.run IS 'number of the run';
COMMENT ON COLUMN metering.issued_price.flow IS 'import or export';
COMMENT ON COLUMN metering.issued_price.price IS 'price of one kWh in the bill window; NULL if the tariff had none: stretches with such a window were left to a later run';
COMMENT ON COLUMN metering.issued_price.standing IS 'standing charge of the day, in the last window of the day';

CREATE TABLE metering.issued_stretch (
	run      bigint NOT NULL,
	meter_id text NOT NULL,
	key_id   text NOT NULL,
	series   text NOT NULL DEFAULT '',
	since    timestamptz NOT NULL,
	until    timestamptz NOT NULL CHECK (since < until),
	opening  @paillier@.paillier_ciphertext,
	closing  @paillier@.paillier_ciphertext,
	account  text NOT NULL,
	tariff   text NOT NULL,
	flow     text NOT NULL,
	PRIMARY KEY (run, meter_id, key_id, series, since),
	UNIQUE (meter_id, until, key_id, series)
);

COMMENT ON TABLE metering.issued_stretch IS 'stretches of time that meters were billed for; written once; stretches of one meter never overlap';
COMMENT ON COLUMN metering.issued_stretch.run IS 'number of the run';
COMMENT ON COLUMN metering.issued_stretch.key_id IS 'key of the stretch';
COMMENT ON COLUMN metering.issued_stretch.series IS 'series of the registers; empty if the bill comes from bill windows';
COMMENT ON COLUMN metering.issued_stretch.since IS 'opening: bill windows that begin at this time or later are in the stretch';
COMMENT ON COLUMN metering.issued_stretch.until IS 'closing: bill windows that begin before this time are in the stretch';
COMMENT ON COLUMN metering.issued_stretch.opening IS 'register at its start; NULL if the closing of another stretch is the same, or if the bill comes from bill windows';
COMMENT ON COLUMN metering.issued_stretch.closing IS 'register at its end; NULL if the bill comes from bill windows';
COMMENT ON COLUMN metering.issued_stretch.account IS 'who was billed';
COMMENT ON COLUMN metering.issued_stretch.flow IS 'import or export';

CREATE TABLE metering.issued_bill (
	run          bigint NOT NULL,
	account      text NOT NULL,
	key_id       text NOT NULL,
	amount       @paillier@.paillier_ciphertext,
	imported     @paillier@.paillier_ciphertext,
	exported     @paillier@.paillier_ciphertext,
	standing     numeric,
	days         bigint NOT NULL,
	readings     bigint NOT NULL,
	carried      bigint NOT NULL,
	missing      bigint NOT NULL,
	unpriced     bigint NOT NULL,
	interpolated boolean NOT NULL,
	tariffs      text[] NOT NULL,
	rounding     int NOT NULL,
	unit_kwh     numeric NOT NULL,
	PRIMARY KEY (run, account, key_id)
);

CREATE INDEX ON metering.issued_bill (account);

COMMENT ON TABLE metering.issued_bill IS 'bills that were issued: one row for each run, account and key; written once';
COMMENT ON COLUMN metering.issued_bill.run IS 'number of the run';
COMMENT ON COLUMN metering.issued_bill.account IS 'who is billed';
COMMENT ON COLUMN metering.issued_bill.key_id IS 'the key that decrypts the row; if the key changed, each key has a row';
COMMENT ON COLUMN metering.issued_bill.amount IS 'encrypted sum of energy times price (negative for export) and standing charges; NULL if there is neither';
COMMENT ON COLUMN metering.issued_bill.imported IS 'encrypted energy consumed; NULL if none was metered';
COMMENT ON COLUMN metering.issued_bill.exported IS 'encrypted energy fed in; NULL if none was metered';
COMMENT ON COLUMN metering.issued_bill.standing IS 'standing charge in the amount; NULL if there is none';
COMMENT ON COLUMN metering.issued_bill.days IS 'days in the standing charge';
COMMENT ON COLUMN metering.issued_bill.readings IS 'readings in the bill';
COMMENT ON COLUMN metering.issued_bill.carried IS 'how many of these arrived after their window was sealed';
COMMENT ON COLUMN metering.issued_bill.missing IS 'expected readings that no total contained when the bill was issued';
COMMENT ON COLUMN metering.issued_bill.unpriced IS 'bill windows of the account that the run left to a later one, because the tariff had no price';
COMMENT ON COLUMN metering.issued_bill.interpolated IS 'true if energy at a change of price was interpolated between registers';
COMMENT ON COLUMN metering.issued_bill.tariffs IS 'tariffs that were applied';
COMMENT ON COLUMN metering.issued_bill.rounding IS 'decimal digits of the amount due; halves are rounded away from zero';
COMMENT ON COLUMN metering.issued_bill.unit_kwh IS 'kWh in one unit of energy';

-- What a run found and could not bill.  The next runs look here, so that they need not
-- read all history.
CREATE TABLE metering.unbilled (
	meter_id text PRIMARY KEY,
	since    timestamptz NOT NULL,
	until    timestamptz NOT NULL,
	windows  bigint NOT NULL
);

COMMENT ON TABLE metering.unbilled IS 'meters with sealed bill windows that nobody was billed for, because the meter had no tariff or the tariff had no price; the next run bills what has a price by then';
COMMENT ON COLUMN metering.unbilled.since IS 'start of the first such window';
COMMENT ON COLUMN metering.unbilled.until IS 'end of the last such window';
COMMENT ON COLUMN metering.unbilled.windows IS 'how many windows';

CREATE TABLE metering.issue_turn ();

COMMENT ON TABLE metering.issue_turn IS 'empty: whoever issues bills or assigns a tariff holds a lock on it until the end of the transaction, so that runs are numbered in the order of commits';

SELECT pg_catalog.pg_extension_config_dump('metering.issue_run', '');
SELECT pg_catalog.pg_extension_config_dump('metering.issued_price', '');
SELECT pg_catalog.pg_extension_config_dump('metering.issued_stretch', '');
SELECT pg_catalog.pg_extension_config_dump('metering.issued_bill', '');
SELECT pg_catalog.pg_extension_config_dump('metering.unbilled', '');
SELECT pg_catalog.pg_extension_config_dump('metering.issue_turn', '');

CREATE FUNCTION metering.refuse_issued_change() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	RAISE EXCEPTION 'rows of %.% are written once and never change', TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = 'They say which bills were issued.';
END
$$;

COMMENT ON FUNCTION metering.refuse_issued_change() IS 'refuses to change or delete what was issued';

DO $$
DECLARE
	issued text;
BEGIN
	FOREACH issued IN ARRAY ARRAY['issue_run', 'issued_price', 'issued_stretch', 'issued_bill'] LOOP
		EXECUTE format('CREATE TRIGGER write_once BEFORE UPDATE OR DELETE ON metering.%I
			FOR EACH ROW EXECUTE FUNCTION metering.refuse_issued_change()', issued);
		EXECUTE format('CREATE TRIGGER write_once_truncate BEFORE TRUNCATE ON metering.%I
			FOR EACH STATEMENT EXECUTE FUNCTION metering.refuse_issued_change()', issued);
	END LOOP;
END
$$;

-- Contracts, less the stretches that were issued.  Everything before covered_until is
-- issued but for what metering.unbilled lists.
CREATE VIEW metering.unissued_contract AS
	SELECT x.meter_id, x.account, x.tariff, x.flow, greatest(x.since, x.closed) AS since, least(x.until, x.opens) AS until
	FROM (
		SELECT c.meter_id, c.account, c.tariff, c.flow, c.since, c.until, s.until AS closed,
			lead(s.since, 1, 'infinity') OVER (PARTITION BY c.meter_id, c.until ORDER BY s.since) AS opens
		FROM (
			SELECT a.meter_id, a.account, a.tariff, a.flow, a.until, greatest(a.since, COALESCE(u.since,
				(SELECT r.covered_until FROM metering.issue_run r ORDER BY r.run DESC LIMIT 1), '-infinity')) AS since
			FROM metering.contract a LEFT JOIN metering.unbilled u ON u.meter_id = a.meter_id
			WHERE a.tariff IS NOT NULL) AS c
		CROSS JOIN LATERAL (
			SELECT '-infinity'::timestamptz AS since, '-infinity'::timestamptz AS until
			UNION
			SELECT i.since, i.until FROM metering.issued_stretch i
			WHERE i.meter_id = c.meter_id AND i.until > c.since AND i.since < c.until) AS s) AS x
	WHERE greatest(x.since, x.closed) < least(x.until, x.opens);

COMMENT ON VIEW metering.unissued_contract IS 'account and tariff of each meter in the time that it has not been billed for';
COMMENT ON COLUMN metering.unissued_contract.account IS 'who will be billed';
COMMENT ON COLUMN metering.unissued_contract.flow IS 'import or export';
COMMENT ON COLUMN metering.unissued_contract.since IS 'start of the time';
COMMENT ON COLUMN metering.unissued_contract.until IS 'end of the time';
