# bars.awk
#	Draw a day of decrypted load as bars: CSV region,hour,meters,energy_wh with a
#	header.
#
#	awk -v day=2026-01-31 -f bars.awk load.csv
BEGIN { FS = "," }
NR > 1 && substr($2, 1, 10) == day {
	line[++n] = $0
	if ($4 > most) most = $4
}
END {
	split(" |▏|▎|▍|▌|▋|▊|▉", eighth, "|")
	for (i = 1; i <= n; i++) {
		split(line[i], f, ",")
		if (f[1] != region) printf "\n  region %s, %s\n", region = f[1], day
		cells = f[4] / most * 50
		bar = ""
		for (c = 1; c <= cells; c++) bar = bar "█"
		bar = bar eighth[int((cells - int(cells)) * 8) + 1]
		printf "    %s  %7.1f kWh  %s\n", substr(f[2], 12, 5), f[4] / 1000, bar
	}
}
