-- Every reading time that is not billed yet, up to now.
CREATE VIEW metering.open_reading AS
	SELECT h.hour, h.hour + r.reading_interval * i.i AS read_at, 1::bigint << i.i AS bit
	FROM metering.setting s
	CROSS JOIN metering.progress g
	CROSS JOIN LATERAL generate_series(metering.utc_hour(COALESCE(g.billed_until, s.starts_at)), now(),
		interval '1 hour') AS h (hour)
	CROSS JOIN LATERAL (
		SELECT x.reading_interval FROM metering.setting_period x WHERE x.until > h.hour ORDER BY x.until LIMIT 1) AS r
	CROSS JOIN LATERAL generate_series(0, (3600 / EXTRACT(epoch FROM r.reading_interval))::int - 1) AS i (i)
	WHERE h.hour + r.reading_interval * (i.i + 1) <= now()
		AND h.hour + r.reading_interval * i.i >= s.starts_at;

COMMENT ON VIEW metering.open_reading IS 'times of the readings in bill windows that are not sealed';

-- Every expected reading that no total contains although its window is sealed.
CREATE VIEW metering.missed_reading AS
	SELECT b.meter_id, t.hour, t.read_at, t.bit
	FROM metering.bill_window b
	JOIN metering.sealed_window w ON w.window_start = b.window_start AND w.key_id = b.key_id
	CROSS JOIN LATERAL (
		SELECT metering.utc_hour(g.read_at) AS hour, g.read_at,
			metering.reading_bit(g.read_at, (EXTRACT(epoch FROM w.reading_interval) / 60)::int) AS bit
		FROM generate_series(w.window_start, w.window_end - w.reading_interval, w.reading_interval) AS g (read_at)) AS t
	WHERE b.counted < b.expected
		AND COALESCE(b.received[(EXTRACT(epoch FROM t.hour - w.window_start) / 3600)::int + 1], 0) & t.bit = 0;

COMMENT ON VIEW metering.missed_reading IS 'readings that were expected in sealed bill windows and have not been counted yet';

CREATE VIEW metering.gap_of_all AS
	SELECT m.meter_id, e.read_at, m.collector
	FROM (
		SELECT m.meter_id, o.hour, o.read_at, o.bit FROM metering.meter m CROSS JOIN metering.open_reading o
		UNION ALL
		SELECT meter_id, hour, read_at, bit FROM metering.missed_reading
	) AS e
	JOIN metering.meter m ON m.meter_id = e.meter_id
	CROSS JOIN metering.setting s
	WHERE m.active @> e.read_at
		AND e.read_at >= now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision)
		AND NOT EXISTS (
			SELECT FROM metering.partial p
			WHERE p.meter_id = e.meter_id AND p.hour = e.hour AND p.received & e.bit <> 0)
		AND NOT EXISTS (
			SELECT FROM metering.reading r WHERE r.meter_id = e.meter_id AND r.read_at = e.read_at);

COMMENT ON VIEW metering.gap_of_all IS 'readings that are expected and have not arrived, of the meters of all collectors';

-- The column collector is the name of a role, not its OID, for dumps: so the role may
-- no longer exist.  The view is a security barrier with OFFSET: conditions of a query
-- are evaluated only on rows that the reader may see.  Otherwise EXPLAIN ANALYZE would
-- count rows of other collectors for which they hold.
CREATE VIEW metering.gap WITH (security_barrier) AS
	SELECT e.meter_id, e.read_at FROM metering.gap_of_all e
	WHERE e.collector IS NULL OR EXISTS (
		SELECT FROM pg_roles r WHERE r.rolname = e.collector AND pg_has_role(r.oid, 'USAGE'))
	OFFSET 0;

COMMENT ON VIEW metering.gap IS 'readings that are expected and have not arrived: send them again';
COMMENT ON COLUMN metering.gap.read_at IS 'start of the interval of the reading';

-- A meter may forget readings that totals on disk contain.  Staged readings can still
-- be lost.
CREATE VIEW metering.acknowledged WITH (security_barrier) AS
	SELECT m.meter_id, COALESCE(x.first_missed, g.billed_until) AS until
	FROM metering.meter m
	CROSS JOIN metering.progress g
	CROSS JOIN metering.setting s
	LEFT JOIN (
		SELECT e.meter_id, min(e.read_at) AS first_missed
		FROM metering.missed_reading e
		JOIN metering.meter USING (meter_id)
		CROSS JOIN metering.setting
		WHERE active @> e.read_at AND e.read_at >= now() - make_interval(secs => EXTRACT(epoch FROM retention)::double precision)
		GROUP BY e.meter_id) AS x ON x.meter_id = m.meter_id
	WHERE g.billed_until IS NOT NULL
		AND (m.collector IS NULL OR EXISTS (
			SELECT FROM pg_roles r WHERE r.rolname = m.collector AND pg_has_role(r.oid, 'USAGE')))
	OFFSET 0;

COMMENT ON VIEW metering.acknowledged IS 'the time before which a meter may forget its readings, because totals on disk contain them';
COMMENT ON COLUMN metering.acknowledged.until IS 'readings that start before this are never asked for again';
