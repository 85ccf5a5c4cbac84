#!/usr/bin/env bash
# real_input.t
#	A day of 100 real homes through the whole pipeline, under a key of 2048 bits:
#	encrypted and decrypted by the program, every total against the plain sum.
#
#	The loads are read from $PAILLIER_TEST_LOADS: CSV minute,h001…h100 of a day
#	in watts.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
loads=${PAILLIER_TEST_LOADS:-$(dirname "${BASH_SOURCE[0]}")/../../../shared/data/ieee_eulv_100_1min_w.csv}
[ -r "$loads" ] || {
	echo "1..0 # SKIP no loads in $loads"
	exit 0
}
own_server
fresh real_input_test 'paillier_metering CASCADE'

# ---- five minutes of watts are Wh: their sum / 60, rounded to the nearest, halves up ----

day=$(date -u -d yesterday +%F)
python3 - "$loads" "$day" "$scratch" <<'PYTHON'
import collections
import csv
import sys

with open(sys.argv[1]) as file:
    header, *rows = csv.reader(file)
day, scratch = sys.argv[2:]
assert [int(row[0]) for row in rows] == list(range(1440)) and len(header) == 101
hours, windows, days = collections.Counter(), collections.Counter(), collections.Counter()
with open(f'{scratch}/readings.csv', 'w') as file:
    for slot in range(288):
        hour, minute = divmod(slot * 5, 60)
        for column, home in enumerate(header[1:], 1):
            watt_minutes = sum(int(row[column]) for row in rows[slot * 5:slot * 5 + 5])
            energy = (watt_minutes + 30) // 60
            file.write(f'{home},{day}T{hour:02}:{minute:02}:00Z,{energy}\n')
            hours['east' if column <= 50 else 'west', hour] += energy
            windows[home, hour // 2] += energy
            days[home] += energy
for name, sums in ('hours', hours), ('windows', windows):
    with open(f'{scratch}/{name}', 'w') as file:
        file.writelines(f'{a},{b:02},{total}\n' for (a, b), total in sorted(sums.items()))
with open(f'{scratch}/days', 'w') as file:
    file.writelines(f'{home},{total}\n' for home, total in sorted(days.items()))
PYTHON
ok $? "the loads are as described"
is "$(wc -l <"$scratch/readings.csv") $(wc -l <"$scratch/hours") $(wc -l <"$scratch/windows")" "28800 48 1200" \
	"readings, hours, windows"

# ---- through the pipeline ----

echo "$usual_key" >"$scratch/private.json"
chmod 600 "$scratch/private.json"
paillier public "$scratch/private.json" >"$scratch/public.json"
sql - >/dev/null <<-SQL
	SET client_min_messages = warning;
	UPDATE metering.setting SET key_id = paillier_register_key('$(cat "$scratch/public.json")'), min_meters = 50,
		grace = '0';
	INSERT INTO metering.tariff VALUES ('flat', NULL, 'UTC');
	INSERT INTO metering.rate VALUES ('flat', '00:00', 0.25);
	INSERT INTO metering.meter (meter_id, region, tariff) SELECT to_char(i, 'hFM000'),
		CASE WHEN i <= 50 THEN 'east' ELSE 'west' END, 'flat' FROM generate_series(1, 100) i;
SQL
paillier encrypt --quiet --key "$scratch/public.json" --out "$scratch/rows" "$scratch/readings.csv"
ok $? "encrypted"
sql "\\copy metering.reading from '$scratch/rows'"
ok $? "copied"
sql "CALL metering.rollup('$day 00:00Z'::timestamptz + interval '1 day')" 2>/dev/null
ok $? "rolled up"
is "$(sql 'SELECT count(*) FROM metering.reading')" 0 "staging is empty"

# ---- every total ----

decrypt() {
	psql -XAtq -c "COPY ($1) TO STDOUT" | paillier decrypt --quiet --key "$scratch/private.json"
}
decrypt "SELECT region, to_char(hour AT TIME ZONE 'UTC', 'HH24'), total FROM metering.region_load ORDER BY 1, 2" \
	>"$scratch/decrypted_hours"
is "$(cat "$scratch/decrypted_hours")" "$(cat "$scratch/hours")" "every regional hour"
is "$(sql 'SELECT DISTINCT meters, readings FROM metering.region_hour')" "50|600" "of 50 homes each"
decrypt "SELECT meter_id, to_char((EXTRACT(hour FROM window_start AT TIME ZONE 'UTC') / 2)::int, 'FM00'),
	total FROM metering.bill_window ORDER BY 1, 2" >"$scratch/decrypted_windows"
is "$(cat "$scratch/decrypted_windows")" "$(cat "$scratch/windows")" "every bill window"
decrypt "SELECT meter_id, energy FROM metering.bill ORDER BY 1" >"$scratch/decrypted_days"
is "$(cat "$scratch/decrypted_days")" "$(cat "$scratch/days")" "every home's energy"
is "$(decrypt "SELECT meter_id, amount FROM metering.bill ORDER BY 1")" \
	"$(awk -F , '{ printf "%s,%.5f\n", $1, $2 / 4000 }' "$scratch/days")" "every home's bill"
is "$(decrypt "SELECT sum(total) FROM metering.region_hour")" \
	"$(awk -F , '{ sum += $2 } END { print sum }' "$scratch/days")" "the sum of all"

finish
