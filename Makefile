# paillier: two PostgreSQL extensions, one shared library, one program
#
#	make demo			the whole story, from a bare Debian 12 or 13, in a private server; KEYS=2: with two keys
#	make test			everything that proves it works, likewise
#	make test-assert	regression tests and properties in a PostgreSQL with assertions; test-ubsan, test-valgrind
#	make test-arm64		core and program for 64-bit ARM, emulated
#	make test-version MAJOR=13	the same in another version of PostgreSQL, built from source
#	make fuzz			fuzz targets under sanitizers, ten minutes each
#	make format			lay src out as .clang-format says (clang-format 14)
#	make bench			speed beside the peers
#	make scale			how the pipeline's operations grow
#	make				build: the extensions, and the program where its libraries are there
#	make program		build the program; it needs jansson and OpenSSL, but no PostgreSQL
#	make install		into the PostgreSQL that PG_CONFIG names
#	make installcheck	regression tests on a running server

EXTENSION = paillier paillier_metering
MODULE_big = paillier
DATA = paillier--1.0.sql
DATA_built = paillier_metering--1.0.sql

# What each layer may include is checked by test/layers.
CORE = $(sort $(wildcard src/core/*.c))
SERVER = $(sort $(wildcard src/server/*.c))
CLI = $(sort $(wildcard src/cli/*.c))

OBJS = $(patsubst %.c,%.o,$(CORE) $(SERVER))
SHLIB_LINK = -lgmp
PG_CPPFLAGS = -D_GNU_SOURCE -Isrc/core -Isrc/server
# PostgreSQL's headers need the first, should CFLAGS of the command line replace its own.
PG_CFLAGS = -fno-strict-aliasing -fwrapv

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=paillier
EXTRA_CLEAN = build results paillier_metering--1.0.sql.tmp paillier

# Flags that somebody who builds sets, on the command line or in the environment,
# reach everything that is installed.
$(foreach v,CFLAGS CPPFLAGS LDFLAGS LDFLAGS_EX,\
	$(eval SET_$v := $(if $(filter command environment,$(firstword $(origin $v))),$($v)))\
	$(eval ENV_$v := $(if $(filter environment,$(firstword $(origin $v))),$($v))))

# Before the packages are in there is no pg_config and no PGXS: the targets
# below that install them work all the same.
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)
include $(PGXS)

# PGXS assigns over the environment, and takes no COPT beside CFLAGS of the command line.
override CFLAGS += $(ENV_CFLAGS) $(COPT)
override CPPFLAGS += $(ENV_CPPFLAGS)
override LDFLAGS += $(ENV_LDFLAGS) $(COPT)
# Bitcode takes what clang knows of flags that may be meant for gcc.
ifeq ($(with_llvm),yes)
BITCODE_TAKES := $(if $(strip $(SET_CFLAGS) $(COPT)),$(shell for flag in $(SET_CFLAGS) $(COPT); do \
	$(CLANG) -Werror "$$flag" -c -x c -o /dev/null /dev/null 2>/dev/null && echo "$$flag"; done))
override BITCODE_CFLAGS += $(BITCODE_TAKES)
endif

else
bindir = /usr/local/bin
MKDIR_P = mkdir -p
INSTALL_PROGRAM = install
all install installcheck:
	@echo "PostgreSQL's build files are missing: run 'make packages' first" >&2; exit 1
endif

# The program's flags, and whether its libraries are there
PROGRAM_CC = $(CC) -std=gnu11 -Wall -Wextra $(or $(SET_CFLAGS),-O2 -g -fstack-protector-strong \
	$(if $(findstring _FORTIFY_SOURCE,$(SET_CPPFLAGS)),,-D_FORTIFY_SOURCE=2)) $(SET_CPPFLAGS) $(COPT) $(PROFILE)
PROGRAM_LINK = $(SET_LDFLAGS) $(SET_LDFLAGS_EX) -lgmp -ljansson -lcrypto -lpthread
PROGRAM_LIBRARIES := $(shell echo 'int main(void) { return !json_object() || !EVP_sha256(); }' | \
	$(PROGRAM_CC) -include gmp.h -include jansson.h -include openssl/evp.h -x c -o /dev/null - $(PROGRAM_LINK) 2>/dev/null && echo yes)

ifneq ($(PGXS),)
all: $(if $(PROGRAM_LIBRARIES),program,without-program)
install: $(if $(PROGRAM_LIBRARIES),install-program)
uninstall: uninstall-program
endif

# ---- the script of the metering extension, from its parts in order ----

METERING = $(patsubst %,metering/%.sql,begin time settings tariffs meters staging progress windows totals registers gaps \
	rollup_staging rollup_late rollup_hour rollup_region rollup_window places rollup forget prices statistics regions forecast_models forecasts \
	key_statistics register_bills bills issued issue_registers issue issue_run invoices checks guard health access)

paillier_metering--1.0.sql: metering/assemble $(METERING)
	metering/assemble $(METERING) >$@.tmp && mv $@.tmp $@

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/core/*.h src/server/*.h)

# ---- the program: no server header in sight, so that the core stays free of them ----

PROGRAM_SOURCES = $(CORE) $(CLI)

paillier: $(PROGRAM_SOURCES) $(wildcard src/core/*.h src/cli/*.h)
	$(PROGRAM_CC) -Isrc/core -Isrc/cli -o $@ $(PROGRAM_SOURCES) $(PROGRAM_LINK)

ifneq ($(PROGRAM_LIBRARIES),)
program: paillier
else
program:
	@echo "make: the program needs the headers and libraries of GMP, jansson and OpenSSL" \
		"(in Debian libgmp-dev, libjansson-dev, libssl-dev)" >&2; exit 1
without-program:
	@echo "the program is not built, for want of jansson or OpenSSL: 'make program' says more"
endif

install-program: program
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) paillier '$(DESTDIR)$(bindir)/'

uninstall-program:
	rm -f '$(DESTDIR)$(bindir)/paillier'

# ---- unit tests of the core, under the sanitizers ----

UNIT_TESTS = $(patsubst test/unit/test_%.c,build/test_%,$(wildcard test/unit/test_*.c))
UNIT_CORE = $(patsubst src/core/%.c,build/%.o,$(CORE))
UNIT_FLAGS = -std=gnu11 -O1 -g -Wall -Wextra -Wshadow -Werror -Isrc/core -Itest/unit
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all

unit: $(UNIT_TESTS) build/test_products build/constant_time build/constant_time_ifma

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
		-Wl,--wrap=paillier_plan_accept,--wrap=paillier_slot_check \
		-o $@ $< $(CORE) -lgmp

# residues and private keys poisoned, for the kernel that valgrind does not know
MSAN_FLAGS = -std=gnu11 -O1 -g -fsanitize=memory -fsanitize-recover=memory -mllvm -msan-poison-stack=0 -Isrc/core -Itest/unit
MSAN_CORE = $(patsubst src/core/%.c,build/msan/%.o,$(filter-out src/core/codec.c src/core/jwk.c,$(CORE)))
MSAN_WRAP = $(patsubst %,-Wl$(comma)--wrap=__gmpn_%,copyi zero com add_n sub_n cnd_add_n cnd_sub_n sizeinbase addmul_1 \
	sec_div_qr sec_div_r sec_mul sec_sqr sec_invert) \
	$(patsubst %,-Wl$(comma)--wrap=paillier_%,plan_accept slot_check) \
	$(patsubst %,-Wl$(comma)--wrap=__msan_%,warning_with_origin maybe_warning_1 maybe_warning_2 maybe_warning_4 maybe_warning_8)
comma = ,

build/msan/%.o: src/core/%.c $(wildcard src/core/*.h)
	mkdir -p build/msan
	clang $(MSAN_FLAGS) -c -o $@ $<

build/constant_time_ifma: test/unit/constant_time_ifma.c $(MSAN_CORE) $(wildcard test/unit/*.h)
	clang $(MSAN_FLAGS) $(MSAN_WRAP) -o $@ $< $(MSAN_CORE) -lgmp

# ---- core, program and their tests for 64-bit ARM, by a cross compiler and QEMU ----

test-arm64:
	test/arm64

.PHONY: test-arm64

# ---- fuzz targets: the core, and the files of program and server that read, under clang's sanitizers ----

FUZZ_CC = clang
FUZZ_FLAGS = -std=gnu11 -O1 -g -Isrc/core -Isrc/cli -Itest/fuzz
FUZZ_SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_COVERAGE = -fsanitize=fuzzer-no-link
FUZZ_CORE = $(patsubst src/core/%.c,build/fuzz/core/%.o,$(CORE))

fuzz:
	test/fuzz/run

build/fuzz/core/%.o: src/core/%.c $(wildcard src/core/*.h)
	mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) $(FUZZ_SANITIZE) $(FUZZ_COVERAGE) -c -o $@ $<

# No target is about products, and clang 14 cannot compile vectors with all of these sanitizers.
build/fuzz/core/mont_if%.o: FUZZ_SANITIZE =
build/fuzz/core/mont_if%.o: FUZZ_COVERAGE =
build/fuzz/core/mont_if%.o: FUZZ_FLAGS += -O0

# what a target needs beside the core: sources, and flags
FUZZ_SOURCES_rows = src/cli/cli_reader.c src/cli/cli_rows.c src/cli/cli_write.c src/cli/cli_system.c
FUZZ_LINK_rows = -Wl,--wrap=read -DREAD_SIZE=64
FUZZ_SOURCES_sum = src/server/pg_sum_io.c
FUZZ_LINK_sum = -Isrc/server -isystem $(shell $(PG_CONFIG) --includedir-server 2>/dev/null) -D_GNU_SOURCE \
	-no-pie -Wl,--unresolved-symbols=ignore-all

.SECONDEXPANSION:
$(patsubst test/fuzz/%.c,build/fuzz/%,$(wildcard test/fuzz/*.c)): build/fuzz/%: build/fuzz/$$*/$$*

build/fuzz/%: test/fuzz/$$(notdir $$*).c test/fuzz/fuzz.h $(FUZZ_CORE) $$(FUZZ_SOURCES_$$(notdir $$*)) \
		$(wildcard src/cli/*.h src/server/*.h)
	mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) $(FUZZ_SANITIZE) -fsanitize=fuzzer $(FUZZ_LINK_$(notdir $*)) -o $@ $< \
		$(FUZZ_SOURCES_$(notdir $*)) $(FUZZ_CORE) -lgmp -lpthread

# ---- what a user types first ----

packages:
	test/packages

test:
	test/run

test-assert test-ubsan test-valgrind:
	test/instrumented $(@:test-%=%)

# another version of PostgreSQL: MAJOR is 13, 15, 17 or 18, PARTS those of test/run
test-version:
	$(if $(MAJOR),,$(error MAJOR is missing: make test-version MAJOR=13))
	test/instrumented --major $(MAJOR) plain $(PARTS)

demo:
	demo/run

format:
	test/format --fix

bench:
	bench/run

scale:
	bench/scale

# an installation in DESTDIR, built by whoever owns the tree
stage: install

.PHONY: packages test test-version test-assert test-ubsan test-valgrind demo bench scale unit fuzz stage format program \
	install-program uninstall-program without-program
