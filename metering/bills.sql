-- STABLE although encryption is random, because the result always decrypts to the same
-- value.  So a query that does not ask for it need not compute it.
CREATE FUNCTION metering.known_charge(charge numeric, key_id text) RETURNS @paillier@.paillier_ciphertext
	LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 2000 SET search_path = pg_catalog, pg_temp
	AS $$ SELECT @paillier@.paillier_encrypt($1, k.public_key, scale($1), 64) FROM @paillier@.paillier_key k WHERE k.key_id = $2 $$;

COMMENT ON FUNCTION metering.known_charge(numeric, text) IS 'encrypts a charge that is not secret, so that it can be added to encrypted amounts';

-- Each window of a tariff is priced once for all meters: a set in its list keeps the query
-- for the prices apart, but conditions on the month reach it.  Windows with the same price
-- are added up before they are multiplied, because a product costs more than a sum.  What
-- windows from before the start lacked is forgotten: what they lacked when they were
-- sealed takes its place.
CREATE VIEW metering.window_bill AS
	SELECT x.meter_id, x.period, x.tariff,
		CASE WHEN x.unpriced = 0
			THEN COALESCE(x.cost OPERATOR(@paillier@.+) x.standing, x.cost, metering.known_charge(x.standing, x.key_id)) END AS amount,
		x.energy, x.key_id, x.readings, x.carried, x.missing, x.account, x.flow, x.unpriced, x.days, x.standing, x.rounding,
		x.unit_kwh
	FROM (
		SELECT y.meter_id, y.period, y.tariff, y.key_id, y.account, y.flow, y.rounding, s.unit_kwh,
			@paillier@.sum(y.energy, y.price * CASE y.flow WHEN 'export' THEN -s.unit_kwh ELSE s.unit_kwh END) AS cost,
			@paillier@.sum(y.energy) AS energy, sum(y.readings)::bigint AS readings, sum(y.carried)::bigint AS carried,
			sum(y.missing)::bigint AS missing, COALESCE(sum(y.windows) FILTER (WHERE y.price IS NULL), 0)::bigint AS unpriced,
			sum(y.days)::bigint AS days, sum(y.standing) AS standing
		FROM (
			SELECT b.meter_id, p.period, c.tariff, b.key_id, c.account, c.flow, p.rounding, p.price,
				@paillier@.sum(b.total) AS energy, count(b.total) AS windows,
				sum(b.readings) AS readings, sum(b.carried) AS carried, sum(CASE WHEN b.key_id <> p.key_id OR b.readings - b.carried >= p.whole THEN 0
					WHEN b.window_start < (SELECT x.starts_at FROM metering.setting x) THEN greatest(b.expected - b.readings + b.carried, 0)
					ELSE COALESCE((SELECT i.missing FROM metering.incomplete i
						WHERE i.meter_id = b.meter_id AND i.window_start = b.window_start), 0) END) AS missing,
				count(p.standing) FILTER (WHERE b.expected > 0) AS days,
				sum(p.standing) FILTER (WHERE b.expected > 0) AS standing
			FROM metering.bill_window b
			JOIN metering.contract c ON c.meter_id = b.meter_id AND b.window_start >= c.since AND b.window_start < c.until
			JOIN (SELECT w.*, generate_series(1, 1) FROM metering.window_price w) AS p
				ON p.slot = b.slot AND p.window_start = b.window_start AND p.tariff = c.tariff AND p.flow = c.flow
			GROUP BY b.meter_id, p.period, c.tariff, b.key_id, c.account, c.flow, p.rounding, p.price) AS y
		CROSS JOIN (SELECT * FROM metering.setting LIMIT 1) AS s
		GROUP BY y.meter_id, y.period, y.tariff, y.key_id, y.account, y.flow, y.rounding, s.unit_kwh) AS x;

COMMENT ON VIEW metering.window_bill IS 'with one key, one row for each meter, month, tariff and account: what metering.bill shows of it';

CREATE VIEW metering.bill AS
	SELECT b.*, 0::bigint AS interpolated FROM metering.window_bill b
	UNION ALL
	SELECT r.meter_id, r.period, r.tariff, r.amount, r.energy, r.key_id, NULL, NULL, r.missing, r.account, r.flow, r.unpriced, r.days,
		r.standing, r.rounding, r.unit_kwh, r.interpolated
	FROM metering.register_bill r;

COMMENT ON VIEW metering.bill IS 'one row for each meter, month, tariff and account: decrypt amount (in the currency of the prices) and energy (in the unit of the readings) with paillier_decrypt()';
COMMENT ON COLUMN metering.bill.period IS 'first day of the month, in the tariff''s time zone';
COMMENT ON COLUMN metering.bill.amount IS 'encrypted sum of energy times price (negative for export) and standing charges; NULL if a window has energy and no price';
COMMENT ON COLUMN metering.bill.energy IS 'encrypted sum of energy';
COMMENT ON COLUMN metering.bill.key_id IS 'the key that decrypts both';
COMMENT ON COLUMN metering.bill.readings IS 'readings in the bill; NULL for a bill from registers';
COMMENT ON COLUMN metering.bill.carried IS 'how many of these arrived after their window was sealed; they are priced in a later window';
COMMENT ON COLUMN metering.bill.missing IS 'expected readings of sealed bill windows that no total contains yet; with two keys, registers that are missing';
COMMENT ON COLUMN metering.bill.account IS 'who is billed';
COMMENT ON COLUMN metering.bill.flow IS 'import or export';
COMMENT ON COLUMN metering.bill.unpriced IS 'bill windows with energy and without a price';
COMMENT ON COLUMN metering.bill.days IS 'days in the standing charge: the last window of the day is sealed and expects readings';
COMMENT ON COLUMN metering.bill.standing IS 'standing charge in the amount; NULL if there is none';
COMMENT ON COLUMN metering.bill.rounding IS 'decimal digits of an amount due; halves are rounded away from zero';
COMMENT ON COLUMN metering.bill.unit_kwh IS 'kWh in one unit of energy';
COMMENT ON COLUMN metering.bill.interpolated IS 'times of a change of price or contract at which a register is missing: the line between its neighbours takes its place';

CREATE VIEW metering.account_bill AS
	SELECT account, period, CASE WHEN sum(unpriced) = 0 THEN @paillier@.sum(amount) END AS amount,
		@paillier@.sum(energy) FILTER (WHERE flow = 'import') AS imported, @paillier@.sum(energy) FILTER (WHERE flow = 'export') AS exported,
		key_id, max(rounding) AS rounding, sum(readings)::bigint AS readings, sum(carried)::bigint AS carried,
		sum(missing)::bigint AS missing, sum(unpriced)::bigint AS unpriced, sum(standing) AS standing,
		array_agg(DISTINCT tariff) AS tariffs, unit_kwh, sum(interpolated)::bigint AS interpolated
	FROM metering.bill GROUP BY account, period, key_id, unit_kwh;

COMMENT ON VIEW metering.account_bill IS 'one row for each account, month and key: the bills of all meters of the account; decrypt amount and round it to get the amount due';
COMMENT ON COLUMN metering.account_bill.account IS 'who is billed';
COMMENT ON COLUMN metering.account_bill.period IS 'first day of the month';
COMMENT ON COLUMN metering.account_bill.amount IS 'encrypted sum of the amounts; NULL if a window has energy and no price';
COMMENT ON COLUMN metering.account_bill.imported IS 'encrypted energy consumed; NULL if none was metered';
COMMENT ON COLUMN metering.account_bill.exported IS 'encrypted energy fed in; NULL if none was metered';
COMMENT ON COLUMN metering.account_bill.key_id IS 'the key that decrypts them; if the key changed within the month, each key has a row';
COMMENT ON COLUMN metering.account_bill.rounding IS 'decimal digits of the amount due; halves are rounded away from zero';
COMMENT ON COLUMN metering.account_bill.readings IS 'readings in the bill';
COMMENT ON COLUMN metering.account_bill.carried IS 'how many of these arrived after their window was sealed';
COMMENT ON COLUMN metering.account_bill.missing IS 'expected readings of sealed bill windows that no total contains yet';
COMMENT ON COLUMN metering.account_bill.unpriced IS 'bill windows with energy and without a price';
COMMENT ON COLUMN metering.account_bill.standing IS 'standing charge in the amount; NULL if there is none';
COMMENT ON COLUMN metering.account_bill.tariffs IS 'tariffs that were applied';
COMMENT ON COLUMN metering.account_bill.unit_kwh IS 'kWh in one unit of energy';
COMMENT ON COLUMN metering.account_bill.interpolated IS 'times of a change of price or contract at which a register is missing';

-- One pass over the windows of a month, however many meters there are.  The planner cannot
-- know that: it would look up the windows of each meter.
CREATE FUNCTION metering.draft_bills(month date) RETURNS SETOF metering.account_bill
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
		SET jit = off SET enable_nestloop = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
DECLARE
	s      metering.setting;
	opens  timestamptz;
	closes timestamptz;
	slots  int[];
BEGIN
	SELECT * INTO s FROM metering.setting;
	SELECT min(month::timestamp AT TIME ZONE t.zone), max((month + interval '1 month') AT TIME ZONE t.zone) INTO opens, closes FROM metering.tariff t;
	slots := ARRAY(SELECT DISTINCT w.slot FROM metering.window_grid w WHERE w.window_start >= opens AND w.window_start < closes);
	RETURN QUERY
	WITH price AS MATERIALIZED (
		SELECT w.tariff, w.flow, w.window_start, w.key_id, w.whole, w.standing, w.rounding,
			w.price * CASE w.flow WHEN 'export' THEN -s.unit_kwh ELSE s.unit_kwh END AS weight,
			dense_rank() OVER (ORDER BY w.tariff, w.flow) AS pair, dense_rank() OVER (ORDER BY w.tariff, w.flow, w.price) AS number
		FROM metering.window_price w WHERE w.period = month),
	contract AS MATERIALIZED (
		SELECT row_number() OVER () AS number, c.meter_id, c.account, c.tariff, c.flow, c.since, c.until, x.pair, x.rounding
		FROM metering.contract c
		JOIN (SELECT DISTINCT p.tariff, p.flow, p.pair, p.rounding FROM price p) AS x ON (x.tariff, x.flow) = (c.tariff, c.flow)
		WHERE c.since < closes AND c.until > opens),
	same_price AS (
		SELECT c.number, b.key_id, p.number AS price, @paillier@.sum(b.total) AS energy, count(b.total) AS windows,
			sum(b.readings) AS readings, sum(b.carried) AS carried,
			sum(CASE WHEN b.key_id <> p.key_id OR b.readings - b.carried >= p.whole THEN 0
				WHEN b.window_start < s.starts_at THEN greatest(b.expected - b.readings + b.carried, 0)
				ELSE COALESCE((SELECT i.missing FROM metering.incomplete i
					WHERE i.meter_id = b.meter_id AND i.window_start = b.window_start), 0) END) AS missing,
			count(p.standing) FILTER (WHERE b.expected > 0) AS days, sum(p.standing) FILTER (WHERE b.expected > 0) AS standing
		FROM metering.bill_window b
		JOIN contract c ON c.meter_id = b.meter_id AND b.window_start >= c.since AND b.window_start < c.until
		JOIN price p ON p.pair = c.pair AND p.window_start = b.window_start
		WHERE b.slot = ANY (slots) AND b.window_start >= opens AND b.window_start < closes
		GROUP BY 1, 2, 3),
	bill AS (
		SELECT c.account, c.tariff, c.flow, y.key_id, c.rounding, y.unpriced, y.readings, y.carried, y.missing, y.standing, 0::bigint AS interpolated, y.energy,
			CASE WHEN y.unpriced = 0
				THEN COALESCE(y.cost OPERATOR(@paillier@.+) y.standing, y.cost, metering.known_charge(y.standing, y.key_id)) END AS amount
		FROM (
			SELECT z.number, z.key_id, @paillier@.sum(z.energy, x.weight) AS cost, @paillier@.sum(z.energy) AS energy,
				sum(z.readings)::bigint AS readings, sum(z.carried)::bigint AS carried, sum(z.missing)::bigint AS missing,
				COALESCE(sum(z.windows) FILTER (WHERE x.weight IS NULL), 0)::bigint AS unpriced, sum(z.standing) AS standing
			FROM same_price z JOIN (SELECT DISTINCT p.number, p.weight FROM price p) AS x ON x.number = z.price
			GROUP BY z.number, z.key_id) AS y
		JOIN contract c ON c.number = y.number
		UNION ALL
		SELECT r.account, r.tariff, r.flow, r.key_id, r.rounding, r.unpriced, NULL, NULL, r.missing, r.standing, r.interpolated, r.energy, r.amount
		FROM metering.register_bill r WHERE r.period = month)
	SELECT a.account, month, a.amount, a.imported, a.exported, a.key_id, a.rounding, a.readings, a.carried, a.missing, a.unpriced,
		a.standing, ARRAY(SELECT DISTINCT t.tariff FROM unnest(a.tariffs) AS t (tariff) ORDER BY t.tariff), s.unit_kwh, a.interpolated
	FROM (
		SELECT b.account, b.key_id, CASE WHEN sum(b.unpriced) = 0 THEN @paillier@.sum(b.amount) END AS amount,
			@paillier@.sum(b.energy) FILTER (WHERE b.flow = 'import') AS imported, @paillier@.sum(b.energy) FILTER (WHERE b.flow = 'export') AS exported,
			max(b.rounding) AS rounding, sum(b.readings)::bigint AS readings, sum(b.carried)::bigint AS carried,
			sum(b.missing)::bigint AS missing, sum(b.unpriced)::bigint AS unpriced, sum(b.standing) AS standing,
			array_agg(b.tariff) AS tariffs, sum(b.interpolated)::bigint AS interpolated
		FROM bill b GROUP BY b.account, b.key_id) AS a;
END
$$;

COMMENT ON FUNCTION metering.draft_bills(date) IS 'metering.account_bill of all accounts for a month, given by its first day; faster than the view';

-- Decrypts many amounts at once, which is faster.  Generic plans do not contain the
-- key, so a logged plan does not show it.
CREATE FUNCTION metering.invoice(key @paillier@.paillier_private_key, period date)
	RETURNS TABLE (account text, amount_due numeric, imported_kwh numeric, exported_kwh numeric, standing numeric,
		readings bigint, carried bigint, missing bigint, unpriced bigint, tariffs text[], key_id text, damaged boolean)
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
	AS $$
		SELECT u.account, round(u.amount_due, u.rounding), u.units_in * u.unit_kwh, u.units_out * u.unit_kwh, u.standing,
			u.readings, u.carried, u.missing, u.unpriced, u.tariffs, u.key_id,
			x.mine AND ((u.amount IS NOT NULL AND u.amount_due IS NULL) OR (u.imported IS NOT NULL AND u.units_in IS NULL)
				OR (u.exported IS NOT NULL AND u.units_out IS NULL))
		FROM (
			SELECT n.mine, array_agg(n.bill ORDER BY n.account) AS bills,
				CASE WHEN n.mine THEN @paillier@.paillier_try_decrypt_array(array_agg((n.bill).amount ORDER BY n.account), $1) END AS amounts,
				CASE WHEN n.mine THEN @paillier@.paillier_try_decrypt_array(array_agg((n.bill).imported ORDER BY n.account), $1) END AS imports,
				CASE WHEN n.mine THEN @paillier@.paillier_try_decrypt_array(array_agg((n.bill).exported ORDER BY n.account), $1) END AS exports
			FROM (
				SELECT b AS bill, b.account, b.key_id = (SELECT @paillier@.paillier_key_id($1)) AS mine,
					row_number() OVER (ORDER BY b.key_id, b.account) / 500 AS batch
				FROM metering.draft_bills(date_trunc('month', $2)::date) b) AS n
			GROUP BY n.mine, n.batch) AS x
		CROSS JOIN LATERAL ROWS FROM (unnest(x.bills), unnest(x.amounts), unnest(x.imports), unnest(x.exports))
			AS u (account, period, amount, imported, exported, key_id, rounding, readings, carried, missing, unpriced, standing,
				tariffs, unit_kwh, interpolated, amount_due, units_in, units_out)
		ORDER BY u.account, u.key_id
	$$;

COMMENT ON FUNCTION metering.invoice(@paillier@.paillier_private_key, date) IS 'one row for each account and key: the rounded amount due for the month of a date; rows under another key than the given one are not decrypted; damaged: an amount is NULL because a total in it cannot be decrypted';
