# cluster.sh
#	A private, throw-away PostgreSQL server with this tree's extensions, for
#	tests and the demo.  Sourced, not run.
#
#	It listens on a socket in its own directory and nowhere else, and finds the
#	extensions in a staged installation, so that nothing of the system's
#	PostgreSQL is touched.  The server runs as the caller, or as postgres where
#	the caller is root.
#
#	cluster_start [setting=value ...]	make and start it; exports PGHOST, PGUSER, PGDATABASE
#	cluster_stop						stop and remove it
#	cluster_kill						stop it as a crash would; cluster_restart brings it back

CLUSTER=
PG_CONFIG=${PG_CONFIG:-pg_config}

# Run a command as the user the server runs as.
cluster_as_server() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
	else
		"$@"
	fi
}

cluster_ctl() {
	# the server must not hold the caller's standard streams open
	cluster_as_server "$($PG_CONFIG --bindir)/pg_ctl" -D "$CLUSTER/data" -l "$CLUSTER/log" -s -w -t 60 "$@" \
		</dev/null >>"$CLUSTER/ctl.log" 2>&1
}

# Debian's servers before 18 know the first setting only, those from 18 on the second.
cluster_extensions() {
	if "$($PG_CONFIG --bindir)/postgres" --describe-config | grep '^extension_destdir' >/dev/null; then
		echo "extension_destdir = '$CLUSTER/install'"
	else
		echo "extension_control_path = '$CLUSTER/install$($PG_CONFIG --sharedir):\$system'"
	fi
}

# What tests expect of PostgreSQL: before 15 everybody may create objects in schema
# public, and 13 lacks a function that tests use.
cluster_like_later() {
	local database version
	version=$(psql -XAtqc 'SHOW server_version_num')
	for database in template1 postgres; do
		[ "$version" -ge 150000 ] || psql -Xqd $database -c 'REVOKE CREATE ON SCHEMA public FROM PUBLIC' || return 1
		[ "$version" -ge 140000 ] || psql -Xq -v ON_ERROR_STOP=1 -d $database <<-'SQL' || return 1
			CREATE FUNCTION date_bin(stride interval, source timestamptz, origin timestamptz) RETURNS timestamptz
			LANGUAGE sql STABLE STRICT PARALLEL SAFE AS
			'SELECT origin + floor(extract(epoch FROM source - origin) / extract(epoch FROM stride)) * stride';
		SQL
	done
}

cluster_start() {
	local root setting bindir
	root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	bindir=$($PG_CONFIG --bindir)
	CLUSTER=$(mktemp -d /tmp/paillier.XXXXXX)
	make -s -C "$root" stage DESTDIR="$CLUSTER/install" >"$CLUSTER/stage.log" 2>&1 || {
		cat "$CLUSTER/stage.log" >&2
		return 1
	}
	chmod -R go+rX "$CLUSTER"
	if [ "$(id -u)" = 0 ]; then chown postgres: "$CLUSTER"; fi
	cluster_as_server "$bindir/initdb" -D "$CLUSTER/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
		--no-sync >"$CLUSTER/initdb.log" 2>&1 </dev/null || {
		cat "$CLUSTER/initdb.log" >&2
		return 1
	}
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$CLUSTER'"
		cluster_extensions
		echo "dynamic_library_path = '$CLUSTER/install$($PG_CONFIG --pkglibdir):\$libdir'"
		echo "max_worker_processes = 16"
		echo "fsync = off"
		for setting in "$@"; do echo "$setting"; done
	} | cluster_as_server tee -a "$CLUSTER/data/postgresql.conf" >/dev/null
	export PGHOST=$CLUSTER PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	export PATH="$CLUSTER/install$bindir:$bindir:$PATH"
	cluster_restart && cluster_like_later
}

cluster_restart() {
	cluster_ctl start || {
		cat "$CLUSTER/log" >&2
		return 1
	}
}

# kill -9 of the postmaster; its children follow when they notice
cluster_kill() {
	local pid
	pid=$(cluster_as_server head -n 1 "$CLUSTER/data/postmaster.pid")
	kill -9 "$pid"
	# a dead server that nobody has waited for yet would keep the next one from starting
	timeout 10 bash -c "while kill -0 $pid 2>/dev/null; do sleep 0.05; done"
	while [ -n "$(ps --ppid "$pid" -o pid= 2>/dev/null)" ] || cluster_as_server fuser -s "$CLUSTER/data" 2>/dev/null; do
		sleep 0.05
	done
}

cluster_stop() {
	[ -n "$CLUSTER" ] || return 0
	cluster_ctl -m immediate stop || true
	rm -rf "$CLUSTER"
	CLUSTER=
}
