#!/usr/bin/env bash
# analysis_report.t
#	The report that the demo makes, of a small database: its numbers against what
#	the database itself decrypts, in the file and in a browser.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
own_server
fresh analysis_report_test 'paillier_metering CASCADE'
make_keys

# ---- nine days of two regions, an hour a reading, with gaps ----

start=$(date -u -d '9 days ago' +%F)

echo "$usual_key" >"$scratch/private.json"
chmod 600 "$scratch/private.json"
paillier public "$scratch/private.json" >"$scratch/public.json"
sql - >/dev/null <<-SQL
	SET client_min_messages = warning;
	SELECT paillier_register_key(public) FROM key_pair WHERE name = 'usual';
	UPDATE metering.setting SET key_id = (SELECT id FROM key_pair WHERE name = 'usual'), min_meters = 2, grace = '0',
		reading_interval = '1 hour', bill_window = '24 hours',
		starts_at = '$start 00:00Z';
	INSERT INTO metering.tariff (tariff) VALUES ('flat');
	INSERT INTO metering.rate (tariff, price) VALUES ('flat', 0.31);
	INSERT INTO metering.meter (meter_id, region, tariff) SELECT r || i, '<' || r || '> & co',
		'flat' FROM unnest(ARRAY['east', 'west']) r, generate_series(1, 3) i;
	CREATE ROLE analyst LOGIN;
	CREATE ROLE biller LOGIN;
	SELECT metering.grant_access('analyst', 'analyst'), metering.grant_access('biller', 'biller');
SQL
sql - >"$scratch/readings.csv" <<-'SQL'
	COPY (SELECT meter_id, to_char((starts_at + h * interval '1 hour') AT TIME ZONE 'UTC',
		'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
			200 + h % 24 * 13 + h % 7 * 31 + ascii(meter_id) + right(meter_id, 1)::int * h % 5
		FROM metering.meter, metering.setting, generate_series(0, 215) h WHERE h % 29 <> 3
			OR meter_id ~ '1') TO STDOUT (FORMAT csv);
SQL
for day in {0..8}; do
	grep ",$(date -u -d "$start $day days" +%F)T" "$scratch/readings.csv" |
		paillier encrypt --quiet --key "$scratch/public.json" >"$scratch/rows"
	sql "\\copy metering.reading from '$scratch/rows'"
	sql "CALL metering.rollup('$start 00:00Z'::timestamptz + interval '$((day + 1)) days')" 2>/dev/null
done
hours=$(sql 'SELECT count(*) FROM metering.region_load')
is "$((hours > 380)) $(sql 'SELECT count(*) > 5 FROM metering.region_hour WHERE total IS NULL')" "1 t" \
	"hours with a total and without"

# ---- the report ----

"$root/demo/report" --key "$scratch/private.json" --meter west2 "$scratch/report.html" 2>"$scratch/errors"
is "$? $(cat "$scratch/errors")" "0 " "the report is made"

# rows of a table of the page, fields separated by |
table() {
	python3 - "$1" "$2" <<-'PYTHON'
		import html.parser
		import sys

		class Table(html.parser.HTMLParser):
		    inside, cell = False, None

		    def handle_starttag(self, tag, attributes):
		        if tag == 'table':
		            self.inside = dict(attributes).get('id') == sys.argv[2]
		        elif self.inside and tag == 'tr':
		            self.row = []
		        elif self.inside and tag == 'td':
		            self.cell = ''

		    def handle_data(self, data):
		        if self.cell is not None:
		            self.cell += data

		    def handle_endtag(self, tag):
		        if self.inside and tag == 'td':
		            self.row.append(self.cell)
		            self.cell = None
		        elif self.inside and tag == 'tr' and self.row:
		            print('|'.join(self.row))
		        elif tag == 'table':
		            self.inside = False

		Table().feed(open(sys.argv[1], encoding='utf-8').read())
	PYTHON
}

# the same from the database, which is given the key for once
statements="SET timezone = 'UTC'; "
declare -A expected
expected[hours]="SELECT region, to_char(hour, 'YYYY-MM-DD HH24:MI'), meters,
	(energy * 0.001)::numeric(20,3) FROM key_pair, metering.decrypted_load(private) WHERE name = 'usual' ORDER BY 1, 2"
expected[forecasts]="SELECT region, to_char(hour, 'YYYY-MM-DD HH24:MI'), model,
	round(paillier_decrypt(forecast, private) / divisor / 1000, 3) FROM key_pair,
	metering.region_forecast WHERE name = 'usual' ORDER BY 1, 2"
expected[days]="SELECT day, region, hours, e, round(e / meter_hours, 4), round(100.0 * readings / expected, 1) || ' %'
	FROM key_pair, metering.region_day, LATERAL (SELECT (paillier_decrypt(total, private) * 0.001)::numeric(20,3) AS e)
		d WHERE name = 'usual' ORDER BY 1, 2"
expected[statistics]="SELECT region, hours, k(energy), round(mean_load / 1000, 3), k(peak),
	to_char(peak_at, 'Dy HH24:MI'), k(low), to_char(low_at, 'Dy HH24:MI'), load_factor, k(rise), k(fall),
	round(100 * c.coverage, 1) || ' %'
	FROM key_pair, metering.region_statistics(private) s,
		LATERAL (SELECT sum(l.readings) / sum(l.expected) AS coverage FROM metering.region_load l
		WHERE l.region = s.region) c WHERE name = 'usual' ORDER BY 1"
expected[bill]="SELECT meter_id, period, tariff, k(paillier_decrypt(energy, private)),
	round(paillier_decrypt(amount, private), 2), readings, missing
	FROM key_pair, metering.bill WHERE name = 'usual' AND meter_id = 'west2' ORDER BY period LIMIT 1"
sql "CREATE FUNCTION k(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT (\$1 * 0.001)::numeric(20,3)'"
for name in hours forecasts days statistics bill; do
	rows=$(sql "$statements${expected[$name]}")
	is "$(table "$scratch/report.html" $name)" "$rows" "table $name: the database's numbers"
	[ -n "$rows" ]
	ok $? "and there are some"
done
is "$(grep -o '<svg' "$scratch/report.html" | wc -l)" 5 "five charts"
is "$(grep -oE '(src|href|url)[=(]["'\'']?[^"'\'' >)]*' "$scratch/report.html" | grep -vE '(href=["'\'']#|url\(#)' |
	sort -u)" "" "nothing is loaded from anywhere"
is "$(grep -oE '\bid=["'\'']?[^"'\'' >]+' "$scratch/report.html" | sort | uniq -d)" "" "no id is there twice"

# ---- in a browser ----

if browser=$(command -v chromium || command -v chromium-browser); then
	mkdir "$scratch/profile"
	options=(--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking \
		--disable-component-update --disable-sync
		--enable-logging=stderr --user-data-dir="$scratch/profile")
	[ "$(id -u)" != 0 ] || options+=(--no-sandbox)
	"$browser" "${options[@]}" --dump-dom "file://$scratch/report.html" >"$scratch/dom.html" 2>"$scratch/log"
	ok $? "a browser opens it"
	is "$(grep -c 'CONSOLE' "$scratch/log")" 0 "without complaint"
	for name in hours forecasts days statistics bill; do
		is "$(table "$scratch/dom.html" $name)" "$(table "$scratch/report.html" $name)" "and shows table $name"
	done
	is "$(grep -o '<svg' "$scratch/dom.html" | wc -l) $(grep -o '</svg>' "$scratch/dom.html" | wc -l)" "5 5" \
		"and the charts"
else
	ok 0 "# SKIP no browser"
fi

# ---- one total that cannot be decrypted ----

sql - >/dev/null <<-'SQL'
	ALTER TABLE metering.region_hour DISABLE TRIGGER USER;
	UPDATE metering.region_hour SET total = (SELECT paillier_ciphertext(paillier_bytes(paillier_encrypt(2::numeric ^
		100, public, 0, 200)), id, 0, 64)
		FROM key_pair WHERE name = 'usual') WHERE (region, hour) = (SELECT region,
			min(hour) FROM metering.region_load GROUP BY region ORDER BY region LIMIT 1);
	ALTER TABLE metering.region_hour ENABLE TRIGGER USER;
SQL
"$root/demo/report" --key "$scratch/private.json" --meter west2 "$scratch/damaged.html" 2>"$scratch/errors"
is "$? $(grep -cv ' lines failed$' "$scratch/errors")" "0 0" "a report is made beside a damaged total"
is "$(grep -c '<p id="damaged">Left out: [1-9]' "$scratch/damaged.html") $(grep -c 'id="damaged"' \
	"$scratch/report.html")" "1 0" "which it tells"
is "$(table "$scratch/damaged.html" bill)" "$(table "$scratch/report.html" bill)" "the bill is as before"

# ---- what cannot be reported ----

"$root/demo/report" --key "$scratch/private.json" --analyst biller "$scratch/none.html" >/dev/null 2>&1
is "$? $([ -e "$scratch/none.html" ] && echo there)" "1 " "no report for a role that may not see it"

finish
