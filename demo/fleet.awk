# fleet.awk
#	A simulated fleet: energy of households in Wh, as CSV meter_id,read_at,energy
#	in order of time.
#
#	awk -v regions="north south" -v meters=120 -v minutes=15 \
#		-v days="2026-01-30/5 2026-01-31/6" -v seed=1 -f fleet.awk	(date/weekday, 1 for Monday)
#
#	Each home has a base load and a fridge that cycles; people get up, cook,
#	come home and go to bed around times of their own, later at weekends; the
#	south has heat pumps, and colder days and warmer ones follow one another.

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
	cold = 1
	dates = split(days, date, " ")
	slots = 1440 / minutes
	for (d = 1; d <= dates; d++) {
		split(date[d], part, "/")
		weekend = part[2] > 5
		cold += 0.3 * (around(1, 0.5) - cold)
		for (slot = 0; slot < slots; slot++) {
			hour = slot * minutes / 60
			stamp = sprintf("%sT%02d:%02d:00Z", part[1], int(hour), slot * minutes % 60)
			for (i = 1; i <= homes; i++) {
				id = home[i]
				up = wake[id] + 1.4 * weekend
				watt = base[id] + 70 * ((slot * minutes / 45 + fridge[id]) % 1 < 0.35)
				awake = hour > up && hour < sleep[id]
				watt += size[id] * (450 * bell(hour, up + 0.5, 0.6) + (180 + 260 * weekend) * bell(hour, 12.7, 1.2) \
					+ 900 * bell(hour, dinner[id], 0.9) + 220 * bell(hour, dinner[id] + 2.2, 1.3) + (awake ? 60 : 0))
				watt += heat[id] * cold * (0.5 + 0.5 * bell(hour, 5, 4))
				if (awake && rand() < 0.0024 * minutes)
					watt += 2000 * rand()	# a kettle, an oven, a washing machine
				watt *= 0.85 + 0.3 * rand()
				printf "%s,%s,%d\n", id, stamp, watt * minutes / 60 + 0.5
			}
		}
	}
}
