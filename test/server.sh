# server.sh
#	PostgreSQL servers from Debian's source: of other versions than the system's,
#	and such that find errors.  Sourced, not run.
#
#	server_build KIND MAJOR		build one, unless it is there, as build/instrumented/KIND-MAJOR
#
#	KIND is plain, assert or ubsan.  The machine's list of sources, its caches and
#	its PostgreSQL are left alone.  SERVER_CACHE names another directory than
#	build/instrumented.

server_cache=${SERVER_CACHE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/instrumented}

# Debian's mirrors that this machine uses; those of its security updates for the argument -security
server_mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sort -u |
		if [ "${1:-}" = -security ]; then grep -e -security; else grep -v -e -security; fi | head -n 1
}

# The releases that have a major version in their source: "URI release" a line.
server_releases() {
	local mirror security release
	if [ "$1" = "$(server_installed_major)" ]; then
		apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' | sort -u
		return
	fi
	case $1 in
		13) release=bullseye ;;
		15) release=bookworm ;;
		17) release=trixie ;;
		18) release=sid ;;
		*) echo "server: no release of Debian has PostgreSQL $1" >&2; return 1 ;;
	esac
	mirror=$(server_mirror)
	security=$(server_mirror -security)
	echo "${mirror:-http://deb.debian.org/debian} $release"
	[ $release = sid ] || echo "${security:-http://deb.debian.org/debian-security} $release-security"
}

server_installed_major() {
	${PG_CONFIG:-pg_config} --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/'
}

# apt with lists and caches of its own, in a directory
server_apt() {
	local directory=$1 command=$2
	shift 2
	"$command" -qq -o Dir::Etc::sourcelist="$directory/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$directory/lists" -o Dir::Cache="$directory/cache" \
		-o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true "$@"
}

# Debian's source, with Debian's patches, into a directory; the newest version that the mirror still has.
server_source() {
	local major=$1 target=$2 work version uri release
	work=$target.apt
	rm -rf "$work"
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/unpacked"
	server_releases "$major" | while read -r uri release; do
		echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release main"
	done >"$work/sources.list"
	[ -s "$work/sources.list" ] && server_apt "$work" apt-get update || return 1
	for version in $(server_apt "$work" apt-cache showsrc "postgresql-$major" | sed -n 's/^Version: //p' | sort -rVu)
	do
		(cd "$work/unpacked" && server_apt "$work" apt-get source "postgresql-$major=$version") && break
	done
	mv "$work"/unpacked/postgresql-*/ "$target" 2>/dev/null
	rm -rf "$work"
	[ -d "$target" ] || { echo "server: the mirror lacks the source of PostgreSQL $major; unpack it as $target" >&2
		return 1; }
}

# What tests need of PostgreSQL, in the order in which it is built
server_parts=(config src/{include,common,port,timezone,backend,backend/utils/mb/conversion_procs,backend/snowball}
	src/{interfaces/libpq,fe_utils,bin/{initdb,pg_basebackup,pg_config,pg_ctl,pg_dump,psql,scripts},pl/plpgsql}
	src/{backend/replication/libpqwalreceiver,makefiles,test/regress} contrib/{pg_stat_statements,postgres_fdw})

# Debian's patches name the directory of the system's own modules.
server_own_libraries='s,^override pkglibdir := /usr/lib/.*,override pkglibdir := $(pkglibdir)/postgresql,'

# Configure, make and install it; a move makes it visible.
server_make() {
	local built=$1 source=$2 part
	shift 2
	# a make above this one would keep PostgreSQL's from making its headers
	unset MAKELEVEL MAKEFLAGS MFLAGS
	mkdir "$built.build" && cd "$built.build" &&
		"$source/configure" -q --prefix="$built" --enable-debug \
			--without-readline --without-zlib --without-icu "$@" &&
		sed -i "$server_own_libraries" src/Makefile.global &&
		for part in "${server_parts[@]}"; do make -s -j2 -C "$part" install DESTDIR="$built.install" || return 1
		done &&
		make -s -C src install-local DESTDIR="$built.install" &&
		mv "$built.install$built" "$built"
}

# USE_VALGRIND tells Valgrind of each palloc and costs nothing without it.
server_build() (
	kind=$1 major=$2 built=$server_cache/$1-$2 source=$server_cache/source-$2
	[ ! -d "$built" ] || exit 0
	mkdir -p "$server_cache"
	exec 9>"$built.lock"
	flock 9
	[ ! -d "$built" ] || exit 0
	case $kind in
		plain) flags=(CFLAGS=-O2) ;;
		assert) flags=(--enable-cassert CFLAGS='-O0 -g' CPPFLAGS=-DUSE_VALGRIND) ;;
		# as PostgreSQL's own continuous integration has them
		ubsan) flags=(--enable-cassert CFLAGS='-Og -g -fsanitize=alignment,undefined -fno-sanitize-recover=all -fno-common') ;;
	esac
	trap 'cd /; rm -rf "$built.build" "$built.install" "$source.apt"' EXIT
	[ -d "$source" ] || server_source "$major" "$source" || exit 1
	server_make "$built" "$source" "${flags[@]}" >"$built.log" 2>&1 || { tail -n 40 "$built.log" >&2; exit 1; }
)
