-- With two keys an amount is the sum of register × (price before − price after): only
-- registers where the price changes, and those at both ends, have a weight.

-- The prices of a tariff from one time up to another: a price holds from its time on
-- until the next one.  A day is named by the start of its last bill window.
CREATE FUNCTION metering.price_curve(tariff text, flow text, since timestamptz, until timestamptz,
		OUT times timestamptz[], OUT prices numeric[], OUT days timestamptz[], OUT standings numeric[])
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT array_agg(x.window_start ORDER BY x.window_start) FILTER (WHERE x.step),
			array_agg(x.price ORDER BY x.window_start) FILTER (WHERE x.step),
			array_agg(x.window_start ORDER BY x.window_start) FILTER (WHERE x.standing IS NOT NULL),
			array_agg(x.standing ORDER BY x.window_start) FILTER (WHERE x.standing IS NOT NULL)
		FROM (
			SELECT p.window_start, p.price, p.standing,
				row_number() OVER early = 1 OR p.price IS DISTINCT FROM lag(p.price) OVER early AS step
			FROM metering.window_price p
			WHERE p.tariff = $1 AND p.flow = $2 AND p.window_start >= $3 AND p.window_start < $4
			WINDOW early AS (ORDER BY p.window_start)) AS x
	$$;

COMMENT ON FUNCTION metering.price_curve(text, text, timestamptz, timestamptz) IS 'prices of a tariff for import or export, with the times from which they hold, and the standing charges of days';

-- How far a time lies between two others, from 0 to 1; 0 if they are the same.
CREATE FUNCTION metering.share(before timestamptz, t timestamptz, after timestamptz) RETURNS numeric
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT CASE WHEN before = after THEN 0 ELSE round(EXTRACT(epoch FROM t - before)::bigint::numeric
			/ EXTRACT(epoch FROM after - before)::bigint::numeric, 12) END
	$$;

COMMENT ON FUNCTION metering.share(timestamptz, timestamptz, timestamptz) IS 'how far a time lies between two others, with 12 decimal digits';

-- The bill of a month goes from the last register before the month, or the first one of
-- the series, to the last one of the month.  So the bills of two months touch, whatever is
-- missing.
CREATE FUNCTION metering.register_stretch(meter_id text, series text, since timestamptz, starts timestamptz, ends timestamptz,
		OUT opens timestamptz, OUT closes timestamptz)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	SELECT r.before INTO opens FROM metering.registers_around(meter_id, series, starts) AS r;
	IF opens IS NULL AND since < ends THEN
		SELECT COALESCE(r.before, r.after) INTO opens FROM metering.registers_around(meter_id, series, greatest(since, starts)) AS r;
	END IF;
	IF opens < ends THEN
		SELECT r.before INTO closes FROM metering.registers_around(meter_id, series, ends) AS r;
	END IF;
END
$$;

COMMENT ON FUNCTION metering.register_stretch(text, text, timestamptz, timestamptz, timestamptz) IS 'times of the registers between which a month of a series is billed';

-- What the part from since to until of a stretch between two registers costs.  Where a
-- register is missing, the line between its neighbours takes its place.  Only registers
-- under a key of their own may be subtracted at will: see metering.key_use.
CREATE FUNCTION metering.register_amount(meter_id text, series text, opens timestamptz, closes timestamptz,
		since timestamptz, until timestamptz, times timestamptz[], prices numeric[],
		opening @paillier@.paillier_ciphertext DEFAULT NULL, closing @paillier@.paillier_ciphertext DEFAULT NULL,
		OUT amount @paillier@.paillier_ciphertext, OUT energy @paillier@.paillier_ciphertext, OUT interpolated int, OUT unpriced int)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
		SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
	AS $$
#variable_conflict use_column
BEGIN
	WITH piece AS (
		SELECT greatest(c.t, $5) AS starts, least(c.next, $6) AS ends, c.price
		FROM (SELECT x.t, lead(x.t, 1, 'infinity') OVER (ORDER BY x.t) AS next, x.price FROM unnest($7, $8) AS x (t, price)) AS c
		WHERE c.t < $6 AND c.next > $5
	), point AS (
		SELECT p.t, COALESCE(sum(p.price), 0) AS price, sum(p.energy) AS energy
		FROM (
			SELECT x.starts AS t, -x.price AS price, 0 AS energy FROM piece x
			UNION ALL
			SELECT x.ends, x.price, 0 FROM piece x
			UNION ALL
			SELECT x.t, 0, x.energy FROM (VALUES ($5, -1), ($6, 1)) AS x (t, energy)) AS p
		GROUP BY p.t HAVING COALESCE(sum(p.price), 0) <> 0 OR sum(p.energy) <> 0
	), located AS (
		SELECT p.t, p.price, p.energy, COALESCE(e.read_at, greatest(a.before, $3)) AS before,
			COALESCE(e.read_at, least(a.after, $4)) AS after
		FROM point p
		LEFT JOIN LATERAL (
			SELECT p.t AS read_at WHERE p.t IN ($3, $4)
			UNION ALL
			SELECT r.read_at FROM metering.register_read r
			WHERE metering.month_slot(r.read_at) = metering.month_slot(p.t) AND (r.read_at, r.meter_id, r.series) = (p.t, $1, $2)
				AND NOT EXISTS (SELECT FROM metering.voided_register v WHERE (v.meter_id, v.series, v.read_at) = ($1, $2, p.t))
			LIMIT 1) AS e ON true
		LEFT JOIN LATERAL metering.registers_around($1, $2, p.t) AS a ON e.read_at IS NULL
	), weight AS (
		SELECT y.read_at, sum(y.price) AS price, sum(y.energy) AS energy
		FROM (
			SELECT l.before AS read_at, l.price * (1 - l.share) AS price, l.energy * (1 - l.share) AS energy
			FROM (SELECT x.*, s.share FROM located x CROSS JOIN LATERAL metering.share(x.before, x.t, x.after) AS s (share)) AS l
			UNION ALL
			SELECT l.after, l.price * s.share, l.energy * s.share
			FROM located l CROSS JOIN LATERAL metering.share(l.before, l.t, l.after) AS s (share) WHERE l.before < l.after) AS y
		GROUP BY y.read_at
	)
	SELECT @paillier@.sum(v.register, w.price), @paillier@.sum(v.register, w.energy) FILTER (WHERE w.energy <> 0),
		(SELECT count(*) FROM located l WHERE l.before < l.after)::int, (SELECT count(*) FROM piece p WHERE p.price IS NULL)::int
	INTO amount, energy, interpolated, unpriced
	FROM weight w
	LEFT JOIN LATERAL (
		SELECT x.register FROM metering.register_read x
		WHERE metering.month_slot(x.read_at) = metering.month_slot(w.read_at) AND x.read_at = w.read_at AND x.meter_id = $1
			AND x.series = $2
		OFFSET 0) AS r ON true
	CROSS JOIN LATERAL (SELECT CASE w.read_at WHEN $3 THEN COALESCE($9, r.register) WHEN $4 THEN COALESCE($10, r.register) ELSE r.register END AS register) AS v
	WHERE EXISTS (SELECT FROM metering.register_series s JOIN metering.key_use k ON k.key_id = s.key_id
		WHERE (s.meter_id, s.series) = ($1, $2) AND k.channel = 'register');
END
$$;

COMMENT ON FUNCTION metering.register_amount(text, text, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz[], numeric[], @paillier@.paillier_ciphertext, @paillier@.paillier_ciphertext) IS 'encrypted amount and energy of a part of a stretch between two registers of a series; times and prices are those of price_curve(), opening and closing replace the registers at opens and closes; interpolated: times at which a register is missing; unpriced: stretches without a price';

-- As in metering.window_bill, a set in a list keeps the query for the prices apart, but
-- conditions on the month reach it.
CREATE VIEW metering.register_bill AS
	SELECT b.meter_id, b.period, b.tariff, CASE WHEN b.unpriced = 0 THEN COALESCE(b.cost OPERATOR(@paillier@.+) b.standing, b.cost) END AS amount,
		b.energy, b.key_id, b.missing, b.account, b.flow, b.unpriced, b.days, b.standing, b.rounding, b.unit_kwh, b.interpolated,
		b.series, b.since, b.until
	FROM (
		SELECT s.meter_id, s.series, s.key_id, u.period, u.rounding, c.tariff, c.account, c.flow, y.since, y.until, a.amount AS cost, a.energy,
			a.unpriced::bigint, a.interpolated::bigint, d.days, d.standing, t.unit_kwh, (
				SELECT COALESCE(sum(i.missing), 0) FROM metering.incomplete i JOIN metering.window_grid w ON w.window_start = i.window_start
				WHERE i.meter_id = s.meter_id AND i.window_start > x.opens AND i.window_start <= u.ends AND w.bill_key_id IS NOT NULL) AS missing
		FROM metering.register_series s
		JOIN metering.key_use k ON k.key_id = s.key_id AND k.channel = 'register'
		JOIN metering.contract c ON c.meter_id = s.meter_id
		JOIN (
			SELECT x.*, e.*, generate_series(1, 1)
			FROM (
				SELECT p.tariff, p.flow, p.period, p.rounding, min(p.window_start) AS starts, max(p.window_end) AS ends
				FROM metering.window_price p WHERE p.bill_key_id IS NOT NULL
				GROUP BY p.tariff, p.flow, p.period, p.rounding) AS x
			CROSS JOIN LATERAL metering.price_curve(x.tariff, x.flow, x.starts, x.ends) AS e) AS u ON u.tariff = c.tariff AND u.flow = c.flow AND u.ends > s.since
		CROSS JOIN (SELECT * FROM metering.setting LIMIT 1) AS t
		CROSS JOIN LATERAL metering.register_stretch(s.meter_id, s.series, s.since, u.starts, u.ends) AS x
		CROSS JOIN LATERAL (SELECT greatest(x.opens, c.since) AS since, least(x.closes, c.until) AS until WHERE x.closes IS NOT NULL) AS y
		CROSS JOIN LATERAL (SELECT e.* FROM metering.price_curve(c.tariff, c.flow, y.since, u.starts) AS e WHERE y.since < u.starts
			UNION ALL SELECT NULL, NULL, NULL, NULL WHERE y.since >= u.starts) AS e
		CROSS JOIN LATERAL metering.register_amount(s.meter_id, s.series, x.opens, x.closes, y.since, y.until, e.times || u.times,
			(SELECT array_agg(p * CASE c.flow WHEN 'export' THEN -t.unit_kwh ELSE t.unit_kwh END) FROM unnest(e.prices || u.prices) AS p)) AS a
		CROSS JOIN LATERAL (SELECT count(*) AS days, sum(z.charge) AS standing FROM unnest(e.days || u.days, e.standings || u.standings) AS z (t, charge)
			WHERE z.t >= y.since AND z.t < y.until) AS d
		WHERE y.since < y.until) AS b;

COMMENT ON VIEW metering.register_bill IS 'with two keys, one row for each series of registers of a meter, month, tariff and account: what metering.bill shows of it';
COMMENT ON COLUMN metering.register_bill.period IS 'first day of the month, in the tariff''s time zone';
COMMENT ON COLUMN metering.register_bill.amount IS 'encrypted amount, with standing charges; NULL if a part of the time has no price';
COMMENT ON COLUMN metering.register_bill.energy IS 'encrypted energy';
COMMENT ON COLUMN metering.register_bill.missing IS 'registers of the month that are missing';
COMMENT ON COLUMN metering.register_bill.account IS 'who is billed';
COMMENT ON COLUMN metering.register_bill.flow IS 'import or export';
COMMENT ON COLUMN metering.register_bill.unpriced IS 'stretches of time without a price';
COMMENT ON COLUMN metering.register_bill.days IS 'days in the standing charge: their last bill window is covered';
COMMENT ON COLUMN metering.register_bill.standing IS 'standing charge in the amount; NULL if there is none';
COMMENT ON COLUMN metering.register_bill.rounding IS 'decimal digits of an amount due';
COMMENT ON COLUMN metering.register_bill.unit_kwh IS 'kWh in one unit of energy';
COMMENT ON COLUMN metering.register_bill.interpolated IS 'times of a change of price or contract at which a register is missing';
COMMENT ON COLUMN metering.register_bill.series IS 'series of the registers';
COMMENT ON COLUMN metering.register_bill.since IS 'the bill covers the time from here …';
COMMENT ON COLUMN metering.register_bill.until IS '… up to here: the last register of the month, or the end of the contract';
