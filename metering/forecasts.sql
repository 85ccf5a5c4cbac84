-- Hours without a total are left out of both the sum and the divisor.  A model is used
-- if the weights of the missing hours, all taken as positive, are at most half of its
-- divisor, under one key.  Otherwise last_week is used, or else last_day.
CREATE FUNCTION metering.forecast(hours int DEFAULT 24, as_of timestamptz DEFAULT NULL, with_model text DEFAULT NULL,
		of_region text DEFAULT NULL)
	RETURNS TABLE (region text, hour timestamptz, forecast @paillier@.paillier_ciphertext, divisor numeric, model text,
		hours_used int, hours_missing int, key_id text)
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET jit = off
	AS $$
#variable_conflict use_column
DECLARE
	origin timestamptz := (SELECT max(h.hour) + interval '1 hour' FROM metering.region_hour h);
BEGIN
	IF hours IS NULL OR hours NOT BETWEEN 1 AND 168 THEN
		RAISE EXCEPTION 'a forecast of % hours is not possible', COALESCE(hours::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'A forecast has from 1 to 168 hours.';
	END IF;
	IF with_model IS NOT NULL AND NOT EXISTS (SELECT FROM metering.forecast_weight w WHERE w.model = with_model) THEN
		RAISE EXCEPTION 'model "%" has no weights', left(with_model, 30) USING ERRCODE = 'undefined_object';
	END IF;
	origin := least(origin, metering.utc_hour(as_of));
	RETURN QUERY
	WITH place AS MATERIALIZED (
		SELECT r.region, COALESCE(with_model, m.model, 'seasonal') AS model
		FROM (SELECT DISTINCT h.region FROM metering.region_hour h
			WHERE h.hour >= origin - interval '7 days' AND h.hour < origin AND (of_region IS NULL OR h.region = of_region)) AS r
		LEFT JOIN metering.region_model m ON m.region = r.region
	), candidate AS MATERIALIZED (
		SELECT region, model, 1 AS choice FROM place
		UNION ALL SELECT region, 'last_week', 2 FROM place
		UNION ALL SELECT region, 'last_day', 3 FROM place
	), weight AS MATERIALIZED (
		SELECT l.model, l.step, l.lag, l.weight, sum(abs(l.weight) - l.weight / 2) OVER w AS needed, count(*) OVER w AS lags
		FROM metering.forecast_lag l
		WHERE l.step <= forecast.hours AND l.model IN (SELECT model FROM candidate)
		WINDOW w AS (PARTITION BY l.model, l.step)
	), made AS (
		SELECT DISTINCT ON (region, step) * FROM (
			SELECT c.region, w.step, c.choice, c.model, h.key_id, @paillier@.sum(h.total, w.weight) AS forecast,
				sum(w.weight) AS divisor, sum(abs(w.weight)) AS share, count(*)::int AS used, w.lags, max(h.hour) AS latest
			FROM candidate c
			JOIN weight w USING (model)
			JOIN metering.region_total h ON h.region = c.region AND h.hour = origin + interval '1 hour' * (w.step - 1 - w.lag)
			WHERE h.total IS NOT NULL
			GROUP BY c.region, w.step, c.choice, c.model, h.key_id, w.needed, w.lags
			HAVING sum(abs(w.weight)) >= w.needed AND sum(w.weight) > 0) AS x
		ORDER BY region, step, choice, share DESC, latest DESC
	)
	SELECT p.region, origin + interval '1 hour' * (s.step - 1), m.forecast, m.divisor, COALESCE(m.model, 'none'),
		COALESCE(m.used, 0), COALESCE(m.lags - m.used, w.lags, 0)::int, m.key_id
	FROM place p
	CROSS JOIN generate_series(1, forecast.hours) AS s (step)
	LEFT JOIN made m ON m.region = p.region AND m.step = s.step
	LEFT JOIN (SELECT DISTINCT model, step, lags FROM weight) AS w ON w.model = p.model AND w.step = s.step
	ORDER BY 1, 2;
END
$$;

COMMENT ON FUNCTION metering.forecast(int, timestamptz, text, text) IS 'encrypted load of the next hours, from the last sealed hour or an earlier time on, of every region with an hour in the week before or of one, by its model or a given one';

CREATE VIEW metering.region_forecast AS
	SELECT region, hour, forecast, divisor, model, hours_used, hours_missing, key_id FROM metering.forecast();

COMMENT ON VIEW metering.region_forecast IS 'encrypted load of the next 24 hours of every region: paillier_decrypt(forecast, key) / divisor';
COMMENT ON COLUMN metering.region_forecast.forecast IS 'encrypted weighted sum of past hours; NULL if too many of them are missing';
COMMENT ON COLUMN metering.region_forecast.divisor IS 'sum of the weights of these hours';
COMMENT ON COLUMN metering.region_forecast.model IS 'the model that was used: that of the region; "last_week" or "last_day" if too many of its hours are missing; "none" if no model can be used';
COMMENT ON COLUMN metering.region_forecast.hours_used IS 'past hours in the forecast';
COMMENT ON COLUMN metering.region_forecast.hours_missing IS 'past hours of the model that have no row, no total, or a total under another key';
