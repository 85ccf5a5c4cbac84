# fleet.awk
#	A day of a simulated fleet: 5-minute energy of households in Wh, as CSV
#	meter_id,read_at,energy in order of time.
#
#	awk -v regions="north south" -v meters=120 -v day=2026-01-31 -v seed=1 -f fleet.awk
#
#	Each home has a base load and a fridge that cycles; people get up, cook,
#	come home and go to bed around times of their own; the south has heat pumps.

function bell(hour, centre, width,    d) {
	d = hour - centre
	if (d > 12) d -= 24
	if (d < -12) d += 24
	return exp(-d * d / (2 * width * width))
}

function around(mean, spread) { return mean + spread * (rand() + rand() + rand() - 1.5) }

BEGIN {
	srand(seed)
	number = split(regions, region, " ")
	for (r = 1; r <= number; r++)
		for (m = 1; m <= meters; m++) {
			id = sprintf("%s-%04d", region[r], m)
			home[++homes] = id
			base[id] = around(90, 60)
			fridge[id] = rand()
			wake[id] = around(6.8, 1.2)
			dinner[id] = around(18.6, 1.5)
			sleep[id] = around(22.8, 1.2)
			size[id] = around(1, 0.7)
			heat[id] = (region[r] == "south" && rand() < 0.4) ? around(900, 500) : 0
		}
	for (slot = 0; slot < 288; slot++) {
		hour = slot / 12
		stamp = sprintf("%sT%02d:%02d:00Z", day, int(hour), slot % 12 * 5)
		for (i = 1; i <= homes; i++) {
			id = home[i]
			watt = base[id] + 70 * ((slot / 9 + fridge[id]) % 1 < 0.35)
			awake = hour > wake[id] && hour < sleep[id]
			watt += size[id] * (450 * bell(hour, wake[id] + 0.5, 0.6) + 180 * bell(hour, 12.7, 1) \
				+ 900 * bell(hour, dinner[id], 0.9) + 220 * bell(hour, dinner[id] + 2.2, 1.3) + (awake ? 60 : 0))
			watt += heat[id] * (0.5 + 0.5 * bell(hour, 5, 4))
			if (awake && rand() < 0.012)
				watt += 2000 * rand()	# a kettle, an oven, a washing machine
			watt *= 0.85 + 0.3 * rand()
			printf "%s,%s,%d\n", id, stamp, watt / 12 + 0.5
		}
	}
}
