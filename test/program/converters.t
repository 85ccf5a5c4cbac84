#!/bin/bash
# converters.t: files of meters in other forms, as CSV for encrypt

. "$(dirname "$0")/lib.sh"
demo=$here/../../demo

# ---- NEM12: two registers of half hours, one of reactive power, a day with a hole ----

values() { for i in {1..48}; do printf ',%s' "$1.$((100 + i))"; done; }
{
	echo 100,NEM12,202610121000,ME,RETAILER
	echo 200,6001234567,E1B1,E1,E1,N1,METER1,kWh,30,
	echo "300,20261010$(values 1),A,,,20261011000000,"
	echo "300,20261011$(values 2),V,,,20261012000000,"
	echo 400,1,46,A,,
	echo 400,47,48,N,,
	echo 200,6001234567,E1B1,B1,B1,N2,METER1,Wh,30,
	echo "300,20261010$(values 3),A,,,20261011000000,"
	echo "300,20261011$(values 4),N,,,20261011000000,"
	echo 200,6001234567,Q1,Q1,Q1,N3,METER1,kVArh,30,
	echo "300,20261010$(values 5),A,,,20261011000000,"
	echo 900
} >nem12.csv
run python3 "$demo/nem12" <nem12.csv
is "NEM12: rows" "$status $(wc -l <out)" "0 142"
is "NEM12: the first and the last row" "$(sed -n '1p;$p' out)" \
	$'6001234567-E1,2026-10-09T14:00Z,1101\n6001234567-B1,2026-10-10T13:30Z,3.148'
is "NEM12: the last before the hole" "$(sed -n 94p out)" 6001234567-E1,2026-10-11T12:30Z,2146
for damage in '3s/,A,.*//;3s/,1.148//' '2s/,30,/,7,/' '3s/1\.101/x/' '1s/NEM12/NEM13/'; do
	fails "NEM12: damaged by $damage" 1 '^nem12: line [123]: ' python3 "$demo/nem12" < <(sed "$damage" nem12.csv)
done

# ---- Green Button ----

# MULTIPLIER UOM
feed() {
	echo '<feed xmlns="http://www.w3.org/2005/Atom"><entry><content><ReadingType xmlns="http://naesb.org/espi">'
	echo "<powerOfTenMultiplier>$1</powerOfTenMultiplier><uom>$2</uom></ReadingType></content></entry>"
	echo '<entry><content><MeterReading xmlns="http://naesb.org/espi"/></content></entry><entry><content>'
	echo '<IntervalBlock xmlns="http://naesb.org/espi">'
	for i in 2 0 1; do
		echo "<IntervalReading><timePeriod><duration>900</duration><start>$((1791590400 + 900 * i))</start></timePeriod>"
		echo "<value>$((1000 + i))</value></IntervalReading>"
	done
	echo '</IntervalBlock></content></entry></feed>'
}
is "Green Button" "$(feed -3 72 | python3 "$demo/greenbutton" m1)" \
	$'m1,2026-10-10T00:00:00Z,1\nm1,2026-10-10T00:15:00Z,1.001\nm1,2026-10-10T00:30:00Z,1.002'
is "Green Button in kWh" "$(feed 3 72 | python3 "$demo/greenbutton" m1 | sed -n 1p)" m1,2026-10-10T00:00:00Z,1000000
fails "Green Button of gas" 1 'the unit of the readings is not Wh' python3 "$demo/greenbutton" m1 < <(feed 0 169)
fails "no XML" 1 'not XML' python3 "$demo/greenbutton" m1 <nem12.csv
fails "no meter" 1 'the name of the meter is missing' python3 "$demo/greenbutton" </dev/null

# ---- through encrypt ----

make_key 256 k.json
feed -3 72 | python3 "$demo/greenbutton" m1 | encrypt --key k.json --time 2 --scale 3 2>err >out
is "what encrypt makes of it" "$(decrypt --key k.json out | tail -1)" m1,2026-10-10T00:30:00Z,1.002

done_testing
