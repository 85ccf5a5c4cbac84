#!/usr/bin/env bash
# forensics.t
#	What a thief of disks, WAL, replicas, backups, dumps or logs finds of readings
#	that are rolled up: nothing.  The bytes of every staged ciphertext, and of
#	products of them that are finer than what is kept or were not made new, are
#	searched for in every form, and are found before the purge where they have
#	to be.  What disks keep of files that are no more is not looked at.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
here=$(dirname "${BASH_SOURCE[0]}")

# 256 and 8192 bits, made by paillier_keygen()
small_public='{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"q4BNOk-N2xJLCCVyzmRhpesSoZscUrQAcV4BFl5JB7U","d'\
'jn":true,"kid":"f19adc368c867b0fca280bed58276d99"}'
large_public='{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"sY1KOdsXajZqyhTyorAnKk3NQgyTC51hdavKeXhu8f_66Vv'\
'0fALcvhCMD89FK3pADfgYEuxiinIvYeNQqLGHJpkjtycoZGW5Imhewg2Jd5ofP-SWI3QwXzHu2EqK77ijt_LW_k-0AENqJDB10llI8EQ19aSPes4w2oh'\
'pBP5tU0BPazIuArprAGGJGcncaYPtL33PqozEVbsUu0GQcsmVIYfXzfpD4SR7C-i70XPpSD_QdSvAb6tK3GJwt_sHBNKNZ3zyNb9BjDvb0fPWrbfrGzA'\
'UcG3Ygkg7Qc-7YkRasLnGJj2_1PLpkwanZ4d7lxzv0ELnPayt7VdLwdo-Xq_g5b2LnygYmL4mUBDsIiYI3S0Ec76P2cJqYMUO11YD8srWa3f8n9mBcGe'\
'NagBYFk6TGCNAYVJia31Vz0yeCfdJGSLmpA2mmF5BCJ_s9GeuKAnuD-y7cT6d_8odPPrJRLyVKNXU-pdIOT2H_PkKe0mVfaYi0tdmYZ__unXQY6D6vIi'\
'cJFuu9pPoqlPOfeBS6BZpr_9zSX3fTD0WU3JSKO3DYn8Run3fLOY38Uk7tYcT8dpJEGpsVvyqay0QFqmeu4VyPDg3itXPWtA0AF4nSzVJK3DOPYRqZdb'\
'xzSNhwthtdFIe2Y9fpU_XrMkruLGi6jPjbrbHz0enSjrHSuzUaEENMoAnF6v5_oZqK8ny3n4O4C18p1PKOh5hkVg8kLJoIJrIuFnR9w-D0QdYb9vyx5p'\
'Ovy-Y0iIbeb8ne-xIVw6UwmMme_T9eKnTyTl10IZo1HSrvj89PQ9FzcH4yGqO6IP1LmWH1Vo_52i2r1FXTjVy4KWj6s-TKusocsCnn337ZtSROSpbTi_'\
'RElZT5JbGlPyLMtr-BtRpaL6iBwR5mGi5hPj32C7f1PWgrO9cg50Lvhm-6gKXH93qWAb9XkvebfQ73392MzRY0OMWVnsUW8oteErwNlaKwKIWy7PeCNv'\
'rz9QhZfV2ULEMlk7kU80SiezaqMpLGAeI0uVxSEIxKmfS7mb3FjsvbSdqaJD_4TpSr10PjbLXBHt-WcIith8F-YsaMzamE8Vi9sYjdsDO4Bbq37WEdVT'\
'7-tiNE9hguCkP8YXtPzkb6OAQaocfDvehGaM2vJq38yy9aV7S652WwgFnynzX1lNZtnAvLcjj8br6dJ5iKS0mq39FQQpMf3xSVYS82or85hoTjQD5x3c'\
'poR77AMdyz48o2FQ1znTJUOpEKFhepKugYnsHKXL5aMZYB47rE3M4H8l6Cly0vlLw2FCfXt6q0OxP2NeZfn7a_GfrTXfUvG_sSv7oEGsWIG5DaAIa9a3'\
'ZGLoQfBOj-8gh12LeaJyQzGOHvmFzb3pile1fGaYjGQ","djn":true,"kid":"945b3d83cd8f2adcbd95e1a6ef7de960"}'

mkdir -m 777 "$scratch/archive"
own_server "wal_level = logical" "wal_keep_size = 1GB" "archive_mode = on" \
	"archive_command = 'cp %p $scratch/archive/%f'" "log_temp_files = 0" \
	"log_statement = ddl" "log_parameter_max_length = 0" "log_parameter_max_length_on_error = 0" \
	"log_min_error_statement = panic" "log_error_verbosity = terse"
gcc -O2 -o "$scratch/find_bytes" "$here/find_bytes.c" || {
	echo "Bail out! no compiler"
	exit 1
}
export PGOPTIONS='-c paillier.min_key_bits=128 -c client_min_messages=warning'

# ---- searching ----

# patterns KIND KEY: look for the ciphertexts on standard input from now on; where there is a group before each, only
# for the
# product of each group
patterns() {
	python3 "$scratch/patterns.py" "$1" "$2" >>"$scratch/patterns"
}
cat >"$scratch/patterns.py" <<'PYTHON'
import base64
import json
import sys

kind, modulus = sys.argv[1], int.from_bytes(base64.urlsafe_b64decode(json.loads(sys.argv[2])['n'] + '=='), 'big') ** 2
size = (modulus.bit_length() + 63) // 64 * 8
HEADER = 28


def show(form, number, data):
    # pieces of 16 bytes: a large value is stored in chunks, and a page may be half overwritten
    for i in range(0, len(data) - 15, 16):
        print(f'{kind}-{form}', number, data[i:i + 16].hex())


def forms(number, c):
    big = c.to_bytes(size, 'big')
    # what follows the header, whose length shifts the alphabet
    text = base64.urlsafe_b64encode(bytes(HEADER) + big).decode()[HEADER * 4 // 3 + 1:].rstrip('=')
    show('stored', number, big[::-1])
    show('bytes', number, big)
    show('hex', number, big.hex().encode())
    show('HEX', number, big.hex().upper().encode())
    for alphabet in '-_', '+/':
        show('base64', number, text.translate(str.maketrans('-_', alphabet)).encode())
    # as the state of a sum may hold it
    for factor in 2 ** (8 * size), pow(2, -8 * size, modulus):
        show('montgomery', number, (c * factor % modulus).to_bytes(size, 'little'))


products = {}
for number, line in enumerate(sys.stdin):
    *group, text = line.rstrip('\n').split('\t')
    c = int.from_bytes(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))[HEADER:], 'big')
    if group:
        products[group[0]] = products.get(group[0], 1) * c % modulus
    else:
        forms(number, c)
for number, c in enumerate(products.values()):
    forms(number, c)
PYTHON

# search PLACE ...: what is found there: lines of kind-form found/all
search() {
	"$scratch/find_bytes" "$scratch/patterns" "$@" >"$scratch/found" || echo "the search failed"
	cut -d ' ' -f 1,2 "$scratch/found" | sort
}

# nothing WHAT PLACE ...: a check that nothing is found but totals
nothing() {
	local what=$1
	shift
	is "$(search "$@" | grep -v '^total')" "" "nothing in $what"
	! grep -qv '^total' "$scratch/found" || diag "$(cut -c 1-300 "$scratch/found")"
}

# What is in memory goes to disk, unlogged tables too, which CHECKPOINT passes over.
flush() {
	cluster_ctl -m fast restart
}

# ---- a fleet, encrypted outside the database ----

start=$(($(date +%s) / 7200 * 7200 - 20 * 3600))

# at MINUTES: the time so long after the start
at() {
	date -u -d "@$((start + 60 * $1))" +%FT%H:%M:%SZ
}

# fleet PREFIX METERS FROM TO [STEP]: CSV of readings, from one minute up to another
fleet() {
	python3 - "$start" "$@" <<-'PYTHON'
		import sys, time
		start, prefix = int(sys.argv[1]), sys.argv[2]
		meters, begin, end, step = (int(x) for x in (sys.argv[3:] + ['5'])[:4])
		for minute in range(begin, end, step):
		    stamp = time.strftime('%FT%H:%M:%SZ', time.gmtime(start + 60 * minute))
		    for i in range(1, meters + 1):
		        print(f'{prefix}{i},{stamp},{(i * 7919 + minute * 104729) % 4999}')
	PYTHON
}

# encrypt KEY: rows for COPY
encrypt() {
	paillier encrypt --quiet --min-bits 128 --key <(echo "$1")
}

copy() {
	sql "\\copy metering.reading from '$1'" 2>"$scratch/errors"
}

# all rows of a file in one statement, which writes them one by one
insert() {
	awk -F '\t' 'BEGIN { printf "INSERT INTO metering.reading VALUES" } { printf "%s ($$%s$$, $$%s$$, $$%s$$)",
		(NR > 1 ? "," : ""), $1, $2, $3 }' "$1" | sql - 2>"$scratch/errors"
}

fresh forensics_test 'paillier_metering CASCADE'
sql - >/dev/null <<-SQL
	SELECT paillier_register_key('$small_public');
	UPDATE metering.setting SET key_id = paillier_key_id('$small_public'::paillier_public_key), min_meters = 3;
	INSERT INTO metering.meter (meter_id, region) SELECT r || i, r FROM unnest(ARRAY['n', 's']) r,
		generate_series(1, 3) i;
SQL

# ---- what is staged: readings, some of them twice, some by INSERT, and a batch that is refused at its last line ----

{
	fleet n 3 0 240
	fleet s 3 0 240
} >"$scratch/fleet.csv"
# two readings of a window that is sealed when they come, and two of an hour that is, while its window stays open
late="s3,$(at 10)|s3,$(at 15)|s3,$(at 130)|s3,$(at 175)"
grep -vE "$late" "$scratch/fleet.csv" | encrypt "$small_public" >"$scratch/main"
grep -E "$late" "$scratch/fleet.csv" | encrypt "$small_public" >"$scratch/late"
fleet n 1 0 30 | encrypt "$small_public" >"$scratch/again"
refused() {
	fleet n 1 "$1" "$2" | encrypt "$small_public"
	printf 'nobody\t%s\t%s\n' "$(at "$1")" "$(head -n 1 "$scratch/main" | cut -f 3)"
}
refused 60 120 >"$scratch/refused"
refused 60 90 >"$scratch/refused_late"
cat "$scratch"/{main,late,again,refused,refused_late} | cut -f 3 | sort -u | patterns reading "$small_public"
is "$(cat "$scratch"/{main,late,again,refused,refused_late} | cut -f 3 | sort -u | wc -l)" $((284 + 4 + 6 + 12 + 6)) \
	"ciphertexts to look for"
# what is finer than what is kept, and what is as fine but was not made new
group() {
	awk -F '\t' -v OFS='\t' -v first="$(at 0 | cut -c 12-13)" \
		'{ hour = (substr($2, 12, 2) - first + 24) % 24; window = int(hour / 2) } '"$1"
}
group '{ print $1 " " hour, $3 }' <"$scratch/main" | patterns meter-hour "$small_public"
group '{ print substr($1, 1, 1) hour, $3 }' <"$scratch/main" | patterns region-hour "$small_public"
{
	group '{ print $1 " " window, $3 }' <"$scratch/main"
	group '{ print $1 " " 1, $3 }' <"$scratch/late"
} | patterns meter-window "$small_public"

grep -v '^n3' "$scratch/main" >"$scratch/copied"
copy "$scratch/copied"
grep '^n3' "$scratch/main" >"$scratch/inserted"
insert "$scratch/inserted"
copy "$scratch/again"
# what a careful administrator does every night
sql 'ANALYZE; VACUUM ANALYZE metering.reading, metering.partial; CHECKPOINT'
insert "$scratch/refused"
like "$(cat "$scratch/errors")" 'meter "nobody" is not registered' "a batch is refused"
is "$(sql 'SELECT count(*) FROM metering.reading')" $((284 + 6)) "and readings are staged"

# ---- while they are staged ----

cluster_as_server pg_basebackup -D "$CLUSTER/backup_staged" -X stream -c fast
ok $? "a base backup while readings are staged"
cluster_as_server pg_basebackup -D "$CLUSTER/replica" -X stream -c fast -R
mkdir "$scratch/dump_staged"
pg_dump >"$scratch/dump_staged/plain" && pg_dump -Fc -Z0 >"$scratch/dump_staged/custom" &&
	pg_dump --inserts >"$scratch/dump_staged/metering" &&
	pg_dumpall >"$scratch/dump_staged/all"
ok $? "dumps while readings are staged"
{
	echo "port = 5433"
	echo "archive_mode = off"
	echo "wal_retrieve_retry_interval = 100ms"
} | cluster_as_server tee -a "$CLUSTER/replica/postgresql.auto.conf" >/dev/null
replica_ctl() {
	cluster_as_server pg_ctl -D "$CLUSTER/replica" -l "$CLUSTER/replica.log" -s -w -t 60 "$@" </dev/null >/dev/null 2>&1
}
replica_ctl start
ok $? "a replica"
flush
is "$(search "$CLUSTER/data")" "reading-stored $((284 + 6 + 12))/312" \
	"staged readings are in the data directory, as stored, with those of the batch that was refused"
is "$(cut -d ' ' -f 3- "$scratch/found" | tr ' ' '\n' | sed 's/.*data//; s/[0-9]//g' | sort -u)" "/base//" \
	"in tables only"
nothing "the WAL" "$CLUSTER/data/pg_wal" "$scratch/archive"
nothing "a base backup" "$CLUSTER/backup_staged"
nothing "dumps" "$scratch/dump_staged"

# ---- between an hour and its window ----

rollup() {
	sql "CALL metering.rollup('$(at "$1")')"
}
rollup 75
flush
is "$(search "$CLUSTER/data")" "meter-hour-stored 6/24
reading-stored $((284 - 70 + 12))/312" "when an hour is sealed its partial totals are there, and its readings are not"

# ---- sealed ----

rollup 195
insert "$scratch/refused_late"
like "$(cat "$scratch/errors")" 'meter "nobody" is not registered' "a batch of late readings is refused"
copy "$scratch/late"
rollup 195
is "$(sql "SELECT count(*) FILTER (WHERE hour < '$(at 120)'), count(*) FROM metering.partial")" "1|8" \
	"late readings wait as partial totals"
rollup 300
is "$(sql 'SELECT count(*), sum(readings), sum(carried) FROM metering.bill_window WHERE total IS NOT NULL;
	SELECT count(*), sum(readings) FROM metering.region_load')" "12|288|2
8|284" "everything is sealed"
is "$(sql "COPY (SELECT total FROM metering.bill_window) TO STDOUT" | sort -u | wc -l)" 12 "in totals"
# these have to be found everywhere
sql 'COPY (SELECT total FROM metering.bill_window UNION ALL SELECT total FROM metering.region_load) TO STDOUT' |
	patterns total "$small_public"
sql 'ANALYZE; CHECKPOINT; SELECT pg_switch_wal()' >/dev/null
cluster_as_server pg_basebackup -D "$CLUSTER/backup_sealed" -X stream -c fast
mkdir "$scratch/dump_sealed"
pg_dump >"$scratch/dump_sealed/plain" && pg_dump -Fc -Z0 >"$scratch/dump_sealed/custom" &&
	pg_dumpall >"$scratch/dump_sealed/all"
for ((i = 0; i < 600; i++)); do
	[ "$(psql -XAtq -p 5433 -c "SELECT pg_last_wal_replay_lsn() >= '$(sql 'SELECT pg_current_wal_lsn()')'" \
		2>/dev/null)" = t ] && break
	sleep 0.1
done
is "$(psql -XAtq -p 5433 -c 'SELECT count(*), sum(readings) FROM metering.bill_window')" "12|288" \
	"the replica has the totals"
psql -Xq -p 5433 -c 'SELECT * FROM metering.reading' >"$scratch/errors" 2>&1
like "$(cat "$scratch/errors")" 'cannot access temporary or unlogged relations' "and no readings"
replica_ctl -m fast stop
flush
all="total-stored 20/20"
like "$(search "$CLUSTER/data/base")" "(^|.)$all" "totals are in the tables"
nothing "the data directory" "$CLUSTER/data"
like "$(search "$scratch/archive")" "$all" "totals are in the archived WAL"
nothing "the archived WAL" "$scratch/archive"
like "$(search "$CLUSTER/replica")" "$all" "totals are in the replica"
nothing "the replica" "$CLUSTER/replica"
like "$(search "$CLUSTER/backup_sealed")" "$all" "totals are in a base backup"
nothing "a base backup" "$CLUSTER/backup_sealed"
is "$(search "$scratch/dump_sealed/plain")" "total-base64 20/20" "totals are in a dump"
is "$(search "$scratch/dump_sealed/custom")" "total-base64 20/20" "in the custom format too"
nothing "dumps" "$scratch/dump_sealed"
nothing "the log" "$CLUSTER/log" "$CLUSTER/replica.log"
like "$(cat "$CLUSTER/log")" 'LOG:  statement: CREATE EXTENSION' "which is kept"

# the replica takes over: staging is empty there, and another place is noticed
sql 'UPDATE metering.setting SET grace = grace'
replica_ctl start
cluster_as_server pg_ctl -D "$CLUSTER/replica" -s -w promote >/dev/null
is "$(psql -XAtq -p 5433 -c 'SELECT count(*) FROM metering.reading')" 0 "a replica that takes over has empty staging"
psql -XAtq -p 5433 -c 'CALL metering.rollup()' 2>"$scratch/errors"
like "$(cat "$scratch/errors")" '^WARNING:  metering runs in another place' "and says so when it rolls up"
is "$(psql -XAtq -p 5433 -c "SELECT reason FROM metering.lost")" "other place" "with a note that staging was lost"
replica_ctl -m immediate stop
rm -rf "$CLUSTER/replica" "$CLUSTER/backup_staged" "$CLUSTER/backup_sealed"

# ---- roll-up in little memory: in slices of the meters, without temporary files ----

sql "INSERT INTO metering.meter (meter_id, region) SELECT 'x' || i, 'x' ||
	i % 3 FROM generate_series(1, 30000) i; UPDATE metering.setting SET rollup_memory = 4096, min_share = 0.05;
	ANALYZE metering.meter"
fleet x 30000 240 300 20 | encrypt "$small_public" >"$scratch/many"
fleet x 5000 240 300 20 | encrypt "$small_public" >"$scratch/many_again"
fleet x 5000 180 240 30 | encrypt "$small_public" >"$scratch/many_late"
: >"$scratch/patterns"
cut -f 3 "$scratch"/many "$scratch"/many_again "$scratch"/many_late | awk 'NR % 50 == 0' |
	patterns reading "$small_public"
copy "$scratch/many"
copy "$scratch/many_again"
copy "$scratch/many_late"
before=$(grep -c 'temporary file: path' "$CLUSTER/log")
flush
is "$(search "$CLUSTER/data")" "reading-stored 2300/2300" "many readings are staged"
is "$(sql "SELECT metering.slices(30000, metering.staging_partition(metering.slot('$(at 240)'))) > 1")" t \
	"too many to be added up at once"
rollup 375
is "$(sql "SELECT sum(readings), sum(duplicates) FROM metering.rollup_log WHERE starts = '$(at 240)' AND step = 'hour';
	SELECT sum(late) FROM metering.rollup_log WHERE step <> 'window'")" $'90000|15000\n'$((4 + 10000)) \
	"an hour of many meters is sealed, and late readings are taken"
# nobody has sent a reading of the next one
sql "SELECT metering.seal_hour('$(at 300)')" >/dev/null
rollup 435
is "$(sql "SELECT meters, readings FROM metering.rollup_log WHERE starts = '$(at 240)' AND step = 'window'")" \
	"30000|100000" "so is a bill window"
is "$(grep -c 'temporary file: path' "$CLUSTER/log")" "$before" "no step has written a temporary file"
sql 'CHECKPOINT'
flush
nothing "the data directory" "$CLUSTER/data"
is "$(find "$CLUSTER/data/base/pgsql_tmp" -type f 2>/dev/null | wc -l)" 0 "no temporary files are left"

# ---- two keys: after each step no product of readings of one meter is anywhere ----

bill_public='{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k"}'
one_key=$PGDATABASE
fresh forensics_two_keys 'paillier_metering CASCADE'
sql - >/dev/null <<-SQL
	SELECT paillier_register_key('$small_public'), paillier_register_key('$bill_public');
	UPDATE metering.setting SET key_id = paillier_key_id('$small_public'::paillier_public_key), min_meters = 3,
		bill_key_id = paillier_key_id('$bill_public'::paillier_public_key), backup_interval = '0';
	INSERT INTO metering.meter (meter_id, region) SELECT r || i, r FROM unnest(ARRAY['n', 's']) r,
		generate_series(1, 3) i;
	INSERT INTO metering.meter (meter_id, region) SELECT 't' || i, 'few' FROM generate_series(1, 2) i;
SQL
{
	fleet n 3 0 180
	fleet s 3 0 180
	fleet t 2 0 180
} >"$scratch/fleet.csv"
late="s3,$(at 10)|s3,$(at 55)|n1,$(at 70)"
grep -vE "$late" "$scratch/fleet.csv" | encrypt "$small_public" >"$scratch/main"
grep -E "$late" "$scratch/fleet.csv" | encrypt "$small_public" >"$scratch/late"
fleet n 1 0 30 | encrypt "$small_public" >"$scratch/again"
for ((minute = 0; minute < 180; minute += 120)); do fleet n 3 "$minute" $((minute + 5)); done |
	encrypt "$bill_public" | awk -F '\t' -v OFS='\t' '{ print $2, $1, $3 }' >"$scratch/registers"
: >"$scratch/patterns"
cat "$scratch"/{main,late,again} | cut -f 3 | patterns reading "$small_public"
cut -f 3 "$scratch/registers" | patterns register-sent "$bill_public"
group '{ print $1 " " hour, $3 }' <"$scratch/main" | patterns meter-hour "$small_public"
group '{ print $1 " " window, $3 }' <"$scratch/main" | patterns meter-window "$small_public"
cat "$scratch/main" "$scratch/late" | group '{ print $1 " " hour, $3 }' | patterns meter-hour-late "$small_public"
group '{ print substr($1, 1, 1) hour, $3 }' <"$scratch/main" | patterns region-hour "$small_public"
group '{ print substr($1, 1, 1) $2, $3 }' <"$scratch/main" | patterns region-time "$small_public"
copy "$scratch/main"
copy "$scratch/again"
sql "\\copy metering.register_read (read_at, meter_id, register) from '$scratch/registers'"
is "$(sql 'SELECT count(*) FROM metering.reading; SELECT count(*) FROM metering.register_read')" \
	$'291\n6' "two keys: readings and registers are there"
# step WHAT READINGS: in all durable and unlogged places there is of readings what is staged, and nothing added up
step() {
	sql 'ANALYZE; CHECKPOINT; SELECT pg_switch_wal()' >/dev/null
	flush
	is "$(search "$CLUSTER/data")" "${2:+reading-stored $2/294}" "$1: in the data directory"
	is "$(search "$CLUSTER/data/pg_wal" "$scratch/archive")" "" "$1: nothing in the WAL"
}
step "readings are staged" 291
rollup 75
step "an hour is sealed" $((291 - 94 - 6))
copy "$scratch/late"
rollup 75
step "late readings of it are dropped" $((291 - 94 - 6 + 1))
rollup 135
step "a bill window is sealed" $((8 * 12))
rollup 195
step "all is sealed" ""
is "$(sql 'SELECT region, count(total), sum(readings), count(*) FROM metering.region_hour GROUP BY 1 ORDER BY 1;
	SELECT count(*) FROM metering.bill_window; SELECT sum(dropped), sum(duplicates) FROM metering.rollup_log;
	SELECT billed_until FROM metering.progress')" "few|0|72|3
n|3|108|3
s|3|106|3
0
2|6
$(sql "SELECT '$(at 120)'::timestamptz")" "regional totals are sealed, late readings are not in them"
sql 'COPY (SELECT total FROM metering.region_hour WHERE total IS NOT NULL) TO STDOUT' | patterns total "$small_public"
sql 'COPY (SELECT register FROM metering.register_read) TO STDOUT' | patterns total-register "$bill_public"
both=$'total-register-stored 6/6\ntotal-stored 6/6'
is "$(search "$CLUSTER/data/base")" "$both" "regional totals and registers are in the tables, made new"
is "$(search "$CLUSTER/data/pg_wal" "$scratch/archive")" "$both" "and in the WAL"
nothing "the data directory but these" "$CLUSTER/data"
export PGDATABASE=$one_key

# ---- a crash while readings are in tables and temporary files ----

fleet x 500 360 420 10 | encrypt "$small_public" >"$scratch/many"
: >"$scratch/patterns"
cut -f 3 "$scratch/many" | patterns reading "$small_public"
copy "$scratch/many"
flush
mkfifo "$scratch/statements"
PGOPTIONS='-c work_mem=64kB' psql -XAtq <"$scratch/statements" >"$scratch/answers" 2>&1 &
exec 9>"$scratch/statements"
echo 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM metering.reading ORDER BY energy::text;
	FETCH 1 FROM c; SELECT pg_backend_pid();' >&9
for ((i = 0; i < 200; i++)); do
	[ "$(wc -l <"$scratch/answers")" = 2 ] && break
	sleep 0.05
done
like "$(search "$CLUSTER/data/base/pgsql_tmp" 2>&1)" 'reading-stored [0-9]+/3000' \
	"a sort that does not fit into memory has readings in temporary files"
# at once, so that the session has no time to tidy up
backend=$(tail -n 1 "$scratch/answers")
kill -STOP "$backend"
kill -9 "$(cluster_as_server head -n 1 "$CLUSTER/data/postmaster.pid")" "$backend"
cluster_kill
exec 9>&-
like "$(search "$CLUSTER/data/base/pgsql_tmp" 2>&1)" 'reading-stored [0-9]+/3000' "which outlive a crash"
like "$(search "$CLUSTER/data")" 'reading-stored 3000/3000' "as tables do"
# until the killed server has been waited for
for ((i = 0; i < 100; i++)); do
	cluster_ctl start && break
	sleep 0.1
done
nothing "the data directory after the restart" "$CLUSTER/data"

# ---- a key of 8192 bits: readings do not fit into a page ----

fresh forensics_large 'paillier_metering CASCADE'
sql - >/dev/null <<-SQL
	SELECT paillier_register_key('$large_public');
	UPDATE metering.setting SET key_id = paillier_key_id('$large_public'::paillier_public_key), min_meters = 2,
		reading_interval = '1 hour';
	INSERT INTO metering.meter (meter_id, region) VALUES ('n1', 'n'), ('n2', 'n');
SQL
fleet n 2 0 120 60 | encrypt "$large_public" >"$scratch/main"
: >"$scratch/patterns"
cut -f 3 "$scratch/main" | patterns reading "$large_public"
copy "$scratch/main"
toast() {
	sql "SELECT count(*) FILTER (WHERE pg_relation_size(reltoastrelid) > 0) FROM pg_class WHERE relpersistence = 'u'
		AND relkind = 'r' AND reltoastrelid <> 0"
}
is "$(toast)" 2 "large readings are kept out of line"
flush
is "$(search "$CLUSTER/data")" "reading-stored 4/4" "and found there"
rollup 180
is "$(sql 'SELECT count(*), sum(readings) FROM metering.bill_window WHERE total IS NOT NULL')" "2|4" \
	"they are rolled up"
sql 'CHECKPOINT'
flush
nothing "the data directory" "$CLUSTER/data"
is "$(toast)" 0 "nothing is kept out of line"

# ---- the log, when something fails ----

PGDATABASE=forensics_test
fleet n 1 480 505 | encrypt "$small_public" | cut -f 3 >"$scratch/values"
: >"$scratch/patterns"
i=0
for way in literal null copied bound good; do
	i=$((i + 1))
	sed -n "${i}p" "$scratch/values" >"$scratch/$way"
	patterns "$way" "$small_public" <"$scratch/$way"
done
# Refused: a literal, a row without a meter, a row of COPY, a bound parameter.  Accepted: a literal.
attempt() {
	: >"$CLUSTER/log"
	{
		sql "INSERT INTO metering.reading VALUES ('nobody', '$(at 480)', '$(cat "$scratch/literal")')"
		sql "INSERT INTO metering.reading VALUES (NULL, '$(at 480)', '$(cat "$scratch/null")')"
		printf 'nobody\t%s\t%s\n' "$(at 480)" "$(cat "$scratch/copied")" >"$scratch/batch"
		sql "\\copy metering.reading from '$scratch/batch'"
		PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 python3 -c "
from client import *
import sys
print(failure(Session().rows, 'INSERT INTO metering.reading VALUES (\$1, \$2, \$3)', *sys.argv[1:]))" nobody \
	"$(at 480)" "$(cat "$scratch/bound")"
		sql "INSERT INTO metering.reading VALUES ('n1', '$(at 480)', '$(cat "$scratch/good")')"
	} >"$scratch/errors" 2>&1
	search "$CLUSTER/log" | cut -d ' ' -f 1 | tr '\n' ' '
}
is "$(attempt)" "" "with the recommended settings the log has nothing of readings that were refused"
is "$(grep -c 'is not registered' "$scratch/errors") $(grep -c ERROR "$CLUSTER/log")" "3 4" "though it has the errors"
# each of the settings as it is by default
with() {
	local setting
	for setting in "$@"; do sql "ALTER SYSTEM SET $setting"; done
	cluster_ctl reload
	sql 'SELECT pg_sleep(0.2)' >/dev/null
	attempt
	sql 'ALTER SYSTEM RESET ALL'
}
is "$(with "log_min_error_statement = 'error'")" "literal-base64 null-base64 " \
	"log_min_error_statement: by default statements that fail are logged"
is "$(with "log_error_verbosity = 'default'")" "copied-base64 null-base64 " \
	"log_error_verbosity: by default the beginnings of rows are"
is "$(with "log_error_verbosity = 'default'" "log_parameter_max_length_on_error = -1")" \
	"bound-base64 copied-base64 null-base64 " "log_parameter_max_length_on_error: bound parameters can be"
is "$(with "log_statement = 'mod'")" "good-base64 literal-base64 null-base64 " "log_statement: literals can be"
is "$(with "log_statement = 'mod'" "log_parameter_max_length = -1" "log_error_verbosity = 'default'")" \
	"bound-base64 copied-base64 good-base64 literal-base64 null-base64 " \
	"log_parameter_max_length: so can bound parameters"
is "$(with "log_min_duration_statement = 0")" "good-base64 " "log_min_duration_statement: so can literals"

finish
