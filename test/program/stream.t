#!/bin/bash
# stream.t: long inputs, slow inputs, readers that go away, progress

. "$(dirname "$0")/lib.sh"

make_key 256 k.json
"$paillier" public --min-bits 128 k.json >p.json

# ---- memory ----

# 300,000 rows, 60 MB, with little to encrypt
line=$(printf 'x%.0s' {1..190})
awk -v line="$line" 'BEGIN { for (i = 1; i <= 300000; i++) print i % 1000 "," line "," (i % 100 ? "" : i) }' >many.csv
limit=80000
limited() {
	if sanitized; then
		"$paillier" "$@"
	else
		bash -c "ulimit -v $limit; exec \"\$@\"" - "$paillier" "$@"
	fi
}
run limited encrypt --min-bits 128 --key p.json --jobs 2 many.csv
is "encrypt of 300,000 rows in $limit kB" "$status $(wc -l <out)" "0 300000"
mv out many.copy
run limited decrypt --min-bits 128 --key k.json --jobs 2 many.copy
is "decrypt of 300,000 rows in $limit kB" "$status $(md5sum <out)" "0 $(md5sum <many.csv)"
if sanitized; then
	skip "a sanitizer needs more memory" 1
else
	limit=20000
	fails "too little memory is an error" 1 'out of memory|could not start a thread' \
		limited encrypt --min-bits 128 --key p.json --jobs 256 many.csv
fi

# ---- slow inputs ----

mkfifo in out.fifo
encrypt --key p.json --jobs 2 <in >out.fifo 2>err &
exec 8>in 9<out.fifo
for value in 1 2 3; do
	echo $value >&8
	read -r -t 10 row <&9
	is "row $value is written before the next one is there" "$(decrypt --key k.json <<<"$row")" $value
done
exec 8>&-
wait $!
is "and the end ends it" $? 0
exec 9<&-

# ---- readers that go away ----

run bash -c '"$1" encrypt --min-bits 128 --key p.json many.csv | head -1 >/dev/null; exit ${PIPESTATUS[0]}' - \
	"$paillier"
is "a closed pipe ends it, with status 1 and no word" "$status $(cat err)" "1 "
run bash -c '"$1" decrypt --min-bits 128 --key k.json many.copy | head -1 >/dev/null; exit ${PIPESTATUS[0]}' - \
	"$paillier"
is "likewise for decrypt" "$status $(cat err)" "1 "

# ---- progress ----

head -5 many.csv >few.csv
run encrypt --key p.json few.csv
is "no progress without a terminal" "$(cat err)" ""
if python3 -c 'import os; os.openpty()' 2>/dev/null; then
	pty() { python3 "$reference" pty "$1"; }
	command="'$paillier' encrypt --min-bits 128 --key p.json"
	shown=$(pty "$command few.csv")
	ok "a count at the end on a terminal" grep -qE '^.?5 rows, [0-9]+ rows/s' <<<"$shown"
	shown=$(pty "(cat few.csv; sleep 1.2; cat few.csv; sleep 0.2; cat few.csv) | $command" | tr '\r' '\n' |
		grep -c 'rows/s')
	is "about once a second on the way" "$shown" 2
	is "none with --quiet" "$(pty "$command --quiet few.csv")" ""
	shown=$(pty "(cat few.csv; sleep 1.2; echo 1,2,3; sleep 0.2; echo x) | $command" | tr -d '\r' | tail -1)
	is "an error has a line of its own" "$shown" \
		"paillier: encrypt: standard input: line 7: row has 1 column, the first row has 3"
else
	skip "no terminal can be made here" 4
fi

# ---- secrets ----

exec 7<>in
"$paillier" decrypt --min-bits 128 --key k.json <&7 &
pid=$!
sleep 0.5
is "no core file can be written" "$(awk '/Max core file size/ { print $5, $6 }' /proc/$pid/limits)" "0 0"
kill $pid
wait $pid 2>/dev/null

done_testing
