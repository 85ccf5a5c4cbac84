# forecast.awk
#	Draw a forecast beside what came: CSV region,hour,meters,energy_wh and CSV
#	region,hour,model,divisor,forecast, each with a header.
#
#	awk -f forecast.awk load.csv forecast.csv
BEGIN { FS = "," }
FNR == 1 { file++; next }
file == 1 { truth[$1 "," $2] = $4; next }
($1 "," $2) in truth && $5 != "" {
	line[++n] = $0
	forecast[n] = $5 / $4
	if (forecast[n] > most) most = forecast[n]
	if (truth[$1 "," $2] > most) most = truth[$1 "," $2]
}
function summary() {
	if (hours) printf "          off by %.1f %% in the mean\n", 100 * off / hours
	off = hours = 0
}
END {
	for (i = 1; i <= n; i++) {
		split(line[i], f, ",")
		if (f[1] != region) {
			summary()
			printf "\n  region %s, model %s\n", region = f[1], f[3]
		}
		came = truth[f[1] "," f[2]]
		a = int(forecast[i] / most * 50 + 0.5)
		b = int(came / most * 50 + 0.5)
		row = ""
		for (c = 0; c <= 50; c++) row = row (c == b ? "│" : c == a ? "·" : " ")
		printf "    %s  %7.1f %7.1f kWh  %s\n", substr(f[2], 12, 5), forecast[i] / 1000, came / 1000, row
		off += (forecast[i] > came ? forecast[i] - came : came - forecast[i]) / came
		hours++
	}
	summary()
}
