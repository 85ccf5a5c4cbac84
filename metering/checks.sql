-- With two keys nothing can be compared: no one can decrypt the difference of a regional
-- total and a register.
--
-- Bills and regions contain the same readings if every reading was in time.  Only then
-- the view computes a difference: it is 0, and reveals nothing else.
CREATE VIEW metering.reconciliation AS
	SELECT w.window_start, w.window_end, w.key_id, b.readings,
		CASE WHEN r.reason IS NULL THEN @paillier@.paillier_rerandomize(
			(SELECT @paillier@.sum(x.total) FROM metering.bill_window x WHERE x.slot = w.slot AND x.window_start = w.window_start)
			OPERATOR(@paillier@.-) (SELECT @paillier@.sum(x.total) FROM metering.region_total x WHERE x.hour >= w.window_start AND x.hour < w.window_end))
			END AS difference,
		r.reason
	FROM (SELECT * FROM metering.sealed_window x WHERE x.bill_key_id IS NULL) AS w
	CROSS JOIN LATERAL (
		SELECT COALESCE(sum(x.readings), 0) AS readings, COALESCE(sum(x.carried), 0) AS carried,
			COALESCE(sum(x.readings) FILTER (WHERE x.key_id <> w.key_id), 0) AS elsewhere
		FROM metering.bill_window x WHERE x.slot = w.slot AND x.window_start = w.window_start) AS b
	CROSS JOIN LATERAL (
		SELECT COALESCE(sum(x.readings), 0) AS readings, count(*) FILTER (WHERE x.total IS NULL AND x.readings > 0) AS suppressed,
			count(*) FILTER (WHERE x.void) AS void
		FROM metering.region_total x WHERE x.hour >= w.window_start AND x.hour < w.window_end) AS h
	CROSS JOIN LATERAL (
		SELECT count(*) AS hours, COALESCE(sum(x.readings), 0) AS readings, min(x.id) AS first,
			(SELECT max(y.id) FROM metering.rollup_log y WHERE y.step = 'window' AND y.starts = w.window_start) AS last
		FROM metering.rollup_log x
		WHERE x.step = 'hour' AND x.starts >= w.window_start AND x.starts < w.window_end) AS l
	CROSS JOIN LATERAL (
		SELECT COALESCE(sum(x.late), 0) AS readings FROM metering.rollup_log x
		WHERE x.id >= l.first AND x.id < l.last AND x.step <> 'window') AS late
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN l.last IS NULL OR l.hours * interval '1 hour' <> w.window_end - w.window_start THEN 'the log of the roll-up is not complete'
			WHEN b.readings = 0 THEN 'no readings'
			WHEN late.readings > 0 THEN format('%s late readings', late.readings)
			WHEN b.carried > 0 THEN format('%s readings of earlier windows', b.carried)
			WHEN b.elsewhere > 0 THEN format('%s readings under another key', b.elsewhere)
			WHEN h.void > 0 THEN format('%s regional hours are void', h.void)
			WHEN h.suppressed > 0 THEN format('%s regional hours without a total', h.suppressed)
			WHEN h.readings <> l.readings THEN format('%s readings of meters without a region', l.readings - h.readings)
			WHEN b.readings <> l.readings THEN format('%s readings that wait for a later window or were lost', l.readings - b.readings)
			END AS reason) AS r;

COMMENT ON VIEW metering.reconciliation IS 'energy of all bills minus energy of all regions, for each bill window with one key: decrypts to 0';
COMMENT ON COLUMN metering.reconciliation.window_end IS 'end of the bill window';
COMMENT ON COLUMN metering.reconciliation.readings IS 'readings in the bills';
COMMENT ON COLUMN metering.reconciliation.difference IS 'encrypted difference; NULL if bills and regions do not contain the same readings';
COMMENT ON COLUMN metering.reconciliation.reason IS 'why there is no difference';

-- There is a difference only if the windows between two registers contain every
-- reading between them, and no other.  Otherwise it would be the energy of single
-- readings.
CREATE VIEW metering.register_check AS
	SELECT r.meter_id, r.since, r.until, r.key_id,
		CASE WHEN x.reason IS NULL THEN @paillier@.paillier_rerandomize(r.register OPERATOR(@paillier@.-) r.earlier OPERATOR(@paillier@.-) w.energy) END AS difference, x.reason
	FROM (
		SELECT meter_id, series, lag(read_at) OVER before AS since, read_at AS until, register,
			lag(register) OVER before AS earlier, @paillier@.paillier_key_id(register) AS key_id
		FROM metering.register_read
		WINDOW before AS (PARTITION BY meter_id, series ORDER BY read_at)) AS r
	CROSS JOIN LATERAL (
		SELECT @paillier@.sum(b.total) FILTER (WHERE b.key_id = r.key_id) AS energy,
			COALESCE(sum(w.window_end - w.window_start), '0') AS covered,
			sum(EXTRACT(epoch FROM w.window_end - w.window_start)
				/ EXTRACT(epoch FROM metering.interval_at(r.meter_id, w.window_start, w.reading_interval)))::bigint AS expected,
			COALESCE(sum(b.readings), 0) AS readings, COALESCE(sum(b.carried), 0) AS carried,
			bool_and(w.key_id = r.key_id) AS one_key
		FROM metering.sealed_window w
		LEFT JOIN metering.bill_window b ON b.slot = w.slot AND b.window_start = w.window_start AND b.meter_id = r.meter_id
			AND b.key_id = w.key_id
		WHERE w.window_start >= r.since AND w.window_end <= r.until) AS w
	CROSS JOIN LATERAL (
		SELECT CASE
			WHEN w.covered <> r.until - r.since THEN 'not all windows are sealed'
			WHEN NOT w.one_key OR @paillier@.paillier_key_id(r.earlier) <> r.key_id THEN 'the key has changed'
			WHEN w.carried > 0 THEN format('%s readings of earlier windows', w.carried)
			WHEN w.readings <> w.expected THEN format('%s readings are missing', w.expected - w.readings)
			END AS reason) AS x
	WHERE r.since IS NOT NULL AND NOT EXISTS (SELECT FROM metering.window_grid w
		WHERE w.window_start >= r.since AND w.window_start < r.until AND w.bill_key_id IS NOT NULL);

COMMENT ON VIEW metering.register_check IS 'what the register of a meter has advanced minus what the meter was billed for, between two consecutive registers, with one key: decrypts to 0 for an honest meter';
COMMENT ON COLUMN metering.register_check.since IS 'when the earlier register was read';
COMMENT ON COLUMN metering.register_check.until IS 'when the later register was read';
COMMENT ON COLUMN metering.register_check.difference IS 'encrypted difference; NULL if the bill windows between the registers do not contain every reading between them, and no other';
COMMENT ON COLUMN metering.register_check.reason IS 'why there is no difference';
