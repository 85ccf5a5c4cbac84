#!/usr/bin/env bash
# settings.t
#	paillier.min_key_bits and paillier.kernel: before the library is loaded and
#	after, preloaded or not, from every place a setting can come from.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
own_server
fresh settings_test paillier
sql 'CREATE ROLE alice LOGIN; CREATE ROLE bob SUPERUSER LOGIN'

# The limit in a new session once the library is loaded, as a role: limit [ROLE [STATEMENT]]
limit() {
	sql "${2:-}; SELECT length(paillier_kernel()) > 0 \\g /dev/null
	SHOW paillier.min_key_bits" -U "${1:-postgres}" 2>"$scratch/errors"
}

# What making a key of so many bits gives, as a role: made BITS [ROLE [STATEMENT]]
made() {
	PGUSER=${2:-postgres} error "${3:-}; SELECT paillier_keygen($1)"
}

# sessions HOW REFUSED CONNECTION: with and without the library at hand when a session begins.  REFUSED is what a
# session
# shows after a SET that it may not do: the default where only a warning can come, later; CONNECTION the same for one
# that
# brings the setting with it.
sessions() {
	local how=$1 refused=$2 connection=$3
	is "$(limit)" 2048 "$how: the default"
	is "$(limit postgres 'SET paillier.min_key_bits = 128')" 128 "$how: a superuser sets it"
	is "$(limit alice 'SET paillier.min_key_bits = 128')" "$refused" "$how: nobody else does"
	like "$(cat "$scratch/errors")" 'permission denied to set parameter "paillier.min_key_bits"' "$how: and is told so"
	is "$(made 512 alice 'SET paillier.min_key_bits = 128')" 22023 "$how: nor makes a small key"
	is "$(made 512 postgres 'SET paillier.min_key_bits = 128')" none "$how: a superuser does"
	is "$(PGOPTIONS='-c paillier.min_key_bits=128' limit)" 128 "$how: a superuser's connection sets it"
	is "$(PGOPTIONS='-c paillier.min_key_bits=128' made 512 alice)" "$connection" "$how: nobody else's connection does"
	is "$(limit postgres 'SET paillier.min_key_bits = 100')" "$refused" "$how: not below 128"
	is "$(limit postgres 'SET paillier.min_key_bits = 8192')" 8192 "$how: as high as 8192"
	is "$(made 2048 postgres 'SET paillier.min_key_bits = 8192')" 22023 "$how: where 2048 bits are too few"
	# within a transaction and a function only
	is "$(sql 'BEGIN; SET LOCAL paillier.min_key_bits = 128;
		SELECT length(paillier_kernel()) > 0; COMMIT; SHOW paillier.min_key_bits')" $'t\n2048' \
		"$how: for one transaction"
	is "$(sql 'BEGIN; SET paillier.min_key_bits = 128;
		SELECT length(paillier_kernel()) > 0; ROLLBACK; SHOW paillier.min_key_bits')" $'t\n2048' "$how: rolled back"
	is "$(sql 'SELECT paillier_kernel() = $$generic$$; SHOW paillier.kernel' | tail -n 1)" auto \
		"$how: the kernel is chosen"
	is "$(sql 'SET paillier.kernel = generic; SELECT paillier_kernel()' -U alice)" generic \
		"$how: everybody may choose it"
}

sessions "loaded on demand" 2048 22023

# ---- set for a role, a database, the server ----

sql 'ALTER ROLE bob SET paillier.min_key_bits = 256; ALTER DATABASE settings_test SET paillier.min_key_bits = 512'
is "$(limit)" 512 "for a database"
is "$(limit alice)" 512 "for a database, set by a superuser: for everybody"
is "$(limit bob)" 256 "for a role"
is "$(made 512 alice)" none "which counts"
is "$(made 510 alice)" 22023 "and does not go further"
sql 'ALTER DATABASE settings_test RESET paillier.min_key_bits; ALTER ROLE bob RESET ALL'
sql 'ALTER ROLE alice SET paillier.min_key_bits = 128' -U alice 2>/dev/null
is "$(made 512 alice)" 22023 "a role does not lower it for itself"
sql 'ALTER ROLE alice RESET ALL'

sql 'ALTER SYSTEM SET paillier.min_key_bits = 1024' 2>/dev/null ||
	sql "LOAD 'paillier'; ALTER SYSTEM SET paillier.min_key_bits = 1024"
sql 'SELECT pg_reload_conf()' >/dev/null
cluster_ctl restart
is "$(limit alice)" 1024 "for the server"
is "$(made 1024 alice)" none "which counts too"
sql "LOAD 'paillier'; ALTER SYSTEM RESET ALL"

# ---- preloaded ----

sql "ALTER SYSTEM SET session_preload_libraries = 'paillier'"
cluster_ctl restart
sessions "preloaded by sessions" '' 22023
is "$(sql 'SHOW paillier.min_key_bits')" 2048 "preloaded by sessions: known from the start"
sql 'ALTER SYSTEM RESET ALL'

sql "ALTER SYSTEM SET shared_preload_libraries = 'paillier'"
cluster_ctl restart
is "$(sql 'SHOW shared_preload_libraries')" paillier "preloaded by the server"
sessions "preloaded by the server" '' ''

finish
