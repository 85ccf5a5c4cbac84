#!/usr/bin/env bash
# demo.t
#	The demo with two keys, as small as it gets: it compares every total with the
#	plaintext itself, and ends with an error where one differs.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
unset PGHOST PGPORT PGUSER PGDATABASE

KEYS=2 METERS=100 DAYS=2 MINUTES=60 KEEP=0 REPORT=$scratch/report.html "$root/demo/run" >"$scratch/out" 2>&1
ok $? "the demo with two keys"
for what in "96 regional hours" "48 forecast hours" "4800 bill windows of 2 hours"; do
	ok "$(grep -q "^ *$what: all equal" "$scratch/out"; echo $?)" "$what"
done
like "$(grep 'bills: all equal' "$scratch/out")" '^ *[24]00 bills: all equal$' "bills"
is "$(grep -c 'which was not given$' "$scratch/out")" 3 "no key decrypts what is under the other"
ok "$(grep -q '<table id=bill>' "$scratch/report.html"; echo $?)" "a report with both keys"
[ "$failures" = 0 ] || sed 's/^/# /' "$scratch/out" | tail -n 30
KEYS=3 "$root/demo/run" >"$scratch/out" 2>&1
is "$? $(cat "$scratch/out")" "2 demo: KEYS is 1 or 2" "another number of keys"
finish
