#!/usr/bin/env bash
# places.t
#	A database in another place: a standby that lags behind is promoted, a backup
#	is recovered to a point in time, a copy of the files is started.  What the
#	original may have sealed meanwhile is closed without totals, and readings are
#	asked for again, so that no total ever has two versions.  A crash leaves a
#	database in its place.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
here=$(dirname "${BASH_SOURCE[0]}")
mkdir -m 777 "$scratch/archive"
own_server "wal_level = replica" "archive_mode = on" "archive_command = 'cp %p $scratch/archive/%f'"
export PGOPTIONS='-c paillier.min_key_bits=128 -c client_min_messages=error -c jit=off'
fresh places_test 'paillier_metering CASCADE'
psql -Xq -v ON_ERROR_STOP=1 -f "$here/metering.psql"

# ---- other servers ----

# copy_ctl NAME ARGUMENT ...: pg_ctl of a copy
copy_ctl() {
	local name=$1
	shift
	cluster_as_server pg_ctl -D "$CLUSTER/$name" -l "$CLUSTER/$name.log" -s -w -t 60 "$@" </dev/null >/dev/null 2>&1
}

# copy NAME PORT [OPTION ...]: the files of another server
copy() {
	local name=$1 port=$2
	shift 2
	cluster_as_server pg_basebackup -D "$CLUSTER/$name" -X stream -c fast "$@" &&
		copy_set "$name" "port = $port" "archive_mode = off" "restore_command = 'cp $scratch/archive/%f %p'"
}

# copy_set NAME SETTING ...
copy_set() {
	local name=$1
	shift
	printf '%s\n' "$@" | cluster_as_server tee -a "$CLUSTER/$name/postgresql.auto.conf" >/dev/null
}

stop_copies() {
	local name
	for name in standby recovered copied; do
		[ ! -e "$CLUSTER/$name/postmaster.pid" ] || copy_ctl "$name" -m immediate stop
	done
	clean_up
}
trap stop_copies EXIT

# until STATEMENT: wait until it is true
until_true() {
	local i
	for ((i = 0; i < 600; i++)); do
		[ "$(sql "$1" 2>/dev/null)" = t ] && return
		sleep 0.1
	done
	return 1
}

# ---- an original, and what others have of it ----

h=$(sql "SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z')")
rollup() {
	sql "CALL metering.rollup('$h'::timestamptz + $1 * interval '1 hour')"
}
# readings of all meters from one hour up to another
send() {
	sql "SELECT send('m.', '$h'::timestamptz + $1 * interval '1 hour', '$h'::timestamptz + $2 * interval '1 hour')" \
		>/dev/null
}
# totals, one a line, without the ciphertext or with it
totals() {
	sql "SELECT 'region', region, hour, total FROM metering.region_hour WHERE total IS NOT NULL
		UNION ALL SELECT 'meter', meter_id, window_start, total FROM metering.bill_window WHERE total IS NOT NULL" |
			sort
}
progress() {
	sql "SELECT (sealed_until - '$h') || ' ' || (billed_until - '$h') FROM metering.progress"
}
# where the roll-up is, and what it has lost
place() {
	sql "SELECT epoch, system_identifier, database, timeline FROM metering.progress"
}
lost() {
	sql "SELECT string_agg(reason, ' ' ORDER BY lost_id) FROM metering.lost"
}

sql "SELECT begin_metering(), add_meters('m', 4, 'one')" >/dev/null
send 0 4
copy standby 5433 -R && copy recovered 5434
ok $? "copies"
copy_ctl standby start
ok $? "one of them is a standby"
rollup 3.5
copy copied 5435
ok $? "a copy of later"
is "$(progress)" "03:00:00 02:00:00" "three hours and a window are sealed"
lsn=$(sql 'SELECT pg_current_wal_lsn()')
PGPORT=5433 until_true "SELECT pg_last_wal_replay_lsn() >= '$lsn'"
ok $? "which the standby has"
is "$(PGPORT=5433 error 'CALL metering.rollup()')" 25006 "a standby does not roll up"
is "$(PGPORT=5433 sql 'SELECT count(*) FROM metering.gap')" 0 "but shows gaps"
copy_ctl standby -m fast stop
sql "SELECT pg_create_restore_point('copied')" >/dev/null
send 4 10
rollup 10.5
sql 'SELECT pg_switch_wal()' >/dev/null
is "$(progress) $(sql 'SELECT wrong_regions() UNION ALL SELECT wrong_meters()')" "10:00:00 10:00:00 " \
	"the original goes on"
is "$(lost)" "" "and has lost nothing"
totals >"$scratch/original"
is "$(wc -l <"$scratch/original")" $((10 + 5 * 4)) "it has sealed what the copies do not know of"

# ---- another place ----

# moved HOW: the first roll-up there.  Hours wait so long that there are some to be sealed then.
moved() {
	local how=$1
	sql "UPDATE metering.setting SET grace = '20 hours'"
	rollup 18.5
	closed=$(sql "SELECT metering.utc_hour(since - interval '20 hours') FROM metering.staging_since")
	is "$(sql "SELECT sealed_until = '$closed',
		billed_until = (SELECT max(window_end) FROM metering.window_grid WHERE window_end <= '$closed'),
		sealed_until - '$h' >= '10 hours',
		(system_identifier, database, timeline) = (SELECT p.* FROM metering.place() p) FROM metering.progress")" \
			"t|t|t|t" "$how: what was due is closed"
	is "$(sql 'SELECT count(*) FROM metering.reading') $(sql 'SELECT count(*) FROM metering.partial') $(sql \
		'SELECT count(*) FROM metering.staging_since JOIN metering.progress USING (epoch)')" "0 0 1" \
		"$how: staging is empty, of a new epoch"
	is "$(sql "SELECT since - (SELECT max(window_end) FROM metering.bill_window
		JOIN metering.window_grid USING (window_start) WHERE total IS NOT NULL),
		reason FROM metering.lost ORDER BY lost_id DESC LIMIT 1")" \
		"00:00:00|other place" "$how: readings from the last total on were lost"
	is "$(totals | comm -13 "$scratch/original" - | wc -l)" 0 "$how: no total but those of the original"
	like "$(sql 'SELECT problems FROM metering.health')" 'staging was lost at .*metering.lost' "$how: health tells"
}

# sent_again HOW: meters send what is asked for, and go on
sent_again() {
	local how=$1
	send 4 18
	# each of them once
	sql - >/dev/null <<-SQL
		INSERT INTO metering.reading SELECT meter_id, read_at, encrypted(value) FROM sent
		WHERE read_at >= (SELECT since FROM metering.lost ORDER BY lost_id DESC LIMIT 1)
			AND read_at < '$h'::timestamptz + interval '4 hours';
		UPDATE metering.setting SET grace = '15 min';
	SQL
	rollup 18.5
	is "$(sql "SELECT sealed_until = '$closed' FROM metering.progress")" t "$how: hours wait for what is sent again"
	sql "UPDATE metering.staging_since SET since = since - interval '1 hour'"
	rollup 18.5
	is "$(progress) $(sql 'SELECT wrong_meters()')" "18:00:00 18:00:00 " \
		"$how: then the roll-up goes on, and every bill is exact"
	is "$(sql "SELECT sum(missing) FROM metering.window_grid") $(sql \
		"SELECT count(*) FROM metering.gap WHERE read_at < '$h'::timestamptz + interval '18 hours'")" "0 0" \
		"$how: nothing is missing"
	totals >"$scratch/totals"
	is "$(cut -d '|' -f 1-3 "$scratch/totals" | comm -12 - <(cut -d '|' -f 1-3 "$scratch/original") | wc -l)" \
		"$(comm -12 "$scratch/totals" "$scratch/original" | wc -l)" \
		"$how: no total has two versions"
}

# a standby that lags behind
export PGPORT=5433
copy_set standby "primary_conninfo = ''" "restore_command = ''"
copy_ctl standby start && copy_ctl standby promote
ok $? "the standby is promoted"
is "$(sql 'SELECT count(*) FROM metering.reading') $(progress)" "0 03:00:00 02:00:00" "it lags behind"
before=$(place)
moved promoted
is "$(place | cut -d '|' -f 2-)" "$(sql "SELECT system_identifier, database,
	timeline + 1 FROM (SELECT split_part('$before', '|', 2) AS system_identifier,
	split_part('$before', '|', 3) AS database,
	split_part('$before', '|', 4)::int AS timeline) p")" "promoted: by a new timeline"
sent_again promoted

# it crashes, and is stopped and started
before=$(place)
sql "SELECT send('m.', '$h'::timestamptz + interval '18 hours', '$h'::timestamptz + interval '19 hours')" >/dev/null
copy_ctl standby -m fast restart
rollup 18.5
is "$(place) $(lost) $(sql 'SELECT count(*) FROM metering.reading')" "$before other place 48" "a restart loses nothing"
copy_ctl standby -m immediate stop
copy_ctl standby start
rollup 19.5
is "$(place) $(lost) $(sql 'SELECT count(*) FROM metering.reading')" "$before other place crash 0" \
	"a crash loses what is staged, in the same place"
is "$(progress)" "18:00:00 18:00:00" "so that hours wait, and none is closed"
copy_ctl standby -m immediate stop

# a point in time
export PGPORT=5434
cluster_as_server touch "$CLUSTER/recovered/recovery.signal"
copy_set recovered "recovery_target_name = 'copied'" "recovery_target_action = 'promote'"
copy_ctl recovered start && until_true 'SELECT NOT pg_is_in_recovery()'
ok $? "a backup is recovered to a point in time"
is "$(sql 'SELECT count(*) FROM metering.reading') $(progress)" "0 03:00:00 02:00:00" "which has passed"
moved recovered
sent_again recovered
copy_ctl recovered -m immediate stop

# a copy of the files: on the same timeline
export PGPORT=5435
copy_set copied "restore_command = ''"
copy_ctl copied start
ok $? "a copy of the files is started"
before=$(place)
rollup 3.5
is "$(place) $(lost) $(progress)" "$before crash 03:00:00 02:00:00" "which looks like a crash"
sql 'SELECT metering.restored()' >/dev/null
moved copied
is "$(lost)" "crash other place" "until somebody says what it is"
sent_again copied
copy_ctl copied -m immediate stop

# ---- the original crashes ----

export PGPORT=5432
send 10 11
before=$(place)
cluster_kill
cluster_restart
rollup 11.5
is "$(place) $(lost)" "$before crash" "a crash of the original is no other place"
is "$(progress) $(sql 'SELECT count(*) FROM metering.reading')" "10:00:00 10:00:00 0" "but its readings are lost"
is "$(sql "SELECT since - '$h', reason FROM metering.lost")" "10:00:00|crash" "and asked for"
sql "INSERT INTO metering.reading SELECT meter_id, read_at, encrypted(value) FROM sent,
	metering.lost WHERE read_at >= since"
sql "UPDATE metering.staging_since SET since = since - interval '1 hour'"
send 11 12
rollup 12.5
is "$(progress) $(sql 'SELECT wrong_regions() UNION ALL SELECT wrong_meters()')" "12:00:00 12:00:00 " \
	"then every total is exact, and no hour is lost"

finish
