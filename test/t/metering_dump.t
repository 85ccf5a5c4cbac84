#!/usr/bin/env bash
# metering_dump.t
#	A dump of a database that meters: all that is durable is in it; readings are
#	not.  Where a dump is restored, or a database is copied, what may have been
#	sealed elsewhere is closed without totals, and readings are asked for again:
#	no total ever has two versions.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
here=$(dirname "${BASH_SOURCE[0]}")
own_server
export PGOPTIONS='-c paillier.min_key_bits=128 -c client_min_messages=warning -c jit=off'
fresh dump_live 'paillier_metering CASCADE'
psql -Xq -v ON_ERROR_STOP=1 -f "$here/metering.psql"

# ---- a pipeline in the middle of everything ----

h=$(sql "SELECT date_bin('2 hours', now() - interval '30 hours', '2000-01-01 00:00Z')")
rollup() {
	sql "CALL metering.rollup('$h'::timestamptz + $1 * interval '1 hour')"
}
sql - >/dev/null <<-SQL
	SELECT begin_metering(\$\$retention = '40 days', min_share = 0.25, unit_kwh = 0.01\$\$);
	INSERT INTO metering.tariff VALUES ('flat', 'one price', 'Europe/Berlin'), ('night', NULL, 'UTC');
	INSERT INTO metering.rate VALUES ('flat', '00:00', 0.3), ('night', '06:00', 0.4), ('night', '22:00', 0.2);
	SELECT add_meters('m', 4, 'one', 'flat'), add_meters('"q''u,o\te', 1, 'two', 'night');
	SELECT send('.*', '$h', '$h'::timestamptz + interval '5 hours');
	-- one that comes late, and one that never does
	DELETE FROM metering.reading WHERE meter_id = 'm1' AND read_at IN ('$h', '$h'::timestamptz + interval '2 hours');
	DELETE FROM sent WHERE meter_id = 'm1' AND read_at IN ('$h', '$h'::timestamptz + interval '2 hours');
	CREATE ROLE dump_collector; CREATE ROLE dump_biller;
	SELECT metering.grant_access('dump_collector', 'collector'), metering.grant_access('dump_biller', 'biller');
	UPDATE metering.meter SET collector = 'dump_collector' WHERE meter_id = 'm3';
SQL
rollup 3.5
sql - >/dev/null <<-SQL
	SELECT send('m1', '$h', '$h'::timestamptz + interval '5 min', is_late => true);
	INSERT INTO metering.register_read (meter_id, read_at, register) VALUES ('m3', '$h', encrypted(1000)),
		('m3', '$h'::timestamptz + interval '2 hours', encrypted(2000));
	UPDATE metering.meter SET region = 'two' WHERE meter_id = 'm4';
	INSERT INTO metering.region VALUES ('one', 'land'), ('two', 'land');
	INSERT INTO metering.region_model VALUES ('two', 'mean');
	SELECT metering.void_region_hour('two', '$h', 'a test');
	INSERT INTO metering.forecast_model VALUES ('mean', 'of two days');
	INSERT INTO metering.forecast_weight SELECT 'mean', * FROM metering.moving_average(2);
	UPDATE metering.meter SET tariff = 'night' WHERE meter_id = 'm2';
	-- registered late, so that readings of sealed windows are expected
	INSERT INTO metering.meter (meter_id, region, active)
		VALUES ('late', 'one', tstzrange('$h'::timestamptz + interval '1 hour',
		'$h'::timestamptz + interval '2 hours'));
	INSERT INTO metering.lost (since, until, reason) VALUES ('$h'::timestamptz - interval '1 hour', '$h', 'crash');
	INSERT INTO metering.uncounted (meter_id, hour, key_id, readings) SELECT 'gone', '$h', key_id,
		1 FROM metering.setting;
	INSERT INTO metering.interval_history VALUES ('gone', '$h', '10 min');
	SELECT metering.void_register('m3', '$h', reason => 'a test');
	INSERT INTO metering.late_register VALUES ('gone', '$h');
	SELECT metering.confirm_issued(NULL);
	INSERT INTO metering.issued_price VALUES (1, 'flat', 'import', '$h', 0.3);
	INSERT INTO metering.issued_stretch SELECT 1, 'm1', key_id, '', '$h'::timestamptz - interval '2 hours', '$h', NULL,
		NULL, 'm1', 'flat', 'import' FROM metering.setting;
	INSERT INTO metering.issued_bill SELECT 1, 'm1', key_id, encrypted(5), encrypted(6), NULL, NULL, 0, 1, 0, 0, 0, false,
		'{flat}', 2, 0.01 FROM metering.setting;
	INSERT INTO metering.unbilled VALUES ('m1', '$h'::timestamptz - interval '4 hours',
		'$h'::timestamptz - interval '2 hours', 1);
	UPDATE metering.setting SET bill_window = '4 hours';
SQL
staged=$(sql 'SELECT count(*) FROM metering.reading')
is "$(sql 'SELECT count(*) > 0 FROM metering.partial')|$staged|$(sql \
	'SELECT sealed_until - billed_until FROM metering.progress')" "t|121|01:00:00" \
	"readings are staged, and an hour is sealed whose window is not"
tables=$(sql "SELECT c.relname FROM pg_extension e,
	unnest(extconfig) o JOIN pg_class c ON c.oid = o WHERE extname = 'paillier_metering' AND c.relkind = 'r'
	ORDER BY 1")
is "$(wc -w <<<"$tables") $(grep -cE '^(bill_window|register_read)_' <<<"$tables")" "83 48" "durable tables"

# every row of every durable table
durable() {
	local table
	# what windows lack is counted again by the first roll-up, because tables are restored in any order; a
	# progress that is restored has no timeline, by which that roll-up knows that it is in another place
	for table in $tables; do
		echo "SELECT '$table', md5(string_agg(t::text, ',' ORDER BY t::text)), count(*)
			FROM (SELECT $(case $table in
				window_grid) echo 'window_start, window_end, key_id, reading_interval, slot' ;;
				progress) echo 'sealed_until, billed_until, epoch, system_identifier, database' ;;
				*) echo '*' ;; esac) FROM metering.$table) t;"
	done | sql -
	sql "SELECT key_id, name FROM paillier_key ORDER BY 1"
}
live=$(durable)
is "$(grep '|0$' <<<"$live" | grep -vE '^(bill_window|register_read)_|^register_kept' | cut -d '|' -f 1 | xargs)" "issue_turn meter_turn rate_turn region_turn" \
	"all of which have rows but those that are there to be locked"
missing=$(sql "SELECT md5(string_agg(meter_id || read_at, ',' ORDER BY meter_id, read_at)) FROM sent,
	metering.progress WHERE read_at >= billed_until OR late")
sql "COPY (SELECT energy FROM metering.reading UNION ALL SELECT total FROM metering.partial) TO STDOUT" >"$scratch/fine"
sql "COPY (SELECT total FROM metering.bill_window WHERE total IS NOT NULL UNION ALL SELECT total
	FROM metering.region_load) TO STDOUT" >"$scratch/totals"

# ---- dumps ----

# not even a roll-up in the middle of a step holds a dump up, nor does the dump see half of it
mkfifo "$scratch/statements"
psql -XAtq <"$scratch/statements" >"$scratch/answers" &
exec 9>"$scratch/statements"
echo "BEGIN; SELECT metering.seal_hour(sealed_until) FROM metering.progress;" >&9
for ((i = 0; i < 200; i++)); do
	[ -s "$scratch/answers" ] && break
	sleep 0.05
done
is "$(cat "$scratch/answers")" t "an hour is being sealed"
pg_dump --lock-wait-timeout=5s >"$scratch/plain.sql"
ok $? "pg_dump, plain, meanwhile"
pg_dump --lock-wait-timeout=5s -Fc -Z0 -f "$scratch/custom"
ok $? "pg_dump, custom"
pg_dump --lock-wait-timeout=5s --inserts -f "$scratch/inserts.sql" 2>/dev/null
ok $? "pg_dump with INSERT"
# pg_dump crashes if told to dump a partition that belongs to an extension
pg_dump --lock-wait-timeout=5s -t 'metering.*' -T 'metering.bill_window_*' -T 'metering.register_read_*' -f "$scratch/tables.sql" 2>/dev/null
ok $? "pg_dump of tables of the schema by name"
is "$(grep -cFf "$scratch/fine" "$scratch/tables.sql")" 0 "by name: no staged reading, no partial total"
echo 'ROLLBACK;' >&9
exec 9>&-
wait
for file in plain.sql custom inserts.sql; do
	is "$(grep -caFf "$scratch/fine" "$scratch/$file") $(grep -oaFf "$scratch/totals" "$scratch/$file" | sort -u |
		wc -l)" "0 $(wc -l <"$scratch/totals")" \
		"$file: no staged reading, no partial total, all totals"
done
is "$(sort -u "$scratch/fine" | wc -l)" $((staged + 5)) "which were there"

# ---- copies ----

PGDATABASE=postgres createdb -T dump_live dump_clone
databases+=(dump_clone)

# the original goes on meanwhile
sql "SELECT send('m.|\"q.*', '$h'::timestamptz + interval '5 hours', '$h'::timestamptz + interval '10 hours')" \
	>/dev/null
rollup 10.5
is "$(sql "SELECT sealed_until - '$h', billed_until - '$h' FROM metering.progress")" "10:00:00|10:00:00" \
	"the original goes on"
is "$(sql 'SELECT wrong_meters()')" "" "with exact totals"
original() {
	sql "SELECT 'region', region, hour, total FROM metering.region_hour WHERE total IS NOT NULL
		UNION ALL SELECT 'meter', meter_id, window_start, total FROM metering.bill_window WHERE total IS NOT NULL" -d \
			"$1"
}
original dump_live | sort >"$scratch/original"
is "$(wc -l <"$scratch/original")" $((10 + 5 * 5)) "and has sealed what the dumps do not know of"

# ---- another place: at the next roll-up what was due is closed ----

# moved HOW STAGED: the first roll-up in another place; hours wait so long that hours remain to be sealed then
moved() {
	local how=$1
	sql "UPDATE metering.setting SET grace = '20 hours'"
	rollup 18.5
	is "$(sql 'SELECT count(*) FROM metering.reading') $(sql 'SELECT count(*) FROM metering.partial') $(sql \
		'SELECT count(*) FROM metering.staging_since JOIN metering.progress USING (epoch)')" "0 0 1" \
		"$how: staging is empty, of a new epoch"
	closed=$(sql "SELECT metering.utc_hour(since - interval '20 hours') FROM metering.staging_since")
	is "$(sql "SELECT sealed_until = '$closed',
		billed_until = (SELECT max(window_end) FROM metering.window_grid WHERE window_end <= '$closed'),
		(system_identifier, database, timeline) = (SELECT p.* FROM metering.place() p) FROM metering.progress")" \
			"t|t|t" "$how: what was due is closed"
	is "$(sql "SELECT since - '$h', until > now() - interval '10 min',
		reason FROM metering.lost ORDER BY lost_id DESC LIMIT 1")" "02:00:00|t|other place" \
		"$how: which says what to send again"
	is "$(sql "SELECT count(*) >= 20, count(total), sum(readings),
		bool_and(expected = 24) FROM metering.bill_window
		WHERE window_start >= '$h'::timestamptz + interval '2 hours'")" "t|0|0|t" "$how: windows have no totals"
	is "$(sql "SELECT count(*) FROM metering.region_hour WHERE hour >= '$h'::timestamptz + interval '3 hours'")" 0 \
		"$how: nor have regions"
	is "$(sql 'SELECT count(*) FROM metering.window_grid w
		WHERE missing <> (SELECT COALESCE(sum(missing), 0) FROM metering.incomplete i
		WHERE i.window_start = w.window_start)')" 0 "$how: what windows lack is counted"
	is "$(sql "SELECT md5(string_agg(meter_id || read_at, ',' ORDER BY meter_id, read_at)) FROM metering.gap
		JOIN sent USING (meter_id, read_at) WHERE read_at < '$h'::timestamptz + interval '5 hours'")" "$missing" \
		"$how: what was staged is missing"
	is "$(sql "SELECT string_agg(format('%s %s', meter_id, read_at - '$h'), ', ' ORDER BY read_at) FROM metering.gap
		LEFT JOIN sent USING (meter_id, read_at)
		WHERE sent.read_at IS NULL AND meter_id <> 'late' AND read_at < '$h'::timestamptz + interval '5 hours'")" \
			"m1 02:00:00" "$how: and what was missing before"
	is "$(sql "SELECT count(*) FROM metering.gap WHERE meter_id = 'late'")" 12 "$how: of meters that came late too"
	like "$(sql 'SELECT problems FROM metering.health')" 'staging was lost at .*metering.lost' "$how: health tells"
	is "$(error "CALL metering.issue_bills('2020-01-01')") $(error 'SELECT metering.confirm_issued(NULL)') $(error \
		"CALL metering.issue_bills('2020-01-01')")" "55000 none none" \
		"$how: no bills are issued until somebody says what was issued elsewhere"
}

# what is asked for, and what meters send from then on
sent_again() {
	local how=$1
	sql - >/dev/null <<-SQL
		INSERT INTO metering.reading SELECT meter_id, read_at, encrypted(value) FROM sent
		WHERE read_at >= (SELECT since FROM metering.lost ORDER BY lost_id DESC LIMIT 1)
			OR (meter_id, read_at) IN (SELECT meter_id, read_at FROM metering.gap);
		SELECT send('m.|"q.*', greatest('$h'::timestamptz + interval '5 hours',
			(SELECT max(read_at) + interval '5 min' FROM sent)), '$h'::timestamptz + interval '18 hours');
		UPDATE metering.setting SET grace = '15 min';
	SQL
	rollup 18.5
	is "$(sql "SELECT sealed_until = '$closed' FROM metering.progress")" t \
		"$how: nobody is hurried: hours wait for what is sent again"
	sql "UPDATE metering.staging_since SET since = since - interval '1 hour'"
	rollup 18.5
	is "$(sql "SELECT sealed_until - '$h', billed_until - '$h' FROM metering.progress")" "18:00:00|18:00:00" \
		"$how: then the roll-up goes on"
	is "$(sql 'SELECT wrong_meters()')" "" "$how: and every bill is exact"
	is "$(sql "SELECT decrypted(sum(amount)) = (SELECT sum(value * 0.01 * 0.3) FROM sent WHERE meter_id = 'm3')
		FROM metering.bill WHERE meter_id = 'm3'")" t "$how: to the last digit of its amount"
	is "$(sql "SELECT sum(missing) FROM metering.window_grid")" $((1 + 12)) "$how: only what never came is missing"
	is "$(sql "SELECT string_agg(DISTINCT format('%s %s', region, meters), ', ') FROM metering.region_hour")" \
		"one 4, two 1" "$how: meters are where they were then"
	is "$(sql "SELECT count(*) - count(DISTINCT id) FROM metering.rollup_log")" 0 "$how: with new numbers in the log"
	original "$PGDATABASE" | sort >"$scratch/now"
	is "$(cut -d '|' -f 1-3 "$scratch/now" | comm -12 - <(cut -d '|' -f 1-3 "$scratch/original") | wc -l)" \
		"$(comm -12 "$scratch/now" "$scratch/original" | wc -l)" "$how: no total has two versions"
	is "$(comm -12 "$scratch/now" "$scratch/original" | wc -l)" "$(wc -l <"$scratch/totals")" \
		"$how: those before the dump are the same"
}

# ---- what is restored ----

check() {
	local how=$1
	is "$(durable)" "$live" "$how: every durable table is whole"
	is "$(sql 'SELECT count(*), bool_and(only_row) FROM metering.setting') $(sql \
		'SELECT count(*), bool_and(only_row) FROM metering.progress')" "1|t 1|t" \
		"$how: settings and progress are one row"
	is "$(sql 'SELECT count(*) FROM metering.reading') $(sql 'SELECT count(*) FROM metering.partial')" "0 0" \
		"$how: staging is empty"
	is "$(sql "SELECT count(*) FROM pg_class WHERE relnamespace = 'metering'::regnamespace AND relkind = 'r'
		AND relpersistence = 'u'")" 55 "$how: and unlogged"
	is "$(error 'ALTER TABLE metering.partial SET LOGGED') $(error 'DELETE FROM metering.bill_window') $(error \
		'UPDATE metering.region_hour SET meters = 1')" "55000 55000 55000" "$how: the guards are up"
	is "$(sql "SELECT has_table_privilege('dump_collector', 'metering.reading', 'INSERT'),
		has_table_privilege('dump_collector', 'metering.reading', 'SELECT'),
		has_table_privilege('dump_biller', 'metering.bill', 'SELECT'),
			has_schema_privilege('dump_biller', 'metering', 'USAGE'),
			has_table_privilege('public', 'metering.reading', 'INSERT'),
		has_function_privilege('public', 'metering.seal_hour(timestamptz)', 'EXECUTE')")" "${2:-t|f|t|t|f|f}" \
			"$how: rights are as they were"
	moved "$how"
	sent_again "$how"
}

fresh dump_plain
psql -Xq -v ON_ERROR_STOP=1 -f "$scratch/plain.sql" >/dev/null
ok $? "restored by psql"
check plain
fresh dump_custom
pg_restore -e -d dump_custom "$scratch/custom"
ok $? "restored by pg_restore"
is "$(durable)" "$live" "custom: every durable table is whole"
fresh dump_jobs
pg_restore -e -j 4 -d dump_jobs "$scratch/custom"
ok $? "restored by several jobs"
is "$(durable)" "$live" "by several jobs: every durable table is whole"
fresh dump_data
pg_restore -e --schema-only -d dump_data "$scratch/custom"
pg_restore -e --data-only --disable-triggers -d dump_data "$scratch/custom"
ok $? "restored without triggers"
check "without triggers"

# ---- a dump of what was restored holds the same ----

fresh dump_again
pg_dump dump_jobs | psql -Xq -v ON_ERROR_STOP=1 >/dev/null
is "$(durable)" "$live" "a dump of a restored database, restored"

PGDATABASE=dump_jobs
check jobs

# ---- a copy of a database, and of a machine ----

PGDATABASE=dump_clone
is "$(durable)" "$live" "a copy by CREATE DATABASE: every durable table is whole"
is "$(sql 'SELECT count(*) FROM metering.reading')" "$staged" "with what is staged"
moved copy
sent_again copy
# nothing tells that the whole machine is another, unless somebody says so
sql "SELECT send('m.', '$h'::timestamptz + interval '18 hours', '$h'::timestamptz + interval '19 hours')" >/dev/null
before=$(sql "SELECT epoch, (SELECT count(*) FROM metering.lost) FROM metering.progress")
rollup 19
is "$(sql 'SELECT epoch, (SELECT count(*) FROM metering.lost) FROM metering.progress') $(sql \
	'SELECT count(*) FROM metering.reading')" "$before 48" "in the same place nothing is lost"
sql 'SELECT metering.restored()' >/dev/null
rollup 19
is "$(sql "SELECT epoch <> '${before%|*}', (SELECT count(*) FROM metering.lost) - ${before#*|},
	sealed_until = metering.utc_hour(now() - interval '15 min') FROM metering.progress") $(sql \
	'SELECT count(*) FROM metering.reading')" \
	"t|1|t 0" "after restored() it is"
is "$(sql "SELECT since - '$h' FROM metering.lost ORDER BY lost_id DESC LIMIT 1")" "18:00:00" "and is asked for"

PGDATABASE=dump_live
is "$(sql "SELECT count(*) FROM metering.rollup_log WHERE step IN ('restart', 'place')")" 0 \
	"the original is where it was"
is "$(original dump_live | sort | diff - "$scratch/original")" "" "with the same totals"

# ---- extensions that depend on each other ----

is "$(error 'DROP EXTENSION paillier')" 2BP01 "paillier stays while metering depends on it"
is "$(error 'DROP SCHEMA metering CASCADE; CREATE EXTENSION paillier_metering')" none \
	"the schema is dropped with all that is in it, and made again"
is "$(sql 'SELECT count(*) FROM metering.bill_window') $(sql 'SELECT key_id IS NULL FROM metering.setting')" "0 t" \
	"empty"
PGDATABASE=dump_plain
is "$(error 'DROP EXTENSION paillier_metering; CREATE EXTENSION paillier_metering; DROP EXTENSION paillier_metering')" \
	none "so is the extension"
PGDATABASE=dump_custom
is "$(error 'DROP TABLE pipeline_key; DROP FUNCTION encrypted; DROP FUNCTION decrypted;
	DROP EXTENSION paillier CASCADE')" none "DROP … CASCADE takes both"
is "$(sql "SELECT count(*) FROM pg_event_trigger") $(sql \
	"SELECT count(*) FROM pg_class WHERE relnamespace = 'metering'::regnamespace")" "0 0" "and leaves nothing"
is "$(error 'CREATE EXTENSION paillier_metering CASCADE')" none "both are made again"
sql - >/dev/null <<-SQL
	DROP TABLE sent;
	DROP FUNCTION begin_metering, add_meters, send, wrong_regions, wrong_meters;
	\\i $here/metering.psql
	SELECT begin_metering(), add_meters('m', 2, 'one');
	SELECT send('m.', '$h', '$h'::timestamptz + interval '2 hours');
SQL
rollup 3
is "$(sql 'SELECT wrong_regions() UNION ALL SELECT wrong_meters()') $(sql \
	'SELECT count(*) FROM metering.bill_window WHERE readings = 24')" " 2" "and work"

finish
