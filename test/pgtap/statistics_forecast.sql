-- statistics_forecast.sql
--	Forecasts: on ciphertexts the same digits as on plaintext, whatever is
--	missing; weights of the models against the models themselves; how good they
--	are on generated load; the rules of their tables.

\ir fixture.psql
SELECT no_plan();
SET timezone = 'America/St_Johns';

-- ---- generated load of twelve weeks: seasons, growth, weather, holidays, noise ----

-- a number from 0 to 1 that depends on nothing but the text
CREATE FUNCTION chance(of text) RETURNS numeric LANGUAGE sql IMMUTABLE AS
	$$ SELECT ('x' || substr(md5(of), 1, 7))::bit(28)::int / 268435456.0 $$;
-- how far the weather of a day makes it differ: a few days look alike
CREATE FUNCTION weather(region text, day int) RETURNS numeric LANGUAGE sql IMMUTABLE AS
	$$ SELECT sum((chance(region || (day - i)) - 0.5) * 0.7 ^ i) FROM generate_series(0, 8) i $$;
CREATE FUNCTION day_load(region text, day int) RETURNS SETOF numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT round(1000 * (1 + 0.001 * day) * (1 + 0.08 * weather(region, day)) *
		(1 + 0.06 * (chance(region || day || h) - 0.5))
		* (1 + 0.25 * sin((h - 9) * pi() / 12) + 0.4 * exp(-((h - 19) ^ 2) / 8.0)
			+ CASE WHEN day % 7 IN (5, 6) OR day IN (4, 32, 53) THEN 0.35 * exp(-((h - 11) ^ 2) / 18.0)
				ELSE 0.3 * exp(-((h - 7) ^ 2) / 3.0) END)::numeric)
	FROM generate_series(0, 23) h $$;

CREATE TABLE truth (region text, hour timestamptz, energy numeric, key text, PRIMARY KEY (region, hour));
INSERT INTO truth
SELECT region, '2026-01-05 00:00Z'::timestamptz + (day * 24 + h - 1) * interval '1 hour', energy, 'small'
FROM unnest(ARRAY['north', 'south', 'east', 'west']) region, generate_series(0, 83) day,
	LATERAL day_load(region, day) WITH ORDINALITY l (energy, h);

CREATE FUNCTION store() RETURNS bigint LANGUAGE sql AS $$
	WITH stored AS (
		INSERT INTO metering.region_hour (region, hour, key_id, total, meters, readings, expected)
		SELECT region, hour, key_id, paillier_encrypt(energy, public_key), CASE WHEN energy IS NULL THEN 3 ELSE 120 END,
			1440, 1440
		FROM truth JOIN fixture_key ON name = key RETURNING 1)
	SELECT count(*) FROM stored $$;

-- ---- how good they are ----

BEGIN;
SELECT is(store(), 4 * 84 * 24::bigint, 'twelve weeks of four regions');
CREATE TEMPORARY TABLE result AS
SELECT b.* FROM fixture_key, metering.backtest(private_key, '2026-02-02 00:00Z') b WHERE name = 'small';
SELECT is((SELECT string_agg(format('%s %s', model, hours), ', ' ORDER BY model) FROM result WHERE region = r),
	'last_day 1344, last_week 1344, seasonal 1344', r || ': every hour of eight weeks by every model')
		FROM unnest(ARRAY['north', 'south', 'east', 'west']) r;
SELECT ok(seasonal < least(last_week, last_day) AND seasonal > 1,
	format('%s: MAPE of seasonal %s %%, last_week %s %%, last_day %s %%', region, seasonal, last_week, last_day))
FROM (SELECT region, min(mape) FILTER (WHERE model = 'seasonal') AS seasonal,
	min(mape) FILTER (WHERE model = 'last_week') AS last_week,
	min(mape) FILTER (WHERE model = 'last_day') AS last_day FROM result GROUP BY region) r;
SELECT is((SELECT count(*) FROM (
	SELECT region, model, hours, mape, bias, rmse FROM result EXCEPT
	SELECT t.region, m.model, count(*)::int, round(100 * avg(abs(m.forecast - t.energy) / t.energy), 2),
		round(avg(m.forecast - t.energy), 3),
		round(sqrt(avg((m.forecast - t.energy) ^ 2)), 3)
	FROM truth t
	JOIN truth d ON d.region = t.region AND d.hour = t.hour - interval '24 hours'
	JOIN truth w1 ON w1.region = t.region AND w1.hour = t.hour - interval '168 hours'
	JOIN truth w2 ON w2.region = t.region AND w2.hour = t.hour - interval '336 hours'
	JOIN truth w3 ON w3.region = t.region AND w3.hour = t.hour - interval '504 hours'
	JOIN truth w4 ON w4.region = t.region AND w4.hour = t.hour - interval '672 hours'
	CROSS JOIN LATERAL (VALUES ('last_day', d.energy), ('last_week', w1.energy),
		('seasonal', (2 * d.energy + 4 * w1.energy + 2 * w2.energy + 2 * w3.energy + 2 * w4.energy) / 12)) m (model,
			forecast)
	WHERE t.hour >= '2026-02-02 00:00Z' GROUP BY t.region, m.model) x), 0::bigint,
		'all figures of the backtest, from the plaintext');
SELECT is((SELECT string_agg(DISTINCT region, ', ') FROM fixture_key,
	metering.backtest(private_key, '2026-03-01', '2026-03-08', 'east') WHERE name = 'small'), 'east', 'of one region');
SELECT is((SELECT count(*) FROM fixture_key, metering.backtest(private_key) WHERE name = 'medium'), 0::bigint,
	'nothing under another key');
ROLLBACK;

-- ---- weights of the models against the models ----

INSERT INTO metering.forecast_model VALUES ('average', 'mean of a week'), ('calendar', 'hour of the week and trend'),
	('smoothed', 'Holt-Winters'),
	('recent', 'signs, fractions, short lags'), ('week', 'hour of the week');
INSERT INTO metering.forecast_weight SELECT 'average', * FROM metering.moving_average(7);
INSERT INTO metering.forecast_weight SELECT 'calendar', * FROM metering.calendar_regression(3, steps => 30);
INSERT INTO metering.forecast_weight SELECT 'week', * FROM metering.calendar_regression(4, false);
INSERT INTO metering.forecast_weight SELECT 'smoothed', * FROM metering.holt_winters(0.1, 0.05, 0.3, 24, 7, 26);
INSERT INTO metering.forecast_weight VALUES ('recent', 0, 168, 1), ('recent', 0, 3, 0.25), ('recent', 0, 171, -0.25),
	('recent', 0, 27, 0.125), ('recent', 2, 2, 0.5);

SELECT results_eq('SELECT step, lag, weight FROM metering.moving_average(3)',
	'VALUES (0, 24, 1::numeric), (0, 48, 1), (0, 72, 1)', 'a moving average');
SELECT results_eq('SELECT step, lag, weight FROM metering.calendar_regression(2, false)',
	'VALUES (0, 168, 1::numeric), (0, 336, 1)', 'means of the hours of the week');

-- what a model gives for a step, from plaintext
CREATE FUNCTION weighted(of_model text, of_step int) RETURNS numeric LANGUAGE sql AS $$
	SELECT sum(t.energy * w.weight) / sum(w.weight) FROM metering.forecast_weight w
	JOIN truth t ON t.region = 'north' AND t.hour = '2026-03-30 00:00Z'::timestamptz + (of_step - 1 - lag) * interval
		'1 hour'
	WHERE w.model = of_model AND w.step = of_step $$;

-- least squares by regr_slope: what is left of load and time after the means of the hours of the week
WITH point AS (
	SELECT i % 168 AS place, i / 168 AS week, energy FROM (SELECT row_number() OVER (ORDER BY hour) - 1 AS i,
		energy FROM truth
		WHERE region = 'north' AND hour >= '2026-03-30 00:00Z'::timestamptz - interval '504 hours') t
), centred AS (
	SELECT place, week - 1 AS week, energy - avg(energy) OVER (PARTITION BY place) AS rest,
		avg(energy) OVER (PARTITION BY place) AS level FROM point
), fit AS (SELECT regr_slope(rest, week) AS slope FROM centred)
SELECT ok(abs(weighted('calendar', step) - (level + 2 * slope)::numeric) < 1e-6, 'regression, step ' || step)
FROM generate_series(1, 30, 7) step JOIN (SELECT DISTINCT place, level FROM centred) c ON place = step - 1 CROSS
	JOIN fit;

-- Holt-Winters as it is usually written, forward
CREATE FUNCTION smooth(y float8[], alpha float8, beta float8, gamma float8, period int,
	steps int) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
	level float8 := (SELECT avg(v) FROM unnest(y[1:period]) v);
	slope float8 := ((SELECT avg(v) FROM unnest(y[period + 1:2 * period]) v) - level) / period;
	season float8[] := ARRAY(SELECT v - level FROM unnest(y[1:period]) v);
	forecasts float8[];
	i int;
	error float8;
BEGIN
	FOR t IN period + 1 .. cardinality(y) LOOP
		i := (t - 1) % period + 1;
		error := y[t] - level - slope - season[i];
		level := level + slope + alpha * error;
		slope := slope + alpha * beta * error;
		season[i] := season[i] + gamma * error;
	END LOOP;
	FOR s IN 1 .. steps LOOP
		forecasts[s] := level + s * slope + season[(cardinality(y) + s - 1) % period + 1];
	END LOOP;
	RETURN forecasts;
END $$;
SELECT ok(bool_and(abs(weighted('smoothed', step::int) / forecast::numeric - 1) < 1e-4) AND count(*) = 26,
	'Holt-Winters, 26 steps')
FROM unnest(smooth(ARRAY(SELECT energy FROM truth WHERE region = 'north'
	AND hour >= '2026-03-30 00:00Z'::timestamptz - interval '168 hours' ORDER BY hour), 0.1, 0.05, 0.3, 24, 26))
	WITH ORDINALITY s (forecast, step);
SELECT throws_ok(format('SELECT metering.holt_winters(%s)', v), '22023', NULL, 'Holt-Winters of ' || v || ' is refused')
FROM unnest(ARRAY['1.5', '-0.1', 'beta => 2', 'gamma => ''NaN''', 'period => 1', 'periods => 1']) v;

-- ---- ciphertexts against plaintext, with all that can be missing ----

SELECT setseed(0.42) \gset
UPDATE truth SET energy = NULL WHERE random() < 0.08;
DELETE FROM truth WHERE random() < 0.03;
-- a new key; a region that is new, one that lost most of its history, one that has none, one that is gone
UPDATE truth SET key = 'medium' WHERE region = 'east' AND hour >= '2026-03-17 05:00Z';
DELETE FROM truth WHERE region = 'west' AND hour < '2026-03-29 03:00Z';
INSERT INTO truth SELECT 'small', hour, NULL, 'small' FROM truth WHERE region = 'north' AND hour > '2026-03-20';
INSERT INTO truth SELECT 'gone', hour, energy, 'small' FROM truth WHERE region = 'north' AND hour < '2026-03-01';
SELECT ok(store() > 6000, 'stored');
INSERT INTO metering.region_model VALUES ('south', 'recent'), ('gone', 'average');

-- The same by loops over numeric, from the model tables as they stand.
CREATE FUNCTION plain_forecast(of_region text, origin timestamptz, ahead int, wanted text, OUT amount numeric,
	OUT divisor numeric, OUT model text,
	OUT used int, OUT missing int, OUT key text) LANGUAGE plpgsql AS $$
DECLARE
	first_lags int;
	best numeric;
	newest timestamptz;
	one_key text;
	x record;
	y record;
	a numeric; d numeric; kept numeric; lost numeric; number int; whole numeric; lags int; latest timestamptz;
	lagged int;
	place jsonb;
	k text;
BEGIN
	FOREACH model IN ARRAY ARRAY[wanted, 'last_week', 'last_day'] LOOP
		-- lag -> weight
		place := '{}';
		FOR x IN SELECT w.step, w.lag, w.weight FROM metering.forecast_weight w WHERE w.model = plain_forecast.model
			AND (w.step = 0 OR w.step = ahead) LOOP
			lagged := x.lag;
			WHILE lagged < ahead LOOP lagged := lagged + 24; END LOOP;
			place := place || jsonb_build_object(lagged::text,
				COALESCE((place ->> lagged::text)::numeric, 0) + x.weight);
		END LOOP;
		lags := (SELECT count(*) FROM jsonb_each(place));
		first_lags := COALESCE(first_lags, lags);
		best := NULL;
		FOREACH one_key IN ARRAY ARRAY['small', 'medium'] LOOP
			a := 0; d := 0; kept := 0; lost := 0; number := 0; whole := 0; latest := '-infinity';
			FOR x IN SELECT e.key::int AS lag, e.value::numeric AS weight FROM jsonb_each_text(place) e LOOP
				whole := whole + x.weight;
				SELECT t.hour, t.energy INTO y FROM truth t WHERE t.region = of_region
					AND t.hour = origin + (ahead - 1 - x.lag) * interval '1 hour'
					AND t.energy IS NOT NULL AND t.key = one_key;
				IF FOUND THEN
					a := a + y.energy * x.weight; d := d + x.weight; kept := kept + abs(x.weight); number := number + 1;
					latest := greatest(latest, y.hour);
				ELSE
					lost := lost + abs(x.weight);
				END IF;
			END LOOP;
			IF number > 0 AND d > 0 AND lost <= whole / 2 AND (best IS NULL OR (kept, latest) > (best, newest)) THEN
				best := kept; newest := latest; amount := a; divisor := d; used := number; missing := lags - number;
					key := one_key;
			END IF;
		END LOOP;
		IF best IS NOT NULL THEN
			RETURN;
		END IF;
	END LOOP;
	model := 'none'; used := 0; missing := first_lags;
END $$;

CREATE TABLE compared AS
SELECT o.with_model, f.region, f.hour, f.model, f.hours_used, f.hours_missing, f.divisor, f.forecast, k.name, p.*,
	paillier_decrypt(f.forecast, k.private_key) AS decrypted
FROM (VALUES ('2026-03-30 00:00Z'::timestamptz, NULL, 24), ('2026-03-30 00:00Z', 'smoothed', 30),
	('2026-03-29 10:00Z', 'calendar', 26), ('2026-03-30 00:00Z', 'seasonal', 168),
	('2026-03-25 07:00Z', 'average', 168), ('2026-03-30 00:00Z', 'recent', 60), ('2026-01-07 03:00Z', 'seasonal', 30),
		('2026-03-24 12:00Z', 'week', 24)) o (origin, with_model, ahead)
CROSS JOIN LATERAL metering.forecast(o.ahead, o.origin, o.with_model) f
LEFT JOIN metering.region_model m ON m.region = f.region
LEFT JOIN fixture_key k ON k.key_id = f.key_id
CROSS JOIN LATERAL plain_forecast(f.region, o.origin, (EXTRACT(epoch FROM f.hour - o.origin) / 3600)::int + 1,
	COALESCE(o.with_model, m.model, 'seasonal'))
	AS p (plain_amount, plain_divisor, plain_model, plain_used, plain_missing, plain_key);
SELECT is((SELECT count(*) FROM compared WHERE (decrypted, divisor, model, hours_used, hours_missing, name) IS DISTINCT
	FROM
	(plain_amount, plain_divisor, plain_model, plain_used, plain_missing, plain_key)), 0::bigint,
		'forecasts on ciphertexts and on plaintext are equal');
SELECT diag(c::text) FROM (SELECT with_model, region, hour, model, plain_model, decrypted, plain_amount, divisor,
	plain_divisor, hours_used, plain_used, hours_missing, plain_missing, name, plain_key
	FROM compared WHERE (decrypted, divisor, model, hours_used, hours_missing, name) IS DISTINCT FROM
	(plain_amount, plain_divisor, plain_model, plain_used, plain_missing, plain_key) LIMIT 5) c;
SELECT ok(count(*) > 2000 AND count(DISTINCT model) = 9 AND count(DISTINCT name) = 2 AND bool_or(model = 'none')
	AND bool_or(with_model = 'recent' AND model = 'recent' AND divisor <> trunc(divisor))
	AND bool_or(hours_missing > 0 AND hours_used > 1), 'of all models, both keys, with hours missing')
FROM compared;
SELECT is((SELECT count(*) FROM compared WHERE paillier_key_id(forecast) <> (SELECT key_id FROM fixture_key k
	WHERE k.name = compared.name)), 0::bigint, 'the key is named');
SELECT is((SELECT string_agg(DISTINCT region, ', ') FROM compared WHERE with_model IS NULL),
	'east, north, small, south, west', 'regions of the last week');
SELECT is((SELECT string_agg(DISTINCT model, ', ') FROM compared WHERE region = 'west' AND with_model = 'seasonal'
	AND hour >= '2026-03-30 03:00Z' AND hour < '2026-03-31 00:00Z'), 'last_day, none',
	'a new region has yesterday at most');
SELECT is((SELECT string_agg(DISTINCT format('%s %s', model, divisor IS NULL AND forecast IS NULL AND key_id IS NULL),
	', ') FROM metering.region_forecast WHERE region = 'small'), 'none t', 'a region without a total has none');
SELECT is((SELECT count(*) FROM metering.region_forecast), 5 * 24::bigint, 'a day by default');
SELECT is((SELECT min(hour) FROM metering.region_forecast), (SELECT max(hour) FROM truth) + interval '1 hour',
	'from the hour that is sealed next');
SELECT is((SELECT min(hour) FROM metering.forecast(as_of => '2030-01-01')),
	(SELECT max(hour) FROM truth) + interval '1 hour', 'and never later');
SELECT throws_ok(format('SELECT * FROM metering.forecast(%s)', v), '22023',
	format('a forecast of %s hours is not possible', v), v || ' hours are refused')
	FROM unnest(ARRAY['0', '169', '-1', 'NULL']) v;
SELECT throws_ok($$ SELECT * FROM metering.forecast(with_model => 'psychic') $$, '42704',
	'model "psychic" has no weights', 'a model needs weights');
SELECT throws_ok($$ SELECT b.* FROM fixture_key, metering.backtest(private_key, with_model => 'psychic') b
	WHERE name = 'small' $$, '42704', 'model "psychic" has no weights', 'to be tested too');
UPDATE metering.region_model SET model = 'psychic' WHERE region = 'south';
SELECT ok(bool_and(model IN ('last_week', 'last_day', 'none')), 'a region whose model has none gets a simpler one')
	FROM metering.region_forecast WHERE region = 'south';

-- ---- tables of models ----

SELECT throws_ok(format('INSERT INTO metering.forecast_weight VALUES (''new'', %s)', v), '23514', NULL,
	'a weight of ' || v || ' is refused')
FROM unnest(ARRAY['-1, 24, 1', '169, 200, 1', '0, 0, 1', '0, 8785, 1', '25, 24, 1', '0, 24, ''NaN''', '0, 24, 1e13']) v;
SELECT throws_ok(v, '55000', 'model "seasonal" cannot be changed', v) FROM unnest(ARRAY[
	$$INSERT INTO metering.forecast_weight VALUES ('seasonal', 0, 48, 1)$$,
		$$UPDATE metering.forecast_weight SET weight = 3 WHERE model = 'seasonal' AND lag = 24$$,
	$$DELETE FROM metering.forecast_weight WHERE model = 'seasonal'$$,
		$$UPDATE metering.forecast_weight SET model = 'seasonal' WHERE model = 'average'$$,
	$$UPDATE metering.forecast_model SET description = '' WHERE model = 'seasonal'$$,
		$$DELETE FROM metering.forecast_model WHERE model = 'seasonal'$$]) v;
SELECT lives_ok($$DELETE FROM metering.forecast_weight WHERE model = 'average'$$, 'others come and go');

SELECT * FROM finish();
