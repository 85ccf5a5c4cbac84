# registers.awk
#	What meters that have a register show at the starts of bill windows of two
#	hours in UTC, as CSV meter_id,read_at,register: from the readings of fleet.awk,
#	in their order, and what each meter has counted before.
#
#	awk -F, -v end=2026-02-01 -v seed=1 -f registers.awk fleet.csv		(the day after the last one)

BEGIN { OFS = ","; srand(seed) }
!($1 in register) {
	meter[++meters] = $1
	register[$1] = int(40000000 * rand())
}
# the first row of a time comes before all others of that time
$2 != time {
	time = $2
	if (time ~ /T[012][02468]:00:00Z$/)
		window = time
}
window == time { print $1, time, register[$1] }
{ register[$1] += $3 }
END { for (i = 1; i <= meters; i++) print meter[i], end "T00:00:00Z", register[meter[i]] }
