-- bill.sql
--	Tariffs whose prices are never ambiguous, and what is said of those that
--	leave a time without one; accounts; energy of bills and regions reconciled;
--	registers against bills.  The bills of a year are in test/t/bill.t.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();

-- An even UTC hour that has been over for long: a bill window of two hours begins.
SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z') AS h \gset

CREATE FUNCTION at(t timestamptz, later interval) RETURNS timestamptz LANGUAGE sql AS $$ SELECT t + later $$;

-- ---- rates ----

SELECT begin_metering() \g /dev/null
INSERT INTO metering.tariff VALUES ('t'), ('u'), ('bare');
INSERT INTO metering.rate VALUES ('t', '06:00', 0.3), ('t', '22:00', 0.2), ('u', '06:00', 0.5);
SELECT lives_ok(format('INSERT INTO metering.rate (tariff, from_time, price, %s', r), r) FROM unnest(ARRAY[
	$$charge) VALUES ('t', '06:00', 0.08, 'export')$$, $$charge) VALUES ('t', '00:00', 0.4, 'standing')$$,
	$$weekdays) VALUES ('t', '08:00', 0.25, '{6,7}')$$, $$weekdays) VALUES ('t', '08:00', 0.26, '{5}')$$,
		$$months, weekdays) VALUES ('t', '09:00', 0.25, '{1}', '{6,7}')$$,
	$$months, weekdays) VALUES ('t', '09:00', 0.27, '{2}', '{7}')$$,
		$$valid) VALUES ('t', '12:00', 0.22, '[2025-01-01,2026-01-01)'), ('t', '12:00', 0.23, '[2026-01-01,)')$$]) r;
SELECT throws_ok(format('INSERT INTO metering.rate (tariff, from_time, price, charge, weekdays, months, valid)
	VALUES (%s)', r), '23P01', NULL, r || ' is ambiguous') FROM unnest(ARRAY[
	$$'t', '06:00', 0.1, DEFAULT, '{1}', DEFAULT, DEFAULT$$, $$'t', '06:00', 0.1, DEFAULT, DEFAULT, '{7}', DEFAULT$$,
		$$'t', '06:00', 0.1, DEFAULT, DEFAULT, DEFAULT, '[2025-01-01,2025-01-02)'$$,
	$$'t', '08:00', 0.1, DEFAULT, '{3,6}', '{5,6}', '[2025-01-01,)'$$,
		$$'t', '06:00', 0.1, 'export', '{1}', DEFAULT, DEFAULT$$,
		$$'t', '00:00', 0.1, 'standing', '{1}', DEFAULT, DEFAULT$$,
	$$'t', '12:00', 0.1, DEFAULT, DEFAULT, DEFAULT, '[2025-12-31,2026-01-01)'$$,
		$$'u', '05:00', 0.1, DEFAULT, '{1,2}', DEFAULT, DEFAULT),
		('u', '05:00', 0.1, DEFAULT, '{2,3}', DEFAULT, DEFAULT$$]) r;
SELECT throws_ok($$ INSERT INTO metering.rate (tariff, from_time, price, weekdays) VALUES ('t', '06:00', 0.1, '{1}') $$,
	'23P01', 'two import rates of tariff "t" from 06:00:00 hold on the same day', 'and says why');
SELECT throws_ok($$ INSERT INTO metering.rate VALUES ('t', '06:00', 0.3) $$, '23505', NULL, 'so is the same once more');
SELECT throws_ok($$ UPDATE metering.rate SET weekdays = '{5,6}' WHERE weekdays = '{5}' $$, '23P01', NULL,
	'nor can one become so');
SELECT lives_ok($$ UPDATE metering.rate SET valid = CASE WHEN upper_inf(valid) THEN '[2026-02-01,)'
	ELSE '[2025-01-01,2026-02-01)' END::daterange WHERE from_time = '12:00' $$,
	'the day of a new price is moved in one statement');
SELECT throws_ok(format('INSERT INTO metering.rate (tariff, from_time, price, charge, weekdays, months, valid)
	VALUES (%s)', r), '23514', NULL, r || ' is refused') FROM unnest(ARRAY[
	$$'u', '01:00', 'NaN', DEFAULT, DEFAULT, DEFAULT, DEFAULT$$,
		$$'u', '01:00', 1e9, DEFAULT, DEFAULT, DEFAULT, DEFAULT$$,
		$$'u', '01:00', 1, 'gas', DEFAULT, DEFAULT, DEFAULT$$,
	$$'u', '01:00', 1, 'standing', DEFAULT, DEFAULT, DEFAULT$$, $$'u', '01:00', 1, DEFAULT, '{0}', DEFAULT, DEFAULT$$,
		$$'u', '01:00', 1, DEFAULT, '{8}', DEFAULT, DEFAULT$$,
	$$'u', '01:00', 1, DEFAULT, '{}', DEFAULT, DEFAULT$$, $$'u', '01:00', 1, DEFAULT, '{1,NULL}', DEFAULT, DEFAULT$$,
		$$'u', '01:00', 1, DEFAULT, DEFAULT, '{13}', DEFAULT$$,
	$$'u', '01:00', 1, DEFAULT, DEFAULT, '{}', DEFAULT$$, $$'u', '01:00', 1, DEFAULT, DEFAULT, DEFAULT, 'empty'$$]) r;
SELECT throws_ok($$ UPDATE metering.tariff SET rounding = -1 $$, '23514', NULL, 'amounts are not rounded to tens');

-- Monday 2026-03-02, Friday the 6th, Saturday the 7th
SELECT is(metering.price('t', charge, t::timestamp), price, format('%s %s', charge, t)) FROM (VALUES
	('import', '2026-03-02 00:00', 0.2), ('import', '2026-03-02 05:59:59', 0.2), ('import', '2026-03-02 06:00', 0.3),
		('import', '2026-03-02 11:59', 0.3), ('import', '2026-03-02 12:00', 0.23),
	('import', '2026-03-02 22:00', 0.2), ('import', '2026-03-06 08:00', 0.26), ('import', '2026-03-07 08:00', 0.25),
		('import', '2026-03-07 07:00', 0.3),
	('import', '2026-02-08 09:00', 0.27), ('import', '2026-02-07 09:00', 0.25), ('import', '2026-01-10 10:00', 0.25),
		('import', '2026-01-31 12:00', 0.22), ('import', '2024-12-31 12:00', 0.3),
	('export', '2026-03-02 00:00', 0.08), ('export', '2026-03-02 12:00', 0.08),
		('standing', '2026-03-02 12:00', 0.4)) v (charge, t, price);
SELECT is((SELECT array_agg(metering.price(t, c, '2026-03-02'))
	FROM (VALUES ('bare', 'import'), ('u', 'export'), ('t', 'gas'), ('none', 'import')) v (t, c)),
	array_fill(NULL::numeric, ARRAY[4]), 'where no rate holds there is no price');

-- ---- what is wrong with tariffs ----

SELECT is_empty('SELECT * FROM metering.tariff_problem', 'nothing is wrong with tariffs that no meter has');
INSERT INTO metering.tariff VALUES ('odd', NULL, 'Asia/Kolkata'), ('ends', NULL, 'UTC'),
	('berlin', NULL, 'Europe/Berlin'), ('half', NULL, 'UTC');
INSERT INTO metering.rate (tariff, from_time, price, valid) VALUES ('odd', '00:00', 1, '(,)'),
	('berlin', '00:00', 1, '(,)'), ('half', '06:00', 1, '(,)'), ('half', '07:30', 1, '(,)'),
	('half', '09:00', 1, '(,)');
INSERT INTO metering.rate (tariff, price, valid) SELECT 'ends', 1,
	daterange(NULL, (now() AT TIME ZONE 'UTC')::date + 300);
INSERT INTO metering.meter (meter_id, region, tariff, flow) SELECT t, 'in', t,
	'import' FROM unnest(ARRAY['t', 'odd', 'ends', 'berlin', 'half', 'bare']) t;
INSERT INTO metering.meter (meter_id, region, tariff, flow) VALUES ('out', 'out', 'u', 'export');
SELECT bag_eq('SELECT tariff, problem FROM metering.tariff_problem', format($$ VALUES
	('ends', 'no import price on 65 days of the coming year, the first of them %s'),
		('bare', 'no import price on 365 days of the coming year, the first of them %s'),
		('u', 'no export price on 365 days of the coming year, the first of them %2$s'),
	('t', '09:00:00 is within a bill window in 2 months of the year'),
		('odd', '00:00:00 is within a bill window in 12 months of the year'),
		('berlin', '00:00:00 is within a bill window in %s months of the year'),
	('half', '07:30:00 is within a bill window in 12 months of the year'),
		('half', '09:00:00 is within a bill window in 12 months of the year') $$,
	(now() AT TIME ZONE 'UTC')::date + 300, (now() AT TIME ZONE 'UTC')::date,
	(SELECT count(*) FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
		now() AT TIME ZONE 'UTC' + interval '11 months', '1 month') m
		WHERE EXTRACT(hour FROM m AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC') = 23)),
	'tariffs in use without a price, and prices that begin within a bill window');
SELECT is((SELECT problems[array_upper(problems, 1)] FROM metering.health),
	'8 problems with tariffs: see metering.tariff_problem', 'health tells of them');
UPDATE metering.setting SET zone = 'Europe/Berlin', bill_window = '1 hour';
SELECT is((SELECT count(*) FROM metering.tariff_problem WHERE tariff = 'berlin'), 0::bigint,
	'windows of the same zone begin with the day');

-- ---- accounts and flows ----

SELECT begin_metering() \g /dev/null
INSERT INTO metering.meter (meter_id, region, account, flow) VALUES ('a', 'in', NULL, 'import'),
	('b', 'in', 'smith', 'import'), ('roof', 'out', 'smith', 'export');
SELECT bag_eq('SELECT meter_id, account, since, until FROM metering.contract',
	$$ VALUES ('a', 'a', '-infinity'::timestamptz, 'infinity'::timestamptz), ('b', 'smith', '-infinity', 'infinity'),
	('roof', 'smith', '-infinity', 'infinity') $$,
	'a meter is billed to its account, or to one of its name');
SELECT window_end AS e FROM metering.window_of(now()) \gset
UPDATE metering.meter SET account = 'jones' WHERE meter_id = 'a';
UPDATE metering.meter SET account = 'smith' WHERE meter_id = 'a';
UPDATE metering.meter SET collector = 'c' WHERE meter_id = 'b';
SELECT bag_eq('SELECT meter_id, account, since, until FROM metering.contract',
	format($$ VALUES ('a', 'a', '-infinity'::timestamptz, %1$L::timestamptz), ('a', 'smith', %1$L, 'infinity'),
	('b', 'smith', '-infinity', 'infinity'), ('roof', 'smith', '-infinity', 'infinity') $$, :'e'),
	'from the next bill window on, where that changes');
SELECT throws_ok($$ UPDATE metering.meter SET flow = 'export' WHERE meter_id = 'b' $$, '0A000',
	'the flow of a meter cannot be changed', 'a meter keeps its flow');
SELECT throws_ok($$ INSERT INTO metering.meter (meter_id, region, flow) VALUES ('c', 'in', 'export') $$, '23514',
	'region "in" would hold meters of both import and export', 'a region holds one flow');
SELECT throws_ok($$ INSERT INTO metering.meter (meter_id, region, flow) VALUES ('c', 'new', 'export'),
	('d', 'new', 'import') $$, '23514', NULL, 'also a new one');
SELECT throws_ok($$ UPDATE metering.meter SET region = 'in' WHERE meter_id = 'roof' $$, '23514', NULL,
	'and one that a meter moves to');
SELECT lives_ok($$ UPDATE metering.meter SET region = CASE region WHEN 'in' THEN 'out' ELSE 'in' END $$,
	'regions may change places');
SELECT throws_ok($$ INSERT INTO metering.meter (meter_id, region, flow) VALUES ('c', 'x', 'both') $$, '23514', NULL,
	'there are two flows');

-- ---- bills of all meters and of all regions ----

SELECT begin_metering($$reading_interval = '15 min', min_share = 0.375$$) \g /dev/null
SELECT add_meters('m', 3, 'one'), add_meters('n', 2, 'two') \g /dev/null
CREATE TEMPORARY VIEW reconciled AS SELECT (window_start - :'h')::text AS window, readings::int,
	decrypted(difference) AS difference, reason FROM metering.reconciliation;
-- complete; one reading never comes; one comes late within its window; one in the next; both of one meter wait; a meter
-- goes; a region is small
SELECT send('..', :'h', at(:'h', '2 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '3 hours'));
SELECT send('m[12]', at(:'h', '2 hours'), at(:'h', '4 hours')), send('n.', at(:'h', '2 hours'), at(:'h', '4 hours')),
	send('m3', at(:'h', '150 min'), at(:'h', '4 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '5 hours'));
SELECT bag_eq('SELECT * FROM reconciled', $$ VALUES ('00:00:00', 40, 0::numeric, NULL), ('02:00:00', 38, 0, NULL) $$,
	'the energy of bills is that of regions, also where readings never came');
SELECT is((SELECT count(DISTINCT paillier_bytes(difference))
	FROM (SELECT difference FROM metering.reconciliation UNION ALL SELECT difference FROM metering.reconciliation) d),
	4::bigint, 'a new ciphertext of it every time');
SELECT is((SELECT count(*) FROM metering.reconciliation WHERE paillier_bytes(difference) = '\x01'), 0::bigint,
	'and none that shows what it is');
SELECT send('m[12]', at(:'h', '4 hours'), at(:'h', '5 hours')), send('n.', at(:'h', '4 hours'), at(:'h', '5 hours')),
	send('m3', at(:'h', '4 hours'), at(:'h', '285 min')) \g /dev/null
CALL metering.rollup(at(:'h', '315 min'));
SELECT send('m3', at(:'h', '285 min'), at(:'h', '5 hours'), is_late => true),
	send('..', at(:'h', '5 hours'), at(:'h', '6 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '7 hours'));
SELECT send('m3', at(:'h', '2 hours'), at(:'h', '150 min'), is_late => true),
	send('..', at(:'h', '6 hours'), at(:'h', '8 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '9 hours'));
SELECT send('m[12]', at(:'h', '8 hours'), at(:'h', '10 hours')), send('n.', at(:'h', '8 hours'), at(:'h', '10 hours')),
	send('m3', at(:'h', '8 hours'), at(:'h', '510 min')) \g /dev/null
CALL metering.rollup(at(:'h', '11 hours'));
SELECT send('..', at(:'h', '10 hours'), at(:'h', '11 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '675 min'));
SELECT send('..', at(:'h', '11 hours'), at(:'h', '12 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '13 hours'));
SELECT send('m1', at(:'h', '12 hours'), at(:'h', '14 hours')),
	send('n.', at(:'h', '12 hours'), at(:'h', '14 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '15 hours'));
SELECT bag_eq($$ SELECT * FROM reconciled WHERE "window" > '02:00:00' $$,
	$$ VALUES ('04:00:00', 40, NULL::numeric, '1 late readings'), ('06:00:00', 42, NULL, '2 late readings'),
	('08:00:00', 32, NULL, '2 readings that wait for a later window or were lost'),
		('10:00:00', 42, NULL, '2 readings of earlier windows'),
		('12:00:00', 24, NULL, '2 regional hours without a total') $$,
		'where they hold other readings there is no difference, but a reason');
-- as many late readings of one meter as wait of another
SELECT send('m1', at(:'h', '14 hours'), at(:'h', '870 min')), send('m2', at(:'h', '14 hours'), at(:'h', '16 hours')),
	send('m3', at(:'h', '870 min'), at(:'h', '16 hours')),
	send('n.', at(:'h', '14 hours'), at(:'h', '16 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '915 min'));
SELECT send('m3', at(:'h', '14 hours'), at(:'h', '870 min'), is_late => true) \g /dev/null
DELETE FROM metering.meter WHERE meter_id = 'm1';
CALL metering.rollup(at(:'h', '17 hours'));
SELECT is((SELECT sum(readings)::int FROM metering.region_hour WHERE hour >= at(:'h', '14 hours')) || ' '
	|| (SELECT sum(readings) FROM metering.bill_window WHERE window_start = at(:'h', '14 hours')), '32 32',
	'as many readings in bills and regions');
SELECT bag_eq($$ SELECT * FROM reconciled WHERE "window" = '14:00:00' $$,
	$$ VALUES ('14:00:00', 32, NULL::numeric, '2 late readings') $$,
	'but not the same: no difference, which would be that of a few');
-- a total that is not what it was
ALTER TABLE metering.region_hour DISABLE TRIGGER write_once;
UPDATE metering.region_hour SET total = total + 5 WHERE hour = :'h' AND region = 'two';
ALTER TABLE metering.region_hour ENABLE TRIGGER write_once;
SELECT is((SELECT difference FROM reconciled WHERE "window" = '00:00:00'), -5::numeric,
	'a total that was changed shows');
DELETE FROM metering.rollup_log WHERE step = 'hour' AND starts = :'h';
SELECT is((SELECT reason FROM reconciled WHERE "window" = '00:00:00'), 'the log of the roll-up is not complete',
	'what is not known to be complete is not compared');

-- ---- registers ----

DROP VIEW reconciled;
SELECT begin_metering($$reading_interval = '15 min'$$) \g /dev/null
SELECT add_meters('m', 3, 'one'), add_meters('c', 1, 'one') \g /dev/null
CREATE ROLE register_collector;
CREATE ROLE register_other;
SELECT metering.grant_access('register_collector', 'collector'),
	metering.grant_access('register_other', 'collector') \g /dev/null
UPDATE metering.meter SET collector = 'register_other' WHERE meter_id = 'c1';
GRANT SELECT ON pipeline_key, sent TO register_collector;
SELECT send('.*', :'h', at(:'h', '4 hours')), send('m[23]', at(:'h', '4 hours'), at(:'h', '6 hours')),
	send('m1', at(:'h', '270 min'), at(:'h', '6 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '7 hours'));
SELECT send('m1', at(:'h', '4 hours'), at(:'h', '270 min'), is_late => true),
	send('.*', at(:'h', '6 hours'), at(:'h', '8 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '9 hours'));
SELECT send('.*', at(:'h', '8 hours'), at(:'h', '10 hours')) \g /dev/null
CALL metering.rollup(at(:'h', '11 hours'));

SET ROLE register_collector;
-- m2 has sent readings of 700 less than it has consumed, in its second window
CREATE FUNCTION pg_temp.register(meter text, t timestamptz) RETURNS paillier_ciphertext LANGUAGE sql AS $$
	SELECT encrypted(1234567 + COALESCE(sum(value), 0) + CASE WHEN meter = 'm2'
		AND t >= min(read_at) + interval '4 hours' THEN 700 ELSE 0 END) FROM sent WHERE meter_id = meter
		AND read_at < t $$;
SELECT throws_ok(format('INSERT INTO metering.register_read (meter_id, read_at, register) VALUES (%L, %L, %s)', m, t, c), code, NULL, what)
	FROM (VALUES
	('m1', at(:'h', '1 hour'), 'encrypted(1)', '23514', 'a register within a window is refused'),
		('m1', at(:'h', '15 min'), 'encrypted(1)', '23514', 'also on the grid of readings'),
	('m1', at(:'h', '7 min'), 'encrypted(1)', '23514', 'and off it'),
		('m1', at(:'h', '-2 hours'), 'encrypted(1)', '23514', 'and before the start'),
	('m1', date_bin('2 hours', now(), '2000-01-01 00:00Z') + interval '2 hours', 'encrypted(1)', '23514',
		'and of the future'), ('m9', :'h', 'encrypted(1)', '23503', 'a meter that is not known is refused'),
	('c1', :'h', 'encrypted(1)', '23503', 'and so is that of another collector'),
		('m1', :'h', $$encrypted(1, 'second')$$, '22000', 'another key is refused'),
	('m1', :'h', $$(SELECT paillier_encrypt(1, public, 2) FROM pipeline_key WHERE name = 'first')$$, '22000',
		'and another scale'), ('m1', :'h', 'NULL', '23502', 'and none')) v (m, t, c, code, what);
SELECT throws_ok($$ INSERT INTO metering.register_read VALUES ('2020-01-01', 'm1', '', encrypted(1), now()) $$, '42501',
	NULL, 'only the database says when it came');
SELECT throws_ok('SELECT * FROM metering.register_read', '42501', NULL, 'nor are registers read');
INSERT INTO metering.register_read (meter_id, read_at, register) SELECT m, :'h'::timestamptz + i * interval '2 hours',
	pg_temp.register(m, :'h'::timestamptz + i * interval '2 hours') FROM unnest(ARRAY['m1', 'm2']) m,
	generate_series(0, 6) i WHERE m = 'm1' OR i <> 1;
RESET ROLE;
CREATE TEMPORARY TABLE before AS SELECT meter_id, register::text FROM metering.register_read;
SELECT is((SELECT count(*) FROM before), 13::bigint, 'two meters have sent registers');
INSERT INTO metering.register_read VALUES (:'h', 'm1', '', encrypted(1));
SELECT bag_eq('SELECT meter_id, register::text FROM metering.register_read', 'SELECT * FROM before',
	'the first counts');
SELECT throws_ok(statement, '55000', NULL, statement)
	FROM unnest(ARRAY['UPDATE metering.register_read SET register = register + 1', 'DELETE FROM metering.register_read',
	'TRUNCATE metering.register_read']) statement;
WITH sent AS (SELECT encrypted(5) AS register), stored
	AS (INSERT INTO metering.register_read (meter_id, read_at, register) SELECT 'm3', :'h', register FROM sent RETURNING register)
SELECT is(paillier_bytes(sent.register) = paillier_bytes(stored.register) OR decrypted(stored.register) <> 5, false,
	'what is stored is another ciphertext of it') FROM sent, stored;
SELECT bag_eq($$ SELECT meter_id, since, until, decrypted(difference), reason FROM metering.register_check $$,
	format($$ VALUES
	('m1', %1$L::timestamptz, %2$L::timestamptz, 0::numeric, NULL), ('m1', %2$L, %3$L, 0, NULL),
		('m1', %3$L, %4$L, NULL, '2 readings are missing'), ('m1', %4$L, %5$L, NULL, '2 readings of earlier windows'),
	('m1', %5$L, %6$L, 0, NULL), ('m1', %6$L, %7$L, NULL, 'not all windows are sealed'),
	('m2', %1$L, %3$L, 700, NULL), ('m2', %3$L, %4$L, 0, NULL), ('m2', %4$L, %5$L, 0, NULL),
		('m2', %5$L, %6$L, 0, NULL), ('m2', %6$L, %7$L, NULL, 'not all windows are sealed') $$,
	:'h', at(:'h', '2 hours'), at(:'h', '4 hours'), at(:'h', '6 hours'), at(:'h', '8 hours'), at(:'h', '10 hours'),
		at(:'h', '12 hours')),
	'a register that agrees with the bills, one that does not, and where nothing can be said');
-- under another key
UPDATE metering.setting SET key_id = (SELECT id FROM pipeline_key WHERE name = 'second');
INSERT INTO metering.register_read (meter_id, read_at, register)
	SELECT 'm3', at(:'h', '2 hours'), encrypted(5, 'second');
SELECT is((SELECT reason FROM metering.register_check WHERE meter_id = 'm3'), 'the key has changed',
	'registers under two keys are not compared');

-- ---- who sees it ----

-- functions in views run with the rights of who asks
CREATE ROLE bill_biller;
CREATE ROLE bill_operator;
SELECT metering.grant_access('bill_biller', 'biller'), metering.grant_access('bill_operator', 'operator') \g /dev/null
INSERT INTO metering.tariff VALUES ('t');
INSERT INTO metering.rate VALUES ('t', '00:00', 0.3, 'import'), ('t', '00:00', 1, 'standing');
INSERT INTO metering.contract_history SELECT meter_id, now() + interval '1 day', 't' FROM metering.meter;
SELECT private AS key FROM pipeline_key WHERE name = 'first' \gset
SELECT date_trunc('month', :'h'::timestamptz AT TIME ZONE 'UTC')::date AS month \gset
SET ROLE bill_biller;
SELECT lives_ok('SELECT * FROM metering.' || v, 'a biller: ' || v)
	FROM unnest(ARRAY['bill', 'account_bill', 'window_price', 'contract', 'reconciliation', 'register_check']) v;
SELECT isnt((SELECT count(amount_due) FROM metering.invoice(:'key', :'month')), 0::bigint, 'a biller: invoice()');
SELECT throws_ok('SELECT * FROM metering.register_read', '42501', NULL,
	'but no register: less a window with a gap it would be what is missing');
SET ROLE bill_operator;
SELECT lives_ok('SELECT * FROM metering.' || v, 'an operator: ' || v)
	FROM unnest(ARRAY['contract', 'reconciliation', 'tariff_problem', 'health']) v;
SELECT throws_ok('SELECT * FROM metering.' || v, '42501', NULL, 'an operator has no ' || v)
	FROM unnest(ARRAY['bill', 'account_bill', 'register_read', 'register_check']) v;
RESET ROLE;

SELECT * FROM finish();
DROP OWNED BY register_collector, register_other, bill_biller, bill_operator;
DROP ROLE register_collector, register_other, bill_biller, bill_operator;
