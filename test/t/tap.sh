# tap.sh
#	TAP for shell scripts, with a server.  Sourced, not run.
#
#	own_server [setting=value ...]	start a server for this script alone
#	any_server						use the one that PGHOST names, or start one
#	ok STATUS NAME					a check by exit status
#	is GOT EXPECTED NAME			a check by text
#	like GOT PATTERN NAME			a check by extended regular expression
#	sql [STATEMENTS|- [OPTION ...]]	unaligned rows of the statements (or of standard input); options of psql
#	error STATEMENT					the SQLSTATE a statement fails with, or "none"
#	finish							the plan; ends the script
#
#	$scratch is a directory of the script's own; databases are made by fresh().

. "$(dirname "${BASH_SOURCE[0]}")/../cluster.sh"

# the interpreter itself: what is called python3 may be a wrapper that takes a second
python=$(python3 -c 'import sys; print(sys.executable)') || exit 1
python3() { "$python" "$@"; }
export python
export -f python3

tests=0
failures=0
databases=()
scratch=$(mktemp -d /tmp/paillier-test.XXXXXX)
chmod 755 "$scratch"

clean_up() {
	local database
	for database in "${databases[@]}"; do dropdb --if-exists --force "$database" >/dev/null 2>&1; done
	cluster_stop
	rm -rf "$scratch"
}
trap clean_up EXIT

own_server() {
	cluster_start "$@" || {
		echo "Bail out! no server"
		exit 1
	}
}

any_server() {
	[ -n "${PGHOST:-}" ] || own_server
	export PGDATABASE=${PGDATABASE:-postgres}
}

# A new database for what follows, with the given extensions: fresh NAME [EXTENSION ...]
fresh() {
	local extension
	PGDATABASE=postgres createdb "$1" && databases+=("$1")
	export PGDATABASE=$1
	shift
	for extension in "$@"; do sql "SET client_min_messages = error; CREATE EXTENSION $extension"; done
}

diag() {
	sed 's/^/# /' <<<"$1" >&2
}

ok() {
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests - $2"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $2"
	fi
}

is() {
	[ "$1" = "$2" ]
	ok $? "$3"
	[ "$1" = "$2" ] || diag "got (<) instead of (>)
$(diff <(echo "$1") <(echo "$2") | head -n 20 | cut -c 1-200)"
}

like() {
	[[ $1 =~ $2 ]]
	ok $? "$3"
	[[ $1 =~ $2 ]] || diag "$(printf 'got:\n%s\nexpected to match: %s' "$1" "$2")"
}

sql() {
	local statements=${1:--}
	[ $# = 0 ] || shift
	if [ "$statements" = - ]; then
		psql -XAtq -v ON_ERROR_STOP=1 "$@"
	else
		psql -XAtq -v ON_ERROR_STOP=1 "$@" <<<"$statements"
	fi
}

error() {
	psql -XAtq -v ON_ERROR_STOP=0 <<-EOF 2>/dev/null | tail -n 1
		$1;
		\\if :ERROR
		\\echo :LAST_ERROR_SQLSTATE
		\\else
		\\echo none
		\\endif
	EOF
}

finish() {
	echo "1..$tests"
	[ "$failures" = 0 ]
	exit
}

# ---- keys ----

# 256 bits, of python-paillier's documentation: needs paillier.min_key_bits lowered
small_key='{"kty":"DAJ","key_ops":["decrypt"],"p":"wcnMgG7bLvC_7P9fype5mQ","q":"sIeGYNEcNGzpHymiA_wTIQ","pub":{"kty":'\
'"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"haFTvA70KcI5XXReJUlQWoZus12aSJJ5EXAvu93xR7k","kid":"14a747092f062e8'\
'91a1bbf17993eed68"},"kid":"14a747092f062e891a1bbf17993eed68"}'

# 2048 bits, made by paillier_keygen()
usual_key='{"kty":"DAJ","key_ops":["decrypt"],"p":"3QG9huyiYFcwksAwMCMlikiDTGkP7yUcpdJKvt_DqzhmYbaZwM8yaA0epAdXRmo0Lg'\
'CuCkDxh09Ttzlne2oeJShoQf3rCg5WVNVixl_eM17HElxhLs-2TIP6dXmIfXKvaZ53KVy_h2VAm7Rzj3GgQxpx6sRwvGqNCLDRo4mTMX8","q":"54_f'\
'BLGCTEuMi4wMTQ83J_IIiSt7QZyJ1aUfg3yRAejW7tFIoD9AUotHhKohAKEJd9YuarTuRGxMqXr80bpWqFk7hRyMYdGWFLwN0F-I0aaudjWqAquHq3Vw'\
'ZdZpCI94-Nxnxir4K_6nAo9FAQLwwQPzsl5aFAaP8RaIwucwym8","pub":{"kty":"DAJ","alg":"PAI-GN1","key_ops":["encrypt"],"n":"x'\
'-jGhi9C4qnnOnJpbwRv3kHxyckuI5WND19YgzwP6iVezQw0RWchKuHI6OYreUFjW_wM4YBqF6vN5Ia73H_UjtGvjoLE1pxB5IAIzwnwtwDzQ-eNplDqA'\
'tpafzwuFdwLVZtgW0Ny98Usp7m7nx_ToNWJFsTWU6Y-NW4glTiYP2XTj1z1DdWrWlLcacv9IVNa4Ly0ejwJnIjirnkru6BO-p8enrCuOYC1qeDN4KIvf'\
'EH7gBdVtcSXOn8uqb07ir5iNl3AMA-m7qqqekwzFB1Tdc2z_AfTsnSbSU4_JgoHTbzILJyMftyRhSs-D24N8pCrSbq8whlLbYhtpIf3rLCsEQ","djn"'\
':true,"kid":"e84f5d351b75a54cd809bfc6edf51a62"},"kid":"e84f5d351b75a54cd809bfc6edf51a62"}'

# A table of both keys, not registered.
make_keys() {
	sql <<-EOF
		LOAD 'paillier';
		SET paillier.min_key_bits = 256;
		CREATE TABLE key_pair (name text PRIMARY KEY, private paillier_private_key, public paillier_public_key,
			id text);
		INSERT INTO key_pair
		SELECT name, private, paillier_public_key(private), paillier_key_id(private)
		FROM (VALUES ('small', '$small_key'::paillier_private_key), ('usual', '$usual_key')) v(name, private);
	EOF
}
