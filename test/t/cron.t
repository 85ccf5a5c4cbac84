#!/usr/bin/env bash
# cron.t
#	The roll-up as a job of pg_cron, run as an operator.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
[ -e "$($PG_CONFIG --sharedir)/extension/pg_cron.control" ] || {
	echo "1..0 # SKIP no pg_cron"
	exit 0
}
here=$(dirname "${BASH_SOURCE[0]}")
own_server
fresh cron_test 'paillier_metering CASCADE'
psql -Xq -v ON_ERROR_STOP=1 -f "$here/metering.psql"
# its scheduler needs the database from the start, and no TCP to run jobs
cat >>"$scratch/settings" <<-'SETTINGS'
	shared_preload_libraries = 'pg_cron'
	cron.database_name = 'cron_test'
	cron.use_background_workers = on
	cron.timezone = 'UTC'
SETTINGS
cluster_as_server tee -a "$CLUSTER/data/postgresql.conf" <"$scratch/settings" >/dev/null
cluster_ctl -m fast restart
sql 'CREATE EXTENSION pg_cron; CREATE ROLE operator LOGIN; GRANT USAGE ON SCHEMA cron TO operator'
sql - >/dev/null <<-'SQL'
	SELECT begin_metering('min_meters = 2');
	SELECT metering.grant_access('operator', 'operator'), add_meters('m', 2, 'one');
	SELECT send('m.', h, date_bin('5 min', now(), '2000-01-01 00:00Z'))
		FROM date_bin('2 hours', now() - interval '6 hours', '2000-01-01 00:00Z') h;
SQL
# once a minute is as often as old versions can: a job that runs at the start does not keep anybody waiting
is "$(sql "SELECT cron.schedule('roll-up', '*/5 * * * *', 'CALL metering.rollup()') > 0" -U operator)" t \
	"an operator schedules the roll-up"
if [ "$(sql "SELECT string_to_array(split_part(extversion, '-', 1), '.')::int[] >= '{1,5}' FROM pg_extension
	WHERE extname = 'pg_cron'")" = t ]; then
	schedule='5 seconds'
else
	schedule='@reboot'
fi
sql "SELECT cron.schedule('roll-up soon', '$schedule', 'CALL metering.rollup()')" -U operator >/dev/null
is "$(sql "SELECT count(*) FROM cron.job_run_details")" 0 "it has not run yet"
cluster_ctl -m fast restart
for ((i = 0; i < 300; i++)); do
	[ "$(sql "SELECT count(*) FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')")" = 0 ] || break
	sleep 0.1
done
is "$(sql 'SELECT DISTINCT status, username, command FROM cron.job_run_details')" \
	'succeeded|operator|CALL metering.rollup()' "the job succeeds"
is "$(sql "SELECT bool_and(readings = 24) AND count(*) >= 5 FROM metering.region_hour;
	SELECT bool_and(readings = 24) AND count(*) >= 4 FROM metering.bill_window;
	SELECT count(*) - (SELECT count(*) FROM sent, metering.progress WHERE read_at >= sealed_until)
		FROM metering.reading")" $'t\nt\n0' "hours and windows are sealed"
is "$(sql "SELECT wrong_regions() UNION ALL SELECT wrong_meters()")" "" "exactly"
is "$(sql "SELECT hours_overdue FROM metering.health")" 0 "and none is overdue"
if [ "$schedule" = '5 seconds' ]; then
	sleep 6
	is "$(sql "SELECT count(*) > 1 AND bool_and(status <> 'failed') FROM cron.job_run_details")" t "again and again"
fi
is "$(sql "SELECT cron.unschedule('roll-up')" -U operator)" t "it is taken off"

finish
