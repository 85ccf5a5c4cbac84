# bars.awk
#	Draw decrypted load as bars: CSV region,hour,meters,energy_wh with a header.
BEGIN { FS = "," }
NR > 1 {
	line[++n] = $0
	if ($4 > most) most = $4
}
END {
	split(" |▏|▎|▍|▌|▋|▊|▉", eighth, "|")
	for (i = 1; i <= n; i++) {
		split(line[i], f, ",")
		if (f[1] != region) printf "\n  region %s\n", region = f[1]
		cells = f[4] / most * 50
		bar = ""
		for (c = 1; c <= cells; c++) bar = bar "█"
		bar = bar eighth[int((cells - int(cells)) * 8) + 1]
		printf "    %s  %7.1f kWh  %s\n", substr(f[2], 12, 5), f[4] / 1000, bar
	}
}
