# SyncKairos. `make help` lists the targets; V=1 shows the commands; SAN=address|thread|coverage builds into a folder of
# its own. `run`, `test` and `lint` install the Debian packages that they miss (etc/dev/packages); nothing else does.

SAN     ?=
CC      ?= gcc
BUILD   := build/$(or $(SAN),release)
PREFIX  ?= /usr/local
PYTHON  := /usr/bin/python3
PKGS    := hiredis json-c libpq libuv openssl
WSPKGS  := libcurl

# As many jobs as there are cores, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE -include common/banned.h
CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla \
            -Wwrite-strings -Wcast-qual -Wimplicit-fallthrough $(if $(CI),-Werror)
# Macros of uthash fall through with a comment, which only gcc reads.
ifneq ($(findstring clang,$(CC)),)
WARN     += -Wno-implicit-fallthrough
endif
HARDEN   := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
LDHARDEN := -pie -Wl,-z,relro,-z,now
ifeq ($(SAN),address)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifeq ($(SAN),thread)
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
endif
ifeq ($(SAN),coverage)
SANFLAGS := --coverage -O0 -fprofile-update=atomic
endif
ifeq ($(SAN),fuzz)
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
# Asked once, and only when something is compiled: before that pkg-config may not be installed.
PKGCFLAGS = $(eval PKGCFLAGS := $$(shell pkg-config --cflags $(PKGS) $(WSPKGS)))$(PKGCFLAGS)
ALLCFLAGS = -std=c17 $(CFLAGS) $(WARN) $(HARDEN) $(SANFLAGS) $(PKGCFLAGS) -MMD -MP
LDLIBS    = $(eval LDLIBS := $$(shell pkg-config --libs $(PKGS)) -lpthread)$(LDLIBS)
WSLIBS    = $(eval WSLIBS := $$(shell pkg-config --libs $(WSPKGS)) -lhttp_parser -lwslay)$(WSLIBS)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

COMMON_SRC := $(wildcard common/*.c)
FCGI_SRC   := $(wildcard fcgi/*.c fcgi/*/*.c)
BCAST_SRC  := $(wildcard broadcaster/*.c)
CTL_SRC    := $(wildcard ctl/*.c)
UNIT_SRC   := $(wildcard tests/unit/*/test_*.c)
API_SRC    := $(wildcard tests/api/test_*.c)
API_LIB    := $(filter-out $(API_SRC),$(wildcard tests/api/*.c))
ENGINE_SRC := $(wildcard tests/fuzz/engine/*.c)
FUZZ_SRC   := $(wildcard tests/fuzz/*.c)
LUA_SRC    := $(sort $(wildcard common/lua/*.lua))
LUA_INC    := $(wildcard common/lua/include/*.lua)
SQL_SRC    := $(sort $(wildcard migrations/*.sql))
DOCS_SRC   := $(wildcard web/api-docs/*)
# What lint looks at: files that git knows or would take.
files = $(shell git ls-files --cached --others --exclude-standard -- $(1) 2>/dev/null)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
COMMON_OBJ := $(call obj,$(COMMON_SRC)) $(BUILD)/gen/lua_scripts.o
LIBCOMMON  := $(BUILD)/libcommon.a
LIBFCGI    := $(BUILD)/libfcgi-app.a
LIBBCAST   := $(BUILD)/libbroadcaster.a
LIBCTL     := $(BUILD)/libctl.a
PROGRAMS   := $(BUILD)/synckairos.fcgi $(BUILD)/synckairos-broadcaster $(BUILD)/kairosctl
UNIT_BIN   := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))
API_BIN    := $(patsubst %.c,$(BUILD)/%,$(API_SRC))
ENGINE_BIN := $(patsubst %.c,$(BUILD)/%,$(ENGINE_SRC))
FUZZ_BIN   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
WSLOAD     := $(BUILD)/tests/bench/wsload/wsload
BENCH_BIN  := $(WSLOAD) $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/peers/*.c))
DOCS       := build/api-docs/index.html

.PHONY: all run doctor test lint format asan-test tsan-test valgrind-test fuzz fuzz-engine fuzz-parsers fuzz-run fuzz-cover fuzz-cover-run \
        bench bench-quick faults soak coverage install clean help \
        unit api-test engine-props mutate mutate-flags gen gen-check docs packages objects \
        lint-format lint-headers lint-includes lint-gcc lint-clang lint-tidy lint-cppcheck lint-shell lint-lua lint-web
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

all: $(PROGRAMS) docs ## build the programs and the API page

# --- packages -------------------------------------------------------------------------------------------------------

GROUPS := $(if $(filter run,$(MAKECMDGOALS)),build run docs) $(if $(filter test,$(MAKECMDGOALS)),build run docs unit test) \
          $(if $(filter lint,$(MAKECMDGOALS)),build unit lint) \
          $(if $(filter bench bench-quick,$(MAKECMDGOALS)),build run bench) \
          $(if $(filter faults soak,$(MAKECMDGOALS)),build run test)
READY  := $(if $(strip $(GROUPS)),packages)
packages:
	@etc/dev/install $(GROUPS)

# --- building -------------------------------------------------------------------------------------------------------

# The names in $(NAME_SRC): what is made of all of them depends on this file, too, so that one that is gone goes.
$(BUILD)/gen/%.names: FORCE
	$(Q)mkdir -p $(@D) && echo $($*_SRC) | cmp -s - $@ || echo $($*_SRC) >$@
FORCE:

$(LIBCOMMON): $(COMMON_OBJ) $(BUILD)/gen/COMMON.names
$(LIBFCGI): $(filter-out $(BUILD)/fcgi/main.o,$(call obj,$(FCGI_SRC))) $(BUILD)/gen/FCGI.names
$(LIBBCAST): $(filter-out $(BUILD)/broadcaster/main.o,$(call obj,$(BCAST_SRC))) $(BUILD)/gen/BCAST.names
$(LIBCTL): $(filter-out $(BUILD)/ctl/main.o,$(call obj,$(CTL_SRC))) $(BUILD)/gen/migrations.o $(BUILD)/gen/CTL.names
$(LIBCOMMON) $(LIBFCGI) $(LIBBCAST) $(LIBCTL):
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/synckairos.fcgi: $(BUILD)/fcgi/main.o $(LIBFCGI) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ -lfcgi $(LDLIBS)

$(BUILD)/synckairos-broadcaster: $(BUILD)/broadcaster/main.o $(LIBBCAST) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ $(WSLIBS) $(LDLIBS)

$(BUILD)/kairosctl: $(BUILD)/ctl/main.o $(LIBCTL) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ $(LDLIBS)

# A unit test links the folder that it tests, without its main; one of tests/api also starts a Redis of its own
# (private_redis.h) and may call into fcgi/.
$(filter $(BUILD)/tests/unit/fcgi/%,$(UNIT_BIN)): $(LIBFCGI)
$(filter $(BUILD)/tests/unit/broadcaster/%,$(UNIT_BIN)): $(LIBBCAST)
$(filter $(BUILD)/tests/unit/ctl/%,$(UNIT_BIN)): $(LIBCTL)
$(UNIT_BIN): $(BUILD)/%: $(BUILD)/%.o $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $< $(filter $(LIBFCGI) $(LIBBCAST) $(LIBCTL),$^) $(LIBCOMMON) -lcmocka -lfcgi $(WSLIBS) $(LDLIBS)
$(API_BIN): $(BUILD)/%: $(BUILD)/%.o $(call obj,$(API_LIB)) $(LIBFCGI) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka -lfcgi $(LDLIBS)

$(BUILD)/tests/fuzz/engine/driver: $(BUILD)/tests/fuzz/hold.o $(BUILD)/tests/fuzz/draft.o
$(ENGINE_BIN): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/fuzz/life.o $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka $(LDLIBS)

# With SAN=fuzz a fuzzer, else a replayer of the corpus.
$(FUZZ_BIN): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/fuzz/$(if $(filter fuzz,$(SAN)),libfuzzer,replay).o $(BUILD)/tests/fuzz/fuzz.o $(BUILD)/tests/fuzz/life.o \
             $(BUILD)/tests/fuzz/servers.o $(LIBFCGI) $(LIBBCAST) $(LIBCTL) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) $(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer) -o $@ $^ -lcmocka -lfcgi $(WSLIBS) $(LDLIBS)

$(BUILD)/%.o: %.c | $(BUILD)/gen/lua_scripts.h $(BUILD)/gen/migrations.h $(READY)
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@) && $(CC) $(CPPFLAGS) $(ALLCFLAGS) -c -o $@ $<

# Scripts become C strings, one line each; the enum follows the order of the file names. A line `--#include x` stands
# for common/lua/include/x.lua.
LUA_EXPAND = awk '/^--\#include /{p = "common/lua/include/" $$2 ".lua"; while ((getline l < p) > 0) print l; next} {print}'
$(BUILD)/gen/lua_scripts.c: $(LUA_SRC) $(LUA_INC) $(BUILD)/gen/LUA.names Makefile
	$(Q)mkdir -p $(dir $@)
	$(Q){ echo '/* generated from common/lua, do not edit */'; echo '#include "lua_scripts.h"'; \
	  echo 'const char *const lua_script_text[LUA__MAX] = {'; \
	  for f in $(LUA_SRC); do $(LUA_EXPAND) $$f | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/'; echo '    ,'; done; \
	  echo '};'; echo 'const char *const lua_script_name[LUA__MAX] = {'; \
	  for f in $(LUA_SRC); do echo "    \"$$(basename $$f .lua)\","; done; echo '};'; } > $@
$(BUILD)/gen/lua_scripts.h: $(LUA_SRC) $(BUILD)/gen/LUA.names Makefile
	$(Q)mkdir -p $(dir $@)
	$(Q){ echo '/* generated from common/lua, do not edit */'; echo '#ifndef GEN_LUA_SCRIPTS_H'; echo '#define GEN_LUA_SCRIPTS_H'; \
	  echo 'enum lua_script {'; for f in $(LUA_SRC); do echo "    LUA_$$(basename $$f .lua | tr a-z A-Z),"; done; \
	  echo '    LUA__MAX'; echo '};'; echo 'extern const char *const lua_script_text[LUA__MAX];'; \
	  echo 'extern const char *const lua_script_name[LUA__MAX];'; echo '#endif'; } > $@
$(BUILD)/gen/lua_scripts.o: $(BUILD)/gen/lua_scripts.c $(BUILD)/gen/lua_scripts.h | $(READY)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -c -o $@ $<

# Migrations are built into kairosctl the same way, in the order of their numbers.
$(BUILD)/gen/migrations.c: $(SQL_SRC) $(BUILD)/gen/SQL.names Makefile
	$(Q)mkdir -p $(dir $@)
	$(Q){ echo '/* generated from migrations, do not edit */'; echo '#include "migrations.h"'; \
	  echo 'const char *const migration_text[] = {'; \
	  for f in $(SQL_SRC); do sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/' $$f; echo '    ,'; done; \
	  echo '    0 };'; echo 'const char *const migration_name[] = {'; \
	  for f in $(SQL_SRC); do echo "    \"$${f##*/}\","; done; echo '    0 };'; } > $@
$(BUILD)/gen/migrations.h: Makefile
	$(Q)mkdir -p $(dir $@)
	$(Q){ echo '/* generated, do not edit */'; echo '#ifndef GEN_MIGRATIONS_H'; echo '#define GEN_MIGRATIONS_H'; \
	  echo 'extern const char *const migration_text[]; /* both end with NULL */'; \
	  echo 'extern const char *const migration_name[];'; echo '#endif'; } > $@
$(BUILD)/gen/migrations.o: $(BUILD)/gen/migrations.c $(BUILD)/gen/migrations.h | $(READY)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -c -o $@ $<

objects: $(COMMON_OBJ) $(BUILD)/gen/migrations.o $(call obj,$(FCGI_SRC) $(BCAST_SRC) $(CTL_SRC) $(UNIT_SRC) $(API_SRC) $(API_LIB) $(ENGINE_SRC) $(FUZZ_SRC))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# The API page; etc/dev/docs says what it is without npm.
docs: $(DOCS)
$(DOCS): $(DOCS_SRC) web/api-docs/.npmrc etc/dev/docs | $(READY)
	$(call say,DOCS,$@)
	$(Q)etc/dev/docs $(@D)

# --- running --------------------------------------------------------------------------------------------------------

run: $(PROGRAMS) docs | $(READY) ## install what is missing, build, and run everything privately on PORT=3000
	@BIN_DIR=$(BUILD) exec setpriv --pdeathsig TERM env --default-signal=INT etc/dev/run

doctor: $(BUILD)/kairosctl ## look at what `make run` has started, with the same PORT
	@env -i PATH="$$PATH" SYNCKAIROS_CONFIG=$(or $(RUN_DIR),run/$(or $(PORT),3000))/settings $(BUILD)/kairosctl doctor $(if $(HOST),--url=http://$(HOST):$(or $(PORT),3000))

# --- tests ----------------------------------------------------------------------------------------------------------

RUN_ALL = $(PYTHON) tests/lib/run_all.py --build $(BUILD)

test: $(PROGRAMS) docs $(UNIT_BIN) $(API_BIN) $(ENGINE_BIN) $(FUZZ_BIN) $(WSLOAD) | $(READY) ## all tests; the last line says N passed, N failed
	@$(RUN_ALL)

unit: $(UNIT_BIN) ## only the unit tests
	@$(RUN_ALL) unit
api-test: $(API_BIN) ## only the tests against a private Redis
	@$(RUN_ALL) api
engine-props: $(ENGINE_BIN) $(FUZZ_BIN) ## only random commands and broken bytes into the engine
	@$(RUN_ALL) engine

asan-test: ## all tests with AddressSanitizer and UBSan; half an hour on two busy cores
	@$(MAKE) --no-print-directory SAN=address SLOW=3 test
tsan-test: ## all tests with ThreadSanitizer; half an hour
	@# ThreadSanitizer of gcc 12 does not start where addresses are random in more than 28 bits.
	@$$(setarch -R true 2>/dev/null && echo setarch -R) $(MAKE) --no-print-directory SAN=thread SLOW=4 test
VALGRIND = valgrind -q --trace-children=yes --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  --trace-children-skip=*/redis-server,*/redis-cli --error-exitcode=99 --log-file={dir}/valgrind.%p
valgrind-test: | packages ## all tests under valgrind; an hour
	@SLOW=10 WRAP='$(VALGRIND)' $(MAKE) --no-print-directory test
coverage: ## which lines the tests reach; the report is build/coverage/index.html
	@etc/dev/install cover
	@$(MAKE) --no-print-directory SAN=coverage SLOW=2 test; status=$$?; \
	  gcovr -r . --object-directory build/coverage -e 'tests/' -e 'build/' --html-details build/coverage/index.html --print-summary; exit $$status
valgrind-test: GROUPS := memory

mutate: $(UNIT_BIN) $(ENGINE_BIN) ## break the engine in listed ways, one at a time: the tests must notice
	@nice $(PYTHON) tests/fuzz/engine/mutate.py $(BUILD)
mutate-flags:
	@echo '$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(ALLCFLAGS))'
	@echo '$(LDLIBS)'

fuzz: fuzz-engine fuzz-parsers ## ten million random commands into the engine, then FUZZ_SECONDS=60 for each parser of foreign bytes
COMMANDS ?= 10000000
fuzz-engine: $(ENGINE_BIN)
	@nice $(PYTHON) tests/fuzz/engine/props.py --driver $(BUILD)/tests/fuzz/engine/driver --commands $(COMMANDS)
# What is found is left in build/fuzz; it becomes a file of the corpus with the fix.
FUZZ_SECONDS ?= 60
fuzz-parsers:
	@etc/dev/install build fuzz
	@$(MAKE) --no-print-directory SAN=fuzz CC=clang fuzz-run
fuzz-run: $(FUZZ_BIN)
	@for f in $(notdir $(FUZZ_BIN)); do corpus=$(BUILD)/corpus/$$f; mkdir -p $$corpus; \
	  nice $(BUILD)/tests/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -close_fd_mask=2 \
	    -artifact_prefix=$(BUILD)/$$f- $$corpus tests/fuzz/corpus/$${f#fuzz_} 2>$(BUILD)/$$f.log || { tail -40 $(BUILD)/$$f.log; exit 1; }; \
	  echo "$$f: $$(grep -c . $(BUILD)/$$f.log) lines in $(BUILD)/$$f.log, $$(sed -n 's/^stat::number_of_executed_units: *//p' $(BUILD)/$$f.log) inputs, no finding"; done
fuzz-cover: ## which lines of each parser of foreign bytes its corpus reaches; fails below 95 %
	@etc/dev/install build unit cover
	@$(MAKE) --no-print-directory SAN=coverage fuzz-cover-run
fuzz-cover-run: $(FUZZ_BIN)
	@$(PYTHON) tests/fuzz/cover.py $(BUILD)
$(WSLOAD): $(wildcard tests/bench/wsload/*.[ch])
$(filter $(BUILD)/tests/bench/peers/%,$(BENCH_BIN)): $(BUILD)/%: %.c
$(BENCH_BIN): | $(READY)
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@) && $(CC) -D_GNU_SOURCE -std=c17 -O2 -g $(WARN) -o $@ $(filter %.c,$^) -lfcgi -lcrypto -lpthread
BENCH = BIN_DIR=$(BUILD) $(PYTHON) tests/bench/bench.py
bench: $(PROGRAMS) $(BENCH_BIN) ## measure against the peers and the limits of this machine; writes tests/bench/RESULTS.md
	@$(BENCH)
bench-quick: $(PROGRAMS) $(BENCH_BIN) ## the same once and shortly: is it sane?
	@$(BENCH) --quick
CROWD := $(BUILD)/tests/faults/crowd
$(CROWD): $(wildcard tests/faults/*.c) tests/faults/crowd.h | $(READY)
	$(call say,CC,$@)
	$(Q)mkdir -p $(dir $@) && $(CC) -D_GNU_SOURCE -std=c17 -O2 -g $(WARN) -o $@ $(filter %.c,$^)
# SEEDS=10 runs of each fault, JOBS=1 beside each other; FAULT=name and SEED=n choose one. What failed leaves its history and logs in
# build/faults.
SEEDS ?= 10
JOBS  ?= 1
STRIKE = $(PYTHON) tests/faults/run.py $(BUILD) --jobs $(JOBS) $(if $(FAULT),--fault $(FAULT)) $(if $(SEED),--seed $(SEED))
faults: $(PROGRAMS) $(CROWD) ## kill, freeze, starve and restart every part under load; judge what every client was told
	@$(PYTHON) -m pytest -q --no-header tests/faults
	@$(STRIKE) --seeds $(SEEDS)
soak: $(PROGRAMS) $(CROWD) ## PostgreSQL is away for a minute, then for ten at 1,000 changes/s; a quarter of an hour
	@$(STRIKE) --soak --seeds 1

# --- lint -----------------------------------------------------------------------------------------------------------

C_FILES     = $(call files,'*.c')
H_FILES     = $(call files,'*.h')
SHELL_FILES = $(shell git grep -lIE '^\#!.*\b(ba)?sh$$' -- etc tests .ci 2>/dev/null)
PARALLEL    = xargs -P $(shell nproc) -n 1

lint: lint-format lint-headers lint-includes lint-gcc lint-clang lint-tidy lint-cppcheck lint-shell lint-lua lint-web gen-check ## every check of the sources
	@echo "lint: clean"

lint-format: | $(READY)
	@clang-format --dry-run -Werror $(C_FILES) $(H_FILES)
lint-gcc: | $(READY)
	@$(MAKE) --no-print-directory CI=1 CC=gcc BUILD=build/lint-gcc objects >/dev/null
lint-clang: | $(READY)
	@$(MAKE) --no-print-directory CI=1 CC=clang BUILD=build/lint-clang objects >/dev/null
lint-headers: $(BUILD)/gen/lua_scripts.h $(BUILD)/gen/migrations.h | $(READY)
	@for h in $(H_FILES); do for cc in gcc clang; do \
	  $$cc $(CPPFLAGS) -std=c17 $(WARN) -Werror $(PKGCFLAGS) -fsyntax-only -x c - <<<"#include \"$$h\"" || { echo "$$h does not compile alone ($$cc)"; exit 1; }; done; done
lint-headers: SHELL := /bin/bash
lint-includes:
	@etc/dev/lint-includes
lint-tidy: $(BUILD)/gen/lua_scripts.h $(BUILD)/gen/migrations.h | $(READY)
	@printf '%s\n' $(filter-out tests/%,$(C_FILES)) | $(PARALLEL) sh -c \
	  'clang-tidy --quiet "$$0" -- $(CPPFLAGS) -std=c17 $(PKGCFLAGS) 2>/dev/null || { echo "clang-tidy: $$0"; exit 1; }'
lint-cppcheck: | $(READY)
	@cppcheck -q -j $(shell nproc) --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=arrayIndexOutOfBoundsCond -I. $(filter-out tests/%,$(C_FILES))
lint-shell: | $(READY)
	@shellcheck $(SHELL_FILES)
lint-lua: | $(READY)
	@mkdir -p $(BUILD)/lint-lua && for f in $(LUA_SRC); do $(LUA_EXPAND) $$f >$(BUILD)/lint-lua/$${f##*/}; done
	@luacheck -q --no-color --std lua51 --globals redis KEYS ARGV cjson --no-max-line-length -- $(BUILD)/lint-lua/*.lua
	@luacheck -q --no-color --std luajit --globals wrk number setup init request done -- $(call files,'tests/*.lua')
lint-web: | $(READY)
	@if command -v node >/dev/null; then for f in $(call files,'web/*.js' 'web/*.mjs'); do node --check $$f || exit 1; done; fi
	@$(PYTHON) -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' $(call files,'*.py')

format: ## lay out all C files
	clang-format -i $(C_FILES) $(H_FILES)

# --- generated files ------------------------------------------------------------------------------------------------

# env.example and the README table come from the table of settings in the program itself.
gen: $(BUILD)/synckairos.fcgi ## write etc/env.example and the table of settings in README.md
	@etc/dev/gen $(BUILD)/synckairos.fcgi .
gen-check: $(BUILD)/synckairos.fcgi
	@rm -rf $(BUILD)/gen-check && mkdir -p $(BUILD)/gen-check/etc && cp README.md $(BUILD)/gen-check/
	@etc/dev/gen $(BUILD)/synckairos.fcgi $(BUILD)/gen-check
	@cmp README.md $(BUILD)/gen-check/README.md && cmp etc/env.example $(BUILD)/gen-check/etc/env.example || \
	  { echo "generated text is stale: run make gen"; exit 1; }

# --- the rest -------------------------------------------------------------------------------------------------------

SHARE = $(DESTDIR)$(PREFIX)/share/synckairos
install: all ## install under PREFIX=/usr/local (DESTDIR is put in front)
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/nginx $(SHARE)/web $(SHARE)/api-docs
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin/
	cp -R web/. $(SHARE)/web/
	rm -rf $(SHARE)/web/api-docs $(SHARE)/web/package.json
	cp -R build/api-docs/. $(SHARE)/api-docs/
	install -m 644 etc/nginx/synckairos-*.conf $(SHARE)/nginx/
	sed 's|/usr/local|$(PREFIX)|g' etc/nginx/synckairos.conf > $(SHARE)/nginx/synckairos.conf
	install -m 644 etc/redis/redis.conf etc/redis/users.acl etc/postgresql/roles.sql etc/env.example $(SHARE)/
	install -d $(SHARE)/systemd $(SHARE)/prometheus $(SHARE)/grafana
	install -m 644 etc/prometheus/*.yml $(SHARE)/prometheus/
	install -m 644 etc/grafana/*.json $(SHARE)/grafana/
	install -m 644 etc/systemd/synckairos.sysusers etc/systemd/batch.conf $(SHARE)/systemd/
	for unit in etc/systemd/*.service; do sed 's|/usr/local|$(PREFIX)|g' $$unit >$(SHARE)/systemd/$${unit##*/} || exit 1; done

clean: ## remove everything that was built (run folders stay)
	rm -rf build

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18
