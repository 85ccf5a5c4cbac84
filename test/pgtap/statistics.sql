-- statistics.sql
--	Statistics of totals against the same on plaintext: roll-ups, profiles and
--	the tree of regions on ciphertexts; what takes the private key.

\ir fixture.psql
SELECT no_plan();
SET timezone = 'Asia/Kolkata';
SELECT setseed(0.7) \gset
UPDATE metering.setting SET zone = 'Europe/Berlin';

-- Sixty days of two regions over a change of daylight saving time and one of
-- keys, with hours that are missing, without a total, and with few readings.
CREATE TABLE truth AS
SELECT region, hour, CASE WHEN random() > 0.1 THEN floor(random() * 1e6)::numeric - 2e5 END AS energy,
	100 + floor(random() * 30)::int AS meters, 1000 + floor(random() * 200)::bigint AS readings,
		1500::bigint AS expected,
	CASE WHEN hour < '2026-04-02 05:00Z' THEN 'small' ELSE 'medium' END AS key
FROM unnest(ARRAY['north', 'south']) region, generate_series('2026-02-20 00:00Z'::timestamptz, '2026-04-20 23:00Z',
	interval '1 hour') hour
WHERE random() > 0.05;
INSERT INTO truth SELECT 'tiny', hour, NULL, 3, 36, 36, key FROM truth WHERE region = 'north';
INSERT INTO metering.region_hour (region, hour, key_id, total, meters, readings, expected)
SELECT region, hour, key_id, paillier_encrypt(energy, public_key), meters, readings,
	expected FROM truth JOIN fixture_key ON name = key;

CREATE TEMPORARY VIEW plain AS
SELECT t.*, k.key_id, t.hour AT TIME ZONE 'Europe/Berlin' AS local FROM truth t JOIN fixture_key k ON name = key
	WHERE energy IS NOT NULL;

CREATE FUNCTION decrypted(ct paillier_ciphertext) RETURNS numeric LANGUAGE sql STABLE AS
	$$ SELECT paillier_decrypt(ct, private_key) FROM fixture_key WHERE key_id = paillier_key_id(ct) $$;

-- Whether two queries give the same rows, as often, and any at all.
CREATE FUNCTION same_rows(got text, wanted text, description text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	number bigint;
	example text;
BEGIN
	EXECUTE format('SELECT count(*) FROM (%s) w', wanted) INTO number;
	EXECUTE format('SELECT min(x::text) FROM (SELECT ''too many'',
		e::text FROM ((%1$s) EXCEPT ALL (%2$s)) e UNION ALL SELECT ''missing'',
		e::text FROM ((%2$s) EXCEPT ALL (%1$s)) e) x', got, wanted) INTO example;
	RETURN ok(number > 0 AND example IS NULL, description) || CASE WHEN example IS NULL THEN '' ELSE E'\n'
		|| diag(example) END;
END $$;

-- ---- on ciphertexts ----

SELECT same_rows(format($$ SELECT region, %1$s, decrypted(total), hours, meter_hours, readings, expected,
	key_id FROM metering.region_%1$s $$, unit),
	format($$ SELECT region, date_trunc('%s', local)::date, sum(energy), count(*)::int, sum(meters)::bigint,
		sum(readings), sum(expected), key_id FROM plain GROUP BY 1, 2, key_id $$, unit),
	'totals of each ' || unit)
FROM unnest(ARRAY['day', 'week', 'month']) unit;
SELECT same_rows($$ SELECT sum(hours_suppressed) FROM metering.region_month $$,
	$$ SELECT count(*)::bigint FROM truth WHERE energy IS NULL AND region <> 'tiny' $$,
	'hours without a total are counted');
SELECT is((SELECT max(hours + hours_suppressed) FROM metering.region_day WHERE day = '2026-03-29') <= 23, true,
	'the day that is an hour short');
SELECT is((SELECT count(DISTINCT key_id) FROM metering.region_day WHERE day = '2026-04-02'), 2::bigint,
	'a day of two keys has a row for each');
SELECT same_rows($$ SELECT region, weekday, hour_of_day, decrypted(total), hours, meter_hours,
	key_id FROM metering.region_week_profile $$,
	$$ SELECT region, EXTRACT(isodow FROM local)::int, EXTRACT(hour FROM local)::int, sum(energy), count(*)::int,
		sum(meters)::bigint, key_id FROM plain GROUP BY 1, 2, 3, key_id $$, 'hours of the week');
SELECT same_rows($$ SELECT region, hour_of_day, decrypted(total), hours, meter_hours::bigint,
	key_id FROM metering.region_profile $$,
	$$ SELECT region, EXTRACT(hour FROM local)::int, sum(energy), count(*)::int, sum(meters)::bigint,
		key_id FROM plain GROUP BY 1, 2, key_id $$, 'hours of the day');
SELECT same_rows($$ SELECT region, hour, decrypted(total), meters, readings, expected,
	key_id FROM metering.region_load $$,
	$$ SELECT region, hour, energy, meters, readings, expected, key_id FROM plain $$, 'hours');

-- ---- the tree ----

INSERT INTO metering.region VALUES ('north', 'land'), ('south', 'land'), ('land', 'world'), ('tiny', 'world'),
	('nowhere', 'world');
SELECT same_rows($$ SELECT whole, part FROM metering.region_part WHERE whole <> part $$,
	$$ VALUES ('land', 'north'), ('land', 'south'), ('world', 'land'), ('world', 'north'), ('world', 'south'),
		('world', 'tiny'), ('world', 'nowhere') $$, 'parts of parts');
SELECT same_rows($$ SELECT region, hour, decrypted(total), meters, readings::bigint, expected::bigint, parts,
	key_id FROM metering.region_tree_load $$,
	$$ SELECT whole, hour, sum(energy), sum(meters), sum(readings)::bigint, sum(expected)::bigint, count(*)::int, key_id
		FROM plain JOIN (VALUES ('north', 'north'), ('south', 'south'), ('land', 'north'), ('land', 'south'),
			('world', 'north'), ('world', 'south')) p (whole, part) ON part = region
		GROUP BY whole, hour, key_id $$, 'totals of the tree');
SELECT same_rows($$ SELECT parts_suppressed, count(*) FROM metering.region_tree_load WHERE region = 'world' GROUP BY 1
	ORDER BY 1 $$,
	$$ SELECT missing::int, count(*) FROM (SELECT count(*) FILTER (WHERE energy IS NULL) AS missing FROM truth
		GROUP BY hour, key HAVING count(energy) > 0) t GROUP BY 1 ORDER BY 1 $$, 'parts without a total are counted');
SELECT throws_ok(format('INSERT INTO metering.region VALUES (%s)', v), '23514', NULL, v || ' would be a cycle')
FROM unnest(ARRAY['''alone'', ''alone''', '''world'', ''north''', '''world'', ''land''']) v;
SELECT throws_ok($$ UPDATE metering.region SET parent = 'north' WHERE region = 'land' $$, '23514',
	'region "land" cannot be part of "north"', 'so would a change');
SELECT throws_ok($$ INSERT INTO metering.region VALUES ('a', 'b'), ('b', 'c'), ('c', 'a') $$, '23514', NULL,
	'and three at once');
SELECT lives_ok($$ UPDATE metering.region SET parent = 'land' WHERE region = 'tiny' $$, 'a region moves');
SELECT throws_ok($$ INSERT INTO metering.region VALUES ('north', 'sea') $$, '23505', NULL, 'a region is part of one');

-- ---- with the key ----

SELECT same_rows(format($$ SELECT d.* FROM fixture_key, metering.decrypted_load(private_key%s) d WHERE name = '%s' $$,
	arguments, k),
	format($$ SELECT region, hour, energy, meters, readings, expected FROM plain WHERE key = '%s' AND %s $$, k,
		condition), format('load under %s%s', k, arguments))
FROM (VALUES ('small', '', 'true'), ('medium', '', 'true'),
	('small', ', ''2026-03-01 00:00Z'', ''2026-03-02 01:00Z''',
	'hour >= ''2026-03-01 00:00Z'' AND hour < ''2026-03-02 01:00Z'''),
	('small', ', of_region => ''south''', 'region = ''south''')) v (k, arguments, condition);
SELECT is_empty($$ SELECT * FROM fixture_key, metering.decrypted_load(private_key) WHERE name = 'usual' $$,
	'nothing under another key');
SELECT is_empty($$ SELECT * FROM metering.decrypted_load(NULL) $$, 'nor under none');

CREATE TEMPORARY TABLE statistics AS
SELECT s.* FROM fixture_key, metering.region_statistics(private_key, '2026-02-25 00:00Z', '2026-03-31 00:00Z') s
	WHERE name = 'small';
CREATE TEMPORARY VIEW span AS SELECT * FROM plain WHERE hour >= '2026-02-25 00:00Z' AND hour < '2026-03-31 00:00Z';
SELECT same_rows('SELECT region, hours, energy, mean_load, mean_per_meter, peak, low, load_factor,
	coverage FROM statistics ORDER BY 1',
	$$ SELECT region, count(*)::int, sum(energy), round(sum(energy) / count(*), 3), round(sum(energy) / sum(meters), 3),
		max(energy), min(energy),
		round(sum(energy) / count(*) / max(energy), 4), round(sum(readings) / sum(expected), 4) FROM span GROUP BY 1
			ORDER BY 1 $$, 'energy, means, peak, low, load factor, coverage');
SELECT same_rows('SELECT region, peak_at, low_at FROM statistics ORDER BY 1',
	$$ SELECT region, min(hour) FILTER (WHERE energy = (SELECT max(energy) FROM span x WHERE x.region = s.region)),
		min(hour) FILTER (WHERE energy = (SELECT min(energy) FROM span x WHERE x.region = s.region)) FROM span s
			GROUP BY 1 ORDER BY 1 $$, 'and when');
CREATE TEMPORARY VIEW ramp AS
	SELECT b.region, b.hour, b.energy - a.energy AS change FROM span a JOIN span b ON b.region = a.region
		AND b.hour = a.hour + interval '1 hour';
SELECT same_rows('SELECT region, rise, fall FROM statistics ORDER BY 1',
	$$ SELECT region, max(change), min(change) FROM ramp GROUP BY 1 ORDER BY 1 $$,
	'largest changes from an hour to the next');
SELECT is((SELECT count(*) FROM statistics s JOIN ramp r ON r.region = s.region
	AND (r.hour, r.change) IN ((s.rise_at, s.rise), (s.fall_at, s.fall))), 4::bigint, 'and when');
SELECT same_rows($$ SELECT s.region, s.hours, s.rise, s.rise_at, s.fall_at, s.load_factor FROM fixture_key,
		metering.region_statistics(private_key, (SELECT min(hour) FROM plain WHERE region = 'north'),
			(SELECT min(hour) FROM plain WHERE region = 'north') + interval '1 hour', 'north') s
			WHERE name = 'small' $$,
	$$ VALUES ('north', 1, NULL::numeric, NULL::timestamptz, NULL::timestamptz, 1.0000) $$, 'one hour has no change');

SELECT same_rows($$ SELECT q.* FROM fixture_key, metering.region_quantiles(private_key,
	shares => '{0, 0.001, 0.3, 0.5, 0.997, 1}') q WHERE name = 'small' $$,
	$$ SELECT p.region, share, p.energy FROM unnest('{0, 0.001, 0.3, 0.5, 0.997, 1}'::numeric[]) share,
		LATERAL (SELECT region, energy, row_number() OVER (PARTITION BY region ORDER BY energy DESC) AS place,
			count(*) OVER (PARTITION BY region) AS n FROM plain WHERE key = 'small') p
		WHERE place = 1 AND n * share <= 1 OR place > 1 AND place - 1 < n * share AND place >= n * share $$,
			'load duration');
SELECT is((SELECT count(*) FROM fixture_key, metering.region_quantiles(private_key) q WHERE name = 'small'), 22::bigint,
	'eleven shares by default');

-- ---- errors do not tell the key ----

CREATE FUNCTION failure(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text; context text;
BEGIN
	EXECUTE query;
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
		context = PG_EXCEPTION_CONTEXT;
	RETURN concat_ws(' ', message, detail, hint, context);
END $$;
-- a total that does not decrypt: a number beyond its declared bound
INSERT INTO metering.region_hour (region, hour, key_id, total, meters, readings)
SELECT 'forged', '2026-03-01 00:00Z', key_id, paillier_ciphertext(paillier_bytes(paillier_encrypt(1e30, public_key, 0,
	128)), key_id), 100, 1200 FROM fixture_key WHERE name = 'small';
SELECT is(f, 'none', format('%s goes on beside it', name))
FROM unnest(ARRAY['decrypted_load', 'region_statistics', 'region_quantiles', 'backtest']) name,
	failure(format('SELECT * FROM fixture_key, metering.%s(private_key) WHERE fixture_key.name = ''small''', name)) f;
-- errors of whoever decrypts it strictly, or asks for what is not there, have nothing of the key
SELECT ok(f <> 'none' AND strpos(f, left(p, 12)) = 0, left(f, 60))
FROM (SELECT private_key::text::jsonb ->> 'p' AS p FROM fixture_key WHERE name = 'small') k, unnest(ARRAY[
	$$ SELECT paillier_decrypt(total, private_key) FROM fixture_key,
		metering.region_load WHERE name = 'small' AND region = 'forged' $$,
	$$ SELECT * FROM fixture_key, metering.backtest(private_key, with_model => private_key::text)
		WHERE name = 'small' $$,
	$$ SELECT paillier_ciphertext('x', private_key::text) FROM fixture_key WHERE name = 'small' $$]) query,
		failure(query) f;

SELECT * FROM finish();
