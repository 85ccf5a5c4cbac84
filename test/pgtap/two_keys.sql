-- two_keys.sql
--	Two keys: regional hours from readings under one, bills from registers under the
--	other.  Every bill is compared with plain numbers, window by window.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

-- A midnight that has been over for long.
SELECT date_trunc('day', now()) - interval '4 days' AS h \gset
CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

INSERT INTO pipeline_key
SELECT name, private, paillier_public_key(private), paillier_register_key(paillier_public_key(private), name || ' bill')
FROM (SELECT 'third' AS name, private_key AS private FROM fixture_key WHERE name = 'medium') k;

-- Registers in plain numbers; NULL for value: one that is void or never came.
CREATE TABLE register (meter_id text, series text, read_at timestamptz, value numeric);

CREATE FUNCTION counted(meter text, t timestamptz) RETURNS numeric LANGUAGE sql AS $$
	SELECT COALESCE(sum(value), 0) FROM sent WHERE meter_id = meter AND read_at < t $$;

-- Sends the registers of a meter at the starts of windows of two hours.
CREATE FUNCTION send_registers(meter text, starts timestamptz, ends timestamptz, of_series text DEFAULT '',
	offset_value numeric DEFAULT 1000000, key_name text DEFAULT 'second') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	number bigint;
BEGIN
	WITH new AS (
		INSERT INTO register SELECT meter, of_series, t, offset_value + counted(meter, t)
		FROM generate_series(starts, ends, '2 hours') t RETURNING *)
	INSERT INTO metering.register_read (read_at, meter_id, series, register)
	SELECT read_at, meter_id, series, encrypted(value, key_name) FROM new;
	GET DIAGNOSTICS number = ROW_COUNT;
	RETURN number;
END $$;

-- The register of a series at any window start, where it is missing on the line between its neighbours.
CREATE FUNCTION line(meter text, of_series text, t timestamptz) RETURNS numeric LANGUAGE sql AS $$
	SELECT b.value * (1 - s.share) + a.value * s.share
	FROM (SELECT * FROM register WHERE (meter_id, series) = (meter, of_series) AND read_at <= t
			ORDER BY read_at DESC LIMIT 1) b,
		(SELECT * FROM register WHERE (meter_id, series) = (meter, of_series) AND read_at >= t ORDER BY read_at LIMIT 1) a,
		LATERAL (SELECT CASE WHEN a.read_at = b.read_at THEN 0 ELSE round(
			(EXTRACT(epoch FROM t - b.read_at) / EXTRACT(epoch FROM a.read_at - b.read_at))::numeric, 12) END) s (share) $$;

-- What each account owes, window by window.  Prices: see metering.rate below.
CREATE FUNCTION price_at(t timestamptz) RETURNS numeric LANGUAGE sql AS $$
	SELECT CASE WHEN EXTRACT(hour FROM t) < 6 THEN 0.12 WHEN EXTRACT(hour FROM t) < 16 THEN 0.25 ELSE 0.31 END $$;
CREATE FUNCTION owed() RETURNS TABLE (account text, meter_id text, period date, energy numeric, amount numeric) LANGUAGE sql AS $$
	SELECT account, meter_id, period, sum(energy) AS energy, sum(energy * price * CASE flow WHEN 'export' THEN -0.001 ELSE 0.001 END)
		+ sum(standing) AS amount
	FROM (
		SELECT c.account, c.meter_id, c.flow, x.series, m.period::date, w.window_start, price_at(w.window_start) AS price,
			line(c.meter_id, x.series, w.window_end) - line(c.meter_id, x.series, w.window_start) AS energy,
			CASE WHEN c.flow = 'import' AND EXTRACT(hour FROM w.window_start) = 22 THEN 0.5 ELSE 0 END AS standing
		FROM (SELECT DISTINCT meter_id, series FROM register) x
		JOIN metering.contract c USING (meter_id)
		CROSS JOIN (SELECT DISTINCT date_trunc('month', window_start) AS period FROM metering.sealed_window) m
		CROSS JOIN LATERAL (SELECT max(read_at) AS opens FROM register r WHERE (r.meter_id, r.series) = (x.meter_id, x.series)
			AND r.read_at <= m.period) o
		CROSS JOIN LATERAL (SELECT max(read_at) AS closes, min(read_at) AS first FROM register r
			WHERE (r.meter_id, r.series) = (x.meter_id, x.series) AND r.read_at <= m.period + interval '1 month'
				AND r.read_at <= (SELECT billed_until FROM metering.progress)) e
		JOIN metering.window_grid w ON w.window_start >= COALESCE(o.opens, e.first) AND w.window_end <= e.closes
			AND w.window_start >= c.since AND w.window_start < c.until) p
	GROUP BY account, meter_id, flow, period $$;

CREATE FUNCTION bills_are_right(at_least int, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT cmp_ok((SELECT count(*) FROM owed()), '>=', at_least::bigint, what || ': something is owed');
	RETURN NEXT bag_eq('SELECT account, meter_id, period, trim_scale(sum(decrypted(energy))) AS energy, trim_scale(sum(decrypted(amount))) AS amount
		FROM metering.bill GROUP BY 1, 2, 3',
		'SELECT account, meter_id, period, trim_scale(energy) AS energy, trim_scale(amount) AS amount FROM owed()', what);
END $$;

CREATE FUNCTION refused(statement text, state text, message text, what text) RETURNS text LANGUAGE sql AS
	$$ SELECT throws_ok(statement, state, message, what) $$;

-- ---- regions from readings ----

SELECT begin_metering($$reading_interval = '30 min', backup_interval = '0'$$) \g /dev/null
SELECT id AS region_key FROM pipeline_key WHERE name = 'first' \gset
SELECT id AS bill_key FROM pipeline_key WHERE name = 'second' \gset
SELECT refused(format('UPDATE metering.setting SET bill_key_id = %L', :'region_key'), '23514', NULL,
	'one key for both is refused');
SELECT refused($$UPDATE metering.setting SET bill_key_id = 'x'$$, '42704', 'key x is not registered',
	'the second key has to be registered');
UPDATE metering.setting SET bill_key_id = :'bill_key';
INSERT INTO metering.tariff VALUES ('t');
INSERT INTO metering.rate VALUES ('t', '00:00', 0.12, 'import'), ('t', '06:00', 0.25, 'import'),
	('t', '16:00', 0.31, 'import'), ('t', '00:00', 0.5, 'standing'), ('t', '00:00', 0.12, 'export'), ('t', '06:00', 0.25, 'export'),
	('t', '16:00', 0.31, 'export');
SELECT add_meters('m', 5, 'one', 't'), add_meters('s', 1, 'small', 't') \g /dev/null
INSERT INTO metering.meter (meter_id, region, tariff, account, flow) VALUES ('x1', 'sun', 't', 'm1', 'export'),
	('x2', 'sun', 't', 'm2', 'export');
SELECT refused(format('INSERT INTO metering.reading VALUES (%L, %L, encrypted(1, %L))', 'm1', :'h', 'second'), '22000',
	format('reading is under key %s', :'bill_key'), 'a reading under the key of registers is refused');
SELECT refused(format('INSERT INTO metering.register_read VALUES (%L, %L, %L, encrypted(1, %L))', :'h', 'm1', '', 'first'),
	'22000', format('register is under key %s', :'region_key'), 'and a register under the key of readings');
SELECT send('.*', :'h', at(:'h', '6 hours')) \g /dev/null
-- sent twice: the same ciphertext, and another one
INSERT INTO metering.reading SELECT * FROM (TABLE metering.reading ORDER BY meter_id, read_at LIMIT 20) r;
INSERT INTO metering.reading SELECT 'm1', :'h', encrypted(4242);
CALL metering.rollup(at(:'h', '4 hours'));
SELECT is_empty('SELECT wrong_regions()', 'regional totals, each reading once');
SELECT is((SELECT string_agg(format('%s %s %s', readings, duplicates, conflicts), ', ' ORDER BY id)
	FROM metering.rollup_log WHERE step = 'hour' AND conflicts > 0), '16 5 1', 'a copy that differs is counted');
SELECT is((SELECT sum(duplicates) FROM metering.rollup_log), 13::numeric, 'and every other copy');
SELECT is_empty('SELECT FROM metering.bill_window', 'no total of a meter is kept');
SELECT is_empty('SELECT FROM metering.partial UNION ALL SELECT FROM metering.hour_meter UNION ALL SELECT FROM metering.region_slice',
	'not for a while either');
SELECT is((SELECT count(*) FROM metering.region_hour WHERE region = 'small' AND total IS NULL), 3::bigint,
	'a region that is too small has no total');
SELECT send('m1', :'h', at(:'h', '1 hour'), is_late => true) \g /dev/null
CALL metering.rollup(at(:'h', '375 min'));
SELECT is((SELECT sum(dropped) FROM metering.rollup_log), 2::numeric, 'a late reading is dropped, and counted');
SELECT is_empty('SELECT wrong_regions()', 'it is in no total');
SELECT is_empty($$SELECT FROM metering.gap WHERE kind <> 'register'$$, 'nobody is asked for readings');

-- ---- registers that are missing ----

SELECT is((SELECT count(*) FROM metering.gap), 24::bigint, 'all are asked for registers of three windows');
SELECT send_registers(m, :'h', at(:'h', '6 hours')) FROM unnest('{m1,m2,m4,m5,s1,x1,x2}'::text[]) m \g /dev/null
SELECT bag_eq('SELECT meter_id, read_at, kind FROM metering.gap', format($$ SELECT 'm3', %L::timestamptz + i * interval '2 hours' AS t,
	'register' AS kind FROM generate_series(0, 2) i $$, :'h'), 'one that comes late is missing no more');
SELECT is((SELECT gaps FROM metering.health), 24::bigint, 'the roll-up counts them');
SELECT send('.*', at(:'h', '6 hours'), at(:'h', '8 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '9 hours'));
SELECT is((SELECT gaps FROM metering.health), 4::bigint, 'when it runs');
SELECT is_empty('SELECT FROM metering.late_register', 'and forgets which came late');
SELECT is((SELECT string_agg(format('%s %s', meter_id, until - :'h'), ', ' ORDER BY meter_id) FROM metering.acknowledged
	WHERE meter_id ~ 'm'), 'm1 08:00:00, m2 08:00:00, m3 00:00:00, m4 08:00:00, m5 08:00:00', 'what a meter may forget');
SELECT * FROM bills_are_right(7, 'bills of six hours');

-- ---- bills over days, with registers that are missing or wrong ----

SELECT send('.*', at(:'h', '8 hours'), at(:'h', '60 hours')) \g /dev/null
SELECT send_registers(m, at(:'h', '8 hours'), at(:'h', '60 hours')) FROM unnest('{m1,x1,s1}'::text[]) m \g /dev/null
-- missing where no price changes, where one does, and at midnight
SELECT send_registers('m2', at(:'h', '8 hours'), at(:'h', '10 hours')), send_registers('m2', at(:'h', '14 hours'), at(:'h', '46 hours')),
	send_registers('m2', at(:'h', '52 hours'), at(:'h', '60 hours')), send_registers('m4', at(:'h', '18 hours'), at(:'h', '22 hours')),
	send_registers('m4', at(:'h', '26 hours'), at(:'h', '56 hours')) \g /dev/null
-- exchanged at h + 20 hours: the new register counts from 0
SELECT send_registers('m5', at(:'h', '8 hours'), at(:'h', '20 hours')),
	send_registers('m5', at(:'h', '20 hours'), at(:'h', '60 hours'), 'new', -counted('m5', at(:'h', '20 hours'))) \g /dev/null
CALL metering.rollup(at(:'h', '60 hours'));
SELECT is_empty('SELECT wrong_regions()', 'regional totals of days');
SELECT * FROM bills_are_right(7, 'bills of days');
SELECT is((SELECT string_agg(format('%s %s', meter_id, n), ', ' ORDER BY meter_id) FROM (
	SELECT meter_id, sum(interpolated) AS n FROM metering.bill GROUP BY 1) x WHERE n > 0), 'm2 1, m4 2',
	'where the price changed and a register was missing');
SELECT refused(format('INSERT INTO metering.register_read VALUES (%L, %L, %L, encrypted(1, %L))', t, 'm5', s, 'second'), '23P01', NULL,
	format('a series cannot reach into another one: %s of %s', t, s))
	FROM (VALUES (at(:'h', '24 hours'), ''), (at(:'h', '18 hours'), 'new'), (at(:'h', '30 hours'), 'third'),
		(at(:'h', '6 hours'), 'third')) v (t, s);
INSERT INTO metering.register_read SELECT :'h', 's1', 'one of many ' || i, encrypted(1, 'second') FROM generate_series(1, 3) i;
SELECT refused(format('INSERT INTO metering.register_read VALUES (%L, %L, %L, encrypted(1, %L))', :'h', 's1', 'one more', 'second'), '54000', NULL,
	'a meter does not begin any number of series at one time');
-- a wrong register: one line between its neighbours
INSERT INTO metering.register_read VALUES (at(:'h', '12 hours'), 'm2', '', encrypted(99, 'second'));
SELECT metering.void_register('m2', at(:'h', '12 hours'), reason => 'wrong') \g /dev/null
SELECT metering.void_register('m1', at(:'h', '16 hours')), metering.void_register('m1', at(:'h', '60 hours')) \g /dev/null
DELETE FROM register WHERE meter_id = 'm1' AND read_at IN (at(:'h', '16 hours'), at(:'h', '60 hours'));
SELECT * FROM bills_are_right(7, 'without void registers');
SELECT refused(format('SELECT metering.void_register(%L, %L)', 'm1', at(:'h', '15 hours')), 'P0002', NULL,
	'what is not there cannot be void');
INSERT INTO metering.register_read VALUES (at(:'h', '16 hours'), 'm1', '', encrypted(5, 'second'));
SELECT * FROM bills_are_right(7, 'a void register is not replaced');
-- the account changes at a time without a register
INSERT INTO metering.contract_history VALUES ('m4', at(:'h', '24 hours'), 't', 'old tenant', 'import'), ('m1', at(:'h', '34 hours'), 't',
	'before', 'import');
SELECT * FROM bills_are_right(9, 'accounts that change');
SELECT is((SELECT count(*) FROM metering.account_bill WHERE account = 'm1' AND exported IS NOT NULL AND imported IS NOT NULL),
	(SELECT count(DISTINCT period) FROM metering.account_bill WHERE account = 'm1'), 'an account has both directions');
SELECT bag_eq(format($$ SELECT account, amount_due, imported_kwh FROM metering.invoice(%L, %L) WHERE account = 's1' $$,
	(SELECT private FROM pipeline_key WHERE name = 'second'), date_trunc('month', :'h'::timestamptz)),
	format($$ SELECT account, round(amount, 2), energy * 0.001 FROM owed() WHERE account = 's1' AND period = %L $$,
	date_trunc('month', :'h'::timestamptz)), 'an invoice');

-- ---- keys ----

SELECT refused(format('UPDATE metering.setting SET key_id = %L, bill_key_id = NULL', :'bill_key'), '55000', NULL,
	'a key of registers never becomes one of readings');
SELECT refused(format('UPDATE metering.setting SET key_id = %L, bill_key_id = %L', (SELECT id FROM pipeline_key WHERE name = 'third'),
	:'region_key'), '55000', NULL, 'nor the other way round');
-- another key of registers, from a window on that is sealed: as if it had been set then
UPDATE metering.setting SET bill_key_id = (SELECT id FROM pipeline_key WHERE name = 'third');
UPDATE metering.setting_history SET until = at(:'h', '64 hours');
UPDATE metering.window_grid SET bill_key_id = (SELECT id FROM pipeline_key WHERE name = 'third') WHERE window_start >= at(:'h', '64 hours');
SELECT send('.*', at(:'h', '60 hours'), at(:'h', '70 hours')) \g /dev/null
SELECT send_registers('s1', at(:'h', '62 hours'), at(:'h', '64 hours')) \g /dev/null
SELECT refused(format('INSERT INTO metering.register_read VALUES (%L, %L, %L, encrypted(1, %L))', t, 's1', s, k), '22000', NULL, what)
	FROM (VALUES (at(:'h', '66 hours'), '', 'second', 'the earlier key is over'), (at(:'h', '62 hours'), 'b', 'third', 'the later one not begun'),
		(at(:'h', '66 hours'), '', 'third', 'and needs another series')) v (t, s, k, what);
SELECT send_registers('s1', at(:'h', '64 hours'), at(:'h', '70 hours'), 'b', 7, 'third') \g /dev/null
CALL metering.rollup(at(:'h', '70 hours'));
SELECT * FROM bills_are_right(9, 'bills over a change of key');
SELECT is((SELECT count(DISTINCT key_id) FROM metering.bill WHERE meter_id = 's1'), 2::bigint, 'each key has its own');

-- ---- who sees it ----

CREATE ROLE two_biller;
CREATE ROLE two_operator;
SELECT metering.grant_access('two_biller', 'biller'), metering.grant_access('two_operator', 'operator') \g /dev/null
SELECT private AS key FROM pipeline_key WHERE name = 'third' \gset
SET ROLE two_biller;
SELECT isnt((SELECT count(amount_due) FROM metering.invoice(:'key', :'h')), 0::bigint, 'a biller: invoice()');
SELECT refused('SELECT * FROM metering.register_read', '42501', NULL, 'a biller reads bills');
SET ROLE two_operator;
SELECT lives_ok('SELECT * FROM metering.' || v, 'an operator: ' || v) FROM unnest('{health,key_use,voided_register}'::text[]) v;
SELECT refused('SELECT * FROM metering.' || v, '42501', NULL, 'an operator has no ' || v)
	FROM unnest('{bill,register_read,register_bill}'::text[]) v;
RESET ROLE;
DROP OWNED BY two_biller, two_operator;
DROP ROLE two_biller, two_operator;

-- ---- from one key to two, and back ----

SELECT begin_metering($$reading_interval = '30 min', backup_interval = '0', closing = '6 hours', min_share = 0.9$$) \g /dev/null
TRUNCATE register;
INSERT INTO metering.tariff VALUES ('t');
INSERT INTO metering.rate VALUES ('t', '00:00', 0.12), ('t', '06:00', 0.25), ('t', '16:00', 0.31);
SELECT add_meters('m', 3, 'one', 't') \g /dev/null
SELECT send('m[12]', :'h', at(:'h', '4 hours')), send('m3', :'h', at(:'h', '3 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
-- two keys from h + 4 hours to h + 12 hours, as if set then
UPDATE metering.setting SET bill_key_id = :'bill_key';
UPDATE metering.setting_history SET until = at(:'h', '4 hours');
UPDATE metering.setting SET bill_key_id = NULL;
UPDATE metering.setting_history SET until = at(:'h', '12 hours') WHERE until > at(:'h', '4 hours');
UPDATE metering.window_grid SET bill_key_id = CASE WHEN window_start BETWEEN at(:'h', '4 hours') AND at(:'h', '11 hours')
	THEN :'bill_key' END;
SELECT send('.*', at(:'h', '4 hours'), at(:'h', '14 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '555 min'));
SELECT is((SELECT format('%s %s', sealed_until - :'h', billed_until - :'h') FROM metering.progress), '09:00:00 02:00:00',
	'the last window of one key stays open');
SELECT send('m2', at(:'h', '2 hours'), at(:'h', '4 hours'), is_late => true) \g /dev/null
SELECT send_registers(m, at(:'h', '4 hours'), at(:'h', '12 hours')) FROM unnest('{m1,m2,m3}'::text[]) m \g /dev/null
CALL metering.rollup(at(:'h', '11 hours'));
SELECT is((SELECT billed_until - :'h' FROM metering.progress), '10:00:00'::interval, 'for the time of closing');
SELECT is((SELECT string_agg(format('%s %s', meter_id, n), ', ' ORDER BY 1) FROM (
	SELECT meter_id, sum(readings) AS n FROM metering.uncounted GROUP BY 1) x), 'm3 2', 'what is too little for a total then is listed');
SELECT send('m3', at(:'h', '3 hours'), at(:'h', '4 hours'), is_late => true) \g /dev/null
CALL metering.rollup(at(:'h', '11 hours'));
SELECT is((SELECT string_agg(format('%s %s', meter_id, n), ', ' ORDER BY 1) FROM (
	SELECT meter_id, sum(readings) AS n FROM metering.uncounted GROUP BY 1) x), 'm3 4', 'and what comes after it');
CALL metering.rollup(at(:'h', '855 min'));
SELECT is_empty($$ SELECT FROM metering.gap $$, 'then nothing is asked for');
SELECT is_empty('SELECT wrong_regions()', 'regional totals of either time');
SELECT bag_eq('SELECT meter_id, sum(decrypted(energy)) FROM metering.bill GROUP BY 1',
	format($$ SELECT meter_id, sum(value) FROM sent WHERE NOT (meter_id = 'm3' AND read_at >= %L AND read_at < %L) GROUP BY 1 $$,
		at(:'h', '2 hours'), at(:'h', '4 hours')), 'every other reading is billed once');
SELECT bag_eq('SELECT meter_id, trim_scale(sum(decrypted(amount))) FROM metering.bill GROUP BY 1',
	format($$ SELECT meter_id, trim_scale(sum(value * price_at(date_bin('2 hours', read_at, '2000-01-01 00:00Z')) * 0.001)) FROM sent
		WHERE NOT (meter_id = 'm3' AND read_at >= %L AND read_at < %L) GROUP BY 1 $$,
		at(:'h', '2 hours'), at(:'h', '4 hours')), 'at its price');

SELECT * FROM finish();
