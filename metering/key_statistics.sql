CREATE FUNCTION metering.decrypted_load(key @paillier@.paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL)
	RETURNS TABLE (region text, hour timestamptz, energy numeric, meters int, readings bigint, expected bigint)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET jit = off
	AS $$
		SELECT r.region, x.hour, x.energy, x.meters, x.readings, x.expected
		FROM (
			SELECT l.region, array_agg(l.hour ORDER BY l.hour) AS hours, array_agg(l.total ORDER BY l.hour) AS totals,
				array_agg(l.meters ORDER BY l.hour) AS meters, array_agg(l.readings ORDER BY l.hour) AS readings,
				array_agg(l.expected ORDER BY l.hour) AS expected
			FROM metering.region_load l
			WHERE l.hour >= starts AND l.hour < ends AND (of_region IS NULL OR l.region = of_region)
				AND l.key_id = @paillier@.paillier_key_id(key)
			GROUP BY l.region) AS r
		CROSS JOIN LATERAL unnest(r.hours, @paillier@.paillier_try_decrypt_array(r.totals, key), r.meters, r.readings, r.expected)
			AS x (hour, energy, meters, readings, expected)
		ORDER BY 1, 2
	$$;

COMMENT ON FUNCTION metering.decrypted_load(@paillier@.paillier_private_key, timestamptz, timestamptz, text) IS 'decrypted rows of region_load, of all regions or one; energy is NULL if the total is damaged: it does not decrypt to a value within its bound';

-- The column damaged counts damaged totals.  All other columns leave them out.
CREATE FUNCTION metering.region_statistics(key @paillier@.paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL)
	RETURNS TABLE (region text, hours int, energy numeric, mean_load numeric, mean_per_meter numeric,
		peak numeric, peak_at timestamptz, low numeric, low_at timestamptz, load_factor numeric,
		rise numeric, rise_at timestamptz, fall numeric, fall_at timestamptz, coverage numeric, damaged int)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET jit = off
	AS $$
		SELECT l.region, count(l.energy)::int, sum(l.energy), round(avg(l.energy), 3), round(sum(l.energy) / sum(l.meters), 3),
			max(l.energy), (array_agg(l.hour ORDER BY l.energy DESC NULLS LAST, l.hour))[1],
			min(l.energy), (array_agg(l.hour ORDER BY l.energy, l.hour))[1],
			round(avg(l.energy) / nullif(max(l.energy), 0), 4),
			max(l.ramp), (array_agg(l.hour ORDER BY l.ramp DESC NULLS LAST, l.hour) FILTER (WHERE l.ramp IS NOT NULL))[1],
			min(l.ramp), (array_agg(l.hour ORDER BY l.ramp NULLS LAST, l.hour) FILTER (WHERE l.ramp IS NOT NULL))[1],
			round(sum(l.readings) / nullif(sum(l.expected), 0), 4), (count(*) - count(l.energy))::int
		FROM (
			SELECT d.region, CASE WHEN d.energy IS NOT NULL THEN d.hour END AS hour, d.energy,
				CASE WHEN d.energy IS NOT NULL THEN d.meters END AS meters,
				CASE WHEN d.energy IS NOT NULL THEN d.readings END AS readings,
				CASE WHEN d.energy IS NOT NULL THEN d.expected END AS expected,
				CASE WHEN d.hour - lag(d.hour) OVER w = interval '1 hour' THEN d.energy - lag(d.energy) OVER w END AS ramp
			FROM metering.decrypted_load(key, starts, ends, of_region) AS d
			WINDOW w AS (PARTITION BY d.region ORDER BY d.hour)) AS l
		GROUP BY l.region ORDER BY l.region
	$$;

COMMENT ON FUNCTION metering.region_statistics(@paillier@.paillier_private_key, timestamptz, timestamptz, text) IS 'energy, mean, peak, low, load factor (mean / peak), largest change from one hour to the next and coverage (readings received / expected) of each region in a range of time; damaged: hours left out because their total cannot be decrypted';

CREATE FUNCTION metering.region_quantiles(key @paillier@.paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL,
		shares numeric[] DEFAULT '{0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1}')
	RETURNS TABLE (region text, share numeric, load numeric)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET jit = off
	AS $$
		SELECT l.region, s.share, l.loads[greatest(1, ceil(s.share * cardinality(l.loads)))::int]
		FROM (
			SELECT d.region, array_agg(d.energy ORDER BY d.energy DESC) AS loads
			FROM metering.decrypted_load(key, starts, ends, of_region) AS d
			WHERE d.energy IS NOT NULL GROUP BY d.region) AS l
		CROSS JOIN unnest(shares) AS s (share)
		ORDER BY 1, 2
	$$;

COMMENT ON FUNCTION metering.region_quantiles(@paillier@.paillier_private_key, timestamptz, timestamptz, text, numeric[]) IS 'load duration of each region: load is reached or exceeded in a share (0 to 1) of the hours';

-- Makes a forecast of 24 hours every day, beginning with the first hour.
CREATE FUNCTION metering.backtest(key @paillier@.paillier_private_key, starts timestamptz DEFAULT '-infinity',
		ends timestamptz DEFAULT 'infinity', of_region text DEFAULT NULL, with_model text DEFAULT NULL)
	RETURNS TABLE (region text, model text, hours int, mape numeric, bias numeric, rmse numeric)
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET jit = off SET work_mem = '256MB'
	AS $$
#variable_conflict use_column
BEGIN
	IF with_model IS NOT NULL AND NOT EXISTS (SELECT FROM metering.forecast_weight w WHERE w.model = with_model) THEN
		RAISE EXCEPTION 'model "%" has no weights', left(with_model, 30) USING ERRCODE = 'undefined_object';
	END IF;
	RETURN QUERY
	WITH load AS MATERIALIZED (
		SELECT d.region, d.hour, (EXTRACT(epoch FROM d.hour) / 3600)::int AS number, d.energy
		FROM metering.decrypted_load(key, starts - interval '8784 hours', ends, of_region) AS d
		WHERE d.energy IS NOT NULL
	), candidate AS MATERIALIZED (
		SELECT r.region, COALESCE(with_model, m.model, 'seasonal') AS model
		FROM (SELECT DISTINCT region FROM load) AS r LEFT JOIN metering.region_model m ON m.region = r.region
		UNION SELECT DISTINCT region, unnest(ARRAY['last_week', 'last_day']) FROM load
	), weight AS MATERIALIZED (
		SELECT l.model, l.step, l.lag, l.weight,
			sum(abs(l.weight) - l.weight / 2) OVER (PARTITION BY l.model, l.step) AS needed
		FROM metering.forecast_lag l
		WHERE l.step <= 24 AND l.model IN (SELECT c.model FROM candidate c)
	), task AS MATERIALIZED (
		SELECT row_number() OVER () AS id, t.*, c.model
		FROM (
			SELECT l.*, (l.number - min(l.number) FILTER (WHERE l.hour >= starts) OVER (PARTITION BY l.region)) % 24 + 1 AS step
			FROM load l) AS t
		JOIN candidate c ON c.region = t.region
		WHERE t.hour >= starts AND t.energy <> 0
	), made AS (
		SELECT t.*, f.forecast, count(*) OVER (PARTITION BY t.region, t.hour) AS models
		FROM (
			SELECT k.id, sum(p.energy * w.weight) / sum(w.weight) AS forecast
			FROM task k
			JOIN weight w ON w.model = k.model AND w.step = k.step
			JOIN load p ON p.region = k.region AND p.number = k.number - w.lag
			GROUP BY k.id
			HAVING sum(abs(w.weight)) >= max(w.needed) AND sum(w.weight) > 0) AS f
		JOIN task t ON t.id = f.id
	)
	SELECT m.region, m.model, count(*)::int, round(100 * avg(abs((m.forecast - m.energy) / m.energy)), 2),
		round(avg(m.forecast - m.energy), 3), round(sqrt(avg((m.forecast - m.energy) ^ 2)), 3)
	FROM made m
	WHERE m.models = (SELECT count(*) FROM candidate c WHERE c.region = m.region)
	GROUP BY m.region, m.model ORDER BY 1, 4;
END
$$;

COMMENT ON FUNCTION metering.backtest(@paillier@.paillier_private_key, timestamptz, timestamptz, text, text) IS 'errors of day-ahead forecasts of past hours, by the model of the region or a given one, and by "last_week" and "last_day" over the same hours: mean absolute error in percent, mean error and root mean square error in units of the readings';
