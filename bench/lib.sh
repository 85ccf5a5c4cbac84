# lib.sh
#	Measuring and recording.  Sourced by run.
#
#	$results gets a line "NAME <tab> VALUE" for every single measurement; report.py
#	takes medians and ratios of what has the same name.  Names are paths:
#	sum/2048/pgmp is the rate, in rows a second, of a sum of 2048-bit ciphertexts by
#	pgmp.

# What belongs together is measured in turn, so that a machine that is slower for a
# while is so for both: rounds NUMBER COMMAND...
rounds() {
	local number=$1 round
	shift
	for ((round = 0; round < number; round++)); do "$@"; done
}

say() { printf '%5d s  %s\n' "$SECONDS" "$*"; }

record() { printf '%s\t%s\n' "$1" "$2" >>"$results"; }

# What a measuring program prints, with a prefix: record_lines PREFIX
record_lines() { sed "s|^|$1|" >>"$results"; }

# Units a second of a command: command_rate NAME UNITS COMMAND...
command_rate() {
	local name=$1 units=$2 began=$EPOCHREALTIME ended
	shift 2
	"$@"
	ended=$EPOCHREALTIME
	record "$name" "$(awk -v u="$units" -v a="$began" -v b="$ended" 'BEGIN { printf "%.6g", u / (b - a) }')"
}

sql() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }

# Milliseconds that the server takes for a statement, settings before it left out.
# The backend has loaded its libraries and the key before the clock starts.
sql_milliseconds() {
	local statement=$1 settings=${2:-}
	sql <<-EOF | sed -nE 's/^Time: ([0-9.]+) ms.*/\1/p' | grep .
		$settings
		$warm_up
		\timing on
		$statement
	EOF
}

# Units a second of a statement: sql_rate NAME UNITS STATEMENT [SETTINGS]
sql_rate() {
	record "$1" "$(awk -v u="$2" -v ms="$(sql_milliseconds "$3" "${4:-}")" 'BEGIN { printf "%.6g", 1000 * u / ms }')"
}
warm_up=

# What the figures were measured on and with.
describe_machine() {
	record_text cpu "$(sed -nE 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)"
	record_text cores "$(nproc)"
	record_text memory "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
	record_text load "$load"
	record_text ifma "$(grep -qw avx512ifma /proc/cpuinfo && echo yes || echo no)"
	record_text kernel "$(sql -c 'SELECT paillier_kernel()')"
	record_text system "$(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r)"
	record_text postgresql "$(sql -c 'SHOW server_version')"
	record_text paillier "$(paillier --version)"
	record_text gmp "$(dpkg-query -W -f '${Version}' libgmp-dev)"
	record_text openssl "$(dpkg-query -W -f '${Version}' libssl-dev)"
	record_text pgmp "$(sql -c "SELECT extversion FROM pg_extension WHERE extname = 'pgmp'")"
	record_text gmpy2 "$("$python" -c 'import gmpy2; print(gmpy2.version())')"
	record_text npm "$(sed -nE 's/^  "version": "(.*)",/\1/p' "${npm_module%/dist/*}/package.json" 2>/dev/null || true)"
	record_text compiler "$(cc --version | head -n 1)"
	record_text rows "$rows"
	record_text many "$many"
	record_text few "$few"
	record_text command "$command"
}

record_text() { printf '%s\t%s\n' "machine/$1" "$2" >>"$results"; }
