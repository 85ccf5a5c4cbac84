#!/bin/bash
# registers.t: times of readings, and the registers that they add up to

. "$(dirname "$0")/lib.sh"
other=$here/registers.py

make_key 256 region.json
make_key 320 bill.json
for key in region bill; do "$paillier" public --min-bits 128 $key.json >$key-public.json; done
both() { encrypt --key region-public.json --bill-key bill-public.json --registers registers "$@"; }
sorted() { python3 -IS -c 'import csv, sys
rows = sorted(csv.reader(sys.stdin), key=lambda row: (row[1], row[2], row[0]))
csv.writer(sys.stdout, lineterminator="\n").writerows(rows)'; }

# ---- registers beside another way to make them ----

# SEED ZONE MINUTES WINDOW: readings with holes; half of the zones by local times
compare() {
	local name="$2, $3 min, $4 hours" length="$4 hours"
	[ $4 != 1 ] || length='1 hour'
	python3 "$other" readings $1 $2 $3 >readings.csv
	python3 "$other" registers readings.csv $2 $3 $4 >expected.csv 2>left
	both --scale 3 --interval "$(minutes $3)" --bill-zone $2 --window "$length" --jobs 3 readings.csv >readings 2>err
	is "$name: status" $? 0
	ok "$name: the readings" cmp readings.csv <(decrypt --key region.json readings)
	is "$name: the registers" "$(decrypt --key bill.json registers | sorted | md5sum) $(($(wc -l <registers) > 20))" \
		"$(md5sum <expected.csv) 1"
	is "$name: readings in no register" \
		"$(sed -nE 's/.*warning: ([0-9]+) readings? (is|are) in no register.*/\1/p' err | grep . || echo 0)" "$(cat left)"
	[ -z "${5:-}" ] && return
	python3 "$other" readings $1 $2 $3 local >local.csv
	both --scale 3 --interval "$(minutes $3)" --zone $2 --window "$length" local.csv >readings 2>err
	ok "$name: by local times" cmp readings.csv <(decrypt --key region.json readings)
	is "$name: with the same registers" "$(decrypt --key bill.json registers | sorted | md5sum)" "$(md5sum <expected.csv)"
}
minutes() { [ $1 = 60 ] && echo '1 hour' || echo "$1 min"; }

compare 1 UTC 5 2
compare 2 Europe/London 30 4 local
compare 3 Europe/Berlin 15 24 local
compare 4 Asia/Kolkata 30 6
compare 5 Asia/Kathmandu 15 12
compare 6 Australia/Adelaide 30 2
compare 7 Australia/Lord_Howe 30 1
compare 8 Pacific/Chatham 15 4
compare 9 America/St_Johns 30 24
compare 11 America/New_York 60 1 local
compare 12 Asia/Tokyo 20 2 local
compare 13 Europe/Berlin 12 6

# ---- times ----

# NAME EXPECTED TIME OPTIONS...
time_is() {
	local name=$1 expected=$2 time=$3
	shift 3
	is "$name" "$(encrypt --key region-public.json --time 1 "$@" <<<"$time,1" 2>err | cut -f 1)$(cat err)" "$expected"
}

time_is "UTC" 2026-01-31T23:30:00Z 2026-01-31T23:30:00Z
time_is "without seconds" 2026-01-31T23:30:00Z 2026-01-31T23:30Z
time_is "with a fraction of zeros" 2026-01-31T23:30:15Z 2026-01-31T23:30:15.000z
time_is "with a blank, as PostgreSQL writes it" 2026-01-31T23:30:00Z '2026-01-31 23:30:00+00'
time_is "east" 2026-01-31T22:30:00Z 2026-02-01T04:15+05:45
time_is "east, in four digits" 2026-01-31T22:30:00Z 2026-02-01T04:15+0545
time_is "west" 2026-03-01T03:00:00Z '2026-02-28 19:00:00 -08'
time_is "a leap day" 2028-02-29T00:00:00Z 2028-02-29T00:00Z
time_is "the first" 1970-01-01T00:00:00Z 1970-01-01T00:00Z
time_is "the last" 2099-12-31T23:59:59Z 2099-12-31T23:59:59Z
time_is "an offset in spite of a zone" 2026-07-01T00:00:00Z 2026-07-01T00:00Z --zone Europe/London
time_is "summer" 2026-06-30T23:00:00Z '2026-07-01 00:00' --zone Europe/London
time_is "winter" 2026-01-01T00:00:00Z '2026-01-01 00:00' --zone Europe/London
time_is "half an hour of summer" 2026-10-03T15:30:00Z '2026-10-04T02:30' --zone Australia/Lord_Howe
time_is "years ahead" 2098-07-01T10:00:00Z '2098-07-01 12:00' --zone Europe/Berlin
time_is "just before clocks are set forward" 2026-03-29T00:59:59Z '2026-03-29 01:59:59' --zone Europe/Berlin
time_is "just behind" 2026-03-29T01:00:00Z '2026-03-29 03:00' --zone Europe/Berlin
time_is "just before a time that occurs twice" 2026-10-24T23:59:59Z '2026-10-25 01:59:59' --zone Europe/Berlin
time_is "just behind one" 2026-10-25T02:00:00Z '2026-10-25 03:00' --zone Europe/Berlin

# every quarter of an hour of four years in many zones, against Python's
cat >all_times.py <<'PYTHON'
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
zone, t = ZoneInfo(sys.argv[1]), datetime(2024, 1, 1)
while t.year < 2028:
    times = {t.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)}
    times = [u for u in times if u.astimezone(zone).replace(tzinfo=None) == t]
    print(f'{t:%Y-%m-%d %H:%M}', f'{times[0]:%Y-%m-%dT%H:%M:%SZ}' if len(times) == 1 else '', sep=',')
    t += timedelta(minutes=15)
PYTHON
for zone in Europe/London America/New_York Australia/Lord_Howe Pacific/Chatham Africa/Casablanca America/Havana \
	Asia/Kathmandu Pacific/Apia Europe/Dublin Antarctica/Troll; do
	python3 all_times.py $zone >times.csv
	awk -F, '{ print $1 "," }' times.csv | encrypt --key region-public.json --time 1 --zone $zone --keep-going \
		--failed failed 2>err | cut -f 1 >got
	awk -F, '$2 != "" { print $2 }' times.csv >expected
	ok "times of $zone" cmp expected got
	is "and those that do not occur once" "$(cut -d, -f 1 failed)" "$(awk -F, '$2 == "" { print NR }' times.csv)"
done

# NAME MESSAGE TIME OPTIONS...
bad_time() {
	local name=$1 message=$2 time=$3
	shift 3
	printf '%s,1\n' "$time" >bad.csv
	fails "$name" 1 "^paillier: encrypt: bad.csv: line 1, column 1: time $message" encrypt --key region-public.json --time 1 \
		"$@" bad.csv
	ok "$name: nothing is written" [ ! -s out ]
}
form='is not of the form 2026-01-31T23:30:00Z, 2026-01-31 23:30\+02:00 or, with --zone, 2026-01-31 23:30$'
for time in 11/10/2026 '11/10/2026 00:30' 11.10.2026 2026-10-11 2026-10-11T24:00Z 2026-10-11T23:60Z 2026-13-01T00:00Z \
	2026-02-29T00:00Z 2100-02-29T00:00Z 2026-04-31T00:00Z 1969-12-31T23:59Z 2100-01-01T00:00Z 2026-10-11T00:00:60Z \
	2026-10-11T00:00:00.5Z 2026-10-11T00:00:00.Z 26-10-11T00:00Z 2026-1-1T00:00Z '2026-10-11 00:00 Europe/London' \
	2026-10-11T00:00+ 2026-10-11T00:00+2 2026-10-11T00:00+02: 2026-10-11T00:00+16 2026-10-11T00:00ZZ ' 2026-10-11T00:00Z' \
	1760140800 x '""'; do
	bad_time "no time: $time" "$form" "$time"
done
bad_time "NULL" 'is missing' ''
bad_time "no offset" 'has no offset from UTC: name its time zone by --zone$' '2026-01-31 23:30'
is "a time that clocks skip" "$(encrypt --key region-public.json --time 1 --zone Europe/London <<<'2026-03-29 01:30,1' 2>&1)" \
	'paillier: encrypt: standard input: line 1, column 1: there is no such time in the time zone: clocks are set forward over it'
bad_time "a time that occurs twice" 'occurs twice, when clocks are set back: name the column of the meter by --meter$' \
	'2026-10-25 01:30' --zone Europe/London
printf 'm1,2026-10-25 01:30,1\n' >twice.csv
fails "also with a meter, if nothing comes before" 1 'line 1, column 2: time occurs twice, .* does not follow the reading before$' \
	encrypt --key region-public.json --time 2 --meter 1 --zone Europe/London twice.csv
printf 'm%d,2026-10-25 %s,1\n' 1 00:55 2 00:55 1 01:00 2 01:00 1 01:10 >twice.csv
fails "and behind a hole" 1 'line 5, column 2: time occurs twice' \
	encrypt --key region-public.json --time 2 --meter 1 --zone Europe/London twice.csv
is "in its order otherwise" "$(cut -f 1,2 out | tail -2)" $'m1\t2026-10-25T00:00:00Z\nm2\t2026-10-25T00:00:00Z'

# ---- the order of readings ----

day=2026-10-11T
# NAME MESSAGE CSV OPTIONS...
wrong() {
	local name=$1 message=$2 csv=$3
	shift 3
	printf "$csv" >bad.csv
	fails "$name" 1 "^paillier: encrypt: bad.csv: $message" both "$@" bad.csv
}
wrong "a reading twice" 'line 3, column 2: second reading of its meter for this time$' \
	"a,${day}00:00Z,1\nb,${day}00:00Z,1\na,${day}00:00Z,1\n"
is "the rows before it" "$(wc -l <out)" 2
wrong "out of order" 'line 3, column 2: reading comes before one that its meter has had already' \
	"a,${day}00:00Z,1\na,${day}00:10Z,1\na,${day}00:05Z,1\n"
wrong "off the grid" 'line 1, column 2: time is no whole multiple of the reading interval \(5 min\) in UTC: see --interval$' \
	"a,${day}00:01Z,1\n"
wrong "no energy" 'line 1, column 3: energy is missing$' "a,${day}00:00Z,\n"
wrong "no meter" 'line 1, column 1: meter is missing$' ",${day}00:00Z,1\n"
wrong "no number" 'line 1, column 3: invalid number' "a,${day}00:00Z,x\n"
wrong "too large" 'line 1, column 3: energy is too large to be added up$' "a,${day}00:00Z,$(printf '9%.0s' {1..31})\n"
wrong "much too large" 'line 1, column 3: energy is too large to be added up$' "a,${day}00:00Z,$(printf '9%.0s' {1..60})\n"
wrong "a sum too large" 'line 2, column 3: energy is too large to be added up$' \
	"a,${day}00:00Z,7$(printf '0%.0s' {1..29})\na,${day}00:05Z,7$(printf '0%.0s' {1..29})\nb,${day}00:00Z,1\n" --scale 0
wrong "four columns" 'rows have 4 columns: name the one to encrypt by --column$' "a,${day}00:00Z,1,2\n"
wrong "the time is no energy" 'column 2 is that of the time and cannot be encrypted: see --time$' "a,${day}00:00Z\n"
wrong "the meter is no energy" 'column 1 is that of the meter and cannot be another one too' "a,${day}00:00Z,1\n" --column 1
wrong "nor time" 'column 2 is that of the meter and cannot be another one too' "a,${day}00:00Z,1\n" --meter 2
wrong "two energies" 'registers can be made of one column, and 2 are encrypted$' "a,${day}00:00Z,1,2\n" --column 3 --column 4
wrong "no such column" 'there is no column 5: rows have 3$' "a,${day}00:00Z,1\n" --time 5

# 24 readings of 5 minutes make a window
fill() { awk -v meter=$1 -v from=$2 -v to=$3 'BEGIN { for (i = from; i < to; i++)
	printf "%s,2026-10-11T%02d:%02d:00Z,%d\n", meter, i / 12, i % 12 * 5, i }'; }
(fill a 0 30; fill a 31 72) >hole.csv
both hole.csv >out 2>err
is "a hole ends a series, and the next complete window begins one" "$(decrypt --key bill.json registers | tr '\n' ' ')" \
	"2026-10-11T00:00:00Z,a,2026-10-11T00:00:00Z,0 2026-10-11T02:00:00Z,a,2026-10-11T00:00:00Z,276 \
2026-10-11T04:00:00Z,a,2026-10-11T04:00:00Z,0 2026-10-11T06:00:00Z,a,2026-10-11T04:00:00Z,1428 "
is "with a word on what is in none" "$(cat err)" \
	'paillier: encrypt: warning: 23 readings are in no register, because their bill window is not complete'
fill a 0 48 >whole.csv
both whole.csv >out 2>err
is "and none where all is in one" "$(cat err)" ""
(fill a 0 24; fill b 0 24) | sed '30s/,[0-9]*$/,x/' >one.csv
both --keep-going one.csv >out 2>err
is "with --keep-going a line that fails is a hole" "$(decrypt --key bill.json registers | cut -d, -f 2)" $'a\na'
(fill a 0 60 | sed '50s/,[0-9]*$/,x/') >stop.csv
fails "an error ends the registers" 1 'stop.csv: line 50, column 3' both stop.csv
is "those before it are written" "$(decrypt --key bill.json registers | wc -l) $(wc -l <out)" "3 49"

# two runs: the second begins where the first one ended
fill a 0 24 >first.csv
fill a 24 48 >second.csv
both first.csv >out && decrypt --key bill.json registers >first
both second.csv >out && decrypt --key bill.json registers >second
is "two runs touch" "$(tail -1 first | cut -d, -f 1)" "$(head -1 second | cut -d, -f 1)"
ok "in series of their own" [ "$(tail -1 first | cut -d, -f 3)" != "$(head -1 second | cut -d, -f 3)" ]

# ---- columns, files ----

printf 'energy;extra;when;id\n' >named.csv
fill m 0 24 | awk -F, '{ print $3 ",5;x;" $2 ";" $1 }' >>named.csv
both --header --time when --meter id --column energy --delimiter ';' --decimal , --scale 1 named.csv >out
is "columns by name" "$(decrypt --key bill.json registers)" \
	"$(printf '2026-10-11T0%d:00:00Z,m,2026-10-11T00:00:00Z,%s\n' 0 0.0 2 288.0)"
is "the readings keep their columns" "$(decrypt --key region.json out | sed -n 2p)" '1.5,x,2026-10-11T00:05:00Z,m'
is "each key is good for its own stream" \
	"$(decrypt --key region.json registers 2>&1 | sed 's/under key .*/under another key/')" \
	'paillier: decrypt: registers: line 1, column 4: ciphertext is under another key'
cp whole.csv before.csv
fails "the input is no output" 1 'whole.csv is an input' encrypt --key region-public.json --bill-key bill-public.json \
	--registers whole.csv whole.csv
fails "nor the key" 1 'bill-public.json is an input' encrypt --key region-public.json --bill-key bill-public.json \
	--registers bill-public.json whole.csv
fails "nor two outputs one" 1 'same cannot be two outputs' encrypt --key region-public.json --bill-key bill-public.json \
	--out same --registers same whole.csv
ok "and all is as it was" cmp whole.csv before.csv
fails "nowhere to write" 1 '/dev/full: No space left' encrypt --key region-public.json --bill-key bill-public.json \
	--registers /dev/full whole.csv

# ---- many meters ----

awk 'BEGIN { for (i = 0; i < 2; i++) for (m = 0; m < 20000; m++)
	printf "meter-%06d,2026-10-11T00:%02d:00Z,\n", m * 7919 % 20000, i * 30 }' >many.csv
if sanitized; then
	skip "a sanitizer needs more memory" 1
else
	run bash -c "ulimit -v 90000; exec \"\$@\"" - "$paillier" encrypt --min-bits 128 --key region-public.json --jobs 2 \
		--time 2 --meter 1 many.csv
	is "20,000 meters in 90 MB" "$status $(wc -l <out)" "0 40000"
fi

# ---- command lines ----

usage() {
	local name=$1 pattern=$2
	shift 2
	fails "usage: $name" 2 "$pattern" encrypt --key region-public.json "$@"
}
bill='--bill-key bill-public.json --registers r'
usage "a zone without times" 'option --zone needs --time' --zone UTC
usage "a meter without times" 'option --meter needs --time' --meter 1
usage "an interval without times" 'option --interval needs --time' --interval '5 min'
usage "windows without registers" 'option --window needs --bill-key' --time 1 --window '2 hours'
usage "their zone without registers" 'option --bill-zone needs --bill-key' --time 1 --bill-zone UTC
usage "registers without a key" 'option --registers needs --bill-key' --registers r
usage "a key without a file" 'option --bill-key needs --registers' --bill-key bill-public.json
usage "registers among the readings" 'option --bill-key needs --registers' --bill-key bill-public.json --registers -
usage "one key for both" '--key and --bill-key are the same key' --bill-key region.json --registers r
usage "no such zone" 'there is no time zone "Europe/Londn" in /usr/share/zoneinfo' --time 1 --zone Europe/Londn
for zone in ../../etc/passwd /usr/share/zoneinfo/UTC right/UTC '' Europe tzdata.zi 'a b'; do
	usage "no zone: $zone" "there is no time zone \"$zone\"" $bill --bill-zone "$zone"
done
lengths="'1 min', '2 min', '3 min', '4 min', '5 min', '6 min', '10 min', '12 min', '15 min', '20 min', '30 min', '1 hour'"
usage "another interval" "option --interval needs one of $lengths" \
	--time 1 --interval 15
usage "another window" "option --window needs one of '1 hour', '2 hours', .*, '24 hours'" $bill --window '3 hours'
usage "a name without a header" 'column "t" is given by name, which needs --header' --time t
usage "column 0" 'option --time needs a number from 1' --time 0
usage "the bill key on standard input" 'option --bill-key needs the name of a file' --bill-key - --registers r

done_testing
