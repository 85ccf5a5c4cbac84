-- The second source of issued bills: stretches between registers.  A stretch ends at the
-- last register of the month, or where its contract ends; the next one begins there, with
-- the same register.  So nothing is billed twice or left out, whatever comes in or is
-- declared void in between.

-- What a series has advanced and nobody was billed for.  A meter without a row in
-- metering.unbilled was billed without a hole up to its last stretch.
CREATE VIEW metering.unissued_register AS
	SELECT x.meter_id, x.series, x.key_id, x.account, x.tariff, x.flow, greatest(x.since, x.closed) AS since,
		least(x.until, x.opens) AS until
	FROM (
		SELECT c.*, s.until AS closed, lead(s.since, 1, 'infinity') OVER (PARTITION BY c.meter_id, c.series, c.until ORDER BY s.since) AS opens
		FROM (
			SELECT r.meter_id, r.series, r.key_id, a.account, a.tariff, a.flow, a.until, greatest(a.since, r.since,
				CASE WHEN u.meter_id IS NULL THEN m.closed WHEN m.closed IS NOT NULL THEN least(u.since, m.closed) END) AS since
			FROM metering.register_series r
			JOIN metering.key_use k ON k.key_id = r.key_id AND k.channel = 'register'
			JOIN metering.contract a ON a.meter_id = r.meter_id AND a.tariff IS NOT NULL AND a.until > r.since
			LEFT JOIN metering.unbilled u ON u.meter_id = r.meter_id
			CROSS JOIN LATERAL (
				SELECT max(i.until) AS closed FROM metering.issued_stretch i
				WHERE (i.meter_id, i.series, i.key_id) = (r.meter_id, r.series, r.key_id)) AS m) AS c
		CROSS JOIN LATERAL (
			SELECT '-infinity'::timestamptz AS since, '-infinity'::timestamptz AS until
			UNION
			SELECT i.since, i.until FROM metering.issued_stretch i
			WHERE i.meter_id = c.meter_id AND i.until > c.since AND i.since < c.until) AS s
		WHERE c.since < c.until) AS x
	WHERE greatest(x.since, x.closed) < least(x.until, x.opens);

COMMENT ON VIEW metering.unissued_register IS 'account and tariff of each series of registers in the time that nobody has been billed for';
COMMENT ON COLUMN metering.unissued_register.series IS 'series of the registers';
COMMENT ON COLUMN metering.unissued_register.account IS 'who will be billed';
COMMENT ON COLUMN metering.unissued_register.flow IS 'import or export';
COMMENT ON COLUMN metering.unissued_register.since IS 'start of the time';
COMMENT ON COLUMN metering.unissued_register.until IS 'end of the time';

-- The register of a series at a time: as a bill has it that was issued, or else where it
-- lies on the line between its neighbours.
CREATE FUNCTION metering.register_value(meter_id text, series text, key_id text, t timestamptz) RETURNS @paillier@.paillier_ciphertext
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off
	AS $$
		SELECT COALESCE(
			(SELECT i.closing FROM metering.issued_stretch i
				WHERE (i.meter_id, i.series, i.key_id, i.until) = ($1, $2, $3, $4) LIMIT 1),
			(SELECT i.opening FROM metering.issued_stretch i
				WHERE (i.meter_id, i.series, i.key_id, i.since) = ($1, $2, $3, $4) LIMIT 1),
			(SELECT @paillier@.sum(r.register, w.weight)
				FROM metering.registers_around($1, $2, $4) AS a
				CROSS JOIN LATERAL metering.share(a.before, $4, a.after) AS s (share)
				CROSS JOIN LATERAL (VALUES (a.before, 1 - s.share), (a.after, s.share)) AS w (read_at, weight)
				CROSS JOIN LATERAL (
					SELECT x.register FROM metering.register_read x
					WHERE metering.month_slot(x.read_at) = metering.month_slot(w.read_at)
						AND (x.read_at, x.meter_id, x.series) = (w.read_at, $1, $2)
					OFFSET 0) AS r
				WHERE w.weight <> 0))
	$$;

COMMENT ON FUNCTION metering.register_value(text, text, text, timestamptz) IS 'register of a series at a time, for bills that are issued';

CREATE FUNCTION metering.open_register_stretches(issuing bigint, month date, elsewhere boolean) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
	AS $$
DECLARE
	number bigint;
BEGIN
	INSERT INTO metering.issued_stretch (run, meter_id, key_id, series, since, until, opening, closing, account, tariff, flow)
	SELECT issuing, p.meter_id, p.key_id, p.series, p.since, p.until,
		CASE WHEN NOT EXISTS (SELECT FROM metering.issued_stretch i
				WHERE (i.meter_id, i.series, i.key_id, i.until) = (p.meter_id, p.series, p.key_id, p.since))
			THEN metering.register_value(p.meter_id, p.series, p.key_id, p.since) END,
		metering.register_value(p.meter_id, p.series, p.key_id, p.until), p.account, p.tariff, p.flow
	FROM (
		-- series that overlap all the same are billed one after the other
		SELECT q.meter_id, q.series, q.key_id, q.account, q.tariff, q.flow, q.until, greatest(q.since, max(q.until) OVER (
			PARTITION BY q.meter_id ORDER BY q.since, q.until, q.series, q.tariff ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS since
		FROM (
			SELECT u.meter_id, u.series, u.key_id, u.account, u.tariff, u.flow,
				CASE WHEN b.before IS NULL THEN b.after ELSE u.since END AS since,
				CASE WHEN u.until < e.ends AND a.after IS NOT NULL THEN u.until ELSE a.before END AS until
			FROM metering.unissued_register u
			JOIN metering.tariff t ON t.tariff = u.tariff
			CROSS JOIN LATERAL (
				-- a window belongs to the month in which it starts
				SELECT max(w.window_end) AS ends FROM metering.window_grid w
				WHERE w.window_start < (month + interval '1 month') AT TIME ZONE t.zone) AS e
			CROSS JOIN LATERAL metering.registers_around(u.meter_id, u.series, u.since) AS b
			CROSS JOIN LATERAL metering.registers_around(u.meter_id, u.series, least(u.until, e.ends)) AS a
			WHERE u.since < e.ends) AS q
		WHERE q.since < q.until) AS p
	WHERE p.since < p.until AND (elsewhere OR (
		EXISTS (SELECT FROM metering.issued_price x WHERE x.run = issuing AND x.tariff = p.tariff AND x.flow = p.flow)
		AND NOT EXISTS (SELECT FROM metering.issued_price x WHERE x.run = issuing AND x.tariff = p.tariff AND x.flow = p.flow
			AND x.price IS NULL AND x.window_start >= p.since AND x.window_start < p.until)));
	GET DIAGNOSTICS number = ROW_COUNT;
	RETURN number;
END
$$;

COMMENT ON FUNCTION metering.open_register_stretches(bigint, date, boolean) IS 'writes down the stretches between registers of a run of issue_bills()';

-- The stretches of a run between registers, with the columns of metering.window_sums().
CREATE FUNCTION metering.register_sums(issuing bigint)
	RETURNS TABLE (meter_id text, account text, tariff text, flow text, key_id text, series text, since timestamptz,
		until timestamptz, cost @paillier@.paillier_ciphertext, energy @paillier@.paillier_ciphertext, readings bigint,
		carried bigint, missing bigint, days bigint, standing numeric, interpolated boolean, windows bigint)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
		WITH curve AS MATERIALIZED (
			SELECT x.tariff, x.flow, array_agg(x.window_start ORDER BY x.window_start) FILTER (WHERE x.step) AS times,
				array_agg(x.price * CASE x.flow WHEN 'export' THEN -s.unit_kwh ELSE s.unit_kwh END ORDER BY x.window_start)
					FILTER (WHERE x.step) AS prices,
				array_agg(x.window_start ORDER BY x.window_start) FILTER (WHERE x.standing IS NOT NULL) AS days,
				array_agg(x.standing ORDER BY x.window_start) FILTER (WHERE x.standing IS NOT NULL) AS standings
			FROM (
				SELECT p.tariff, p.flow, p.window_start, p.price, p.standing,
					row_number() OVER early = 1 OR p.price IS DISTINCT FROM lag(p.price) OVER early AS step
				FROM metering.issued_price p WHERE p.run = issuing
				WINDOW early AS (PARTITION BY p.tariff, p.flow ORDER BY p.window_start)) AS x
			CROSS JOIN metering.setting s
			GROUP BY x.tariff, x.flow
		)
		SELECT i.meter_id, i.account, i.tariff, i.flow, i.key_id, i.series, i.since, i.until, a.amount, a.energy, 0::bigint, 0::bigint, (
				SELECT COALESCE(sum(n.missing), 0)::bigint FROM metering.incomplete n
				WHERE n.meter_id = i.meter_id AND n.window_start > i.since AND n.window_start <= i.until),
			d.days, d.standing, a.interpolated > 0, 0::bigint
		FROM metering.issued_stretch i
		JOIN metering.key_use k ON k.key_id = i.key_id AND k.channel = 'register'
		LEFT JOIN curve c ON c.tariff = i.tariff AND c.flow = i.flow
		CROSS JOIN LATERAL metering.register_amount(i.meter_id, i.series, i.since, i.until, i.since, i.until, c.times, c.prices,
			COALESCE(i.opening, metering.register_value(i.meter_id, i.series, i.key_id, i.since)), i.closing) AS a
		CROSS JOIN LATERAL (SELECT count(*) AS days, sum(z.charge) AS standing FROM unnest(c.days, c.standings) AS z (t, charge)
			WHERE z.t >= i.since AND z.t < i.until) AS d
		WHERE i.run = issuing
	$$;

COMMENT ON FUNCTION metering.register_sums(bigint) IS 'energy and cost of the stretches of a run between registers';

-- Notes meters whose registers do not reach to the end of what a run covers, or that were
-- not billed for a part of it.  Returns the meters whose windows must be counted again.
CREATE FUNCTION metering.note_unbilled_registers(issuing bigint, covers_until timestamptz) RETURNS SETOF text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
		WITH span AS (
			SELECT r.meter_id, COALESCE(max(x.closed), min(r.since)) AS since
			FROM metering.register_series r JOIN metering.key_use k ON k.key_id = r.key_id AND k.channel = 'register'
			CROSS JOIN LATERAL (
				SELECT max(i.until) AS closed FROM metering.issued_stretch i
				WHERE (i.meter_id, i.series, i.key_id) = (r.meter_id, r.series, r.key_id) AND i.run < issuing) AS x
			GROUP BY r.meter_id
			UNION ALL
			SELECT i.meter_id, min(i.window_start)
			FROM metering.incomplete i JOIN metering.window_grid w ON w.window_start = i.window_start AND w.bill_key_id IS NOT NULL
			WHERE i.window_start < covers_until
				AND NOT EXISTS (SELECT FROM metering.register_series r WHERE r.meter_id = i.meter_id)
			GROUP BY i.meter_id
		), billed AS (
			SELECT i.meter_id, sum(i.until - i.since) AS length FROM metering.issued_stretch i
			WHERE i.run = issuing AND i.closing IS NOT NULL GROUP BY i.meter_id
		), short AS (
			SELECT s.meter_id, s.since FROM span s LEFT JOIN billed b ON b.meter_id = s.meter_id
			WHERE COALESCE(b.length, '0') < covers_until - s.since
		), noted AS (
			INSERT INTO metering.unbilled AS u (meter_id, since, until, windows)
			SELECT s.meter_id, s.since, covers_until, 0 FROM short s
			ON CONFLICT (meter_id) DO UPDATE SET since = least(u.since, EXCLUDED.since), until = greatest(u.until, EXCLUDED.until)
		)
		SELECT s.meter_id FROM short s
		UNION
		SELECT b.meter_id FROM billed b JOIN metering.unbilled u ON u.meter_id = b.meter_id
	$$;

COMMENT ON FUNCTION metering.note_unbilled_registers(bigint, timestamptz) IS 'notes meters with registers that nobody is billed for';
