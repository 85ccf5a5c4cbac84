CREATE VIEW metering.contract AS
	SELECT meter_id, COALESCE(account, meter_id) AS account, tariff, flow,
		lag(until, 1, '-infinity') OVER (PARTITION BY meter_id ORDER BY until) AS since, until
	FROM (
		SELECT meter_id, account, tariff, flow, until FROM metering.contract_history
		UNION ALL
		SELECT meter_id, account, tariff, flow, 'infinity' FROM metering.meter) AS stretch;

COMMENT ON VIEW metering.contract IS 'account and tariff of each meter over time, including deleted meters';
COMMENT ON COLUMN metering.contract.account IS 'who is billed';
COMMENT ON COLUMN metering.contract.flow IS 'import or export';
COMMENT ON COLUMN metering.contract.since IS 'the row holds for bill windows that begin at this time or later';
COMMENT ON COLUMN metering.contract.until IS 'the row holds for bill windows that begin before this time';

CREATE FUNCTION metering.price(tariff text, charge text, local timestamp) RETURNS numeric
	LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT r.price FROM metering.rate r
		WHERE (r.tariff, r.charge) = ($1, $2) AND r.valid @> $3::date
			AND EXTRACT(isodow FROM $3)::int = ANY (r.weekdays) AND EXTRACT(month FROM $3)::int = ANY (r.months)
		ORDER BY r.from_time <= $3::time DESC, r.from_time DESC LIMIT 1
	$$;

COMMENT ON FUNCTION metering.price(text, text, timestamp) IS 'price of a tariff for import, export or standing charge at a local time; NULL if no rate holds';

CREATE VIEW metering.window_price AS
	SELECT t.tariff, f.flow, w.window_start, w.slot, w.key_id,
		(EXTRACT(epoch FROM w.window_end - w.window_start)
			/ EXTRACT(epoch FROM metering.shortest_interval(w.reading_interval)))::int AS whole, date_trunc('month', l.starts)::date AS period, p.price, p.standing, t.rounding,
		w.window_end, w.bill_key_id
	FROM metering.sealed_window w
	CROSS JOIN metering.tariff t
	CROSS JOIN (VALUES ('import'), ('export')) AS f (flow)
	CROSS JOIN LATERAL (
		SELECT w.window_start AT TIME ZONE t.zone AS starts, w.window_end AT TIME ZONE t.zone AS ends) AS l
	CROSS JOIN LATERAL (
		SELECT metering.price(t.tariff, f.flow, l.starts) AS price,
			CASE WHEN f.flow = 'import' AND l.ends::date > l.starts::date
				THEN metering.price(t.tariff, 'standing', l.starts::date) END AS standing) AS p;

COMMENT ON VIEW metering.window_price IS 'price of a kWh in each sealed bill window: the price at the start of the window, in the local time of the tariff';
COMMENT ON COLUMN metering.window_price.slot IS 'partition of metering.bill_window that holds its totals';
COMMENT ON COLUMN metering.window_price.key_id IS 'key of the readings of the window';
COMMENT ON COLUMN metering.window_price.whole IS 'the most readings of a meter that lacks none';
COMMENT ON COLUMN metering.window_price.flow IS 'import or export';
COMMENT ON COLUMN metering.window_price.period IS 'first day of the month, in the tariff''s time zone';
COMMENT ON COLUMN metering.window_price.price IS 'price of one kWh; NULL if no rate holds';
COMMENT ON COLUMN metering.window_price.standing IS 'standing charge of the day, in the last window of the day';
COMMENT ON COLUMN metering.window_price.rounding IS 'decimal digits of an amount due';
COMMENT ON COLUMN metering.window_price.window_end IS 'end of the window';
COMMENT ON COLUMN metering.window_price.bill_key_id IS 'key of registers; NULL: there is one key';

-- Steps from one tariff to the next through an index, instead of reading all meters.
CREATE VIEW metering.tariff_in_use AS
	WITH RECURSIVE used AS (
		(SELECT m.tariff, m.flow FROM metering.meter m WHERE m.tariff IS NOT NULL ORDER BY m.tariff, m.flow LIMIT 1)
		UNION ALL
		SELECT n.tariff, n.flow FROM used u CROSS JOIN LATERAL (
			SELECT m.tariff, m.flow FROM metering.meter m WHERE (m.tariff, m.flow) > (u.tariff, u.flow)
			ORDER BY m.tariff, m.flow LIMIT 1) AS n
	)
	SELECT tariff, flow FROM used;

COMMENT ON VIEW metering.tariff_in_use IS 'the tariffs that meters are billed by, and for which flow';

-- Problems of tariffs in the coming year.  A price that changes within a bill window
-- takes effect with the next window.
CREATE VIEW metering.tariff_problem AS
	WITH rates AS MATERIALIZED (SELECT * FROM metering.rate)
	SELECT u.tariff, format('no %s price on %s days of the coming year, the first of them %s', u.flow, count(*), min(d.day)) AS problem
	FROM metering.tariff_in_use AS u
	JOIN metering.tariff t ON t.tariff = u.tariff
	CROSS JOIN LATERAL (
		SELECT ((now() AT TIME ZONE t.zone)::date + i) AS day FROM generate_series(0, 364) AS i) AS d
	WHERE NOT EXISTS (SELECT FROM rates r WHERE r.tariff = u.tariff AND r.charge = u.flow AND r.valid @> d.day
		AND EXTRACT(isodow FROM d.day)::int = ANY (r.weekdays) AND EXTRACT(month FROM d.day)::int = ANY (r.months))
	GROUP BY u.tariff, u.flow
	UNION ALL
	SELECT b.tariff, format('%s is within a bill window in %s months of the year', b.from_time, count(*))
	FROM (
		SELECT t.tariff, x.from_time, (d.day + x.from_time) AT TIME ZONE t.zone AS at
		FROM metering.tariff t
		CROSS JOIN generate_series(0, 11) AS i
		CROSS JOIN LATERAL (
			SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month' * i) AS d (day)
		CROSS JOIN LATERAL (
			SELECT time '00:00' AS from_time
			UNION SELECT r.from_time FROM rates r
			WHERE r.tariff = t.tariff AND r.valid @> d.day::date AND EXTRACT(month FROM d.day)::int = ANY (r.months)) AS x
		WHERE EXISTS (SELECT FROM metering.tariff_in_use u WHERE u.tariff = t.tariff)) AS b
	CROSS JOIN (SELECT * FROM metering.setting LIMIT 1) AS s
	WHERE metering.utc_hour(b.at) <> b.at
		OR metering.window_label(b.at, s.zone, s.bill_window) = metering.window_label(b.at - interval '1 hour', s.zone, s.bill_window)
	GROUP BY b.tariff, b.from_time;

COMMENT ON VIEW metering.tariff_problem IS 'tariffs in use that have no price at some time, or whose prices or days begin within a bill window and so take effect with the next one';
COMMENT ON COLUMN metering.tariff_problem.problem IS 'what is wrong';
