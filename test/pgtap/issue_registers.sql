-- issue_registers.sql
--	Bills that are issued from registers, beside plaintext: openings and closings,
--	registers that are missing at the end of a month, wrong ones, exchanges, tariffs that
--	are assigned late, prices that change after a run.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

SELECT begin_metering($$bill_window = '6 hours', reading_interval = '1 hour', retention = '20 days',
	starts_at = '2025-03-01'$$) \g /dev/null
SELECT id AS bill_key FROM pipeline_key WHERE name = 'second' \gset
UPDATE metering.setting SET bill_key_id = :'bill_key';
INSERT INTO metering.key_use (key_id, channel) VALUES (:'bill_key', 'register');
INSERT INTO metering.window_grid (window_start, window_end, key_id, bill_key_id, reading_interval, slot)
SELECT g, g + interval '6 hours', (SELECT key_id FROM metering.setting), :'bill_key', '1 hour', metering.month_slot(g)
FROM generate_series('2025-03-01 00:00Z'::timestamptz, '2025-06-30 18:00Z', '6 hours') g;
UPDATE metering.progress SET only_row = true, sealed_until = '2025-07-01', billed_until = '2025-07-01';
INSERT INTO metering.tariff (tariff) VALUES ('home'), ('bare');
INSERT INTO metering.rate (tariff, from_time, price, charge) VALUES ('home', '06:00', 0.3, 'import'),
	('home', '18:00', 0.2, 'import'), ('home', '00:00', 0.08, 'export'), ('home', '00:00', 0.5, 'standing');
INSERT INTO metering.meter (meter_id, region, tariff, account, flow, active) VALUES
	('a', 'in', 'home', 'smith', 'import', '[2025-03-01,)'), ('roof', 'out', 'home', 'smith', 'export', '[2025-03-01,)'),
	('d', 'in', 'home', NULL, 'import', '[2025-03-01,)'), ('e', 'in', 'home', NULL, 'import', '[2025-03-01,)'),
	('l', 'in', NULL, NULL, 'import', '[2025-03-01,)'), ('v', 'in', 'home', NULL, 'import', '[2025-03-01,)'),
	('t', 'in', 'home', 'after', 'import', '[2025-03-01,)'), ('p', 'in', 'bare', NULL, 'import', '[2025-03-01,)'),
	('silent', 'in', 'home', NULL, 'import', '[2025-03-01,)');
INSERT INTO metering.contract_history VALUES ('t', '2025-03-15 06:00Z', 'home', 'before', 'import');

-- ---- registers in plain numbers, put where the door leaves them ----

CREATE TABLE register (meter_id text, series text, read_at timestamptz, value numeric);
CREATE FUNCTION advance(meter text, t timestamptz) RETURNS numeric LANGUAGE sql AS $$
	SELECT COALESCE(sum(abs(hashtext(meter || g)) % 3000), 0)
	FROM generate_series('2025-03-01 00:00Z'::timestamptz, t - interval '6 hours', '6 hours') g $$;
CREATE FUNCTION came(meter text, t timestamptz) RETURNS boolean LANGUAGE sql AS $$
	SELECT CASE meter WHEN 'd' THEN t <= '2025-03-20 00:00Z' OR t >= '2025-04-10 12:00Z'
		WHEN 't' THEN t NOT BETWEEN '2025-03-14 18:00Z' AND '2025-03-15 12:00Z' WHEN 'silent' THEN false ELSE true END $$;
CREATE FUNCTION put(from_time timestamptz, to_time timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO register
	SELECT m.meter_id, CASE WHEN m.meter_id = 'e' AND (g > '2025-04-15 12:00Z' OR again) THEN 'x' ELSE '' END, g,
		CASE WHEN m.meter_id = 'e' AND (g > '2025-04-15 12:00Z' OR again) THEN -advance('e', '2025-04-15 12:00Z') ELSE 5000000 END
			+ advance(m.meter_id, g) + CASE WHEN m.meter_id = 'v' AND g = '2025-04-01 00:00Z' THEN 100000 ELSE 0 END
	FROM metering.meter m, generate_series(from_time, to_time, '6 hours') g,
		LATERAL (SELECT false AS again UNION ALL SELECT true WHERE m.meter_id = 'e' AND g = '2025-04-15 12:00Z') x
	WHERE came(m.meter_id, g);
	INSERT INTO metering.register_series (meter_id, series, key_id, since)
	SELECT meter_id, series, id, min(read_at) FROM register, pipeline_key WHERE name = 'second' GROUP BY 1, 2, 3
	ON CONFLICT DO NOTHING;
	INSERT INTO metering.register_read SELECT read_at, meter_id, series, encrypted(value, 'second'), now() FROM register
	WHERE read_at BETWEEN from_time AND to_time;
	INSERT INTO metering.incomplete (meter_id, window_start, expected, received)
	SELECT m.meter_id, g, '{1}', '{}' FROM metering.meter m, generate_series(from_time, to_time, '6 hours') g
	WHERE NOT came(m.meter_id, g);
END $$;

-- What a meter has counted, on the line between its neighbours where a register is missing.
CREATE FUNCTION line(meter text, of_series text, t timestamptz, until timestamptz) RETURNS numeric LANGUAGE sql AS $$
	SELECT b.value + (a.value - b.value) * s.share
	FROM (SELECT * FROM register WHERE (meter_id, series) = (meter, of_series) AND read_at <= t
			ORDER BY read_at DESC LIMIT 1) b,
		(SELECT * FROM register WHERE (meter_id, series) = (meter, of_series) AND read_at >= t ORDER BY read_at LIMIT 1) a,
		LATERAL (SELECT CASE WHEN a.read_at = b.read_at THEN 0 ELSE round(
			(EXTRACT(epoch FROM t - b.read_at) / EXTRACT(epoch FROM a.read_at - b.read_at))::numeric, 12) END) s (share) $$;

-- What each run should bill, said by hand.
CREATE TABLE due (run int, account text, meter_id text, series text, since timestamptz, until timestamptz);
CREATE FUNCTION own_bill(of_run int) RETURNS TABLE (account text, amount numeric, imported numeric, exported numeric,
	days bigint, standing numeric) LANGUAGE sql AS $$
	SELECT d.account, round(sum(x.energy * CASE WHEN d.meter_id = 'roof' THEN -0.00008
			WHEN EXTRACT(hour FROM g) IN (6, 12) THEN CASE d.run WHEN 1 THEN 0.0003 ELSE 0.00035 END ELSE 0.0002 END)
			+ 0.5 * count(*) FILTER (WHERE d.meter_id <> 'roof' AND EXTRACT(hour FROM g) = 18), 2),
		sum(x.energy * 0.001) FILTER (WHERE d.meter_id <> 'roof'), sum(x.energy * 0.001) FILTER (WHERE d.meter_id = 'roof'),
		count(*) FILTER (WHERE d.meter_id <> 'roof' AND EXTRACT(hour FROM g) = 18),
		NULLIF(0.5 * count(*) FILTER (WHERE d.meter_id <> 'roof' AND EXTRACT(hour FROM g) = 18), 0)
	FROM due d, generate_series(d.since, d.until - interval '6 hours', '6 hours') g,
		LATERAL (SELECT line(d.meter_id, d.series, g + interval '6 hours', d.until)
			- line(d.meter_id, d.series, g, d.until) AS energy) x
	WHERE d.run = of_run GROUP BY d.account $$;
CREATE FUNCTION issued_is(of_run int, what text) RETURNS text LANGUAGE sql AS $$
	SELECT bag_eq(format('SELECT account, amount_due, trim_scale(imported_kwh) AS i, trim_scale(exported_kwh) AS e, days, standing
		FROM pipeline_key, metering.issued_invoice(private, run => %s) WHERE name = ''second''', of_run),
		format('SELECT account, amount, trim_scale(imported) AS i, trim_scale(exported) AS e, days, standing
			FROM own_bill(%s)', of_run), what) $$;

-- ---- March ----

SELECT put('2025-03-01', '2025-04-01') \g /dev/null
CALL metering.issue_bills('2025-03-01');
INSERT INTO due VALUES (1, 'smith', 'a', '', '2025-03-01', '2025-04-01'), (1, 'smith', 'roof', '', '2025-03-01', '2025-04-01'),
	(1, 'd', 'd', '', '2025-03-01', '2025-03-20'), (1, 'e', 'e', '', '2025-03-01', '2025-04-01'),
	(1, 'v', 'v', '', '2025-03-01', '2025-04-01'), (1, 'before', 't', '', '2025-03-01', '2025-03-15 06:00Z'),
	(1, 'after', 't', '', '2025-03-15 06:00Z', '2025-04-01');
SELECT issued_is(1, 'March: each meter up to its last register');
SELECT bag_eq('SELECT meter_id, since, until, windows FROM metering.unbilled', $$ VALUES
	('d', '2025-03-20'::timestamptz, '2025-04-01'::timestamptz, 48::bigint), ('l', '2025-03-01', '2025-04-01', 124),
	('p', '2025-03-01', '2025-04-01', 124), ('silent', '2025-03-01', '2025-04-01', 124) $$, 'what nobody was billed for');
SELECT bag_eq($$ SELECT meter_id, account, since, until, trim_scale(decrypted(opening)) AS o, trim_scale(decrypted(closing)) AS c FROM metering.issued_stretch
	WHERE meter_id IN ('d', 't', 'v') $$,
	$$ SELECT d.meter_id, d.account, d.since, d.until,
		trim_scale(line(d.meter_id, d.series, d.since, d.until)) AS o,
		trim_scale(line(d.meter_id, d.series, d.until, d.until)) AS c FROM due d WHERE run = 1 AND meter_id IN ('d', 't', 'v') $$,
	'openings and closings');
SELECT lives_ok($$CALL metering.issue_bills('2025-03-01')$$, 'once more');
SELECT is((SELECT count(*) FROM metering.issue_run), 1::bigint, 'issues nothing');

-- ---- April, at other prices; the wrong register is void by then ----

SELECT put('2025-04-01 06:00Z', '2025-05-01') \g /dev/null
UPDATE metering.rate SET price = 0.35 WHERE from_time = '06:00';
SELECT metering.void_register('v', '2025-04-01') \g /dev/null
-- from the next window on
SELECT metering.assign_tariff('l', 'home', '2025-03-09 19:30Z') \g /dev/null
SELECT throws_ok($$SELECT metering.assign_tariff('p', 'home', '2025-03-09 19:30Z', until => '2025-03-09 20:00Z')$$, '22023', NULL,
	'a tariff holds for whole windows');
SELECT throws_ok($$SELECT metering.assign_tariff('a', 'bare', '2025-03-31')$$, '55000', NULL,
	'what is issued keeps its tariff');
CALL metering.issue_bills('2025-04-01');
INSERT INTO due VALUES (2, 'smith', 'a', '', '2025-04-01', '2025-05-01'), (2, 'smith', 'roof', '', '2025-04-01', '2025-05-01'),
	(2, 'd', 'd', '', '2025-03-20', '2025-05-01'), (2, 'e', 'e', '', '2025-04-01', '2025-04-15 12:00Z'),
	(2, 'e', 'e', 'x', '2025-04-15 12:00Z', '2025-05-01'), (2, 'v', 'v', '', '2025-04-01', '2025-05-01'),
	(2, 'after', 't', '', '2025-04-01', '2025-05-01'), (2, 'l', 'l', '', '2025-03-10', '2025-05-01');
SELECT issued_is(2, 'April: from where March closed, what was missing by its own time');
SELECT is((SELECT string_agg(account, ', ') FROM metering.issued_bill WHERE run = 2 AND interpolated), 'd',
	'where a register was missing at a change of price');
SELECT is((SELECT sum(decrypted(imported)) FROM metering.issued_bill WHERE account = 'v'), advance('v', '2025-05-01'),
	'what a wrong register billed too much, the next bill takes back');
SELECT bag_eq('SELECT meter_id, since, until, windows FROM metering.unbilled', $$ VALUES
	('l', '2025-03-01'::timestamptz, '2025-03-10'::timestamptz, 36::bigint), ('p', '2025-03-01', '2025-05-01', 244),
	('silent', '2025-03-01', '2025-05-01', 244) $$, 'what nobody was billed for yet');

-- ---- May, with a price for the tariff that had none ----

SELECT put('2025-05-01 06:00Z', '2025-06-01') \g /dev/null
INSERT INTO metering.rate (tariff, price) VALUES ('bare', 0.2);
INSERT INTO metering.rate (tariff, from_time, price) VALUES ('bare', '06:00', 0.35), ('bare', '18:00', 0.2);
INSERT INTO metering.rate (tariff, price, charge) VALUES ('bare', 0.5, 'standing');
CALL metering.issue_bills('2025-05-01');
INSERT INTO due SELECT 3, account, meter_id, CASE meter_id WHEN 'e' THEN 'x' ELSE '' END, '2025-05-01', '2025-06-01' FROM due
	WHERE run = 2 AND (meter_id <> 'e' OR series = 'x');
INSERT INTO due VALUES (3, 'p', 'p', '', '2025-03-01', '2025-06-01');
SELECT issued_is(3, 'May, and all of what had no price before');
SELECT bag_eq('SELECT meter_id, windows FROM metering.unbilled', $$ VALUES ('l', 36::bigint), ('silent', 368) $$, 'what is left');
SELECT is_empty($$ SELECT FROM metering.issued_stretch a JOIN metering.issued_stretch b ON a.meter_id = b.meter_id
	AND a.since < b.until AND b.since < a.until AND (a.run, a.series, a.since) <> (b.run, b.series, b.since) $$,
	'no time is issued twice');
SELECT is((SELECT string_agg(format('%s %s', meter_id, until - since), ', ' ORDER BY meter_id) FROM (
	SELECT meter_id, justify_hours(sum(until - since)) AS until, interval '0' AS since FROM metering.issued_stretch GROUP BY 1) x
	WHERE meter_id IN ('a', 'd', 'e', 't')), 'a 92 days, d 92 days, e 92 days, t 92 days', 'and none left out');

-- ---- series that overlap, though the door refuses them: two sessions at once, or a series that is void ----

INSERT INTO metering.meter (meter_id, region, tariff, active) VALUES ('o', 'in', 'home', '[2025-06-01,)');
INSERT INTO metering.register_series SELECT 'o', x, :'bill_key', '2025-06-01'::timestamptz + CASE x WHEN 'b' THEN interval '1 day' ELSE '0' END
	FROM unnest(ARRAY['a', 'b']) x;
INSERT INTO metering.register_read SELECT g, 'o', x, encrypted(1000 * EXTRACT(day FROM g)::int, 'second'), now()
	FROM (VALUES ('a', '2025-06-01'::timestamptz, '2025-06-10'::timestamptz), ('b', '2025-06-02', '2025-06-20')) v (x, s, e),
		generate_series(s, e, interval '1 day') g;
UPDATE metering.meter SET tariff = NULL WHERE meter_id <> 'o';
UPDATE metering.contract_history SET tariff = NULL WHERE until > now() AND meter_id <> 'o';
CALL metering.issue_bills('2025-06-01');
SELECT bag_eq($$ SELECT series, since, until FROM metering.issued_stretch WHERE meter_id = 'o' $$, $$ VALUES
	('a', '2025-06-01'::timestamptz, '2025-06-10'::timestamptz), ('b', '2025-06-10', '2025-06-20') $$, 'no time of overlapping series is billed twice');
SELECT is((SELECT decrypted(imported) FROM metering.issued_bill WHERE account = 'o'), 19000::numeric, 'and the energy once');
SELECT metering.void_register('o', g, x) FROM (VALUES ('b', '2025-06-02'::timestamptz, '2025-06-20'::timestamptz)) v (x, s, e),
	generate_series(s, e, interval '1 day') g \g /dev/null
INSERT INTO metering.register_series VALUES ('o', 'c', :'bill_key', '2025-06-15');
INSERT INTO metering.register_read SELECT g, 'o', 'c', encrypted(1000 * EXTRACT(day FROM g)::int, 'second'), now()
	FROM generate_series('2025-06-15'::timestamptz, '2025-06-25', interval '1 day') g;
CALL metering.issue_bills('2025-06-01');
SELECT bag_eq($$ SELECT series, since, until, decrypted(closing) FROM metering.issued_stretch WHERE meter_id = 'o' AND series = 'c' $$, $$ VALUES
	('c', '2025-06-20'::timestamptz, '2025-06-25'::timestamptz, 25000::numeric) $$, 'a series in place of a void one is billed from where bills have been issued');

-- ---- forgetting ----

SELECT lives_ok($$SELECT metering.move_start('2025-05-01')$$, 'meters without registers do not keep old windows from being forgotten');

SELECT * FROM finish();
