#!/usr/bin/env bash
# secrets.t
#	The two documented ways to use a private key leave it in no record of the
#	server: totals that go out by COPY and are decrypted by the program, and the
#	key as a bound parameter.  A key in the text of a statement is found in each
#	of the records that are searched, so that the search can fail.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
here=$(dirname "${BASH_SOURCE[0]}")
ls "$($PG_CONFIG --pkglibdir)/pg_stat_statements.so" >/dev/null 2>&1 || {
	echo "1..0 # SKIP no pg_stat_statements"
	exit 0
}
# from PostgreSQL 16 on
newer=()
[ "$($PG_CONFIG --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')" -lt 16 ] ||
	newer=("auto_explain.log_parameter_max_length = 0")
own_server "${newer[@]}" "shared_preload_libraries = 'pg_stat_statements, auto_explain'" \
	"pg_stat_statements.track = all" "track_activity_query_size = 64kB" \
	"log_statement = all" "log_min_duration_statement = 0" "log_duration = on" "log_error_verbosity = verbose" \
	"log_parameter_max_length = 0" "log_parameter_max_length_on_error = 0"
gcc -O2 -o "$scratch/find_bytes" "$here/find_bytes.c" || {
	echo "Bail out! no compiler"
	exit 1
}
export PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1

# ---- what to look for: pieces of both factors in every form ----

python3 - "$usual_key" >"$scratch/patterns" <<'PYTHON'
import base64, json, sys
key = json.loads(sys.argv[1])
number = lambda text: int.from_bytes(base64.urlsafe_b64decode(text + '=' * (-len(text) % 4)), 'big')
p, q = number(key['p']), number(key['q'])
for i, (value, text) in enumerate([(p, key['p']), (q, key['q'])]):
    data = value.to_bytes((value.bit_length() + 7) // 8, 'big')
    # the last one is how the server prints values in plans
    for form in (text, data.hex(), data.hex().upper(), str(value), data, data[::-1], base64.b64encode(data).decode(),
                 ' '.join(str(byte - (byte > 127) * 256) for byte in data[::-1])):
        form = form.encode() if isinstance(form, str) else form
        for at in range(0, len(form) - 15, 16):
            print('key', i, form[at:at + 16].hex())
PYTHON

# ---- totals to decrypt ----

fresh secrets_test 'paillier_metering CASCADE'
sql 'CREATE EXTENSION pg_stat_statements; CREATE ROLE analyst LOGIN; CREATE ROLE biller LOGIN'
h=$(sql "SELECT date_bin('2 hours', now() - interval '10 hours', '2000-01-01 00:00Z')")
public=$(python3 -c 'import json, sys; print(json.dumps(json.loads(sys.argv[1])["pub"]))' "$usual_key")
echo "$usual_key" >"$scratch/private.json"
chmod 600 "$scratch/private.json"
sql - >/dev/null 2>&1 <<-SQL
	SELECT metering.grant_access('analyst', 'analyst'), metering.grant_access('biller', 'biller');
	UPDATE metering.setting SET key_id = paillier_register_key('$public'), min_meters = 2, reading_interval = '1 hour';
	INSERT INTO metering.tariff VALUES ('t'); INSERT INTO metering.rate VALUES ('t', '00:00', 2000);
	INSERT INTO metering.meter (meter_id, region, tariff) VALUES ('m1', 'r', 't'), ('m2', 'r', 't');
	INSERT INTO metering.reading SELECT m, '$h'::timestamptz + i * interval '1 hour',
		paillier_encrypt(i * 10 + right(m, 1)::int, '$public') FROM unnest(ARRAY['m1', 'm2']) m,
		generate_series(0, 1) i;
SQL
sql "CALL metering.rollup('$h'::timestamptz + interval '3 hours')" 2>/dev/null
is "$(sql 'SELECT count(*) FROM metering.region_load') $(sql 'SELECT count(*) FROM metering.bill')" "2 2" \
	"there are totals"

# ---- records ----

# A session looks at the statements of all others all the time.
python3 - "$scratch/activity" <<'PYTHON' &
import sys, time
from client import Session
session = Session(options='-c application_name=watch -c log_statement=none -c log_min_duration_statement=-1 -c '
    'log_duration=off')
with open(sys.argv[1], 'w') as file:
    while True:
        for row in session.rows("SELECT query FROM pg_stat_activity WHERE application_name <> 'watch'"):
            file.write(f'{row[0]}\n')
        file.flush()
        time.sleep(0.01)
PYTHON
watcher=$!
disown "$watcher"
for ((i = 0; i < 200; i++)); do
	[ -e "$scratch/activity" ] && break
	sleep 0.05
done
ignore="SET log_statement = none; SET log_min_duration_statement = -1; SET log_duration = off;
	SET auto_explain.log_min_duration = -1; SET pg_stat_statements.track = none;"

# records COMMAND …: run it, and say in which records the key is found
records() {
	local found=
	sql "$ignore SELECT pg_stat_statements_reset()" >/dev/null 2>&1
	: >"$CLUSTER/log"
	: >"$scratch/activity"
	"$@" >"$scratch/answer" 2>"$scratch/errors"
	cp "$CLUSTER/log" "$scratch/log"
	cp "$scratch/activity" "$scratch/seen"
	sql "$ignore SELECT query FROM pg_stat_statements" >"$scratch/statements"
	for record in log seen statements; do
		"$scratch/find_bytes" "$scratch/patterns" "$scratch/$record" >"$scratch/hits" || found+=" failed"
		[ ! -s "$scratch/hits" ] || found+=" $record"
	done
	echo "$found"
}
# that a statement was recorded: its mark in the log, in the activity, in the statistics
marked() {
	echo "$(grep -c "$1" "$scratch/log" | sed 's/[1-9].*/log/') $(grep -c "$1" "$scratch/seen" |
		sed 's/[1-9].*/seen/') $(grep -c "$1" "$scratch/statements" | sed 's/[1-9].*/statements/')"
}

# bound STATEMENT [SETTINGS [KEY]]: run it with the key as its only parameter
bound() {
	python3 - "$1" "${2:-}" "${3:-$usual_key}" <<-'PYTHON'
		import sys
		from client import Error, Session
		session = Session(user='postgres')
		if sys.argv[2]:
		    session.run(sys.argv[2])
		session.run('SET ROLE analyst')
		try:
		    for row in session.rows(sys.argv[1], sys.argv[3]):
		        print(*row)
		except Error as error:
		    print(error.sqlstate, error.message, error.detail, error.hint, error.context)
	PYTHON
}

# ---- control: the key in the text of a statement ----

slow="pg_sleep(0.3) IS NULL AS slow_mark"
literal() {
	sql "SELECT paillier_decrypt(total, '$usual_key'), $slow FROM metering.region_load ORDER BY hour"
}
is "$(records literal)" " log seen" \
	"a literal is in the log and in pg_stat_activity; pg_stat_statements keeps no constants of a query"
is "$(cut -d '|' -f 1 "$scratch/answer" | tr '\n' ' ')" "3 23 " "and decrypts"
is "$(marked slow_mark)" "log seen statements" "the statement is in all three"
literal_copy() {
	sql "COPY (SELECT paillier_decrypt(total, '$usual_key'), $slow FROM metering.region_load) TO STDOUT"
}
is "$(records literal_copy)" " log seen statements" "a literal in any other statement is in all three"
psql_variable() {
	sql "SELECT paillier_decrypt(total, :'key'), $slow FROM metering.region_load" -v key="$usual_key"
}
is "$(records psql_variable)" " log seen" "a variable of psql is a literal"

# ---- statements whose text pg_stat_statements keeps as it is, and the setting for that ----

# the utility statement, after some settings
utility() {
	sql "$1; $utility" >/dev/null
}
# the records but pg_stat_activity, which shows short statements by chance
kept() {
	local found
	found=$(records "$@")
	echo "${found/ seen/}"
}
quiet="SET log_statement = none; SET log_min_duration_statement = -1; SET log_duration = off"
while IFS='|' read -r name statistics utility; do
	is "$(kept utility 'SELECT 1')" " log$statistics" "$name with the key in its text: where it is kept"
	is "$(kept utility 'SET pg_stat_statements.track_utility = off')" " log" \
		"$name: pg_stat_statements.track_utility = off keeps it out of the statistics"
	is "$(kept utility "$quiet")" "$statistics" \
		"$name: log_statement = none and no log_min_duration_statement keep it out of the log"
done <<-END
	DO| statements|DO \$\$ BEGIN PERFORM paillier_decrypt(total, '$usual_key') FROM metering.region_load; END \$\$
	CREATE TABLE AS| statements|CREATE TEMP TABLE decrypted AS SELECT paillier_decrypt(total, '$usual_key') \
		FROM metering.region_load
	EXPLAIN| statements|EXPLAIN SELECT paillier_decrypt(total, '$usual_key') FROM metering.region_load
	DECLARE| statements|BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT paillier_decrypt(total, '$usual_key') \
		FROM metering.region_load; COMMIT
	SET| statements|SET my.key = '$usual_key'
	PREPARE||PREPARE p AS SELECT paillier_decrypt(total, '$usual_key') FROM metering.region_load; EXECUTE p
	EXECUTE||PREPARE p (paillier_private_key) AS SELECT paillier_decrypt(total, \$1) FROM metering.region_load; \
		EXECUTE p ('$usual_key')
END
utility="DO \$\$ BEGIN PERFORM paillier_decrypt(total, '$usual_key') FROM metering.region_load; END \$\$"
is "$(kept utility "$quiet; SET pg_stat_statements.track = none")" "" \
	"pg_stat_statements.track = none keeps everything out of the statistics"
failing() {
	sql "$1; SELECT paillier_decrypt(total, '$usual_key') / 0 FROM metering.region_load"
}
is "$(kept failing "$quiet")" " log" \
	"log_min_error_statement: a statement that fails is logged with its text all the same"
is "$(kept failing "$quiet; SET log_min_error_statement = panic")" "" "unless that is panic"
explained="SET auto_explain.log_min_duration = 0; SET pg_stat_statements.track = none; $quiet"
# the key is in no body, which would be stored
within() {
	sql "$1; SET my.key = '$usual_key'; CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE plpgsql AS \$\$
		BEGIN EXECUTE format('SELECT paillier_decrypt(total, %L) FROM metering.region_load', current_setting('my.key'));
		END \$\$; SELECT pg_temp.f()"
}
is "$(kept utility "$explained")" " log" "auto_explain: a statement in a DO has a plan, and its text is logged with it"
is "$(kept within "$explained")" "" "one in a function has none"
like "$(cat "$scratch/log")" 'plan:' "though the call of the function has one"
is "$(kept within "$explained; SET auto_explain.log_nested_statements = on")" " log" \
	"but with auto_explain.log_nested_statements"
is "$(kept utility "$quiet; SET pg_stat_statements.track = none; SET auto_explain.log_min_duration = -1")" "" \
	"auto_explain.log_min_duration = -1 keeps both out"

# ---- the key as a bound parameter ----

is "$(records bound "SELECT paillier_decrypt(total, \$1), $slow FROM metering.region_load ORDER BY hour")" "" \
	"a bound parameter is in none of them"
is "$(cut -d ' ' -f 1 "$scratch/answer" | tr '\n' ' ')" "3 23 " "and decrypts"
is "$(marked slow_mark)" "log seen statements" "the statement is in all three"
is "$(records bound "SELECT sum(paillier_decrypt(total, \$1::paillier_private_key)),
	pg_sleep(0.1) FROM metering.region_load" "SET debug_print_parse = on; SET log_lock_waits = on")" "" \
	"summed, with its type"
is "$(cut -d ' ' -f 1 "$scratch/answer")" 26 "it decrypts"

# errors while the key is in use
while IFS=: read -r name state statement; do
	limit=
	[ "$name" != 'a statement timeout' ] || limit="SET statement_timeout = '500ms'"
	found=$(records bound "$statement" "$limit" </dev/null)
	if [ "$name" = 'the key is no number' ]; then
		# the server's own functions know nothing of secrets
		is "$found" " log" "$name: the server's own message has it"
	else
		is "$found" "" "$name: the error does not have it"
		is "$("$scratch/find_bytes" "$scratch/patterns" "$scratch/answer")" "" "$name: nor does the client's message"
	fi
	like "$(cat "$scratch/answer")" "^$state" "$name: it is one"
done <<-'END'
	another key:22000:SELECT paillier_decrypt(paillier_encrypt(5, paillier_public_key(paillier_keygen(2048))), $1)
	division by zero:22012:SELECT paillier_decrypt(total, $1) / 0 FROM metering.region_load
	the result is no number:22P02:SELECT CAST(paillier_decrypt(total, $1) || 'x' AS int) FROM metering.region_load
	the key is no number:22P02:SELECT CAST(CAST($1 AS text) AS int)
	a statement timeout:57014:SELECT paillier_decrypt(total, $1), pg_sleep(10) FROM metering.region_load
END
broken=$(python3 - "$usual_key" <<-'PYTHON'
	import sys
	key = sys.argv[1]
	print('|'.join([key[:-1], key[:200] + '\\x' + key[200:], key.replace('"q":"5', '"q":"6'), key + 'x',
	    key.replace('"p"', '"x"'), key.replace('"p":"', '"p":"*')]))
PYTHON
)
IFS='|' read -ra keys <<<"$broken"
for i in "${!keys[@]}"; do
	is "$(records bound "SELECT paillier_decrypt(total, \$1) FROM metering.region_load" "" "${keys[i]}")" "" \
		"a damaged key ($i) is in no record"
	like "$(cat "$scratch/answer")" '^22.*invalid private key' "a damaged key ($i) is an error"
	is "$("$scratch/find_bytes" "$scratch/patterns" "$scratch/answer")" "" "a damaged key ($i) is not in the message"
done

# what the settings are for
is "$(records bound "SELECT paillier_decrypt(total, \$1) FROM metering.region_load" \
	"SET log_parameter_max_length = -1")" " log" \
	"log_parameter_max_length: by default parameters are logged with their statement"
is "$(records bound "SELECT paillier_decrypt(total, \$1) / 0 FROM metering.region_load" \
	"SET log_parameter_max_length_on_error = -1")" " log" "log_parameter_max_length_on_error: or with errors"
is "$(records bound "SELECT paillier_decrypt(total, \$1) FROM metering.region_load" \
	"SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
	SET auto_explain.log_nested_statements = on")" "" \
	"auto_explain logs plans, in which the key is not"
like "$(cat "$scratch/log")" 'plan:' "there is a plan"
is "$(records bound "SELECT total IS NULL FROM metering.region_load WHERE paillier_decrypt(total, \$1) > 5" \
	"SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on")" " log" \
	"but where it is in a condition, for the plan is made for its value"
is "$(records bound "SELECT paillier_decrypt(total, \$1) FROM metering.region_load" \
	"SET auto_explain.log_min_duration = 0; SET auto_explain.log_verbose = on")" " log" "or where plans are verbose"
is "$(records bound "SELECT paillier_decrypt(total, \$1) FROM metering.region_load" "SET debug_print_plan = on")" \
	" log" "debug_print_plan logs it"
is "$(records bound "SELECT paillier_decrypt(total, \$1) FROM metering.region_load
	WHERE paillier_decrypt(total, \$1) > 5" \
	"SET auto_explain.log_min_duration = 0; SET auto_explain.log_verbose = on; SET debug_print_plan = on;
		SET plan_cache_mode = force_generic_plan")" "" "plan_cache_mode = force_generic_plan: plans are made without it"
is "$(cat "$scratch/answer")" 23 "and decrypt"
sql 'GRANT biller TO analyst'
is "$(records bound "SELECT amount_due, $slow FROM metering.invoice(\$1, date '${h%% *}')" \
	"SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
		SET auto_explain.log_verbose = on; SET debug_print_plan = on; SET plan_cache_mode = force_generic_plan")" "" \
	"metering.invoice() makes its own plans without it"
is "$(cut -d ' ' -f 1 "$scratch/answer" | tr '\n' ' ')" "24.00 28.00 " "and decrypts"

# ---- totals out by COPY, the key outside ----

program() {
	psql -XAtq -U "$1" -c "COPY ($2) TO STDOUT" | paillier decrypt --quiet --key "$scratch/private.json"
}
is "$(records program analyst "SELECT hour - '$h', total, $slow FROM metering.region_load ORDER BY 1")" "" \
	"COPY and the program: the server has no record of the key"
is "$(cut -d , -f 1,2 "$scratch/answer")" $'00:00:00,3\n01:00:00,23' "the totals of regions"
is "$(marked slow_mark)" "log seen statements" "the statement is in all three"
is "$(records program biller "SELECT meter_id, amount, energy FROM metering.bill ORDER BY 1")" "" "nor with bills"
is "$(cat "$scratch/answer")" $'m1,24.000,12\nm2,28.000,14' "the bills"

# ---- what is on disk: after all of this, but for what is in the log ----

kill "$watcher"
sql "$ignore SELECT pg_stat_statements_reset()" >/dev/null 2>&1
cluster_ctl -m fast stop
is "$("$scratch/find_bytes" "$scratch/patterns" "$CLUSTER/data")" "" \
	"the data directory and the WAL have nothing of the key"
cluster_restart
sql "$ignore CREATE TABLE kept AS SELECT '$usual_key'::paillier_private_key AS key; CHECKPOINT"
cluster_ctl -m fast stop
like "$("$scratch/find_bytes" "$scratch/patterns" "$CLUSTER/data")" "key 2/2.*base" "unless somebody stores it"

finish
