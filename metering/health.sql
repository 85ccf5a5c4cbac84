-- Roles other than the owner and superusers that may read staging, or do anything with
-- it but send readings.
CREATE VIEW metering.staging_grant AS
	SELECT c.oid::regclass AS staging_table, COALESCE(r.rolname, 'PUBLIC') AS grantee, a.privilege_type AS privilege
	FROM pg_class c
	CROSS JOIN LATERAL (
		SELECT x.grantee, x.privilege_type FROM aclexplode(c.relacl) AS x
		UNION
		SELECT x.grantee, x.privilege_type FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) AS x
		WHERE t.attrelid = c.oid) AS a
	LEFT JOIN pg_roles r ON r.oid = a.grantee
	WHERE (c.oid IN (SELECT s.staging_table FROM metering.staging_table s) OR c.oid = 'metering.reading'::regclass)
		AND a.grantee <> c.relowner
		AND NOT (c.oid = 'metering.reading'::regclass AND a.privilege_type = 'INSERT')
	UNION ALL
	SELECT 'metering.reading'::regclass, pg_get_userbyid(m.member), 'SELECT'
	FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid AND g.rolname = 'pg_read_all_data';

COMMENT ON VIEW metering.staging_grant IS 'roles other than the owner that may do more with staging than send readings; it must be empty';
COMMENT ON COLUMN metering.staging_grant.staging_table IS 'the staging table';
COMMENT ON COLUMN metering.staging_grant.privilege IS 'the privilege';
COMMENT ON COLUMN metering.staging_grant.grantee IS 'role that has the privilege, or has it as a member of pg_read_all_data';

-- The size of the files of staging.  pg_relation_size() would wait for a lock.
CREATE FUNCTION metering.staged_bytes() RETURNS bigint
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	path  text;
	bytes bigint := 0;
	size  bigint;
	part  int;
BEGIN
	FOR path IN
		SELECT pg_relation_filepath(x.oid) FROM metering.staging_relations() AS s
		JOIN pg_class c ON c.oid = s.staging_table
		CROSS JOIN LATERAL (VALUES (c.oid), (NULLIF(c.reltoastrelid, 0))) AS x (oid)
		WHERE s.kind = 'r' AND x.oid IS NOT NULL
	LOOP
		part := 0;
		LOOP
			size := (pg_stat_file(path || CASE part WHEN 0 THEN '' ELSE '.' || part END, true)).size;
			EXIT WHEN COALESCE(size, 0) = 0;
			bytes := bytes + size;
			part := part + 1;
		END LOOP;
	END LOOP;
	RETURN bytes;
END
$$;

COMMENT ON FUNCTION metering.staged_bytes() IS 'size of staging on disk, in bytes';

-- LIMIT 1 tells the planner that a table has one row.  OFFSET 0 keeps it from computing
-- a column once for each place that names it.
CREATE VIEW metering.health AS
	SELECT h.*, array_remove(ARRAY[
		CASE WHEN s.key_id IS NULL THEN 'no key: register one and put its id into metering.setting' END,
		CASE WHEN h.hours_overdue > 0 THEN format('%s hours are due: call metering.rollup(), and see its notices if it leaves them', h.hours_overdue) END,
		CASE WHEN h.blocked_since IS NOT NULL AND h.hours_overdue > 0 THEN format('the roll-up could not lock staging since %s, because of %s: end it', h.blocked_since, h.blocked_by) END,
		CASE WHEN h.oldest_unsealed_hour > now() + interval '1 hour' THEN format('hours up to %s are sealed, which lies in the future: the clock was ahead', h.oldest_unsealed_hour) END,
		CASE WHEN h.staging_lost_at IS NOT NULL THEN format('staging was lost at %s: have the readings in metering.lost sent again', h.staging_lost_at) END,
		CASE WHEN h.gaps > 0 THEN format('%s readings are missing: see metering.gap', h.gaps) END,
		CASE WHEN h.uncounted_last_day > 0 THEN format('%s readings of the last day were too few for a total: see metering.uncounted', h.uncounted_last_day) END,
		CASE WHEN h.suppressed_last_day > 0
			THEN format('%s regional hours of the last day have no total because too few meters contributed', h.suppressed_last_day) END,
		CASE WHEN h.conflicts_last_day > 0
			THEN format('%s readings of the last day were sent twice with different ciphertexts: the first one counts', h.conflicts_last_day) END,
		CASE WHEN h.dropped_last_day > 0
			THEN format('%s readings of the last day came too late for any total: a longer grace waits for them', h.dropped_last_day) END,
		CASE WHEN h.tariff_problems > 0 THEN format('%s problems with tariffs: see metering.tariff_problem', h.tariff_problems) END,
		CASE WHEN h.meters_without_tariff > 0 THEN format('%s meters have a tariff that does not exist', h.meters_without_tariff) END,
		CASE WHEN h.unbilled_windows > 0 THEN format('nobody is billed for %s bill windows: see metering.unbilled', h.unbilled_windows) END,
		CASE WHEN h.bills_overdue IS NOT NULL THEN format('bills of %s are due: CALL metering.issue_bills(%L)', to_char(h.bills_overdue, 'YYYY-MM'), h.bills_overdue) END,
		CASE WHEN h.staging_logged > 0 THEN format('%s staging tables are logged: readings leave traces', h.staging_logged) END,
		CASE WHEN h.staging_published THEN 'staging is published: subscribers get readings; ALTER PUBLICATION (see pg_publication_tables)' END,
		CASE WHEN h.staging_exposed > 0 THEN format('%s grants on staging to roles other than its owner: REVOKE them (see metering.staging_grant)', h.staging_exposed) END,
		CASE WHEN h.schema_exposed > 0 THEN format('%s roles may create objects in schema metering: REVOKE CREATE ON SCHEMA metering', h.schema_exposed) END,
		(SELECT format('other roles may create objects in schema %1$I, which queries may use in place of those of paillier: REVOKE CREATE ON SCHEMA %1$I', n.nspname)
			FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
			WHERE e.extname = 'paillier' AND EXISTS (SELECT FROM aclexplode(n.nspacl) AS a
				WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner))
		], NULL) AS problems
	FROM (SELECT * FROM metering.setting LIMIT 1) AS s
	CROSS JOIN LATERAL (
		SELECT g.sealed_until AS oldest_unsealed_hour,
			greatest(0, floor(EXTRACT(epoch FROM now() - s.grace - g.sealed_until) / 3600))::int AS hours_overdue,
			g.blocked_since, g.blocked_by, metering.staged_bytes() AS staged_bytes,
			(SELECT COALESCE(sum(w.missing), 0)::bigint FROM metering.window_grid w
				WHERE w.window_start >= now() - make_interval(secs => EXTRACT(epoch FROM s.retention)::double precision)) AS gaps,
			(SELECT COALESCE(sum(u.readings), 0)::bigint FROM metering.uncounted u WHERE u.destroyed_at > now() - interval '1 day')
				AS uncounted_last_day,
			(SELECT COALESCE(sum(l.suppressed), 0)::bigint FROM (
				SELECT x.suppressed FROM metering.rollup_log x WHERE x.step = 'hour' ORDER BY x.id DESC LIMIT 24) AS l) AS suppressed_last_day,
			l.conflicts_last_day, l.dropped_last_day,
			(SELECT max(l.until) FROM metering.lost l WHERE l.until > now() - interval '1 day') AS staging_lost_at,
			(SELECT COALESCE(sum(m.meters), 0)::bigint
				FROM (SELECT * FROM metering.tariff_in_use u
					WHERE NOT EXISTS (SELECT FROM metering.tariff t WHERE t.tariff = u.tariff) OFFSET 0) AS u
				CROSS JOIN LATERAL (SELECT count(*) AS meters FROM metering.meter m
					WHERE m.tariff = u.tariff AND m.flow = u.flow) AS m) AS meters_without_tariff,
			(SELECT count(*) FROM metering.tariff_problem) AS tariff_problems,
			i.unbilled_windows, i.bills_overdue,
			(SELECT count(*) FROM metering.staging_table WHERE NOT unlogged) AS staging_logged,
			metering.staging_is_published() AS staging_published,
			(SELECT count(*) FROM metering.staging_grant) AS staging_exposed,
			(SELECT count(DISTINCT a.grantee) FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
				WHERE n.nspname = 'metering' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner) AS schema_exposed
		FROM (SELECT * FROM metering.progress LIMIT 1) AS g
		CROSS JOIN (
			SELECT COALESCE(sum(x.conflicts), 0)::bigint AS conflicts_last_day, COALESCE(sum(x.dropped), 0)::bigint AS dropped_last_day
			FROM (SELECT y.conflicts, y.dropped, y.finished_at FROM metering.rollup_log y ORDER BY y.id DESC LIMIT 200) AS x
			WHERE x.finished_at > now() - interval '1 day') AS l
		LEFT JOIN LATERAL (
			-- a day more: months end at different times in different zones
			SELECT r.unbilled_windows, CASE WHEN (r.covered_period + interval '2 months' + interval '1 day') AT TIME ZONE s.zone + s.bill_grace < now()
				THEN (r.covered_period + interval '1 month')::date END AS bills_overdue
			FROM metering.issue_run r ORDER BY r.run DESC LIMIT 1) AS i ON true OFFSET 0) AS h;

COMMENT ON VIEW metering.health IS 'state of metering in one row; problems is empty if nothing is wrong';
COMMENT ON COLUMN metering.health.oldest_unsealed_hour IS 'the hour that is sealed next';
COMMENT ON COLUMN metering.health.hours_overdue IS 'hours that are due and not sealed';
COMMENT ON COLUMN metering.health.blocked_since IS 'since when the roll-up could not lock staging';
COMMENT ON COLUMN metering.health.blocked_by IS 'sessions and prepared transactions that held the lock';
COMMENT ON COLUMN metering.health.staged_bytes IS 'size of staging on disk';
COMMENT ON COLUMN metering.health.gaps IS 'missing readings of sealed bill windows, within the retention of readings';
COMMENT ON COLUMN metering.health.uncounted_last_day IS 'readings that were destroyed within the last day because they were too few for a total';
COMMENT ON COLUMN metering.health.suppressed_last_day IS 'totals that are missing among the regional hours of the last 24 sealed hours';
COMMENT ON COLUMN metering.health.conflicts_last_day IS 'readings of which copies with different ciphertexts were staged, in the last day (of at most 200 steps of the roll-up)';
COMMENT ON COLUMN metering.health.dropped_last_day IS 'readings that came too late for any total, in the last day (of at most 200 steps of the roll-up)';
COMMENT ON COLUMN metering.health.staging_lost_at IS 'when a roll-up found staging lost, within the last day';
COMMENT ON COLUMN metering.health.tariff_problems IS 'rows of metering.tariff_problem';
COMMENT ON COLUMN metering.health.meters_without_tariff IS 'meters whose tariff is not in metering.tariff';
COMMENT ON COLUMN metering.health.unbilled_windows IS 'sealed bill windows that nobody was billed for when bills were issued last; NULL if bills were never issued';
COMMENT ON COLUMN metering.health.bills_overdue IS 'month whose bills are due, if bills of earlier months were issued';
COMMENT ON COLUMN metering.health.staging_logged IS 'staging tables that are not unlogged; must be 0';
COMMENT ON COLUMN metering.health.staging_published IS 'true if a publication contains staging; must be false';
COMMENT ON COLUMN metering.health.staging_exposed IS 'grants on staging to roles other than its owner, apart from INSERT on metering.reading; must be 0';
COMMENT ON COLUMN metering.health.schema_exposed IS 'roles other than its owner that may create objects in the schema metering; must be 0';
COMMENT ON COLUMN metering.health.problems IS 'what is wrong, and what to do';
