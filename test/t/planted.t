#!/usr/bin/env bash
# planted.t
#	What hostile roles plant in schemas of theirs, in public and in pg_temp is
#	never run by a function, view, trigger or procedure of the extensions, and
#	changes no result: every one of them is called at every level under hostile
#	search paths and settings, beside a database where nothing is planted.

. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
own_server "log_min_messages = warning" "log_line_prefix = '%d '" "autovacuum = off" "shared_buffers = 256MB"
fresh plain 'paillier_metering CASCADE'
sql "ALTER ROLE ALL SET paillier.min_key_bits = 128; ALTER ROLE ALL SET jit = off"
psql -Xq -v ON_ERROR_STOP=1 -f "$here/metering.psql"
fresh installed
databases+=(planted squatted)

HERE=$here LOG=$CLUSTER/log SCRIPTS=$(echo "$CLUSTER/install$($PG_CONFIG --sharedir)"/extension/paillier*--*.sql) \
	PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 python3 "$here/planted.py"
