-- Issuing bills.  Time of a meter that is not issued yet is written down as stretches,
-- then each source of energy adds up what lies in the stretches of the run.  A source is
-- a function with the columns of metering.window_sums().

-- The bill windows of a run, added up for each stretch and key.  Windows with the same
-- price are added up before they are multiplied.  One pass reads all windows from
-- scan_since up to scan_until; earlier ones are looked up, for stretches that begin
-- before.  Sealed windows before covers_until that nobody is billed for have no account.
CREATE FUNCTION metering.window_sums(issuing bigint, scan_since timestamptz, scan_until timestamptz, covers_until timestamptz)
	RETURNS TABLE (meter_id text, account text, tariff text, flow text, key_id text, series text, since timestamptz,
		until timestamptz, cost @paillier@.paillier_ciphertext, energy @paillier@.paillier_ciphertext, readings bigint,
		carried bigint, missing bigint, days bigint, standing numeric, interpolated boolean, windows bigint)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
		SET jit = off SET enable_nestloop = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
DECLARE
	unit      numeric := (SELECT s.unit_kwh FROM metering.setting s);
	slots     int[] := ARRAY(SELECT DISTINCT w.slot FROM metering.window_grid w
		WHERE w.window_start >= scan_since AND w.window_start < scan_until);
	-- months do not end everywhere at once: these runs may have issued windows after scan_since
	beside    bigint := (SELECT min(r.run) FROM metering.issue_run r WHERE r.covered_until = scan_since);
BEGIN
	RETURN QUERY
	WITH price AS MATERIALIZED (
		SELECT p.tariff, p.flow, p.window_start, p.standing, p.price * CASE p.flow WHEN 'export' THEN -unit ELSE unit END AS weight,
			(EXTRACT(epoch FROM w.window_end - w.window_start)
				/ EXTRACT(epoch FROM metering.shortest_interval(w.reading_interval)))::int AS whole,
			dense_rank() OVER (ORDER BY p.tariff, p.flow) AS pair, dense_rank() OVER (ORDER BY p.tariff, p.flow, p.price) AS number
		FROM metering.issued_price p JOIN metering.window_grid w ON w.window_start = p.window_start
		WHERE p.run = issuing),
	stretch AS MATERIALIZED (
		SELECT row_number() OVER () AS number, s.meter_id, s.account, s.tariff, s.flow, s.key_id, s.since, s.until,
			s.run = issuing AS own, x.pair
		FROM metering.issued_stretch s
		LEFT JOIN (SELECT DISTINCT p.tariff, p.flow, p.pair FROM price p) AS x ON (x.tariff, x.flow) = (s.tariff, s.flow)
		WHERE s.closing IS NULL AND (s.run = issuing OR (s.run >= beside AND s.until > scan_since))),
	same_price AS (
		SELECT s.number, b.key_id, p.number AS price, CASE WHEN s.number IS NULL THEN b.meter_id END AS unbilled,
			@paillier@.sum(b.total) AS energy, sum(b.readings) AS readings, sum(b.carried) AS carried,
			sum(CASE WHEN b.key_id = s.key_id AND b.readings - b.carried < p.whole THEN COALESCE((
				SELECT i.missing FROM metering.incomplete i
				WHERE i.meter_id = b.meter_id AND i.window_start = b.window_start), 0) ELSE 0 END) AS missing,
			count(p.standing) FILTER (WHERE b.expected > 0) AS days, sum(p.standing) FILTER (WHERE b.expected > 0) AS standing,
			count(*) AS windows, min(b.window_start) AS first, max(b.window_start) AS last
		FROM (
			SELECT x.window_start, x.meter_id, x.key_id, x.total, x.readings, x.carried, x.expected
			FROM metering.bill_window x
			WHERE x.slot = ANY (slots) AND x.window_start >= scan_since AND x.window_start < scan_until
			UNION ALL
			SELECT x.* FROM stretch s
			JOIN metering.window_grid w ON w.window_start >= s.since AND w.window_start < least(s.until, scan_since)
			CROSS JOIN LATERAL (
				SELECT y.window_start, y.meter_id, y.key_id, y.total, y.readings, y.carried, y.expected
				FROM metering.bill_window y
				WHERE y.slot = w.slot AND y.window_start = w.window_start AND y.meter_id = s.meter_id OFFSET 0) AS x
			WHERE s.own AND s.since < scan_since) AS b
		LEFT JOIN stretch s ON s.meter_id = b.meter_id AND b.window_start >= s.since AND b.window_start < s.until
		LEFT JOIN price p ON p.pair = s.pair AND p.window_start = b.window_start
		WHERE s.own OR (s.number IS NULL AND b.window_start < covers_until)
		GROUP BY 1, 2, 3, 4)
	SELECT COALESCE(s.meter_id, y.unbilled), s.account, s.tariff, s.flow, y.key_id, ''::text, COALESCE(s.since, y.first),
		COALESCE(s.until, (SELECT w.window_end FROM metering.window_grid w WHERE w.window_start = y.last)),
		y.cost, y.energy, y.readings, y.carried, y.missing, y.days, y.standing, false, y.windows
	FROM (
		SELECT z.number, z.key_id, z.unbilled, @paillier@.sum(z.energy, x.weight) AS cost, @paillier@.sum(z.energy) AS energy,
			sum(z.readings)::bigint AS readings, sum(z.carried)::bigint AS carried, sum(z.missing)::bigint AS missing,
			sum(z.days)::bigint AS days, sum(z.standing) AS standing, sum(z.windows)::bigint AS windows,
			min(z.first) AS first, max(z.last) AS last
		FROM same_price z LEFT JOIN (SELECT DISTINCT p.number, p.weight FROM price p) AS x ON x.number = z.price
		GROUP BY z.number, z.key_id, z.unbilled) AS y
	LEFT JOIN stretch s ON s.number = y.number;
END
$$;

COMMENT ON FUNCTION metering.window_sums(bigint, timestamptz, timestamptz, timestamptz) IS 'energy and cost of bill windows in the stretches of a run, and bill windows that nobody is billed for';

-- Writes down the prices of a run, for each tariff and flow from the time on that is not
-- issued yet.
CREATE FUNCTION metering.freeze_prices(issuing bigint, month date) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
		INSERT INTO metering.issued_price (run, tariff, flow, window_start, price, standing)
		SELECT issuing, p.tariff, p.flow, p.window_start, p.price, p.standing
		FROM (
			SELECT u.tariff, u.flow, min(u.since) AS since
			FROM (SELECT c.tariff, c.flow, c.since FROM metering.unissued_contract c
				UNION ALL SELECT r.tariff, r.flow, r.since FROM metering.unissued_register r) AS u
			GROUP BY u.tariff, u.flow) AS x
		CROSS JOIN LATERAL (
			SELECT w.tariff, w.flow, w.window_start, w.price, w.standing FROM metering.window_price w
			WHERE w.tariff = x.tariff AND w.flow = x.flow AND w.window_start >= x.since AND w.period <= month OFFSET 0) AS p
	$$;

COMMENT ON FUNCTION metering.freeze_prices(bigint, date) IS 'writes down the prices of a run of issue_bills()';

-- Writes down the stretches of a run: the time up to the end of the month that is not
-- issued yet, in parts of one key.  A stretch with a window that has no price is left to
-- a later run.  All are found before one is written: otherwise each meter could read what
-- the statement has written for all others.
CREATE FUNCTION metering.open_stretches(issuing bigint, month date, elsewhere boolean) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off
	AS $$
DECLARE
	number bigint;
BEGIN
	INSERT INTO metering.issued_stretch (run, meter_id, key_id, since, until, account, tariff, flow)
	WITH one_key AS MATERIALIZED (
		SELECT g.key_id, min(g.window_start) AS since, max(g.window_end) AS until
		FROM (
			SELECT w.key_id, w.window_start, w.window_end, row_number() OVER (ORDER BY w.window_start)
				- row_number() OVER (PARTITION BY w.key_id ORDER BY w.window_start) AS part
			FROM metering.window_grid w WHERE w.bill_key_id IS NULL) AS g
		GROUP BY g.key_id, g.part),
	unpriced AS MATERIALIZED (
		SELECT p.tariff, p.flow, p.window_start FROM metering.issued_price p WHERE p.run = issuing AND p.price IS NULL),
	stretch AS MATERIALIZED (
		SELECT issuing, u.meter_id, k.key_id, greatest(u.since, k.since), least(u.until, k.until), u.account, u.tariff, u.flow
		FROM (
			SELECT c.meter_id, c.account, c.tariff, c.flow, c.since, least(c.until, (month + interval '1 month') AT TIME ZONE t.zone) AS until
			FROM metering.unissued_contract c JOIN metering.tariff t ON t.tariff = c.tariff) AS u
		JOIN one_key k ON greatest(u.since, k.since) < least(u.until, k.until)
		WHERE elsewhere OR (
			EXISTS (SELECT FROM metering.issued_price p WHERE p.run = issuing AND p.tariff = u.tariff AND p.flow = u.flow)
			AND NOT EXISTS (SELECT FROM unpriced p WHERE p.tariff = u.tariff AND p.flow = u.flow
				AND p.window_start >= greatest(u.since, k.since) AND p.window_start < least(u.until, k.until))))
	SELECT * FROM stretch;
	GET DIAGNOSTICS number = ROW_COUNT;
	RETURN number;
END
$$;

COMMENT ON FUNCTION metering.open_stretches(bigint, date, boolean) IS 'writes down the stretches of a run of issue_bills()';

-- Adds up the stretches of a run for each account, and notes what nobody is billed for.
CREATE FUNCTION metering.write_bills(issuing bigint, scan_since timestamptz, scan_until timestamptz, covers_until timestamptz, elsewhere boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET work_mem = '256MB'
	AS $$
DECLARE
	counts_again text[];
BEGIN
	WITH total AS MATERIALIZED (
		SELECT x.account, x.key_id, CASE WHEN x.account IS NULL THEN x.meter_id END AS unbilled, @paillier@.sum(x.cost) AS cost,
			@paillier@.sum(x.energy) FILTER (WHERE x.flow = 'import') AS imported,
			@paillier@.sum(x.energy) FILTER (WHERE x.flow = 'export') AS exported, sum(x.standing) AS standing, sum(x.days) AS days,
			sum(x.readings) AS readings, sum(x.carried) AS carried, sum(x.missing) AS missing, bool_or(x.interpolated) AS interpolated,
			array_agg(x.tariff) AS tariffs, max(t.rounding) AS rounding, min(x.since) AS since, max(x.until) AS until,
			sum(x.windows) AS windows
		FROM (SELECT * FROM metering.window_sums(issuing, scan_since, scan_until, covers_until)
			UNION ALL SELECT * FROM metering.register_sums(issuing)) AS x
		LEFT JOIN metering.tariff t ON t.tariff = x.tariff
		GROUP BY 1, 2, 3),
	bills AS (
		INSERT INTO metering.issued_bill (run, account, key_id, amount, imported, exported, standing, days, readings, carried,
			missing, unpriced, interpolated, tariffs, rounding, unit_kwh)
		SELECT issuing, y.account, y.key_id, @paillier@.paillier_rerandomize(COALESCE(y.cost OPERATOR(@paillier@.+) y.standing, y.cost,
				metering.known_charge(y.standing, y.key_id))),
			@paillier@.paillier_rerandomize(y.imported), @paillier@.paillier_rerandomize(y.exported), y.standing, y.days, y.readings,
			y.carried, y.missing, COALESCE(u.windows, 0), y.interpolated,
			ARRAY(SELECT DISTINCT a.tariff FROM unnest(y.tariffs) AS a (tariff) ORDER BY a.tariff), y.rounding, s.unit_kwh
		FROM total y CROSS JOIN metering.setting s
		LEFT JOIN (
			SELECT c.account, count(*) AS windows
			FROM (SELECT DISTINCT p.tariff, p.flow FROM metering.issued_price p WHERE p.run = issuing AND p.price IS NULL) AS n
			JOIN metering.unissued_contract c ON (c.tariff, c.flow) = (n.tariff, n.flow)
			JOIN metering.issued_price p ON p.run = issuing AND (p.tariff, p.flow) = (c.tariff, c.flow)
				AND p.window_start >= c.since AND p.window_start < c.until
			WHERE EXISTS (SELECT FROM metering.issued_price p WHERE p.run = issuing AND p.price IS NULL)
			GROUP BY c.account) AS u ON u.account = y.account
		WHERE y.account IS NOT NULL AND NOT elsewhere)
	INSERT INTO metering.unbilled AS n (meter_id, since, until, windows)
	SELECT y.unbilled, min(y.since), max(y.until), sum(y.windows) FROM total y WHERE y.account IS NULL GROUP BY y.unbilled
	ON CONFLICT (meter_id) DO UPDATE SET since = least(n.since, EXCLUDED.since), until = greatest(n.until, EXCLUDED.until),
		windows = n.windows + EXCLUDED.windows;

	-- what earlier runs noted and this one has billed
	counts_again := ARRAY(SELECT * FROM metering.note_unbilled_registers(issuing, covers_until));
	WITH rest AS (
		SELECT n.meter_id, count(b.window_start) AS windows, min(b.window_start) AS since,
			max(w.window_end) FILTER (WHERE b.window_start IS NOT NULL) AS until
		FROM metering.unbilled n
		JOIN (SELECT s.meter_id FROM metering.issued_stretch s WHERE s.run = issuing AND s.since < scan_since
			UNION SELECT unnest(counts_again)) AS s ON s.meter_id = n.meter_id
		LEFT JOIN metering.window_grid w ON w.window_start >= n.since AND w.window_start < n.until
			AND NOT EXISTS (SELECT FROM metering.issued_stretch i
				WHERE i.meter_id = n.meter_id AND i.until > w.window_start AND i.since <= w.window_start)
		LEFT JOIN LATERAL (
			SELECT y.window_start FROM metering.bill_window y
			WHERE y.slot = w.slot AND y.window_start = w.window_start AND y.meter_id = n.meter_id
			UNION ALL
			SELECT w.window_start FROM metering.meter m
			WHERE w.bill_key_id IS NOT NULL AND m.meter_id = n.meter_id AND m.active @> w.window_start OFFSET 0) AS b ON true
		GROUP BY n.meter_id),
	billed AS (
		DELETE FROM metering.unbilled n USING rest r WHERE r.meter_id = n.meter_id AND r.windows = 0)
	UPDATE metering.unbilled n SET windows = r.windows, since = r.since, until = r.until FROM rest r WHERE r.meter_id = n.meter_id AND r.windows > 0;
END
$$;

COMMENT ON FUNCTION metering.write_bills(bigint, timestamptz, timestamptz, timestamptz, boolean) IS 'writes the bills of a run of issue_bills()';
