-- Decrypts many amounts at once, which is faster.  Generic plans do not contain the
-- key, so a logged plan does not show it.
CREATE FUNCTION metering.issued_invoice(key @paillier@.paillier_private_key, period date DEFAULT NULL, run bigint DEFAULT NULL)
	RETURNS TABLE (run bigint, account text, amount_due numeric, imported_kwh numeric, exported_kwh numeric, standing numeric,
		days bigint, readings bigint, carried bigint, missing bigint, unpriced bigint, interpolated boolean, tariffs text[],
		key_id text, damaged boolean)
	LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off
	AS $$
		SELECT u.run, u.account, round(u.amount_due, u.rounding), u.units_in * u.unit_kwh, u.units_out * u.unit_kwh, u.standing,
			u.days, u.readings, u.carried, u.missing, u.unpriced, u.interpolated, u.tariffs, u.key_id,
			x.mine AND ((u.amount IS NOT NULL AND u.amount_due IS NULL) OR (u.imported IS NOT NULL AND u.units_in IS NULL)
				OR (u.exported IS NOT NULL AND u.units_out IS NULL))
		FROM (
			SELECT n.mine, array_agg(n.bill ORDER BY n.number) AS bills,
				CASE WHEN n.mine THEN @paillier@.paillier_try_decrypt_array(array_agg((n.bill).amount ORDER BY n.number), $1) END AS amounts,
				CASE WHEN n.mine THEN @paillier@.paillier_try_decrypt_array(array_agg((n.bill).imported ORDER BY n.number), $1) END AS imports,
				CASE WHEN n.mine THEN @paillier@.paillier_try_decrypt_array(array_agg((n.bill).exported ORDER BY n.number), $1) END AS exports
			FROM (
				SELECT b AS bill, b.key_id = (SELECT @paillier@.paillier_key_id($1)) AS mine,
					row_number() OVER (ORDER BY b.key_id, b.run, b.account) AS number
				FROM metering.issue_run r JOIN metering.issued_bill b ON b.run = r.run
				WHERE ($2 IS NOT NULL OR $3 IS NOT NULL) AND (r.period = date_trunc('month', $2)::date OR $2 IS NULL)
					AND (r.run = $3 OR $3 IS NULL)) AS n
			GROUP BY n.mine, n.number / 500) AS x
		CROSS JOIN LATERAL ROWS FROM (unnest(x.bills), unnest(x.amounts), unnest(x.imports), unnest(x.exports))
			AS u (run, account, key_id, amount, imported, exported, standing, days, readings, carried, missing, unpriced,
				interpolated, tariffs, rounding, unit_kwh, amount_due, units_in, units_out)
		ORDER BY u.account, u.run, u.key_id
	$$;

COMMENT ON FUNCTION metering.issued_invoice(@paillier@.paillier_private_key, date, bigint) IS 'bills that were issued, by the runs for the month of a date or by one run: one row for each run, account and key, with the rounded amount due; rows under another key than the given one are not decrypted; damaged: an amount is NULL because a total in it cannot be decrypted';
