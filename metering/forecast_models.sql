CREATE TABLE metering.forecast_model (
	model       text PRIMARY KEY,
	description text NOT NULL
);

COMMENT ON TABLE metering.forecast_model IS 'the forecast models';

CREATE TABLE metering.forecast_weight (
	model  text NOT NULL,
	step   int NOT NULL CHECK (step BETWEEN 0 AND 168),
	lag    int NOT NULL CHECK (lag BETWEEN 1 AND 8784 AND lag >= step),
	weight numeric NOT NULL CHECK (weight BETWEEN -1e12 AND 1e12 AND scale(weight) <= 20),
	PRIMARY KEY (model, step, lag)
);

COMMENT ON TABLE metering.forecast_weight IS 'weights of the models: a forecast is sum(load of lag hours before * weight) / sum(weight)';
COMMENT ON COLUMN metering.forecast_weight.step IS 'how many hours ahead the weight is for; 1: the next hour; 0: any hour';
COMMENT ON COLUMN metering.forecast_weight.lag IS 'hours between the past hour and the forecast hour; made longer by whole days if that past hour has not come yet';
COMMENT ON COLUMN metering.forecast_weight.weight IS 'only the proportions matter; whole numbers are fastest';

CREATE TABLE metering.region_model (
	region text PRIMARY KEY,
	model  text NOT NULL
);

COMMENT ON TABLE metering.region_model IS 'the forecast model of each region that does not use "seasonal"';

INSERT INTO metering.forecast_model VALUES
	('seasonal', 'yesterday and the same hour of four weeks, 2 : 4 : 2 : 2 : 2'),
	('last_week', 'the same hour of the week before'),
	('last_day', 'the same hour of the day before');
INSERT INTO metering.forecast_weight VALUES
	('seasonal', 0, 24, 2), ('seasonal', 0, 168, 4), ('seasonal', 0, 336, 2), ('seasonal', 0, 504, 2), ('seasonal', 0, 672, 2),
	('last_week', 0, 168, 1),
	('last_day', 0, 24, 1);

-- The models of the extension stay as they are documented, and a dump leaves them out.
CREATE FUNCTION metering.keep_model() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	changed text;
BEGIN
	FOREACH changed IN ARRAY CASE TG_OP
		WHEN 'INSERT' THEN ARRAY[NEW.model] WHEN 'DELETE' THEN ARRAY[OLD.model] ELSE ARRAY[OLD.model, NEW.model] END
	LOOP
		IF changed IN ('seasonal', 'last_week', 'last_day') THEN
			RAISE EXCEPTION 'model "%" cannot be changed', changed
				USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Add a model with another name.';
		END IF;
	END LOOP;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

COMMENT ON FUNCTION metering.keep_model() IS 'refuses to change a forecast model that comes with the extension';

CREATE TRIGGER keep_model BEFORE INSERT OR UPDATE OR DELETE ON metering.forecast_model
	FOR EACH ROW EXECUTE FUNCTION metering.keep_model();
CREATE TRIGGER keep_model BEFORE INSERT OR UPDATE OR DELETE ON metering.forecast_weight
	FOR EACH ROW EXECUTE FUNCTION metering.keep_model();

SELECT pg_catalog.pg_extension_config_dump('metering.region_model', '');
SELECT pg_catalog.pg_extension_config_dump('metering.forecast_model',
	$$WHERE model NOT IN ('seasonal', 'last_week', 'last_day')$$);
SELECT pg_catalog.pg_extension_config_dump('metering.forecast_weight',
	$$WHERE model NOT IN ('seasonal', 'last_week', 'last_day')$$);

-- The functions below compute weights to insert into forecast_weight.

CREATE FUNCTION metering.moving_average(days int) RETURNS TABLE (step int, lag int, weight numeric)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF days NOT BETWEEN 1 AND 366 THEN
		RAISE EXCEPTION 'a mean of % days is not possible', days
			USING ERRCODE = 'invalid_parameter_value', HINT = 'The number of days must be from 1 to 366.';
	END IF;
	RETURN QUERY SELECT 0, 24 * d, 1::numeric FROM generate_series(1, days) AS d;
END
$$;

COMMENT ON FUNCTION metering.moving_average(int) IS 'weights of the mean of the same hour over this number of days, 1 to 366';

-- Least squares over whole weeks before the forecast, one mean an hour of the
-- week and, if wanted, a slope that all have in common.  With weeks counted
-- j = 0 .. W-1 the slope is sum((j - (W-1)/2) y) / (168 W (W^2-1) / 12) a week, and
-- the forecast lies (W+1)/2 weeks from their middle.  Times 168 W (W-1):
--		168 (W-1) for the same hour of each week, 3 (2j - W + 1) for every hour
CREATE FUNCTION metering.calendar_regression(weeks int, trend boolean DEFAULT true, steps int DEFAULT 24)
	RETURNS TABLE (step int, lag int, weight numeric)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
BEGIN
	IF weeks NOT BETWEEN 1 AND 52 OR (trend AND weeks < 2) THEN
		RAISE EXCEPTION 'a regression over % weeks is not possible', weeks
			USING ERRCODE = 'invalid_parameter_value', HINT = 'The number of weeks must be from 1 to 52, and at least 2 with a trend.';
	END IF;
	IF steps NOT BETWEEN 1 AND 168 OR weeks * 168 * steps > 8784 * 24 THEN
		RAISE EXCEPTION 'a forecast of % hours from % weeks is not possible', steps, weeks
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'A forecast has from 1 to 168 hours, and at most 24 from a year of hours.';
	END IF;
	IF NOT trend THEN
		RETURN QUERY SELECT 0, 168 * w, 1::numeric FROM generate_series(1, weeks) AS w;
		RETURN;
	END IF;
	RETURN QUERY
	SELECT x.step, x.lag, x.weight
	FROM (
		SELECT s AS step, b + s - 1 AS lag, CASE WHEN (b + s - 1) % 168 = 0 THEN 168 * (weeks - 1) ELSE 0 END
			+ 3 * (2 * (weeks - 1 - (b - 1) / 168) - weeks + 1)::numeric AS weight
		FROM generate_series(1, steps) AS s, generate_series(1, 168 * weeks) AS b) AS x
	WHERE x.weight <> 0;
END
$$;

COMMENT ON FUNCTION metering.calendar_regression(int, boolean, int) IS 'weights of the least-squares fit of one level for each hour of the week, with or without a linear trend, over 1 to 52 weeks (with a trend at least 2), for 1 to 168 hours ahead';

-- Additive Holt-Winters in error-correction form, with e the error of the
-- forecast of y one hour before:
--		level' = level + slope + alpha e,  slope' = slope + alpha beta e,  season' = season + gamma e
-- run over the last `periods` periods only.  It starts from the mean of the first
-- as level, what the second lies above it as slope, and the first's
-- differences from its mean as season.  The forecast is linear in y; its weights
-- are found by going through the hours backwards with the derivatives of the
-- forecast by level, slope and season.
CREATE FUNCTION metering.holt_winters(alpha float8 DEFAULT 0.02, beta float8 DEFAULT 0, gamma float8 DEFAULT 0.3,
		period int DEFAULT 168, periods int DEFAULT 4, steps int DEFAULT 24, unit int DEFAULT 1000000)
	RETURNS TABLE (step int, lag int, weight numeric)
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	hours   int;
	level   float8;
	slope   float8;
	season  float8[];
	by_y    float8[];
	change  float8;
	place   int;
BEGIN
	IF NOT (alpha BETWEEN 0 AND 1 AND beta BETWEEN 0 AND 1 AND gamma BETWEEN 0 AND 1) THEN
		RAISE EXCEPTION 'alpha, beta and gamma must be from 0 to 1'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF period < 2 OR periods < 2 OR period::bigint * periods > 8784 THEN
		RAISE EXCEPTION '% periods of % hours are not possible', periods, period
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'There must be at least 2 periods of at least 2 hours, and at most 8784 hours (a year) in all.';
	END IF;
	IF steps NOT BETWEEN 1 AND 168 OR period * periods * steps > 8784 * 24 THEN
		RAISE EXCEPTION 'a forecast of % hours from % hours is not possible', steps, period * periods
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'A forecast has from 1 to 168 hours, and at most 24 from a year of hours.';
	END IF;
	IF unit NOT BETWEEN 1 AND 1000000000 THEN
		RAISE EXCEPTION 'a unit of % is not possible', unit
			USING ERRCODE = 'invalid_parameter_value', HINT = 'The unit must be from 1 to 1000000000.';
	END IF;
	hours := period * periods;
	FOR s IN 1 .. steps LOOP
		level := 1;
		slope := s;
		season := array_fill(0::float8, ARRAY[period]);
		season[(s - 1) % period + 1] := 1;
		by_y := array_fill(0::float8, ARRAY[hours]);
		FOR t IN REVERSE hours .. period + 1 LOOP
			place := (t - 1) % period + 1;
			change := alpha * level + alpha * beta * slope + gamma * season[place];
			slope := slope + level - change;
			level := level - change;
			season[place] := season[place] - change;
			by_y[t] := change;
		END LOOP;
		slope := slope / period / period;
		level := (level - (SELECT sum(x) FROM unnest(season) AS x)) / period;
		FOR t IN 1 .. period LOOP
			by_y[t] := level + season[t] - slope;
			by_y[t + period] := by_y[t + period] + slope;
		END LOOP;
		RETURN QUERY SELECT s, hours - t::int + s, round((y * unit)::numeric)
			FROM unnest(by_y) WITH ORDINALITY AS w (y, t) WHERE round((y * unit)::numeric) <> 0;
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.holt_winters(float8, float8, float8, int, int, int, int) IS 'weights of additive Holt-Winters smoothing with fixed parameters over the last periods: whole numbers, in which unit stands for a weight of 1';

CREATE VIEW metering.forecast_lag AS
	SELECT model, step, lag, sum(weight) AS weight
	FROM (
		SELECT model, step, lag, weight FROM metering.forecast_weight WHERE step > 0
		UNION ALL
		SELECT w.model, s.step, w.lag + 24 * ((greatest(s.step - w.lag, 0) + 23) / 24), w.weight
		FROM metering.forecast_weight w CROSS JOIN generate_series(1, 168) AS s (step) WHERE w.step = 0) AS x
	GROUP BY model, step, lag
	HAVING sum(weight) <> 0;

COMMENT ON VIEW metering.forecast_lag IS 'the weights of each model for each hour ahead; all lags point to past hours';
COMMENT ON COLUMN metering.forecast_lag.step IS 'how many hours ahead; 1: the next hour';
COMMENT ON COLUMN metering.forecast_lag.lag IS 'hours between the past hour and the forecast hour';
