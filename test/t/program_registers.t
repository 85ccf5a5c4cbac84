#!/usr/bin/env bash
# program_registers.t
#	Readings and registers that the program makes of one file, under two keys: the
#	database takes both, and its bill windows are those of the program, in zones of
#	all kinds and over changes of their clocks.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
own_server
fresh program_registers 'paillier_metering CASCADE'
sql "ALTER DATABASE program_registers SET paillier.min_key_bits = 128"
psql -Xq -v ON_ERROR_STOP=1 -f "$(dirname "${BASH_SOURCE[0]}")/metering.psql"
cd "$scratch" || exit 1
for name in first second; do
	sql "SELECT public FROM pipeline_key WHERE name = '$name'" >$name.json
	(umask 077; sql "SELECT private FROM pipeline_key WHERE name = '$name'" >$name-private.json)
done

copy() { psql -Xq -v ON_ERROR_STOP=1 -c "COPY metering.$1 FROM STDIN"; }

# ZONE WINDOW: four days around each change of clocks of 2026, half an hour between readings
days="2026-03-07 2026-03-27 2026-04-03 2026-09-26 2026-10-02 2026-10-23 2026-10-31"
agree() {
	local zone=$1 window=$2 starts
	sql "SELECT begin_metering(\$\$ bill_key_id = (SELECT id FROM pipeline_key WHERE name = 'second'), zone = '$zone',
			bill_window = '$window', reading_interval = '30 min', retention = '30 years' \$\$);
		INSERT INTO metering.meter (meter_id, region) VALUES ('m', 'r')" >/dev/null
	sql "SELECT 'm,' || to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI\"Z\"') || ',1'
		FROM unnest(string_to_array('$days', ' ')) d,
			generate_series(d::timestamp AT TIME ZONE 'UTC', (d::timestamp + '95.5 hours') AT TIME ZONE 'UTC', '30 min') t
		ORDER BY t" >readings.csv
	paillier encrypt --quiet --min-bits 128 --key first.json --bill-key second.json --registers registers \
		--interval '30 min' --bill-zone "$zone" --window "$window" readings.csv >readings 2>errors
	starts=$(sql "SELECT DISTINCT to_char(w.window_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
		FROM unnest(string_to_array('$days', ' ')) d,
			generate_series(d::timestamp AT TIME ZONE 'UTC', (d::timestamp + '96 hours') AT TIME ZONE 'UTC', '1 hour') t,
			metering.window_of(t) w
		WHERE w.window_start >= d::timestamp AT TIME ZONE 'UTC' ORDER BY 1")
	is "$(cut -f 1 registers | sort -u)" "$starts" "$zone, $window: registers at the starts of bill windows"
	copy 'register_read (read_at, meter_id, series, register)' <registers >out 2>&1
	ok $? "the door takes them"
	is "$(sql 'SELECT count(*), count(DISTINCT series) FROM metering.register_read')" "$(wc -l <registers)|7" \
		"in seven series"
	cat out
}

agree UTC '2 hours'
agree Europe/London '4 hours'
agree Europe/Berlin '24 hours'
agree America/New_York '1 hour'
agree Asia/Kolkata '2 hours'
agree Asia/Kathmandu '6 hours'
agree Australia/Adelaide '12 hours'
agree Australia/Lord_Howe '2 hours'
agree Pacific/Chatham '1 hour'

# ---- local hours that are none of UTC ----

# INTERVAL: the settings, which hold for all times before the first reading
interval_is() {
	sql "SELECT begin_metering(\$\$ reading_interval = '$1', retention = '30 years' \$\$);
		INSERT INTO metering.meter (meter_id, region) VALUES ('m', 'r')" >/dev/null
}
# TIME: what the door says about the grid, or that it takes the reading
detail() {
	local answer
	answer=$(sql "INSERT INTO metering.reading VALUES ('m', '$1', encrypted(1))" 2>&1) && echo taken ||
		sed -n 's/^DETAIL: *//p' <<<"$answer"
}
from="Intervals are counted from full hours of UTC: one of"
interval_is '1 hour'
is "$(detail '2026-10-10 08:00+05:30')" "$from 60 min cannot begin at minute 30 of an hour, one of 30 min can." Kolkata
is "$(detail '2026-10-10 08:00+05:45')" "$from 60 min cannot begin at minute 15 of an hour, one of 15 min can." Kathmandu
is "$(detail '2026-10-10 08:00+10:30')" "$from 60 min cannot begin at minute 30 of an hour, one of 30 min can." Adelaide
is "$(detail '2026-04-10 08:00+12:45')" "$from 60 min cannot begin at minute 15 of an hour, one of 15 min can." Chatham
is "$(detail '2026-10-10 08:00+11')" taken "Lord Howe in summer"
is "$(detail '2026-04-10 08:00+10:30')" "$from 60 min cannot begin at minute 30 of an hour, one of 30 min can." \
	"and in winter"
interval_is '30 min'
is "$(detail '2026-10-10 08:00+05:30'; detail '2026-10-10 08:30+10:30')" $'taken\ntaken' "half hours of Kolkata and Adelaide"
is "$(detail '2026-10-10 08:30+05:45')" "$from 30 min cannot begin at minute 45 of an hour, one of 15 min can." \
	"not of Kathmandu"
is "$(detail '2026-10-10 08:02Z')" "$from 30 min cannot begin at minute 2 of an hour, one of 2 min can." "two minutes"
is "$(detail '2026-10-10 08:50Z')" "$from 30 min cannot begin at minute 50 of an hour, one of 10 min can." "ten"
is "$(detail '2026-10-10 08:00:01Z')" "$from 30 min begins at a full minute." "a second"
interval_is '15 min'
is "$(detail '2026-10-10 08:00+05:45'; detail '2026-04-10 08:00+12:45')" $'taken\ntaken' "quarters of Kathmandu and Chatham"

# ---- both streams, to a bill ----

day=$(date -u -d '3 days ago' +%F)
sql "SELECT begin_metering(\$\$ bill_key_id = (SELECT id FROM pipeline_key WHERE name = 'second'),
		reading_interval = '15 min', scale = 1, zone = 'Asia/Kathmandu' \$\$);
	INSERT INTO metering.tariff (tariff, zone) VALUES ('t', 'Asia/Kathmandu');
	INSERT INTO metering.rate (tariff, from_time, price) VALUES ('t', '00:00', 2);
	INSERT INTO metering.meter (meter_id, region, tariff) VALUES ('m1', 'r', 't'), ('m2', 'r', 't');" >/dev/null
awk -v day="$day" 'BEGIN { for (i = 0; i < 48; i++) for (m = 1; m < 3; m++)
	printf "m%d;%s %02d:%02d;%d,5\n", m, day, 6 + i / 4, i % 4 * 15, 10 * m + i }' >local.csv
paillier encrypt --quiet --min-bits 128 --key first.json --bill-key second.json --registers registers --scale 1 \
	--interval '15 min' --zone Asia/Kathmandu --delimiter ';' --decimal , local.csv >readings 2>errors
copy reading <readings
copy 'register_read (read_at, meter_id, series, register)' <registers
sql "SET client_min_messages = error; CALL metering.rollup('$day 15:00Z')"
# 06:00 in Kathmandu is 00:15 UTC: the first full hour is 01:00 UTC
hours=$(sql "COPY (SELECT to_char(hour AT TIME ZONE 'UTC', 'HH24:MI'), total FROM metering.region_load WHERE readings = 8
	ORDER BY hour) TO STDOUT" | paillier decrypt --min-bits 128 --key first-private.json)
is "$hours" "$(awk 'BEGIN { for (h = 1; h < 12; h++) { t = 0; for (i = 4 * h - 1; i < 4 * h + 3; i++) t += 30 + 2 * i + 1
	printf "%02d:00,%.1f\n", h, t } }')" "regional hours, by the first key"
windows=$(paillier decrypt --min-bits 128 --key second-private.json registers | cut -d, -f 1 | sort -u | tr '\n' ' ')
like "$windows" "^${day}T0[12]:00:00Z " "windows of Kathmandu begin at full hours of UTC"
energy=$(sql "COPY (SELECT meter_id, energy FROM metering.bill WHERE energy IS NOT NULL ORDER BY 1) TO STDOUT" |
	paillier decrypt --min-bits 128 --key second-private.json)
is "$energy" "$(paillier decrypt --min-bits 128 --key second-private.json registers |
	awk -F, '{ last[$2] = $4 } END { printf "m1,%.1f\nm2,%.1f\n", last["m1"], last["m2"] }')" \
	"bills by the second key, of the last registers"
is "$(sql 'COPY (SELECT energy FROM metering.bill LIMIT 1) TO STDOUT' |
	paillier decrypt --min-bits 128 --key first-private.json --column 1 2>&1 | grep -c 'which was not given')" 1 \
	"which the first key cannot decrypt"
finish
