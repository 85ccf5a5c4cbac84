# lib.sh: what the tests of the program share.  Sourced by *.t.
#
# Results are in the Test Anything Protocol.  The program is that of the tree,
# or else the one on the PATH; PAILLIER names another, for example one with a
# sanitizer.

set -u
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
paillier=${PAILLIER:-$here/../../paillier}
[ -x "$paillier" ] || paillier=$(command -v paillier) || { echo "Bail out! no program: run make paillier"; exit 1; }
reference=$here/reference.py

# the interpreter itself: what is called python3 may be a wrapper that takes a second
python=$(python3 -c 'import sys; print(sys.executable)') || exit 1
python3() { "$python" "$@"; }

tmp=$(mktemp -d "${TMPDIR:-/tmp}/paillier-test.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

tests=0
failed=0
status=0

# pass|fail NAME: one line of the result
result() {
	tests=$((tests + 1))
	if [ "$1" = pass ]; then
		echo "ok $tests - $2"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $2"
		[ -s err ] && sed 's/^/# stderr: /' err | cut -c1-200 | head -5
	fi
}

# NAME COMMAND...: the command succeeds
ok() {
	local name=$1
	shift
	if "$@"; then result pass "$name"; else result fail "$name"; fi
}

# NAME GOT EXPECTED
is() {
	if [ "$2" = "$3" ]; then
		result pass "$1"
	else
		result fail "$1"
		printf '%s\n' "# got:      ${2:0:300}" "# expected: ${3:0:300}"
	fi
}

# COMMAND...: run it with standard output in the file out, standard error in err
run() {
	"$@" >out 2>err
	status=$?
}

# NAME STATUS PATTERN COMMAND...: the command ends with this status, and the
# first line of its message matches
fails() {
	local name=$1 expected=$2 pattern=$3
	local line message=
	shift 3
	run "$@"
	while IFS= read -r line; do
		[[ $line = *warning:* ]] && continue
		message=$line
		break
	done <err
	if [ "$status" = "$expected" ] && [ -n "$message" ] && [[ $message =~ $pattern ]]; then
		result pass "$name"
	else
		result fail "$name"
		echo "# status $status, expected $expected and a message like: $pattern"
	fi
}

# FILE: whether it ends at the end of a line
complete_rows() {
	[ ! -s "$1" ] || [ "$(tail -c 1 "$1" | od -An -tx1)" = " 0a" ]
}

# Sanitizers need memory, and files, of their own
sanitized() { grep -qaE '__(asan|tsan)_init' "$paillier"; }

# REASON COUNT: results that cannot be had here
skip() {
	for ((; $2 > 0; )); do
		tests=$((tests + 1))
		echo "ok $tests # SKIP $1"
		set -- "$1" $(($2 - 1))
	done
}

# BITS FILE: a private key
make_key() {
	"$paillier" keygen --bits "$1" --min-bits 128 --out "$2" 2>/dev/null || { echo "Bail out! keygen"; exit 1; }
}

# Small keys, where their size does not matter
encrypt() { "$paillier" encrypt --min-bits 128 "$@"; }
decrypt() { "$paillier" decrypt --min-bits 128 "$@"; }

done_testing() {
	echo "1..$tests"
	[ "$failed" = 0 ]
	exit
}
