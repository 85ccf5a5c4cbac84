#!/bin/bash
# errors.t: bad input and bad command lines

. "$(dirname "$0")/lib.sh"

make_key 256 k.json
"$paillier" public --min-bits 128 k.json >p.json

# ---- CSV ----

# NAME MESSAGE CSV ROWS: encrypting it fails, and so many rows come before
bad_csv() {
	printf "$3" >bad.csv
	fails "$1" 1 "^paillier: encrypt: bad.csv: $2\$" encrypt --key p.json bad.csv
	is "$1: complete rows before it" "$(complete_rows out && wc -l <out)" "$4"
}

bad_csv "no number" 'line 2, column 2: invalid number: not a decimal number' 'a,1\nb,secret\n' 1
ok "no value is shown" bash -c '! grep -q secret err'
bad_csv "an empty text" 'line 1, column 2: invalid number: not a decimal number' 'a,""\n' 0
bad_csv "a blank before a number" 'line 1, column 2: invalid number: not a decimal number' 'a, 1\n' 0
bad_csv "an exponent" 'line 1, column 2: invalid number: not a decimal number' 'a,1e3\n' 0
bad_csv "two points" 'line 1, column 2: invalid number: not a decimal number' 'a,1.0.0\n' 0
bad_csv "a sign alone" 'line 1, column 2: invalid number: not a decimal number' 'a,-\n' 0
bad_csv "too many decimals" 'line 3, column 2: invalid number: value has more decimal digits than the scale allows' \
	'a,1\nb,2\nc,3.5\n' 2
bad_csv "too large a number" 'line 1, column 2: invalid number: value is too large for the key' \
	"a,$(printf '9%.0s' {1..500})\n" 0
bad_csv "a quote in a bare field" 'line 2, column 1: quote inside a field without quotes' 'a,1\nb"b,2\n' 1
bad_csv "text behind a quoted field" 'line 2, column 1: text behind the closing quote of a field' 'a,1\n"b"b,2\n' 1
bad_csv "a quote that stays open" 'line 2, column 1: quoted field does not end' 'a,1\n"b,2\nc,3\n' 1
bad_csv "a carriage return alone" 'line 1, column 1: carriage return inside a line' 'a\rb,1\n' 0
bad_csv "a row that is too short" 'line 2: row has 1 column, the first row has 2' 'a,1\nb\nc,2\n' 1
bad_csv "a row that is too long" 'line 3: row has 3 columns, the first row has 2' 'a,1\nb,2\nc,3,4\n' 2
bad_csv "a line with a blank" 'line 2: row has 1 column, the first row has 2' 'a,1\n \n' 1
bad_csv "empty quotes" 'line 2: row has 1 column, the first row has 2' 'a,1\n""\n' 1
bad_csv "an empty line at the beginning" 'line 2: row has 2 columns, the first row has 1' '\na,1\n' 1
bad_csv "a zero byte" 'line 1, column 1: zero byte' 'a\0,1\n' 0
bad_csv "lines inside quotes count" 'line 4, column 2: invalid number: not a decimal number' '"a\n\na",1\nb,x\n' 1
bad_csv "a field is where it begins" 'line 3, column 2: invalid number: not a decimal number' '"a\n\na","x\n"\n' 0
bad_csv "too many columns" 'line 1: row has more than 1664 columns' "$(printf ',%.0s' {1..1664})\n" 0

head -c 1100000 /dev/zero | tr '\0' 7 >long.csv
fails "a row beyond 1 MB" 1 'long.csv: line 1: row is longer than 1048576 bytes' encrypt --key p.json long.csv
(echo '"'; cat long.csv; echo '"') >long2.csv
fails "also in quotes" 1 'long2.csv: line 2: row is longer than 1048576 bytes' encrypt --key p.json long2.csv
(head -c 1000000 /dev/zero | tr '\0' x; echo ,1) >longest.csv
is "a row of 1,000,000 bytes passes" \
	"$(encrypt --key p.json longest.csv | decrypt --key k.json | md5sum)" "$(md5sum <longest.csv)"

# ---- COPY ----

bad_copy() {
	printf "$3" >bad.copy
	fails "$1" 1 "^paillier: decrypt: bad.copy: $2\$" decrypt --key k.json bad.copy
	is "$1: complete rows before it" "$(complete_rows out && wc -l <out)" "$4"
}

bad_copy "a row with too few columns" 'line 2: row has 1 column, the first row has 2' 'a\t1\nb\n' 1
bad_copy "a backslash at the end" 'line 2, column 1: backslash at the end of the data' 'a\nb\\' 1
bad_copy "a carriage return alone, in COPY" 'line 1, column 1: carriage return inside a line' 'a\rb\n' 0
bad_copy "an escaped zero byte" 'line 1, column 2: zero byte' 'a\tb\\x00\n' 0
bad_copy "data behind the end marker" 'line 3: data behind the end-of-data marker' 'a\n\\.\nb\n' 1
(echo a; cat long.csv) >long.copy
fails "a row beyond 1 MB, in COPY" 1 'long.copy: line 2: row is longer than 1048576 bytes' decrypt --key k.json \
	long.copy
printf 'a\ttext\n' >text.copy
fails "text in a column that is named" 1 'text.copy: line 1, column 2: invalid ciphertext: length is not valid' \
	decrypt --key k.json --column 2 text.copy
printf 'a\t\n' >text.copy
fails "and no text" 1 'text.copy: line 1, column 2: invalid ciphertext: length is not valid' \
	decrypt --key k.json --column 2 text.copy

# ---- errors in the middle of many rows, whichever worker meets them ----

seq 1 2000 | sed '1234s/.*/x/; 1300s/.*/y/; 1301s/.*/"/' >middle.csv
for jobs in 1 8; do
	fails "the first error is reported, jobs $jobs" 1 'middle.csv: line 1234, column 1: ' \
		encrypt --key p.json --jobs $jobs middle.csv
	is "and all rows before it are written, jobs $jobs" "$(complete_rows out && decrypt --key k.json out | md5sum)" \
		"$(seq 1 1233 | md5sum)"
done
is "one message" "$(wc -l <err)" 1
seq 1 2000 | encrypt --key p.json | sed '1234s/^....../______/' >middle.copy
for jobs in 1 8; do
	fails "likewise for decrypt, jobs $jobs" 1 'middle.copy: line 1234, column 1: invalid ciphertext' \
		decrypt --key k.json --column 1 --jobs $jobs middle.copy
	is "with its rows, jobs $jobs" "$(complete_rows out && md5sum <out)" "$(seq 1 1233 | md5sum)"
done
fails "standard input has a name" 1 'standard input: line 1, column 1: invalid number' encrypt --key p.json <<<x

# ---- files ----

fails "no file" 1 'nothing.csv: No such file' encrypt --key p.json nothing.csv
mkdir directory
fails "a directory" 1 'directory: Is a directory' encrypt --key p.json directory
fails "no place to write" 1 'no/out: No such file' encrypt --key p.json --out no/out text.copy
fails "a full disk" 1 'encrypt: standard output: No space left' \
	bash -c 'seq 1 100 | "$1" encrypt --min-bits 128 --key p.json >/dev/full' - "$paillier"
fails "a full disk by name" 1 'decrypt: /dev/full: No space left' \
	bash -c 'seq 1 100 | "$1" decrypt --min-bits 128 --key k.json --out /dev/full' - "$paillier"
fails "help on a full disk" 1 'No space left' bash -c '"$1" --help >/dev/full' - "$paillier"
fails "standard output closed" 1 'Bad file descriptor' bash -c '"$1" id --min-bits 128 k.json >&-' - "$paillier"

# ---- command lines ----

usage() {
	local name=$1 pattern=$2 hint=$3
	shift 3
	fails "usage: $name" 2 "$pattern" "$paillier" "$@"
	is "usage: $name: a hint" "$(tail -1 err)" "Try 'paillier $hint--help'."
}

usage "no command" 'a command is missing' ''
usage "no such command" 'there is no command "add"' '' add
usage "no such option" 'there is no option --fast' 'encrypt ' encrypt --fast
usage "an option of another command" 'there is no option --scale' 'decrypt ' decrypt --scale 2
usage "no value" 'option --key needs a value' 'encrypt ' encrypt --key
usage "no key to encrypt" 'option --key is needed once' 'encrypt ' encrypt
usage "two keys to encrypt" 'option --key is needed once' 'encrypt ' encrypt --key p.json --key p.json
usage "no key to decrypt" 'option --key is missing' 'decrypt ' decrypt
usage "no key file" 'the key file is missing' 'id ' id
usage "two files" 'argument "b" is one too many' 'public ' public a b
usage "two inputs" 'argument "b" is one too many' 'encrypt ' encrypt --key p.json a b
usage "a name without a header" 'column "x" is given by name, which needs --header' \
	'encrypt ' encrypt --key p.json --column x
usage "column 0" 'option --column needs a number from 1' 'encrypt ' encrypt --key p.json --column 0
usage "an empty column" 'option --column needs the number or the name' 'encrypt ' encrypt --key p.json --column ''
usage "a scale of 256" 'option --scale needs a number from 0 to 255' 'encrypt ' encrypt --key p.json --scale 256
usage "a negative scale" 'option --scale needs a number from 0 to 255' 'encrypt ' encrypt --key p.json --scale -1
usage "a scale in words" 'option --scale needs a number from 0 to 255' 'encrypt ' encrypt --key p.json --scale 2x
usage "no width" 'option --width needs a number from 1 to 8192' 'encrypt ' encrypt --key p.json --width 0
usage "no jobs" 'option --jobs needs a number from 1 to 256' 'decrypt ' decrypt --key k.json --jobs 0
usage "standard input twice" 'standard input cannot be read twice' 'encrypt ' encrypt --key -
usage "a huge number" 'option --bits needs a number from 128 to 8192' 'keygen ' keygen --bits 99999999999999999999

for command in '' keygen public id encrypt decrypt; do
	run "$paillier" $command --help
	is "help of: paillier $command" "$status $(wc -c <err) $(($(wc -l <out) > 10))" "0 0 1"
	ok "with an example, of at most 90 columns" bash -c \
		'grep -q "^  paillier\|^      paillier" out && ! grep -q ".\{91\}" out'
done
run "$paillier" --version
is "version" "$status $(cat out)" "0 paillier 1.0"

done_testing
