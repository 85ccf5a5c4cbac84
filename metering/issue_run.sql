-- Bills are issued in one place only.  In another place somebody has to say first what
-- was issued elsewhere.
CREATE FUNCTION metering.check_issuing(confirms boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	last  metering.issue_run;
	moved boolean;
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'bills cannot be issued in isolation level %', current_setting('transaction_isolation')
			USING ERRCODE = 'invalid_transaction_state', HINT = 'Use isolation level read committed.';
	END IF;
	IF NOT EXISTS (SELECT FROM metering.progress g JOIN metering.place() AS p
			ON (p.system_identifier, p.database, p.timeline) = (g.system_identifier, g.database, g.timeline)) THEN
		RAISE EXCEPTION 'metering runs in another place than its last roll-up'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'CALL metering.rollup() first.';
	END IF;
	SELECT * INTO last FROM metering.issue_run r ORDER BY r.run DESC LIMIT 1;
	moved := CASE WHEN last.run IS NULL THEN EXISTS (SELECT FROM metering.lost l WHERE l.reason = 'other place')
		ELSE last.epoch <> (SELECT g.epoch FROM metering.progress g) END;
	IF moved AND NOT confirms THEN
		RAISE EXCEPTION 'bills may have been issued in another place since run %', COALESCE(last.run, 0)
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'SELECT metering.confirm_issued(month) with the last month that was issued there, or NULL if none was.';
	ELSIF confirms AND NOT moved AND last.run IS NOT NULL THEN
		RAISE EXCEPTION 'run % issued bills in this place: there is nothing to confirm', last.run
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.check_issuing(boolean) IS 'refuses to issue bills that may have been issued in another place; true: refuses to confirm where that cannot be';

-- Refuses a month that is not over.  Returns where it ends: at different times in
-- different zones.
CREATE FUNCTION metering.check_due(month date, OUT ends_first timestamptz, OUT ends_last timestamptz)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	sealed timestamptz := (SELECT g.billed_until FROM metering.progress g);
	due    timestamptz;
BEGIN
	SELECT min(x.ends), max(x.ends) INTO ends_first, ends_last
	FROM (SELECT (month + interval '1 month') AT TIME ZONE t.zone AS ends FROM metering.tariff t) AS x;
	due := ends_last + (SELECT s.bill_grace FROM metering.setting s);
	IF clock_timestamp() < due THEN
		RAISE EXCEPTION 'bills of % cannot be issued before %', to_char(month, 'YYYY-MM'), due
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'They are due when the month is over and the bill_grace of the settings has passed.';
	END IF;
	IF COALESCE(sealed < ends_last, true) AND ends_last IS NOT NULL THEN
		RAISE EXCEPTION 'bills of % cannot be issued before bill windows up to % are sealed', to_char(month, 'YYYY-MM'), ends_last
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = format('They are sealed up to %s.', COALESCE(sealed::text, 'none')), HINT = 'CALL metering.rollup() first.';
	END IF;
END
$$;

COMMENT ON FUNCTION metering.check_due(date) IS 'refuses to issue the bills of a month that is not over or not sealed; returns the earliest and latest end of the month among the zones of tariffs';

-- A run is one transaction.  Returns its number; NULL if there was nothing to issue.
CREATE FUNCTION metering.issue(month date, elsewhere boolean) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	last   metering.issue_run;
	ends   record;
	since  timestamptz;
	covers timestamptz;
	number bigint;
BEGIN
	SELECT * INTO last FROM metering.issue_run r ORDER BY r.run DESC LIMIT 1;
	since := COALESCE(last.covered_until, '-infinity');
	number := COALESCE(last.run, 0) + 1;
	SELECT * INTO ends FROM metering.check_due(month);
	covers := greatest(since, ends.ends_first);
	BEGIN
		-- a tariff keeps its zone until the run ends
		PERFORM FROM metering.tariff FOR SHARE;
		IF NOT elsewhere THEN
			PERFORM metering.freeze_prices(number, month);
		END IF;
		IF metering.open_stretches(number, month, elsewhere) + metering.open_register_stretches(number, month, elsewhere) = 0 THEN
			RAISE EXCEPTION 'nothing to issue' USING ERRCODE = 'no_data_found';
		END IF;
	EXCEPTION WHEN no_data_found THEN
		RAISE NOTICE 'bills up to %: nothing is left to issue', to_char(month, 'YYYY-MM');
		RETURN NULL;
	END;
	PERFORM metering.write_bills(number, since, ends.ends_last, covers, elsewhere);
	INSERT INTO metering.issue_run (run, period, epoch, elsewhere, covered_until, covered_period, accounts, meters,
		unbilled_meters, unbilled_windows)
	SELECT number, month, g.epoch, elsewhere, covers, greatest(month, last.covered_period),
		(SELECT count(DISTINCT b.account) FROM metering.issued_bill b WHERE b.run = number),
		(SELECT count(DISTINCT s.meter_id) FROM metering.issued_stretch s WHERE s.run = number), u.meters, u.windows
	FROM metering.progress g
	CROSS JOIN (SELECT count(*) AS meters, COALESCE(sum(n.windows), 0) AS windows FROM metering.unbilled n) AS u;
	RETURN number;
END
$$;

COMMENT ON FUNCTION metering.issue(date, boolean) IS 'one run of issue_bills(), or of confirm_issued()';

CREATE PROCEDURE metering.issue_bills(period date)
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	done metering.issue_run;
BEGIN
	IF NOT COALESCE(isfinite($1), false) THEN
		RAISE EXCEPTION 'bills of % cannot be issued', COALESCE($1::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name a month by one of its days.';
	END IF;
	SET LOCAL synchronous_commit = on;
	LOCK TABLE metering.issue_turn IN EXCLUSIVE MODE;
	PERFORM metering.check_issuing(false);
	done.run := metering.issue(date_trunc('month', $1)::date, false);
	SELECT * INTO done FROM metering.issue_run r WHERE r.run = done.run;
	IF FOUND THEN
		RAISE NOTICE 'run %: bills of % accounts', done.run, done.accounts;
		IF done.unbilled_windows > 0 THEN
			RAISE NOTICE '% bill windows of % meters are in no bill: see metering.unbilled', done.unbilled_windows, done.unbilled_meters;
		END IF;
	END IF;
END
$$;

COMMENT ON PROCEDURE metering.issue_bills(date) IS 'issues bills for the month of a date: for everything up to its end that was not issued before';

CREATE FUNCTION metering.confirm_issued(period date) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	number bigint;
	again  timestamptz;
BEGIN
	LOCK TABLE metering.issue_turn IN EXCLUSIVE MODE;
	PERFORM metering.check_issuing(true);
	IF $1 IS NOT NULL THEN
		SELECT l.since INTO again FROM metering.lost l WHERE l.reason = 'other place' ORDER BY l.lost_id DESC LIMIT 1;
		IF again < (metering.check_due(date_trunc('month', $1)::date)).ends_last THEN
			RAISE WARNING 'readings from % on are sent again: those that were issued elsewhere would be billed twice', again
				USING HINT = 'Have only readings sent again that are newer than the month.';
		END IF;
		number := metering.issue(date_trunc('month', $1)::date, true);
	END IF;
	IF number IS NULL THEN
		INSERT INTO metering.issue_run AS r (run, epoch, elsewhere, covered_until, covered_period, accounts, meters,
			unbilled_meters, unbilled_windows)
		SELECT COALESCE(l.run, 0) + 1, g.epoch, true, COALESCE(l.covered_until, '-infinity'), l.covered_period, 0, 0,
			COALESCE(l.unbilled_meters, 0), COALESCE(l.unbilled_windows, 0)
		FROM metering.progress g
		LEFT JOIN (SELECT * FROM metering.issue_run x ORDER BY x.run DESC LIMIT 1) AS l ON true
		RETURNING r.run INTO number;
	END IF;
	RETURN number;
END
$$;

COMMENT ON FUNCTION metering.confirm_issued(date) IS 'says that bills up to the end of a month were issued in another place, before a restore; NULL: none since the last run here; from then on issue_bills() issues the others';

-- A contract holds for whole bill windows.
CREATE FUNCTION metering.next_window(t timestamptz) RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT CASE WHEN NOT isfinite(t) OR w.window_start = t THEN t ELSE w.window_end END
		FROM metering.window_of(CASE WHEN isfinite(t) THEN t ELSE now() END) AS w
	$$;

COMMENT ON FUNCTION metering.next_window(timestamptz) IS 'start of the first bill window that begins at a time or later';

-- Gives a meter a tariff, and an account if one is named, from one time up to another
-- that is not issued yet.
CREATE FUNCTION metering.assign_tariff(meter_id text, tariff text, since timestamptz, account text DEFAULT NULL,
		until timestamptz DEFAULT 'infinity') RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	cut    timestamptz;
	issued record;
	known  boolean;
BEGIN
	IF meter_id IS NULL OR tariff IS NULL OR NOT COALESCE(isfinite(since) AND since < until, false) THEN
		RAISE EXCEPTION 'no tariff can be assigned from % to %', COALESCE(since::text, 'NULL'), COALESCE(until::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Name a meter, a tariff and a time.';
	END IF;
	since := metering.next_window(since);
	until := metering.next_window(until);
	IF since >= until THEN
		RAISE EXCEPTION 'no bill window begins in the time that the tariff would hold'
			USING ERRCODE = 'invalid_parameter_value', HINT = format('The next one begins at %s.', since);
	END IF;
	IF NOT EXISTS (SELECT FROM metering.tariff t WHERE t.tariff = $2) THEN
		RAISE EXCEPTION 'tariff "%" does not exist', $2 USING ERRCODE = 'foreign_key_violation';
	END IF;
	LOCK TABLE metering.issue_turn IN EXCLUSIVE MODE;
	PERFORM FROM metering.meter m WHERE m.meter_id = $1 FOR UPDATE;
	known := FOUND;
	IF NOT EXISTS (SELECT FROM metering.contract c WHERE c.meter_id = $1) THEN
		RAISE EXCEPTION 'meter "%" is not registered', $1 USING ERRCODE = 'foreign_key_violation';
	END IF;
	SELECT s.since, s.until, s.run INTO issued FROM metering.issued_stretch s
	WHERE s.meter_id = $1 AND s.until > $3 AND s.since < $5 ORDER BY s.until DESC LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'meter "%" is billed from % to %, by run %', $1, issued.since, issued.until, issued.run
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'What is issued never changes.', HINT = 'Assign the tariff for other times: see metering.unissued_contract.';
	END IF;
	IF NOT known THEN
		-- a deleted meter: nothing comes after the window that is open
		INSERT INTO metering.contract_history (meter_id, until, tariff, account, flow)
		SELECT c.meter_id, w.window_end, NULL, c.account, c.flow
		FROM metering.contract_history c CROSS JOIN metering.window_of(clock_timestamp()) AS w
		WHERE c.meter_id = $1 ORDER BY c.until DESC LIMIT 1
		ON CONFLICT DO NOTHING;
	END IF;
	-- the parts that begin before and end after are cut in two
	FOREACH cut IN ARRAY ARRAY[$3, $5] LOOP
		INSERT INTO metering.contract_history (meter_id, until, tariff, account, flow)
		SELECT c.meter_id, cut, c.tariff, c.account, c.flow FROM metering.contract c
		WHERE c.meter_id = $1 AND cut > c.since AND cut < c.until;
	END LOOP;
	IF until = 'infinity' THEN
		UPDATE metering.meter m SET tariff = $2, account = COALESCE($4, m.account) WHERE m.meter_id = $1;
	END IF;
	UPDATE metering.contract_history h SET tariff = $2, account = COALESCE($4, h.account)
	WHERE h.meter_id = $1 AND h.until > $3 AND h.until <= $5;
	-- parts that are alike are one
	DELETE FROM metering.contract_history h USING metering.contract c, metering.contract n
	WHERE h.meter_id = $1 AND c.meter_id = $1 AND n.meter_id = $1 AND c.until = h.until AND n.since = h.until
		AND (c.tariff, c.account, c.flow) IS NOT DISTINCT FROM (n.tariff, n.account, n.flow);
END
$$;

COMMENT ON FUNCTION metering.assign_tariff(text, text, timestamptz, text, timestamptz) IS 'gives a meter a tariff, and an account unless it is NULL, from a time on that may lie in the past; refused for time that is issued';
