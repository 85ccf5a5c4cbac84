#!/bin/bash
# rows.t: what goes through encrypt and decrypt comes out the same

. "$(dirname "$0")/lib.sh"

make_key 384 k.json
"$paillier" public --min-bits 128 k.json >p.json
make_key 256 k2.json
"$paillier" public --min-bits 128 k2.json >p2.json

# ---- 20,000 rows with everything that is hard to quote, two encrypted columns ----

python3 "$reference" rows 20000 >rows.csv
for jobs in 1 8; do
	encrypt --key p.json --delimiter , --column 2 --column 4 --scale 3 --jobs $jobs rows.csv >rows$jobs.copy 2>err
	is "encrypt with $jobs jobs" $? 0
	is "one line a row" "$(wc -l <rows$jobs.copy)" 20000
	decrypt --key k.json --jobs $jobs rows$jobs.copy >rows$jobs.csv 2>err
	is "decrypt with $jobs jobs" $? 0
	ok "the rows are what they were" cmp rows.csv rows$jobs.csv
done
ok "two encryptions differ" bash -c '! cmp -s rows1.copy rows8.copy'
is "a second implementation agrees" "$(python3 "$reference" compare k.json rows.csv rows8.copy 2>err)" 20000
decrypt --key k.json --column 2 rows8.copy | encrypt --key p.json --delimiter , --column 2 --scale 3 |
	decrypt --key k.json >again.csv
ok "the other ciphertexts stay as they are with --column" cmp rows.csv again.csv
sed 's/$/\r/' rows8.copy | decrypt --key k.json >crlf.csv
ok "COPY's rows may end with carriage return and line feed" cmp rows.csv crlf.csv

# ---- a real key, made here and elsewhere ----

make_key 2048 real.json
"$paillier" public real.json >real-public.json
sed 's/"djn":true,//' real-public.json >textbook.json
seq -50 99 | sed 's/^/m,/' >some.csv
for key in real-public textbook; do
	"$paillier" encrypt --key $key.json some.csv >some.copy
	is "2048 bits, $key" "$("$paillier" decrypt --key real.json some.copy | md5sum)" "$(md5sum <some.csv)"
done

# ---- values ----

# NAME VALUE OPTIONS...: one value through both commands
through() {
	local value=$1
	shift
	printf '%s\n' "$value" | encrypt --key p.json "$@" | decrypt --key k.json
}
is "an integer" "$(through 42)" 42
is "zero has no sign" "$(through -0)" 0
is "a plus sign" "$(through +7)" 7
is "the scale fills up with zeros" "$(through 1.5 --scale 4)" 1.5000
is "zeros beyond the scale are no loss" "$(through 1.500 --scale 1)" 1.5
is "a point at the start" "$(through -.5 --scale 1)" -0.5
is "a point at the end" "$(through 5.)" 5
is "scale 255" "$(encrypt --key real-public.json --scale 255 <<<-0.01 | decrypt --key real.json)" \
	"-0.01$(printf '0%.0s' {1..253})"
is "quotes round a number" "$(through '"12"')" 12

most=$(python3 -c "import sys; sys.argv = ['', 'x']; sys.path.insert(0, '$here')
import reference; n, p, q = reference.read_private('k.json'); print((n - 1) // 2)")
near=$(python3 -c "print($most * 255 // 256)")
is "a value near the top of the key's range" "$(through "$near")" "$near"
is "and near its bottom" "$(through "-$near")" "-$near"
over=$(python3 -c "print($most + 1)")
fails "a value above the key's range" 1 'line 1, column 1: invalid number: value is too large for the key' \
	encrypt --key p.json <<<"$over"

# ---- declared widths: only the size class shows ----

# WIDTH VALUE: the binary logarithm of the bound in the header
bound() { encrypt --key p.json --width "$1" <<<"$2" | python3 "$reference" headers | cut -d' ' -f2; }
is "a small value has the default width" "$(encrypt --key p.json <<<1 | python3 "$reference" headers)" "0 63"
is "the largest of 64 bits" "$(bound 64 9223372036854775807)" 63
is "the smallest of 64 bits" "$(bound 64 -9223372036854775808)" 63
is "one more takes 128" "$(bound 64 9223372036854775809)" 127
is "100 bits take 128" "$(bound 64 $((1 << 62))000000000000)" 127
is "128 bits take 192" "$(bound 64 "$(python3 -c 'print(2**128)')")" 191
is "a small width is kept" "$(bound 8 127)" 7
is "and exceeded by 64" "$(bound 8 129)" 63
is "a large width is kept" "$(bound 200 1)" 199
is "near the top the range is the bound" "$(bound 64 "$near")" limit
fails "a width beyond the key is refused" 2 'a width of 384 bits does not fit a key of 384 bits' \
	encrypt --key p.json --width 384 numbers

# ---- columns and headers ----

printf 'meter,"read, at",energy\nm1,"a\nb",5\nm2,,\n' >h.csv
printf 'm1,"a\nb",5\nm2,,\n' >body.csv
encrypt --key p.json --header h.csv >h.copy
is "the header is not written" "$(wc -l <h.copy)" 2
is "the last column is the default" "$(decrypt --key k.json h.copy)" "$(cat body.csv)"
encrypt --key p.json --header --column energy h.csv >h.copy
is "a column by name" "$(decrypt --key k.json --column 3 h.copy)" "$(cat body.csv)"
printf 'meter\tread, at\tenergy\n' | cat - h.copy >named.copy
is "COPY's header is passed on" "$(decrypt --key k.json --header --column energy named.copy)" "$(cat h.csv)"
is "an empty field stays NULL" "$(tail -1 h.copy)" $'m2\t\\N\t\\N'
fails "a column that is not there" 1 'h.csv: line 1: there is no column "power"' \
	encrypt --key p.json --header --column power h.csv
fails "a column number that is not there" 1 'h.csv: there is no column 4: rows have 3' \
	encrypt --key p.json --column 4 h.csv
printf 'a,a\n1,2\n' >twice.csv
fails "a name that is there twice" 1 'twice.csv: line 1: there are several columns "a"' \
	encrypt --key p.json --header --column a twice.csv
printf '\xef\xbb\xbfenergy\r\n7\r\n' >bom.csv
is "a byte order mark is no part of a name" \
	"$(encrypt --key p.json --header --column energy bom.csv | decrypt --key k.json)" 7

# ---- the ends of lines and of files ----

is "CRLF" "$(printf 'a,1\r\nb,2\r\n' | encrypt --key p.json | decrypt --key k.json)" $'a,1\nb,2'
is "no newline at the end" "$(printf 'a,1\nb,2' | encrypt --key p.json | decrypt --key k.json)" $'a,1\nb,2'
is "nor behind a quote" "$(printf '1,"b"' | encrypt --key p.json --column 1 | decrypt --key k.json)" '1,b'
is "an empty last field" "$(printf '1,' | encrypt --key p.json --column 1 | decrypt --key k.json)" '1,'
is "an empty file" "$(encrypt --key p.json </dev/null | wc -c)" 0
is "an empty file with a header" "$(encrypt --key p.json --header --column x </dev/null | wc -c)" 0
is "an empty line is NULL" "$(printf '1\n\n' | encrypt --key p.json | tail -1)" '\N'
is "what is quoted and empty is no NULL" "$(printf '"",1\n,1\n' | encrypt --key p.json | cut -f1)" $'\n\\N'
is "COPY's end marker ends the data" \
	"$(printf '5\n' | encrypt --key p.json | sed '$a\\\\.' | decrypt --key k.json)" 5
is "COPY's other escapes" "$(printf 'a\\x41\\101\\qb\\\\.\\Nc\n' | decrypt --key k.json)" 'aAAqb\.Nc'
is "a line that reads as end marker is quoted" "$(printf '\\\\.\n' | decrypt --key k.json)" '"\."'

# ---- several keys ----

(encrypt --key p.json <<<x,1; encrypt --key p2.json <<<y,2; encrypt --key p.json <<<z,3) >mixed.copy
is "two keys" "$(decrypt --key k.json --key k2.json mixed.copy)" $'x,1\ny,2\nz,3'
id2=$("$paillier" id --min-bits 128 p2.json)
fails "a key that was not given" 1 "mixed.copy: line 2, column 2: ciphertext is under key $id2, which was not given" \
	decrypt --key k.json mixed.copy
is "and the rows before it are written" "$(cat out)" x,1
fails "a public key does not decrypt" 1 'p.json: this is a public key' decrypt --key p.json mixed.copy
encrypt --key k.json <<<1 >out 2>err
ok "to encrypt with a private key earns a warning" grep -q 'warning: k.json: this is a private key' err
is "and works" "$(decrypt --key k.json out)" 1

# ---- files ----

encrypt --key p.json --out made.copy some.csv
is "--out" "$(decrypt --key k.json made.copy | md5sum)" "$(md5sum <some.csv)"
encrypt --key p.json --out made.copy <<<1
is "--out overwrites" "$(decrypt --key k.json made.copy)" 1
decrypt --key k.json --out made.csv made.copy
is "plaintexts are for the owner" "$(stat -c %a made.csv) $(cat made.csv)" "600 1"
cp some.csv before.csv
fails "the input is not overwritten" 1 'some.csv is an input and cannot be the output too' \
	encrypt --key p.json --out some.csv some.csv
ok "and as it was" cmp some.csv before.csv
fails "nor standard input" 1 'some.csv is an input' encrypt --key p.json --out some.csv <some.csv
fails "nor a key" 1 'k.json is an input' decrypt --key k.json --out k.json made.copy
is "the key still works" "$(decrypt --key k.json made.copy)" 1

is "a byte order mark in pieces" \
	"$( (printf '\xEF'; sleep 0.2; printf '\xBB\xBFa,1\n') | encrypt --key p.json | decrypt --key k.json)" a,1

is "what looks like a byte order mark is quoted" "$(printf '\xEF\xBB\xBFa\t1\n' | decrypt --key k.json)" \
	"$(printf '"\xEF\xBB\xBFa",1')"

done_testing
