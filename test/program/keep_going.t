#!/bin/bash
# keep_going.t: lines that fail are left out and told, and all others come out

. "$(dirname "$0")/lib.sh"

make_key 256 k.json
"$paillier" public --min-bits 128 k.json >p.json
make_key 256 other.json
"$paillier" public --min-bits 128 other.json >other-public.json
encrypt --key p.json <<<12345 >good
encrypt --key other-public.json <<<1 >foreign

# FILE: fields 1 to 3 of the CSV of failures, without the text
told() { python3 -IS -c 'import csv, sys
csv.field_size_limit(1 << 24)
for row in csv.reader(open(sys.argv[1], newline="", encoding="latin-1")):
    print(",".join(row[:3]))' "$1"; }

# N FILE: the text of failure N, as it came
text_of() { python3 -IS -c 'import csv, sys
csv.field_size_limit(1 << 24)
sys.stdout.write(list(csv.reader(open(sys.argv[2], newline="", encoding="latin-1")))[int(sys.argv[1])][3])' "$1" "$2"; }

# ---- decrypt: one bad line of each kind between good ones ----

# KIND MESSAGE
damaged() {
	local bad
	read -r bad <&3
	bad=$(printf 'b\t%s' "$bad")
	printf 'a\t%s\n%s\nc\t%s\n' "$(cat good)" "$bad" "$(cat good)" >in.copy
	fails "$1: the reason" 1 \
		"^paillier: decrypt: warning: in.copy: line 2, column 2: $2\$|in.copy: 1 of 3 lines failed\$" \
		decrypt --key k.json --column 2 --keep-going in.copy
	is "$1: one message, and the count" "$(grep -c "warning: in.copy: line 2, column 2: " err) $(wc -l <err)" "1 2"
	is "$1: all other lines" "$(cat out)" $'a,12345\nc,12345'
	run decrypt --key k.json --column 2 --keep-going --failed failed in.copy
	is "$1: status, messages" "$status $(cat err)" "1 paillier: decrypt: in.copy: 1 of 3 lines failed"
	is "$1: in the file" "$(told failed | sed -E 's/[0-9a-f]{32}/ID/')" "2,2,$(sed 's/\[0-9a-f\]{32}/ID/' <<<"$2")"
	is "$1: the line as it came" "$(text_of 0 failed)" "$bad"
}

exec 3< <(python3 "$reference" damage k.json bound id version square multiple-p short long character <good)
invalid='invalid ciphertext: '
damaged bound 'decrypted value lies outside the declared bound'
damaged id 'ciphertext is under key [0-9a-f]{32}, which was not given'
damaged version "${invalid}format version is not supported"
damaged square "${invalid}ciphertext is not below the square of the modulus"
damaged multiple-p "${invalid}ciphertext has a factor in common with the modulus"
damaged short "${invalid}length is not valid"
damaged long "${invalid}length does not fit the key"
damaged character "${invalid}not base64url text without padding"

# ---- decrypt: lines that cannot be read as rows ----

# NAME FAILURES OUT INPUT: what is told, and the rows that come out
reads() {
	printf "$4" >in.copy
	run decrypt --key k.json --keep-going --failed failed in.copy
	is "$1: told" "$status $(told failed)" "1 $2"
	is "$1: the others" "$(complete_rows out && cat out)" "$(printf "$3")"
}

columns='the first row has 2'
reads "too few columns" "2,,row has 1 column, $columns" 'a,1\nc,3' 'a\t1\ngarbage\nc\t3\n'
reads "too many columns" "2,,row has 3 columns, $columns" 'a,1\nc,3' 'a\t1\nb\t2\t2\nc\t3\n'
reads "an empty line" "2,,row has 1 column, $columns" 'a,1\nc,3' 'a\t1\n\nc\t3\n'
reads "a garbage line first" "1,,row has 1 column, $columns" 'b,2\nc,3' 'garbage\nb\t2\nc\t3\n'
reads "an unreadable line first" "1,1,zero byte" 'b,2\nc,3' 'g\0\nb\t2\nc\t3\n'
reads "two garbage lines first" $'1,1,zero byte\n2,,row has 1 column, the first row has 2' 'c,3\nd,4' \
	'\0\ng\nc\t3\nd\t4\n'
reads "a zero byte" "2,1,zero byte" 'a,1\nc,3' 'a\t1\nb\0b\t2\nc\t3\n'
is "the zero byte is in the file" "$(tr '\0' 0 <failed)" $'2,1,zero byte,b0b\t2'
reads "an escaped zero byte" "2,1,zero byte" 'a,1\nc,3' 'a\t1\n\\x00\t2\nc\t3\n'
reads "a backslash at the end" "2,2,backslash at the end of the data" 'a,1' 'a\t1\nb\t2\\'
reads "a carriage return" "2,1,carriage return inside a line" 'a,1\nc,3' 'a\t1\nb\rb\t2\nc\t3\n'
reads "an end marker in the middle" "2,,data behind the end-of-data marker" 'a,1\nc,3' 'a\t1\n\\.\nc\t3\n'
reads "no newline at the end" "2,,row has 1 column, $columns" 'a,1' 'a\t1\nb'
reads "no newline behind a good line" "1,,row has 1 column, $columns" 'a,1\nb,2' 'b\na\t1\nb\t2'
reads "nothing but garbage" $'1,1,zero byte\n2,1,zero byte' '' '\0\n\0\n'
run decrypt --key k.json --keep-going /dev/null
is "an empty input is no failure" "$status $(cat out err)" "0 "
printf 'PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0' >binary
fails "COPY's binary format" 1 "binary: this is COPY's binary format, and rows are read in its text format" \
	decrypt --key k.json --keep-going binary
is "no row comes of it" "$(wc -c <out)" 0
fails "a header that cannot be read" 1 'in.copy: line 1, column 1: zero byte' \
	bash -c 'printf "\0\n1\n" >in.copy; "$1" decrypt --min-bits 128 --key k.json --header --keep-going in.copy' - \
		"$paillier"

# ---- long lines, in bounded memory ----

long() { head -c "$1" /dev/zero | tr '\0' A; }
(cat good; long 3000000; echo; cat good; long 3000000) >long.copy
run bash -c 'ulimit -v 400000; exec "$@"' - \
	"$paillier" decrypt --min-bits 128 --key k.json --jobs 1 --keep-going --failed failed long.copy
if sanitized; then skip "sanitizers reserve memory" 1; else
is "lines of millions of characters" "$status $(told failed)" \
	$'1 2,,row is longer than 1048576 bytes\n4,,row is longer than 1048576 bytes'
fi
is "the lines between them" "$(cat out)" $'12345\n12345'
is "their beginnings" "$(text_of 0 failed | wc -c) $(text_of 1 failed | wc -c)" "1048576 1048576"
(cat good; long 1048576; echo; cat good) >long.copy
run decrypt --key k.json --keep-going --failed failed long.copy
is "one byte too long" "$(cat out) $(told failed)" $'12345\n12345 2,,row is longer than 1048576 bytes'
(long 1048575; echo; cat good) >long.copy
run decrypt --key k.json --column 1 --keep-going --failed failed long.copy
is "as long as can be" "$(cat out) $(told failed)" "12345 1,1,invalid ciphertext: length is not valid"
is "and in the file as it came" "$(text_of 0 failed | md5sum)" "$(long 1048575 | md5sum)"

# ---- decrypt: columns of ciphertexts that nobody named ----

# NAME FAILED OUT FILTER: of three rows some are damaged by the sed script
unnamed() {
	sed -E "$4" three.copy >in.copy
	run decrypt --key k.json --keep-going --failed failed in.copy
	is "$1" "$status $(cut -d, -f1-2 failed | tr '\n' ' ')$(cat out)" "$(printf "$2$3")"
	[ "$status" = 0 ] && return
	fails "$1: without --keep-going" 1 "in.copy: line ${2:2:1}, column 2: invalid ciphertext: " \
		decrypt --key k.json in.copy
}

printf '%s\n' a,1 b,2 c,3 | encrypt --key p.json >three.copy
unnamed "three good ones" '0 ' 'a,1\nb,2\nc,3' ''
unnamed "the first character" '1 1,2 ' 'b,2\nc,3' '1s/\tA/\t*/'
unnamed "the first characters of all" '1 1,2 2,2 3,2 ' '' 's/\tA/\t*/'
unnamed "all cut off before 48 characters" '1 1,2 2,2 3,2 ' '' 's/^(.{40}).*/\1/'
unnamed "a blank in front" '1 1,2 2,2 3,2 ' '' 's/\t/\t /'
unnamed "lost characters in front" '1 1,2 2,2 3,2 ' '' 's/\t.../\t/'
unnamed "the first is text" '1 1,2 ' 'b,2\nc,3' '1s/\t.*/\thello/'
unnamed "a later one is text" '1 3,2 ' 'a,1\nb,2' '3s/\t.*/\thello/'
unnamed "the first of two is text" '1 1,2 ' 'b,2' '1s/\t.*/\thello/; 3d'
unnamed "cut off before the key id" '1 2,2 ' 'a,1\nc,3' '2s/(\t.{9}).*/\1/'
unnamed "NULL and an empty text are no damage" '0 ' 'a,\nb,""\nc,3' '1s/\t.*/\t\\N/; 2s/\t.*/\t/'
unnamed "a column of text" '0 ' 'a,x\nb,AQMAAAAAACCAAAAA\nc,3\nc,y' \
	'1s/\t.*/\tx/; 2s/\t.*/\tAQMAAAAAACCAAAAA/; $p; $s/\t.*/\ty/'
unnamed "a single row that nobody can tell from text" '0 ' 'a,hello' '1s/\t.*/\thello/; 2,$d'
(cat three.copy; for i in {1..60}; do cat three.copy; done; printf 'd\thello\n') >in.copy
run decrypt --key k.json --keep-going --failed failed in.copy
is "text far behind" "$status $(cut -d, -f1-2 failed) $(wc -l <out)" "1 184,2 183"

# ---- hostile input of 10 MB takes no quadratic time ----

# NAME COMMAND FAILED-LINES REASON OUT-MD5 PYTHON: what is written to the input
hostile() {
	python3 -IS -c "import sys
a = 'a' * 29
sys.stdout.write($6)" >in.big
	timeout 60 "$paillier" $2 --min-bits 128 --keep-going --failed failed in.big >out 2>err
	is "hostile: $1" "$? $(tail -1 err | grep -o '[0-9]* of') $(cut -d, -f1,3 failed |
		grep -cE ",$4\$") $(md5sum <out)" \
		"1 $3 of $3 $(python3 -IS -c "import sys
a = 'a' * 29
sys.stdout.write($5)" | md5sum)"
}

dec='decrypt --key k.json' enc='encrypt --key p.json'
hostile "backslashes at the ends of lines" "$dec" 297175 'row is longer than 1048576 bytes' \
	"'\"' + (a + '\\n') * 33825 + '\"\\n'" "(a + '\\\\\n') * 331000"
hostile "and a zero byte behind them" "$dec" 330011 'zero byte' "''" "((a + '\\\\\n') * 30000 + '\\0\n') * 11"
hostile "and too many columns" "$dec" 12498 'row has more than 1664 columns' \
	"'\"\",' * 800 + '\"\\n\",' + '\"\",' * 799 + '\"\\n\"\\n'" "('\\t' * 800 + '\\\\\n') * 12500"
hostile "end markers" "$dec" 999999 'data behind the end-of-data marker' "''" "'\\\\.\n' * 1000000"
hostile "quotes that open" "$enc" 330000 '(text behind the closing quote of a field|quoted field does not end)' "''" \
	"('\"' + a + '\\n') * 330000"
hostile "long fields" "$dec" 1 'zero byte' "('b' * 1000000 + '\\n') * 10" "'\\0\n' + ('b' * 1000000 + '\\n') * 10"
rm -f in.big

# ---- encrypt ----

csv() {
	printf "$4" >in.csv
	run encrypt --key p.json --keep-going --failed failed in.csv
	is "$1: told" "$status $(told failed)" "1 $2"
	is "$1: the others" "$(decrypt --key k.json out)" "$(printf "$3")"
}

number='invalid number: not a decimal number'
csv "no number" "2,2,$number" 'a,1\nc,3' 'a,1\nb,x\nc,3\n'
csv "a quote in a bare field" "2,1,quote inside a field without quotes" 'a,1\nc,3' 'a,1\nb"b,2\nc,3\n'
csv "text behind a quote" "2,1,text behind the closing quote of a field" 'a,1\nc,3' 'a,1\n"b"b,2\nc,3\n'
csv "a quote that stays open loses its line only" "2,2,quoted field does not end" 'a,1\nc,3\nd,4' \
	'a,1\nb,"2\nc,3\nd,4\n'
csv "two of them" $'2,2,text behind the closing quote of a field\n4,2,quoted field does not end' 'a,1\nc,3\ne,5' \
	'a,1\nb,"2\nc,3\nd,"4\ne,5\n'
csv "rows of two lines" "3,2,$number" '"a\na",1\n"c\nc",3' '"a\na",1\n"b",x\n"c\nc",3\n'
csv "a bad row of two lines" "2,2,$number" 'a,1\nc,3' 'a,1\n"b\nb",x\nc,3\n'
is "both in the file" "$(text_of 0 failed)" $'"b\nb",x'
csv "a range" "1,2,invalid number: value is too large for the key" 'b,2' "a,$(printf '9%.0s' {1..500})\nb,2\n"
run encrypt --key p.json --keep-going --column 1 --column 2 <<<$'1,x\n2,3\ny,z\n4,5'
is "rows are left out as a whole" "$(decrypt --key k.json out)" $'2,3\n4,5'
is "the first bad field of a row is told" "$(grep -o 'line [0-9].*' err)" \
	$'line 1, column 2: '"$number"$'\nline 3, column 1: '"$number"

# ---- many lines, many threads: order, and nothing lost ----

seq 1 3000 | awk '{ print ($1 % 7 == 3 ? "x" $1 : $1 % 11 == 5 ? "\"x" : $1) }' >many.csv
awk '!/[x"]/' many.csv >many.good
for jobs in 1 8; do
	run encrypt --key p.json --keep-going --failed failed --jobs $jobs many.csv
	is "encrypt, jobs $jobs: status" $status 1
	decrypt --key k.json out >back
	ok "encrypt, jobs $jobs: the good lines in order" cmp back many.good
	is "encrypt, jobs $jobs: the others in order" "$(told failed | cut -d, -f1 | md5sum)" \
		"$(grep -n '[x"]' many.csv | cut -d: -f1 | md5sum)"
done
seq 1 2000 | encrypt --key p.json >many.copy
python3 "$reference" damage k.json bound <good >forged
awk -v forged="$(cat forged)" -v foreign="$(cat foreign)" \
	'{ print (NR % 5 == 2 ? forged : NR % 9 == 4 ? foreign : NR % 13 == 1 ? "?" : $0) }' many.copy >bad.copy
seq 1 2000 | awk 'NR % 5 != 2 && NR % 9 != 4 && NR % 13 != 1' >expected
for jobs in 1 8; do
	run decrypt --key k.json --column 1 --keep-going --failed failed --jobs $jobs bad.copy
	ok "decrypt, jobs $jobs: the good lines in order" cmp out expected
	is "decrypt, jobs $jobs: the others in order" "$(told failed | cut -d, -f1 | md5sum)" \
		"$(seq 1 2000 | awk 'NR % 5 == 2 || NR % 9 == 4 || NR % 13 == 1' | md5sum)"
	is "decrypt, jobs $jobs: their count" "$(cat err)" \
		"paillier: decrypt: bad.copy: $((2000 - $(wc -l <expected))) of 2000 lines failed"
done
is "what failed can be tried again" "$(python3 -c 'import csv
for row in csv.reader(open("failed", newline="")): print(row[3])' | md5sum)" \
	"$(awk 'NR % 5 == 2 || NR % 9 == 4 || NR % 13 == 1' bad.copy | md5sum)"

# ---- files and options ----

is "only the owner can read what failed" "$(stat -c %a failed)" 600
run decrypt --key k.json --keep-going --failed failed good
is "nothing failed" "$status $(cat out err) $(wc -c <failed)" "0 12345 0"
for file in good k.json; do
	fails "what failed does not overwrite $file" 1 "^paillier: decrypt: $file is an input" \
		decrypt --key k.json --keep-going --failed $file good
done
fails "nor the output" 1 'o cannot be two outputs' \
	decrypt --key k.json --keep-going --out o --failed ./o good
fails "a full disk" 1 '/dev/full: No space left' decrypt --key k.json --keep-going --failed /dev/full foreign
fails "--failed alone" 2 'option --failed needs --keep-going' decrypt --key k.json --failed f good
fails "--failed without a name" 2 'option --failed needs the name of a file' decrypt --key \
	k.json --keep-going --failed - good
ok "the inputs are still there" test -s good -a -s k.json

done_testing
