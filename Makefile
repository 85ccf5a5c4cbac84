# paillier: two PostgreSQL extensions, one shared library, one program
#
#	make demo			the whole story, from a bare Debian 12, in a private server
#	make test			everything that proves it works, likewise
#	make test-assert	regression tests and properties in a PostgreSQL with assertions; test-ubsan, test-valgrind
#	make bench			speed beside the peers
#	make				build (needs the packages that `make packages` installs)
#	make install		into the PostgreSQL that PG_CONFIG names
#	make installcheck	regression tests on a running server

EXTENSION = paillier paillier_metering
MODULE_big = paillier
DATA = paillier--1.0.sql
DATA_built = paillier_metering--1.0.sql
SCRIPTS_built = paillier

# What each layer may include is checked by test/layers.
CORE = $(sort $(wildcard src/core/*.c))
SERVER = $(sort $(wildcard src/server/*.c))
CLI = $(sort $(wildcard src/cli/*.c))

OBJS = $(patsubst %.c,%.o,$(CORE) $(SERVER))
SHLIB_LINK = -lgmp
PG_CPPFLAGS = -Isrc/core -Isrc/server

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=paillier
EXTRA_CLEAN = build results paillier_metering--1.0.sql.tmp

# Before the packages are in there is no pg_config and no PGXS: the targets
# below that install them work all the same.
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck:
	@echo "PostgreSQL's build files are missing: run 'make packages' first" >&2; exit 1
endif

# ---- the script of the metering extension, from its parts in order ----

METERING = $(patsubst %,metering/%.sql,begin time settings tariffs meters staging progress windows totals registers gaps \
	rollup_staging rollup_late rollup_hour rollup_window rollup prices statistics regions forecast_models forecasts \
	key_statistics bills checks health guard access)

paillier_metering--1.0.sql: metering/assemble $(METERING)
	metering/assemble $(METERING) >$@.tmp && mv $@.tmp $@

$(OBJS): $(wildcard src/core/*.h src/server/*.h)

# ---- the program: no server header in sight, so that the core stays free of them ----

PROGRAM_SOURCES = $(CORE) $(CLI)

paillier: $(PROGRAM_SOURCES) $(wildcard src/core/*.h src/cli/*.h)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(COPT) -Isrc/core -Isrc/cli -o $@ \
		$(PROGRAM_SOURCES) -lgmp -ljansson -lcrypto -lpthread

# ---- unit tests of the core, under the sanitizers ----

UNIT_TESTS = $(patsubst test/unit/test_%.c,build/test_%,$(wildcard test/unit/test_*.c))
UNIT_CORE = $(patsubst src/core/%.c,build/%.o,$(CORE))
UNIT_FLAGS = -std=gnu11 -O1 -g -Wall -Wextra -Werror -Isrc/core -Itest/unit
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all

unit: $(UNIT_TESTS) build/test_products build/constant_time

build/%.o: src/core/%.c $(wildcard src/core/*.h)
	mkdir -p build
	$(CC) $(UNIT_FLAGS) $(SANITIZE) -c -o $@ $<

build/test_%: test/unit/test_%.c $(UNIT_CORE) $(wildcard test/unit/*.h)
	$(CC) $(UNIT_FLAGS) $(SANITIZE) -o $@ $< $(UNIT_CORE) -lgmp

# the kernels again, optimized, for very many products
build/test_products: test/unit/test_mont.c $(wildcard src/core/mont*.c src/core/*.h test/unit/*.h)
	mkdir -p build
	$(CC) $(UNIT_FLAGS) -O2 -DRANDOM_PRODUCTS=100000 -o $@ $< $(wildcard src/core/mont*.c) -lgmp

# private keys marked as undefined, under valgrind
build/constant_time: test/unit/constant_time.c $(CORE) $(wildcard src/core/*.h test/unit/*.h)
	mkdir -p build
	gcc -std=gnu11 -O2 -g -Isrc/core -Itest/unit \
		-Wl,--wrap=__gmpn_sizeinbase,--wrap=__gmpn_sec_div_qr,--wrap=__gmpn_sec_mul,--wrap=__gmpn_sec_invert \
		-o $@ $< $(CORE) -lgmp

# ---- what a user types first ----

packages:
	test/packages

test:
	test/run

test-assert test-ubsan test-valgrind:
	test/instrumented $(@:test-%=%)

demo:
	demo/run

bench:
	bench/run

# an installation in DESTDIR, built by whoever owns the tree
stage: install

.PHONY: packages test test-assert test-ubsan test-valgrind demo bench unit stage
