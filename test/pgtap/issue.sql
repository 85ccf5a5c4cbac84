-- issue.sql
--	Bills that are issued, beside plaintext: what a run covers, frozen prices,
--	tariffs that are assigned late, accounts in two zones, two keys, restores,
--	damaged totals.  Bill windows are put where the roll-up leaves them.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

CREATE FUNCTION forged(value numeric) RETURNS paillier_ciphertext LANGUAGE sql AS
	$$ SELECT paillier_ciphertext(paillier_bytes(paillier_encrypt(value, public, 0, 200)), id, 0, 64)
	FROM pipeline_key WHERE name = 'first' $$;

-- ---- windows of six hours of Berlin, from March 2025 on; hours change on March 30 ----

SELECT begin_metering($$zone = 'Europe/Berlin', bill_window = '6 hours', reading_interval = '1 hour',
	retention = '20 days', starts_at = '2025-03-01 00:00 Europe/Berlin'$$) \g /dev/null
CREATE TABLE plain (meter_id text, starts timestamptz, ends timestamptz, key_name text, value numeric, readings int,
	carried int, expected int, missing int);
CREATE TABLE own_contract (meter_id text, since timestamptz, until timestamptz, account text, tariff text, flow text);

-- prices told apart from how the tables say them
CREATE FUNCTION own_price(tariff text, flow text, starts timestamptz) RETURNS numeric LANGUAGE sql AS $$
	SELECT CASE WHEN tariff = 'home' AND flow = 'export' THEN -0.0812
		WHEN tariff = 'home' AND EXTRACT(hour FROM starts AT TIME ZONE 'Europe/Berlin') IN (6, 12)
			THEN CASE WHEN starts < '2025-05-01 00:00 Europe/Berlin' THEN 0.3425 ELSE 9.99 END
		WHEN tariff = 'home' THEN 0.218 WHEN tariff = 'utc' THEN 0.25 WHEN tariff = 'york' THEN 0.4
		WHEN tariff = 'bare' THEN 1.5 END $$;
CREATE FUNCTION own_standing(tariff text, flow text, starts timestamptz, ends timestamptz) RETURNS numeric LANGUAGE sql
	AS $$ SELECT CASE WHEN tariff = 'home' AND flow = 'import' AND EXTRACT(day FROM starts AT TIME ZONE 'Europe/Berlin')
		<> EXTRACT(day FROM ends AT TIME ZONE 'Europe/Berlin') THEN 0.39 END $$;
INSERT INTO metering.tariff (tariff, zone, rounding) VALUES ('home', 'Europe/Berlin', 2), ('utc', 'UTC', 3),
	('york', 'America/New_York', 2), ('bare', 'Europe/Berlin', 2);
INSERT INTO metering.rate (tariff, from_time, price, charge) VALUES ('home', '06:00', 0.3425, 'import'),
	('home', '18:00', 0.218, 'import'), ('home', '00:00', 0.0812, 'export'), ('home', '00:00', 0.39, 'standing'),
	('utc', '00:00', 0.25, 'import'), ('york', '00:00', 0.4, 'import');
INSERT INTO metering.meter (meter_id, region, tariff, account, flow) VALUES ('a', 'in', 'home', 'smith', 'import'),
	('roof', 'out', 'home', 'smith', 'export'), ('u', 'in', 'utc', 'smith', 'import'),
	('c', 'in', 'york', 'jones', 'import'), ('j', 'in', 'home', 'jones', 'import'), ('n', 'in', NULL, NULL, 'import'),
	('p', 'in', 'bare', NULL, 'import'), ('p2', 'in', 'home', 'p', 'import'), ('silent', 'in', 'home', NULL, 'import'),
	('bad', 'in', 'home', NULL, 'import'), ('gone', 'in', 'home', NULL, 'import');
INSERT INTO own_contract SELECT meter_id, '-infinity'::timestamptz, 'infinity'::timestamptz, COALESCE(account, meter_id), tariff, flow
	FROM metering.meter;

-- Seals the windows from one local day up to another, with values that tell meters and windows apart.
CREATE FUNCTION seal(from_day date, to_day date, which text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO metering.window_grid (window_start, window_end, key_id, reading_interval, slot)
	SELECT g AT TIME ZONE 'Europe/Berlin', (g + interval '6 hours') AT TIME ZONE 'Europe/Berlin', id, '1 hour',
		metering.month_slot(g AT TIME ZONE 'Europe/Berlin')
	FROM pipeline_key, generate_series(from_day::timestamp, to_day - interval '1 hour', '6 hours') g WHERE name = $3;
	INSERT INTO plain
	SELECT m.meter_id, w.window_start, w.window_end, $3,
		CASE WHEN m.meter_id <> 'silent' THEN abs(hashtext(m.meter_id || w.window_start)) % 5000 END,
		CASE WHEN m.meter_id = 'silent' THEN 0 ELSE hours - late END, 0, hours,
		CASE WHEN m.meter_id = 'silent' THEN hours ELSE late END
	FROM metering.window_grid w CROSS JOIN metering.meter m
	CROSS JOIN LATERAL (SELECT EXTRACT(epoch FROM w.window_end - w.window_start)::int / 3600 AS hours,
		CASE WHEN m.meter_id = 'j' AND hashtext(w.window_start::text) % 7 = 0 THEN 1 ELSE 0 END AS late) x
	WHERE w.window_start >= from_day::timestamp AT TIME ZONE 'Europe/Berlin';
	-- what came late is in a later window
	UPDATE plain SET value = value + 77, readings = readings + 1, carried = 1
	WHERE meter_id = 'j' AND starts = from_day::timestamp AT TIME ZONE 'Europe/Berlin';
	INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, total, readings, carried, expected)
	SELECT metering.month_slot(starts), starts, meter_id, id, CASE WHEN meter_id = 'bad' AND starts = '2025-03-04 23:00Z'
		THEN forged(2::numeric ^ 100) ELSE encrypted(value, name) END, readings, carried, expected
	FROM plain JOIN pipeline_key ON name = key_name WHERE starts >= from_day::timestamp AT TIME ZONE 'Europe/Berlin';
	INSERT INTO metering.incomplete (meter_id, window_start, expected, received)
	SELECT meter_id, starts, '{127}', ARRAY[127 >> missing] FROM plain
	WHERE missing > 0 AND starts >= from_day::timestamp AT TIME ZONE 'Europe/Berlin';
	UPDATE metering.progress SET only_row = true, sealed_until = to_day::timestamp AT TIME ZONE 'Europe/Berlin',
		billed_until = to_day::timestamp AT TIME ZONE 'Europe/Berlin';
END
$$;

-- What a run should cover, said by hand, and what its bills should be, from plaintext.
CREATE TABLE due (run int, meter_id text, since timestamptz, until timestamptz);
CREATE VIEW own_row AS
	SELECT d.run, c.account, c.tariff, c.flow, p.*, own_price(c.tariff, c.flow, p.starts) AS price,
		CASE WHEN p.expected > 0 THEN own_standing(c.tariff, c.flow, p.starts, p.ends) END AS standing
	FROM due d JOIN plain p ON p.meter_id = d.meter_id AND p.starts >= d.since AND p.starts < d.until
	JOIN own_contract c ON c.meter_id = d.meter_id AND p.starts >= c.since AND p.starts < c.until;
CREATE VIEW own_bill AS
	SELECT run, account, key_name, CASE WHEN run > 1 OR account <> 'bad' OR key_name <> 'first' THEN
		round(COALESCE(sum(value * 0.001 * price), 0) + COALESCE(sum(standing), 0), CASE WHEN bool_or(tariff = 'utc') THEN 3
			ELSE 2 END) END AS amount, CASE WHEN run > 1 OR account <> 'bad' OR key_name <> 'first' THEN
			sum(value * 0.001) FILTER (WHERE flow = 'import') END AS imported,
		sum(value * 0.001) FILTER (WHERE flow = 'export') AS exported, COALESCE(sum(standing), 0) AS standing,
		count(standing) AS days, sum(readings) AS readings, sum(carried) AS carried, sum(missing) AS missing,
		array_agg(DISTINCT tariff ORDER BY tariff) AS tariffs
	FROM own_row GROUP BY run, account, key_name;
CREATE VIEW issued AS
	SELECT i.run::int, i.account, name AS key_name, amount_due AS amount, imported_kwh AS imported,
		exported_kwh AS exported, COALESCE(i.standing, 0) AS standing, days, readings, carried, missing, tariffs
	FROM metering.issue_run r, pipeline_key, metering.issued_invoice(private, run => r.run) i WHERE key_id = id;
CREATE FUNCTION issued_is(run int, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT bag_eq(format('SELECT * FROM issued WHERE run = %s', run),
		format('SELECT * FROM own_bill WHERE run = %s', run), what);
	RETURN NEXT is((SELECT count(*) FROM issued_stretch_problem), 0::bigint, what || ': no time is issued twice');
END
$$;
CREATE VIEW issued_stretch_problem AS SELECT a.* FROM metering.issued_stretch a JOIN metering.issued_stretch b
	ON a.meter_id = b.meter_id AND a.since < b.until AND b.since < a.until
	AND (a.run, a.key_id, a.since) <> (b.run, b.key_id, b.since);

-- where months end: Berlin, UTC and New York
CREATE FUNCTION ends(month date, zone text DEFAULT 'Europe/Berlin') RETURNS timestamptz LANGUAGE sql AS
	$$ SELECT (month + interval '1 month') AT TIME ZONE zone $$;
CREATE FUNCTION runs() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM metering.issue_run $$;

-- ---- before it is due ----

SELECT throws_ok($$ CALL metering.issue_bills('2025-03-01') $$, '55000',
	'bills of 2025-03 cannot be issued before bill windows up to 2025-04-01 04:00:00+00 are sealed',
	'not before anything is sealed');
SELECT seal('2025-03-01', '2025-03-19', 'first'), seal('2025-03-19', '2025-04-01', 'second') \g /dev/null
SELECT throws_ok($$ CALL metering.issue_bills('2025-03-01') $$, '55000',
	'bills of 2025-03 cannot be issued before bill windows up to 2025-04-01 04:00:00+00 are sealed',
	'not before the month is over for every tariff');
SELECT seal('2025-04-01', '2025-04-02', 'second') \g /dev/null
UPDATE metering.setting SET bill_grace = '900 years';
SELECT throws_ok($$ CALL metering.issue_bills('2025-03-31') $$, '55000',
	'bills of 2025-03 cannot be issued before 2925-04-01 04:00:00+00', 'not before the time of grace is over');
UPDATE metering.setting SET bill_grace = '3 days';
SELECT throws_ok(format('CALL metering.issue_bills(%L)', d), '22023', NULL, 'not for ' || COALESCE(d, 'NULL'))
FROM unnest(ARRAY[NULL, 'infinity', '-infinity']) d;
SELECT throws_ok(format('CALL metering.issue_bills(%L)', now()::date), '55000', NULL, 'not for this month');
SELECT is(runs(), 0::bigint, 'nothing was issued');

-- ---- the first month: two keys, three zones, export, standing charges, a forged total ----

INSERT INTO due SELECT 1, meter_id, '-infinity'::timestamptz, ends('2025-03-01') FROM metering.meter
	WHERE meter_id NOT IN ('n', 'p', 'u', 'c')
	UNION ALL VALUES (1, 'u', '-infinity'::timestamptz, ends('2025-03-01', 'UTC')),
		(1, 'c', '-infinity', ends('2025-03-01', 'America/New_York'));
CALL metering.issue_bills('2025-03-17');
SELECT issued_is(1, 'the first month');
SELECT is((SELECT count(*) FROM issued WHERE amount <> 0), 11::bigint, 'accounts have amounts, under two keys');
SELECT is((SELECT string_agg(format('%s %s %s', account, name, damaged), ', ')
	FROM pipeline_key, metering.issued_invoice(private, '2025-03-02') WHERE damaged), 'bad first t',
	'one total that cannot be decrypted spoils its own account');
SELECT is((SELECT missing > 0 AND carried = 1 FROM issued WHERE account = 'jones' AND key_name = 'first'), true,
	'a bill tells what it lacks, and what came late');
SELECT is((SELECT unpriced FROM metering.issued_bill WHERE account = 'p' AND key_id = paillier_key_id(amount) LIMIT 1),
	(SELECT count(*) FROM metering.window_grid WHERE window_start < ends('2025-03-01')),
	'an account is told of windows that have no price');
SELECT bag_eq('SELECT meter_id, since, until, windows FROM metering.unbilled', $$ SELECT meter_id, min(starts), max(ends),
	count(*) FROM plain WHERE meter_id IN ('n', 'p') AND starts < ends('2025-03-01') GROUP BY 1 $$,
	'nobody is billed for a meter without a tariff, or without a price');
SELECT is((SELECT (period, epoch = (SELECT epoch FROM metering.progress), elsewhere, covered_until, accounts,
		meters, unbilled_meters, unbilled_windows)::text FROM metering.issue_run),
	(SELECT (date '2025-03-01', true, false, ends('2025-03-01'), 6, 9, 2, 2 * count(*))::text FROM metering.window_grid
		WHERE window_start < ends('2025-03-01')), 'which the run notes');
SELECT is((SELECT unbilled_windows FROM metering.health), (SELECT unbilled_windows FROM metering.issue_run), 'for health');
SELECT is((SELECT count(*) FROM metering.health, unnest(problems) p WHERE p ~ '^nobody is billed for \d+ bill windows'),
	1::bigint, 'which tells');
SELECT is((SELECT bills_overdue FROM metering.health), date '2025-04-01', 'and that the next bills are due');
SELECT is((SELECT count(*) FROM metering.issued_bill b JOIN metering.issued_bill c USING (run, account, key_id)
	WHERE paillier_bytes(b.amount) = '\x01'), 0::bigint, 'amounts are random');

-- ---- once more: nothing ----

CALL metering.issue_bills('2025-03-01');
SELECT is(runs(), 1::bigint, 'what is issued is not issued again');
SELECT is((SELECT count(*) FROM metering.issued_price WHERE run > 1), 0::bigint, 'no price is left of it');
SELECT throws_ok(format(statement, t), '55000', format('rows of metering.%s are written once and never change', t),
	format(statement, t))
FROM (VALUES ('UPDATE metering.%s SET run = run'), ('DELETE FROM metering.%s'), ('TRUNCATE metering.%s')) x (statement),
	unnest(ARRAY['issue_run', 'issued_price', 'issued_stretch', 'issued_bill']) t;

-- ---- a price that is changed afterwards: what is issued stays, what is not has the new price ----

UPDATE metering.rate SET valid = '(,2025-05-01)' WHERE tariff = 'home' AND from_time = '06:00';
INSERT INTO metering.rate (tariff, from_time, price, valid) VALUES ('home', '06:00', 9.99, '[2025-05-01,)');
UPDATE metering.rate SET price = 5 WHERE tariff = 'york';
SELECT issued_is(1, 'after a change of price');
UPDATE metering.rate SET price = 0.4 WHERE tariff = 'york';

-- ---- tariffs assigned late ----

SELECT throws_ok(format('SELECT metering.assign_tariff(%s)', a), code, NULL, 'assign_tariff ' || a) FROM (VALUES
	($$'n', 'none', '2025-03-01'$$, '23503'), ($$'x', 'utc', '2025-03-01'$$, '23503'), ($$'n', NULL, '2025-03-01'$$, '22023'),
	($$'n', 'utc', 'infinity'$$, '22023'), ($$'n', 'utc', NULL$$, '22023'),
	($$'n', 'utc', '2025-03-02', NULL, '2025-03-01'$$, '22023'), ($$'a', 'utc', '2025-03-31'$$, '55000')) v (a, code);
SELECT throws_ok($$ SELECT metering.assign_tariff('a', 'utc', '2025-03-31') $$, '55000', format(
	'meter "a" is billed from %s to %s, by run 1', '2025-03-18 23:00:00+00'::timestamptz, ends('2025-03-01')),
	'what is issued keeps its tariff');
SELECT metering.assign_tariff('n', 'utc', '2025-03-10 00:00 Europe/Berlin', 'late') \g /dev/null
SELECT metering.assign_tariff('a', 'york', '2025-04-15 00:00 Europe/Berlin', until => '2025-04-17 00:00 Europe/Berlin'),
	metering.assign_tariff('j', 'home', '2025-04-20 00:00 Europe/Berlin', 'smith') \g /dev/null
UPDATE own_contract SET tariff = 'utc', account = 'late', since = '2025-03-10 00:00 Europe/Berlin' WHERE meter_id = 'n';
INSERT INTO own_contract VALUES ('a', '2025-04-15 00:00 Europe/Berlin', '2025-04-17 00:00 Europe/Berlin', 'smith',
	'york', 'import'), ('a', '2025-04-17 00:00 Europe/Berlin', 'infinity', 'smith', 'home', 'import'),
	('j', '2025-04-20 00:00 Europe/Berlin', 'infinity', 'smith', 'home', 'import');
UPDATE own_contract SET until = CASE meter_id WHEN 'a' THEN '2025-04-15 00:00 Europe/Berlin'::timestamptz
	ELSE '2025-04-20 00:00 Europe/Berlin' END WHERE meter_id IN ('a', 'j') AND since = '-infinity';
SELECT bag_eq($$ SELECT meter_id, since, until, account, tariff, flow FROM metering.contract WHERE meter_id IN ('a', 'j')
	UNION ALL SELECT meter_id, since, until, account, tariff, flow FROM metering.contract WHERE tariff = 'utc' AND meter_id = 'n' $$,
	$$ SELECT * FROM own_contract WHERE meter_id IN ('a', 'j', 'n') $$, 'contracts are as they were assigned');

-- ---- the second month: with what is left of the first ----

SELECT seal('2025-04-02', '2025-05-02', 'second') \g /dev/null
DELETE FROM metering.meter WHERE meter_id = 'gone';
INSERT INTO due SELECT 2, meter_id, ends('2025-03-01'), ends('2025-04-01') FROM own_contract
	WHERE meter_id NOT IN ('n', 'p', 'u', 'c') GROUP BY meter_id
	UNION ALL VALUES (2, 'u', ends('2025-03-01', 'UTC'), ends('2025-04-01', 'UTC')),
		(2, 'c', ends('2025-03-01', 'America/New_York'), ends('2025-04-01', 'America/New_York')),
		(2, 'n', '2025-03-09 23:00Z'::timestamptz, ends('2025-04-01', 'UTC'));
CALL metering.issue_bills('2025-04-30');
SELECT issued_is(2, 'the second month, a meter whose tariff came late, and one that was moved');
SELECT is((SELECT (since, windows)::text FROM metering.unbilled WHERE meter_id = 'n'), ('2025-02-28 23:00:00+00'::timestamptz,
	9 * 4::bigint)::text, 'what came before that tariff is left');
SELECT throws_ok($$ SELECT metering.assign_tariff('n', 'york', '2025-03-01') $$, '55000', NULL,
	'a tariff is not assigned across what is issued');
SELECT metering.assign_tariff('n', 'york', '2025-02-28 23:00Z', until => '2025-03-10 00:00 Europe/Berlin') \g /dev/null
INSERT INTO own_contract VALUES ('n', '-infinity', '2025-03-10 00:00 Europe/Berlin', 'n', 'york', 'import');
INSERT INTO due VALUES (3, 'n', '-infinity', '2025-03-10 00:00 Europe/Berlin');
CALL metering.issue_bills('2025-04-30');
SELECT issued_is(3, 'but into the gap');
SELECT is_empty($$ SELECT FROM metering.unbilled WHERE meter_id = 'n' $$, 'which is closed');

-- a price that came late, for months past
INSERT INTO metering.rate (tariff, price) VALUES ('bare', 1.5);
INSERT INTO due VALUES (4, 'p', '-infinity', ends('2025-04-01'));
CALL metering.issue_bills('2025-04-01');
SELECT issued_is(4, 'a price that came late');
SELECT is_empty('SELECT FROM metering.unbilled', 'everything is billed');
SELECT is((SELECT unbilled_windows FROM metering.health), 0::bigint, 'health has nothing to tell');
SELECT issued_is(1, 'the first run is what it was');
SELECT is((SELECT sum(amount) FROM issued WHERE account <> 'bad' AND run IN (1, 2, 3, 4)),
	(SELECT sum(amount) FROM own_bill WHERE account <> 'bad'), 'no amount is missing');

-- a meter that is gone, and whose last readings were carried over
UPDATE metering.contract_history SET until = ends('2025-04-01') WHERE meter_id = 'gone';
SELECT seal('2025-05-02', '2025-06-02', 'second') \g /dev/null
INSERT INTO plain VALUES ('gone', '2025-05-10 00:00 Europe/Berlin', '2025-05-10 06:00 Europe/Berlin', 'second', 4711, 2, 2,
	0, 0);
INSERT INTO metering.bill_window (slot, window_start, meter_id, key_id, total, readings, carried)
	SELECT metering.month_slot(starts), starts, 'gone', id, encrypted(4711, 'second'), 2, 2 FROM plain
	JOIN pipeline_key ON name = key_name WHERE meter_id = 'gone' AND value = 4711 AND carried = 2;
INSERT INTO due SELECT 5, meter_id, ends('2025-04-01'), ends('2025-05-01') FROM own_contract
	WHERE meter_id NOT IN ('u', 'n', 'c', 'gone') GROUP BY meter_id
	UNION ALL SELECT 5, m, ends('2025-04-01', 'UTC'), ends('2025-05-01', 'UTC') FROM unnest(ARRAY['u', 'n']) m
	UNION ALL VALUES (5, 'c', ends('2025-04-01', 'America/New_York'), ends('2025-05-01', 'America/New_York'));
CALL metering.issue_bills('2025-05-31');
SELECT issued_is(5, 'the third month, with the new price');
SELECT bag_eq('SELECT meter_id, windows FROM metering.unbilled', $$ VALUES ('gone', 5::bigint) $$,
	'nobody is billed for what a deleted meter left');
SELECT metering.assign_tariff('gone', 'york', ends('2025-04-01')) \g /dev/null
INSERT INTO own_contract VALUES ('gone', ends('2025-04-01'), 'infinity', 'gone', 'york', 'import');
UPDATE own_contract SET until = ends('2025-04-01') WHERE meter_id = 'gone' AND tariff = 'home';
INSERT INTO due VALUES (6, 'gone', ends('2025-04-01'), 'infinity');
CALL metering.issue_bills('2025-05-01');
SELECT issued_is(6, 'until a tariff is assigned');
CALL metering.issue_bills('2025-03-01');
SELECT is(runs(), 6::bigint, 'nothing is left');

-- ---- forgetting ----

SELECT throws_ok($$ CALL metering.forget('2025-06-01 12:00Z') $$, '55000', format(
	'bill windows from %s on are not issued: they are not forgotten', ends('2025-05-01')),
	'what is not issued is not forgotten');
INSERT INTO metering.unbilled VALUES ('a', '2025-03-01', '2025-03-02', 4);
SELECT lives_ok($$ SELECT metering.check_issued('2025-05-20') $$, 'what is issued is no obstacle');
SELECT metering.assign_tariff('gone', 'bare', '2024-01-01', until => '2024-01-02') \g /dev/null
UPDATE metering.unbilled SET (meter_id, since) = ('gone', '2024-01-01');
SELECT throws_ok($$ SELECT metering.check_issued('2025-05-20') $$, '55000', NULL, 'what has got a tariff is');
DELETE FROM metering.unbilled;

-- ---- another place ----

UPDATE metering.progress SET timeline = NULL;
SELECT throws_ok($$ CALL metering.issue_bills('2025-06-01') $$, '55000', 'metering runs in another place than its last roll-up',
	'after a restore the roll-up comes first');
UPDATE metering.progress SET (system_identifier, database, timeline, epoch) = (SELECT p.*, gen_random_uuid()
	FROM metering.place() p);
SELECT seal('2025-06-02', '2025-08-02', 'second') \g /dev/null
SELECT throws_ok($$ CALL metering.issue_bills('2025-07-01') $$, '55000',
	'bills may have been issued in another place since run 6', 'then somebody has to say what was issued elsewhere');
SELECT throws_ok($$ SELECT metering.confirm_issued('2025-08-01') $$, '55000', NULL, 'not more than is sealed here');
SELECT is(metering.confirm_issued('2025-06-03'), 7::bigint, 'June was');
SELECT is((SELECT (elsewhere, period, accounts, (SELECT count(*) FROM metering.issued_bill WHERE run = 7))::text
	FROM metering.issue_run WHERE run = 7), '(t,2025-06-01,0,0)', 'of which there is no bill here');
SELECT throws_ok($$ SELECT metering.confirm_issued(NULL) $$, '55000', NULL, 'that is said once');
INSERT INTO due SELECT 8, meter_id, ends('2025-06-01'), ends('2025-07-01') FROM own_contract
	WHERE meter_id NOT IN ('u', 'n', 'c', 'gone') GROUP BY meter_id
	UNION ALL SELECT 8, m, ends('2025-06-01', 'UTC'), ends('2025-07-01', 'UTC') FROM unnest(ARRAY['u', 'n']) m
	UNION ALL VALUES (8, 'c', ends('2025-06-01', 'America/New_York'), ends('2025-07-01', 'America/New_York'));
CALL metering.issue_bills('2025-07-01');
SELECT issued_is(8, 'July is issued here');
UPDATE metering.progress SET epoch = gen_random_uuid();
SELECT is(metering.confirm_issued(NULL), 9::bigint, 'after another restore nothing was issued elsewhere');
CALL metering.issue_bills('2025-07-01');
SELECT is(runs(), 9::bigint, 'and nothing is issued twice');

-- ---- drafts of a month that is forgotten in part ----

SELECT sum(missing) AS lacking FROM plain WHERE meter_id = 'j' AND starts >= ends('2025-06-01')
	AND starts < ends('2025-07-01') \gset
CREATE VIEW lacking AS SELECT (SELECT sum(missing) FROM metering.bill WHERE (meter_id, period) = ('j', '2025-07-01')) AS bill,
	(SELECT sum(i.missing) FROM pipeline_key, metering.invoice(private, '2025-07-01') i
		WHERE name = 'second' AND account = 'smith') AS invoice;
SELECT is((SELECT lacking::text FROM lacking), format('(%s,%s)', :lacking, :lacking), 'drafts tell what is missing');
UPDATE metering.setting SET starts_at = '2025-07-20 00:00 Europe/Berlin';
DELETE FROM metering.incomplete WHERE window_start < '2025-07-20 00:00 Europe/Berlin';
SELECT is((SELECT lacking::text FROM lacking), format('(%s,%s)', :lacking, :lacking), 'also of windows that are forgotten');

-- ---- who may do what ----

CREATE ROLE issue_biller;
CREATE ROLE issue_operator;
SELECT metering.grant_access('issue_biller', 'biller'), metering.grant_access('issue_operator', 'operator') \g /dev/null
SELECT private AS key FROM pipeline_key WHERE name = 'second' \gset
SET ROLE issue_biller;
SELECT isnt((SELECT count(amount_due) FROM metering.issued_invoice(:'key', '2025-07-01')), 0::bigint, 'a biller has invoices');
SELECT lives_ok('SELECT * FROM metering.' || v, 'a biller: ' || v) FROM unnest(ARRAY['issue_run', 'issued_price',
	'issued_stretch', 'issued_bill', 'unbilled', 'unissued_contract']) v;
SELECT throws_ok(s, '42501', NULL, 'a biller may not ' || s) FROM unnest(ARRAY[$$CALL metering.issue_bills('2025-07-01')$$,
	'SELECT metering.confirm_issued(NULL)', $$SELECT metering.assign_tariff('a', 'utc', now())$$]) s;
SET ROLE issue_operator;
SELECT lives_ok($$ CALL metering.issue_bills('2025-07-01') $$, 'an operator issues bills');
SELECT lives_ok($$ SELECT metering.assign_tariff('a', 'utc', '2025-08-02') $$, 'and assigns tariffs');
SELECT throws_ok($$ SELECT * FROM metering.issued_bill $$, '42501', NULL, 'but sees none');
RESET ROLE;

SELECT * FROM finish();
DROP OWNED BY issue_biller, issue_operator;
DROP ROLE issue_biller, issue_operator;
