-- registers.sql
--	Which registers belong together, and what happens where one key becomes two or two
--	become one.  Random cases: test/metering/two_keys.py.

\ir fixture.psql
\ir ../t/metering.psql
SELECT no_plan();
SET timezone = 'UTC';

SELECT date_trunc('day', now()) - interval '4 days' AS h \gset
CREATE FUNCTION at(hours int) RETURNS timestamptz LANGUAGE sql STABLE AS
	$$ SELECT date_trunc('day', now()) - interval '4 days' + hours * interval '1 hour' $$;
CREATE FUNCTION take(meter text, of_series text, hours int, value numeric DEFAULT 0, key_name text DEFAULT 'second') RETURNS void
	LANGUAGE sql AS
	$$ INSERT INTO metering.register_read VALUES (at(hours), meter, of_series, encrypted(value, key_name)) $$;
SELECT id AS bill_key FROM pipeline_key WHERE name = 'second' \gset

-- Two keys from an hour after the start up to another one, as if the settings had changed then.
CREATE FUNCTION two_keys(since int, until int DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	bill_key text := (SELECT id FROM pipeline_key WHERE name = 'second');
BEGIN
	UPDATE metering.setting SET bill_key_id = bill_key;
	SET CONSTRAINTS ALL IMMEDIATE;
	UPDATE metering.setting_history h SET until = at(since);
	IF two_keys.until IS NOT NULL THEN
		UPDATE metering.setting SET bill_key_id = NULL;
		SET CONSTRAINTS ALL IMMEDIATE;
		UPDATE metering.setting_history h SET until = at(two_keys.until) WHERE h.until > at(since);
	END IF;
	UPDATE metering.window_grid SET bill_key_id = CASE WHEN window_start >= at(since)
		AND window_start < COALESCE(at(two_keys.until), 'infinity') THEN bill_key END;
END $$;

-- ---- series of a meter touch, and never overlap ----

SELECT begin_metering($$reading_interval = '1 hour', backup_interval = '0'$$) \g /dev/null
UPDATE metering.setting SET bill_key_id = :'bill_key';
SELECT add_meters('m', 9, 'one', 't') \g /dev/null
INSERT INTO metering.tariff VALUES ('t');
INSERT INTO metering.rate VALUES ('t', '00:00', 0.1, 'import'), ('t', '00:00', 0.5, 'standing');
SELECT send('.*', :'h', at(24)) \g /dev/null

CREATE FUNCTION takes_in_turn(steps text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	step text;
	word text[];
	result text := '';
BEGIN
	FOREACH step IN ARRAY string_to_array(steps, ', ') LOOP
		word := string_to_array(step, ' ');
		BEGIN
			IF word[1] = 'void' THEN
				PERFORM metering.void_register('m1', at(word[3]::int), word[2]);
			ELSE
				PERFORM take('m1', word[1], word[2]::int);
			END IF;
			result := result || 'y';
		EXCEPTION WHEN exclusion_violation THEN
			result := result || 'n';
		END;
	END LOOP;
	RAISE EXCEPTION USING MESSAGE = result, ERRCODE = 'UE001';
EXCEPTION WHEN SQLSTATE 'UE001' THEN
	RETURN result;
END $$;
CREATE TABLE turn (steps text, taken text, what text);
INSERT INTO turn VALUES
	('a 0, a 4, b 4, b 8, a 2', 'yyyyy', 'series that touch'),
	('a 0, a 8, b 4', 'yyn', 'a register within another series'),
	('a 0, b 4, a 8', 'yyn', 'a series over the only register of another'),
	('a 4, b 4, a 8, b 8', 'yyyn', 'two series that begin together: only one goes on'),
	('a 4, b 4, a 8, b 0, a 12', 'yyyyy', 'while the other may end there'),
	('a 4, b 4, a 8, a 0', 'yyyn', 'a series cannot go back over another'),
	('a 4, a 8, b 12, b 2', 'yyyn', 'nor to before it'),
	('a 4, a 8, b 12, b 8', 'yyyy', 'but to its end'),
	('a 0, b 4, void b 4, a 8', 'yyyy', 'a void register is in nobody''s way'),
	('a 0, a 8, void a 8, b 4, b 12, a 6', 'yyyyyn', 'nor is it a part of its series'),
	('a 0, a 8, void a 0, b 4, b 8, a 6', 'yyyyyn', 'also not as the first one'),
	('a 0, a 8, void a 0, b 4, a 2', 'yyyyn', 'so that another series takes its place');
SELECT is(takes_in_turn(steps), taken, format('%s, before metering has started: %s', what, steps)) FROM turn;
CALL metering.rollup(at(24));
SELECT is(takes_in_turn(steps), taken, format('%s: %s', what, steps)) FROM turn;

-- ---- registers that are void at the ends ----

SELECT take('m1', '', t * 2, 100 * t) FROM generate_series(0, 12) t \g /dev/null
SELECT take('m2', '', 0, 7), take('m2', '', 2, 9) \g /dev/null
SELECT take('m3', '', 0, 5) \g /dev/null
SELECT metering.void_register('m1', at(0)), metering.void_register('m1', at(24)), metering.void_register('m2', at(0)),
	metering.void_register('m3', at(0)) \g /dev/null
SELECT is((SELECT string_agg(format('%s %s %s', meter_id, decrypted(energy), decrypted(amount) - COALESCE(standing, 0)), ', ' ORDER BY 1)
	FROM metering.bill), 'm1 1000 0.1000', 'no bill begins or ends with a void register, or without one');
SELECT is((SELECT sum(days) FROM metering.bill), 0::numeric, 'nor has the standing charge of a day that it does not cover');

-- ---- readings of a meter that is not active any more ----

SELECT send('m9', at(24), at(25)), send('m8', at(24), at(26)) \g /dev/null
UPDATE metering.meter SET active = tstzrange(NULL, at(20)) WHERE meter_id = 'm9';
CALL metering.rollup(at(26));
SELECT is((SELECT format('%s %s %s', readings, dropped, duplicates) FROM metering.rollup_log WHERE starts = at(24)), '1 1 0',
	'they are in no region: dropped, and no duplicates');

-- ---- the last window of one key leaves nothing that waits ----

SELECT begin_metering($$reading_interval = '1 hour', closing = '0'$$) \g /dev/null
SELECT add_meters('m', 3, 'one', 't') \g /dev/null
SELECT send('m[12]', :'h', at(4)), send('m3', :'h', at(3)) \g /dev/null
CALL metering.rollup(at(3));
SELECT two_keys(4) \g /dev/null
SELECT send('.*', at(4), at(6)) \g /dev/null
CALL metering.rollup(at(6) + interval '20 min');
SELECT is((SELECT billed_until FROM metering.progress), at(6), 'also where backups are days apart');
SELECT is_empty('SELECT FROM metering.partial', 'no reading of a meter waits for ever');
SELECT is((SELECT string_agg(meter_id || ' ' || readings, ',') FROM metering.uncounted), 'm3 1', 'it is listed');

-- ---- from two keys to one, while the last window before them is open still ----

SELECT begin_metering($$reading_interval = '1 hour', closing = '1 day', backup_interval = '0', grace = '0'$$) \g /dev/null
INSERT INTO metering.tariff VALUES ('t');
INSERT INTO metering.rate VALUES ('t', '00:00', 0.1, 'import'), ('t', '00:00', 0.5, 'standing');
SELECT add_meters('m', 3, 'one', 't') \g /dev/null
SELECT send('.*', :'h', at(4)) \g /dev/null
CALL metering.rollup(at(2));
SELECT two_keys(4, 8) \g /dev/null
SELECT send('.*', at(4), at(12)) \g /dev/null
SELECT take('m1', '', t, t) FROM generate_series(4, 8, 2) t \g /dev/null
CALL metering.rollup(at(7));
SELECT is((SELECT billed_until FROM metering.progress), at(2), 'it waits for late readings');
CALL metering.rollup(at(12));
SELECT is((SELECT billed_until FROM metering.progress), at(12), 'until there is one key again');
SELECT is((SELECT string_agg(format('%s %s', extract(hour FROM window_start), n), ', ' ORDER BY window_start) FROM (
	SELECT window_start, sum(readings) AS n FROM metering.bill_window GROUP BY 1) x), '0 6, 2 6, 8 6, 10 6',
	'each window has its own readings');
SELECT is_empty('SELECT wrong_regions()', 'regional totals of all of the time');
SELECT is((SELECT missing FROM metering.bill WHERE meter_id = 'm1' AND key_id = :'bill_key'), 0::bigint, 'no register is missing');
SELECT is(decrypted(energy), 4::numeric, 'a bill from registers') FROM metering.bill WHERE meter_id = 'm1' AND key_id = :'bill_key';
SELECT throws_ok(format('SELECT take(%L, %L, %s, 9, %L)', 'm1', '', 12, 'second'), '22000', NULL, 'a register under the key of bills is refused now');
-- two keys once more, with the same key
UPDATE metering.setting SET bill_key_id = :'bill_key';
UPDATE metering.setting_history SET until = at(12) WHERE until > at(12);
UPDATE metering.window_grid SET bill_key_id = :'bill_key' WHERE window_start >= at(12);
SELECT throws_like(format('SELECT take(%L, %L, 12, 9)', 'm1', ''), 'one key was in use within series "" of meter "m1", between %',
	'a series does not reach over a time that is billed from readings');
SELECT lives_ok(format('SELECT take(%L, %L, 12, 9)', 'm1', 'b'), 'another one begins');

SELECT * FROM finish();
