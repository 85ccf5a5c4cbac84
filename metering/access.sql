-- No level reads staging.  All other rights are granted by level.  Functions in views
-- and constraints run with the rights of the role that uses the view or table.
CREATE FUNCTION metering.grant_access(role name, level text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	privilege text;
	rights    text[];
	time_functions CONSTANT text[] := ARRAY[
		'EXECUTE ON FUNCTION metering.utc_hour(timestamptz)', 'EXECUTE ON FUNCTION metering.slot(timestamptz)',
		'EXECUTE ON FUNCTION metering.minute_bit(timestamptz)', 'EXECUTE ON FUNCTION metering.bits(bigint)',
		'EXECUTE ON FUNCTION metering.minutes(interval)', 'EXECUTE ON FUNCTION metering.month_slot(timestamptz)',
		'EXECUTE ON FUNCTION metering.missing_minutes(bigint[], bigint[])', 'EXECUTE ON FUNCTION metering.count_minutes(bigint[])',
		'EXECUTE ON FUNCTION metering.window_label(timestamptz, text, interval)',
		'EXECUTE ON FUNCTION metering.window_of(timestamptz)'];
BEGIN
	rights := CASE level
		WHEN 'collector' THEN ARRAY[
			'EXECUTE ON FUNCTION metering.accept(text, timestamptz, @paillier@.paillier_ciphertext)',
			'EXECUTE ON FUNCTION metering.accept_register(text, timestamptz, @paillier@.paillier_ciphertext)',
			'INSERT ON metering.reading', 'INSERT (read_at, meter_id, series, register) ON metering.register_read',
			'SELECT ON metering.gap', 'SELECT ON metering.acknowledged', 'SELECT ON metering.lost',
			'EXECUTE ON FUNCTION metering.own_roles()']
		WHEN 'operator' THEN ARRAY[
			'EXECUTE ON PROCEDURE metering.rollup(timestamptz)', 'EXECUTE ON FUNCTION metering.next_step(timestamptz)',
			'EXECUTE ON FUNCTION metering.late_slots(timestamptz)', 'EXECUTE ON FUNCTION metering.sweep(int)',
			'EXECUTE ON FUNCTION metering.seal_hour(timestamptz)', 'EXECUTE ON FUNCTION metering.seal_window(timestamptz)',
			'SELECT, UPDATE ON metering.setting', 'SELECT, INSERT, UPDATE, DELETE ON metering.meter',
			'SELECT, INSERT, UPDATE, DELETE ON metering.tariff', 'SELECT, INSERT, UPDATE, DELETE ON metering.rate',
			'EXECUTE ON PROCEDURE metering.forget(timestamptz, boolean)', 'EXECUTE ON FUNCTION metering.move_start(timestamptz)',
			'EXECUTE ON FUNCTION metering.month_slots()',
			'EXECUTE ON FUNCTION metering.forget_slot(int)', 'EXECUTE ON FUNCTION metering.forget_rows(boolean)',
			'EXECUTE ON FUNCTION metering.restored()', 'SELECT ON metering.uncounted', 'SELECT ON metering.lost',
			'SELECT ON metering.window_grid', 'SELECT ON metering.incomplete', 'EXECUTE ON FUNCTION metering.staged_bytes()',
			'EXECUTE ON FUNCTION metering.own_roles()',
			'SELECT ON metering.gap', 'SELECT ON metering.acknowledged', 'SELECT ON metering.health',
			'EXECUTE ON FUNCTION metering.staging_relations()', 'EXECUTE ON FUNCTION metering.staging_is_published()', 'SELECT ON metering.progress', 'SELECT ON metering.rollup_log',
			'SELECT ON metering.setting_period', 'SELECT ON metering.contract', 'SELECT ON metering.tariff_problem',
			'EXECUTE ON FUNCTION metering.price(text, text, timestamp)', 'SELECT ON metering.reconciliation',
			'SELECT ON metering.tariff_in_use',
			'EXECUTE ON FUNCTION metering.void_region_hour(text, timestamptz, text)', 'SELECT ON metering.voided_region_hour',
			'EXECUTE ON FUNCTION metering.void_register(text, timestamptz, text, text)', 'SELECT ON metering.voided_register',
			'SELECT ON metering.key_use',
			'EXECUTE ON PROCEDURE metering.issue_bills(date)', 'EXECUTE ON FUNCTION metering.confirm_issued(date)',
			'EXECUTE ON FUNCTION metering.assign_tariff(text, text, timestamptz, text, timestamptz)',
			'SELECT ON metering.issue_run', 'SELECT ON metering.unbilled']
		WHEN 'analyst' THEN ARRAY[
			'SELECT ON metering.region_load', 'SELECT ON metering.region_hour',
			'SELECT ON metering.region_total', 'SELECT ON metering.voided_region_hour',
			'SELECT ON metering.region_day', 'SELECT ON metering.region_week', 'SELECT ON metering.region_month',
			'SELECT ON metering.region_profile', 'SELECT ON metering.region_week_profile',
			'SELECT, INSERT, UPDATE, DELETE ON metering.region', 'SELECT ON metering.region_part',
			'SELECT ON metering.region_tree_load',
			'SELECT, INSERT, UPDATE, DELETE ON metering.forecast_model',
			'SELECT, INSERT, UPDATE, DELETE ON metering.forecast_weight',
			'SELECT, INSERT, UPDATE, DELETE ON metering.region_model',
			'SELECT ON metering.forecast_lag', 'SELECT ON metering.region_forecast',
			'EXECUTE ON FUNCTION metering.moving_average(int)',
			'EXECUTE ON FUNCTION metering.calendar_regression(int, boolean, int)',
			'EXECUTE ON FUNCTION metering.holt_winters(float8, float8, float8, int, int, int, int)',
			'EXECUTE ON FUNCTION metering.forecast(int, timestamptz, text, text)',
			'EXECUTE ON FUNCTION metering.decrypted_load(@paillier@.paillier_private_key, timestamptz, timestamptz, text)',
			'EXECUTE ON FUNCTION metering.region_statistics(@paillier@.paillier_private_key, timestamptz, timestamptz, text)',
			'EXECUTE ON FUNCTION metering.region_quantiles(@paillier@.paillier_private_key, timestamptz, timestamptz, text, numeric[])',
			'EXECUTE ON FUNCTION metering.backtest(@paillier@.paillier_private_key, timestamptz, timestamptz, text, text)']
		WHEN 'biller' THEN ARRAY[
			'SELECT ON metering.bill', 'SELECT ON metering.account_bill', 'SELECT ON metering.register_bill',
			'EXECUTE ON FUNCTION metering.register_amount(text, text, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz[], numeric[], @paillier@.paillier_ciphertext, @paillier@.paillier_ciphertext)',
			'EXECUTE ON FUNCTION metering.register_stretch(text, text, timestamptz, timestamptz, timestamptz)',
			'SELECT ON metering.interval_history', 'EXECUTE ON FUNCTION metering.shortest_interval(interval)',
			'EXECUTE ON FUNCTION metering.interval_at(text, timestamptz, interval)',
			'EXECUTE ON FUNCTION metering.price_curve(text, text, timestamptz, timestamptz)',
			'EXECUTE ON FUNCTION metering.draft_bills(date)', 'EXECUTE ON FUNCTION metering.invoice(@paillier@.paillier_private_key, date)',
			'EXECUTE ON FUNCTION metering.price(text, text, timestamp)',
			'EXECUTE ON FUNCTION metering.known_charge(numeric, text)',
			'SELECT ON metering.bill_window', 'SELECT ON metering.incomplete', 'SELECT ON metering.sealed_window', 'SELECT ON metering.meter',
			'SELECT ON metering.contract', 'SELECT ON metering.tariff', 'SELECT ON metering.rate',
			'SELECT ON metering.window_price', 'SELECT ON metering.register_check', 'SELECT ON metering.reconciliation',
			'SELECT ON metering.issue_run', 'SELECT ON metering.issued_price', 'SELECT ON metering.issued_stretch',
			'SELECT ON metering.issued_bill', 'SELECT ON metering.unbilled', 'SELECT ON metering.unissued_contract',
			'EXECUTE ON FUNCTION metering.issued_invoice(@paillier@.paillier_private_key, date, bigint)']
		WHEN 'monitor' THEN ARRAY[
			'SELECT ON metering.health', 'SELECT ON metering.progress', 'SELECT ON metering.rollup_log', 'SELECT ON metering.lost',
			'EXECUTE ON FUNCTION metering.staging_relations()', 'EXECUTE ON FUNCTION metering.staging_is_published()',
			'EXECUTE ON FUNCTION metering.staged_bytes()', 'EXECUTE ON FUNCTION metering.price(text, text, timestamp)']
		END;
	IF rights IS NULL THEN
		RAISE EXCEPTION 'access level "%" does not exist', COALESCE(level, 'NULL')
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Levels are collector, operator, analyst, biller and monitor.';
	END IF;
	EXECUTE format('GRANT USAGE ON SCHEMA metering TO %I', role);
	-- a collector that leaves a transaction open holds up the roll-up
	IF level = 'collector' AND NOT EXISTS (
		SELECT FROM pg_db_role_setting d JOIN pg_roles r ON r.oid = d.setrole
		WHERE r.rolname = role AND d.setconfig::text LIKE '%idle_in_transaction_session_timeout%') THEN
		EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''1min''', role);
	END IF;
	FOREACH privilege IN ARRAY time_functions || rights LOOP
		EXECUTE format('GRANT %s TO %I', privilege, role);
	END LOOP;
END
$$;

COMMENT ON FUNCTION metering.grant_access(name, text) IS 'gives a role the rights of a level: collector, operator, analyst, biller or monitor';


-- After installation nobody but the owner has a right, whatever the default privileges
-- of the installing role say.
DO $$
DECLARE
	grantee text;
BEGIN
	FOR grantee IN
		SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
		FROM (
			SELECT c.relowner AS owner, x.grantee FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS x
			WHERE c.relnamespace = 'metering'::regnamespace
			UNION ALL
			SELECT p.proowner, x.grantee
			FROM pg_proc p CROSS JOIN LATERAL aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS x
			WHERE p.pronamespace = 'metering'::regnamespace
			UNION ALL
			SELECT t.typowner, x.grantee FROM pg_type t CROSS JOIN LATERAL aclexplode(t.typacl) AS x
			WHERE t.typnamespace = 'metering'::regnamespace) AS a
		WHERE a.grantee <> a.owner
	LOOP
		EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA metering FROM %s', grantee);
		EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA metering FROM %s', grantee);
		EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA metering FROM %s', grantee);
	END LOOP;
END
$$;
