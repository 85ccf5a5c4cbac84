#!/bin/bash
# csv.t: CSV as spreadsheets write it, and what protects those who forget an option

. "$(dirname "$0")/lib.sh"

make_key 256 k.json
"$paillier" public --min-bits 128 k.json >p.json

# NAME EXPECTED CSV OPTIONS...: what comes out of both commands
through() {
	local name=$1 expected=$2 csv=$3
	shift 3
	is "$name" "$(printf "$csv" | encrypt --key p.json "$@" 2>err | decrypt --key k.json)$(cat err)" "$(printf "$expected")"
}

# NAME MESSAGE CSV OPTIONS...: nothing is encrypted
refused() {
	local name=$1 message=$2
	printf "$3" >bad.csv
	shift 3
	fails "$name" 1 "^paillier: encrypt: bad.csv: $message" encrypt --key p.json "$@" bad.csv
	is "$name: nothing is written" "$(wc -c <out)" 0
}

# ---- separators and decimal commas ----

through "semicolons and decimal commas" 'm1,x,4.030\nm2,y,-0.500' 'm1;x;4,030\nm2;y;-,5\n' \
	--delimiter ';' --decimal , --scale 3
through "tabs" 'm1,4.5' 'm1\t4.5\n' --delimiter tab --scale 1
through "a tab as it is" 'm1,4.5' 'm1\t4.5\n' --delimiter $'\t' --scale 1
through "bars" 'm1,4.5' 'm1|4.5\n' --delimiter '|' --scale 1
through "commas in fields between semicolons" '"a,b",1.5' 'a,b;1,5\n' --delimiter ';' --decimal , --scale 1
through "quoted decimal commas between commas" 'm1,4.030' 'm1,"4,030"\n' --decimal , --scale 3
through "semicolons, quoted" 'a;b,7' '"a;b",7\n'
through "semicolons where commas separate" 'a;b,7' 'a;b,7\n' --delimiter ,
through "decimal points that are named" 'm1,1.5' 'm1;1.5\n' --delimiter ';' --decimal . --scale 1
through "whole numbers between semicolons" 'm1,15' 'm1;15\n' --delimiter ';'
through "names between semicolons" 'm1,1.5' 'meter;energy\nm1;1,5\n' --header --column energy --delimiter ';' --decimal , \
	--scale 1

other='in a field without quotes: name what separates fields by --delimiter$'
refused "a decimal comma is no separator" "line 1, column 1: \";\" $other" 'a;2026-01-01T00:00Z;4,030\n'
refused "nor with tabs" "line 1, column 1: tab $other" 'a\t2026-01-01T00:00Z\t4,030\n'
refused "nor with bars" "line 1, column 1: \"\\|\" $other" 'a|2026-01-01T00:00Z|4,030\n'
refused "nor behind names" "line 1, column 1: \";\" $other" 'meter;energy\na;4,030\n' --header
refused "nor in a column that is chosen" "line 1, column 1: \";\" $other" 'a;x;4,030\n' --column 2
refused "digits behind a decimal comma" 'line 1, column 4: number begins with 0: ' 'a,2026-01-01T00:00Z,4,030\n'
refused "with times, so many columns need a name" 'rows have 4 columns: name the one to encrypt by --column$' \
	'a,2026-01-01T00:00Z,4,530\n' --time 2
through "zeros in front where the column is named" 'a,7' 'a,007\n' --column 2
through "or the separator" 'a,7' 'a,007\n' --delimiter ,
through "or alone" 7 '007\n'
refused "a comma in a number" 'line 1, column 2: number has a comma: if it comes before decimals, say --decimal' \
	'a,"4,030"\n' --scale 3
refused "and between semicolons" 'line 1, column 2: number has a comma' 'a;4,030\n' --scale 3 --delimiter ';'
refused "a point where a comma is said" 'line 1, column 2: number has a point, but --decimal says' \
	'a;1.234,5\n' --scale 3 --delimiter ';' --decimal ,
refused "a point of which nobody says what it is" 'line 1, column 2: number has a point: if it comes' \
	'a;1.234\n' --scale 3 --delimiter ';'
refused "two commas" 'line 1, column 2: invalid number' 'a;1,234,5\n' --scale 3 --delimiter ';' --decimal ,

# ---- empty lines, marks, ends of lines ----

through "empty lines" 'a,1\nb,2' 'a,1\n\n\nb,2\n\n'
through "empty lines of Windows" 'a,1\nb,2' 'a,1\r\n\r\nb,2\r\n\r\n'
through "a mark, quotes, semicolons, carriage returns" 'a,1.5' '\xEF\xBB\xBF"a";"1,5"\r\n' --delimiter ';' --decimal , \
	--scale 1
through "empty lines with --keep-going" 'a,1\nb,2\nc,3' 'a,1\n\n\nb,2\n\nc,3\n' --keep-going
is "no failure" "$(cat err)" ""
refused "UTF-16" 'this is UTF-16, and text is read as UTF-8$' '\xFF\xFEa\0,\x001\0\n\0'
refused "UTF-16, the other way" 'this is UTF-16, and text is read as UTF-8$' '\xFE\xFF\0a\0,\x001\0\n'
printf 'a,1\n\nb,x\n' >bad.csv
fails "empty lines count" 1 'bad.csv: line 3, column 2: invalid number' encrypt --key p.json bad.csv
(echo a,1; for i in {1..5000}; do echo; done; echo b,2) >empty.csv
is "thousands of them" "$(encrypt --key p.json --jobs 2 empty.csv | decrypt --key k.json)" $'a,1\nb,2'
printf 'a;1,5\nb;1.5\n\nc;2,5\n' >some.csv
run encrypt --key p.json --scale 1 --delimiter ';' --decimal , --keep-going --failed failed some.csv
is "the line as it came, with --keep-going" "$status $(cat failed)" \
	"1 2,2,\"number has a point, but --decimal says that a comma comes before decimals\",b;1.5"
is "and the others" "$(decrypt --key k.json out)" $'a,1.5\nc,2.5'

# ---- command lines ----

usage() {
	local name=$1 pattern=$2
	shift 2
	fails "usage: $name" 2 "$pattern" encrypt --key p.json "$@"
}
usage "another separator" "option --delimiter needs one of ',' ';' '\\|' or tab" --delimiter :
usage "two separators" "option --delimiter needs one of" --delimiter ';;'
usage "no separator" "option --delimiter needs one of" --delimiter ''
usage "another decimal sign" "option --decimal needs '.' or ','" --decimal ';'

done_testing
