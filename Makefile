# SyncKairos. `make help` lists the targets; V=1 shows the commands; SAN=address|thread builds into a folder of its own.

SAN     ?=
CC      ?= gcc
BUILD   := build/$(or $(SAN),release)
PKGS    := hiredis json-c libpq libjwt libuv openssl
WSPKGS  := libwebsockets

CPPFLAGS += -I. -I$(BUILD)/gen -D_GNU_SOURCE -include common/banned.h
CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wundef -Wvla \
            -Wwrite-strings -Wcast-qual -Wimplicit-fallthrough $(if $(CI),-Werror)
HARDEN   := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
LDHARDEN := -pie -Wl,-z,relro,-z,now
ifeq ($(SAN),address)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifeq ($(SAN),thread)
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
endif
ALLCFLAGS = -std=c17 $(CFLAGS) $(WARN) $(HARDEN) $(SANFLAGS) $(shell pkg-config --cflags $(PKGS) $(WSPKGS)) -MMD -MP
LDLIBS    = $(shell pkg-config --libs $(PKGS)) -lpthread
WSLIBS    = $(shell pkg-config --libs $(WSPKGS))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

COMMON_SRC := $(wildcard common/*.c)
FCGI_SRC   := $(wildcard fcgi/*.c fcgi/*/*.c)
BCAST_SRC  := $(wildcard broadcaster/*.c)
UNIT_SRC   := $(wildcard tests/unit/*/test_*.c)
API_SRC    := $(wildcard tests/api/test_*.c)
API_LIB    := $(filter-out $(API_SRC),$(wildcard tests/api/*.c))
LUA_SRC    := $(sort $(wildcard common/lua/*.lua))
LUA_INC    := $(wildcard common/lua/include/*.lua)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
COMMON_OBJ := $(call obj,$(COMMON_SRC)) $(BUILD)/gen/lua_scripts.o
LIBCOMMON  := $(BUILD)/libcommon.a
PROGRAMS   := $(if $(FCGI_SRC),$(BUILD)/synckairos.fcgi) $(if $(BCAST_SRC),$(BUILD)/synckairos-broadcaster)
UNIT_BIN   := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))
API_BIN    := $(patsubst %.c,$(BUILD)/%,$(API_SRC))

.PHONY: all unit api-test clean
all: $(PROGRAMS)

$(LIBCOMMON): $(COMMON_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/synckairos.fcgi: $(call obj,$(FCGI_SRC)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ -lfcgi $(LDLIBS)

$(BUILD)/synckairos-broadcaster: $(call obj,$(BCAST_SRC)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ $(WSLIBS) $(LDLIBS)

# A unit test links the library; one in tests/unit/fcgi or tests/unit/broadcaster also links that folder without its main.
UNIT_EXTRA = $(if $(findstring tests/unit/fcgi/,$<),$(filter-out $(BUILD)/fcgi/main.o,$(call obj,$(FCGI_SRC)))) \
             $(if $(findstring tests/unit/broadcaster/,$<),$(filter-out $(BUILD)/broadcaster/main.o,$(call obj,$(BCAST_SRC))))
$(UNIT_BIN): $(BUILD)/%: $(BUILD)/%.o $(LIBCOMMON) $(filter-out $(BUILD)/fcgi/main.o,$(call obj,$(FCGI_SRC))) \
             $(filter-out $(BUILD)/broadcaster/main.o,$(call obj,$(BCAST_SRC)))
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $< $(UNIT_EXTRA) $(LIBCOMMON) -lcmocka -lfcgi $(WSLIBS) $(LDLIBS)

# A test of tests/api starts a Redis of its own (private_redis.h).
$(API_BIN): $(BUILD)/%: $(BUILD)/%.o $(call obj,$(API_LIB)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALLCFLAGS) $(LDHARDEN) -o $@ $^ -lcmocka $(LDLIBS)

$(BUILD)/%.o: %.c | $(BUILD)/gen/lua_scripts.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(dir $@) && $(CC) $(CPPFLAGS) $(ALLCFLAGS) -c -o $@ $<

# Scripts become C strings, one line each; the enum follows the order of the file names. A line `--#include x` stands
# for common/lua/include/x.lua.
LUA_EXPAND = awk '/^--\#include /{p = "common/lua/include/" $$2 ".lua"; while ((getline l < p) > 0) print l; next} {print}'
$(BUILD)/gen/lua_scripts.c: $(LUA_SRC) $(LUA_INC) Makefile
	$(Q)mkdir -p $(dir $@)
	$(Q){ echo '/* generated from common/lua, do not edit */'; echo '#include "lua_scripts.h"'; \
	  echo 'const char *const lua_script_text[LUA__MAX] = {'; \
	  for f in $(LUA_SRC); do $(LUA_EXPAND) $$f | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/'; echo '    ,'; done; \
	  echo '};'; echo 'const char *const lua_script_name[LUA__MAX] = {'; \
	  for f in $(LUA_SRC); do echo "    \"$$(basename $$f .lua)\","; done; echo '};'; } > $@
$(BUILD)/gen/lua_scripts.h: $(LUA_SRC) Makefile
	$(Q)mkdir -p $(dir $@)
	$(Q){ echo '/* generated from common/lua, do not edit */'; echo '#ifndef GEN_LUA_SCRIPTS_H'; echo '#define GEN_LUA_SCRIPTS_H'; \
	  echo 'enum lua_script {'; for f in $(LUA_SRC); do echo "    LUA_$$(basename $$f .lua | tr a-z A-Z),"; done; \
	  echo '    LUA__MAX'; echo '};'; echo 'extern const char *const lua_script_text[LUA__MAX];'; \
	  echo 'extern const char *const lua_script_name[LUA__MAX];'; echo '#endif'; } > $@
$(BUILD)/gen/lua_scripts.o: $(BUILD)/gen/lua_scripts.c $(BUILD)/gen/lua_scripts.h
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -c -o $@ $<

unit: $(UNIT_BIN)
	@for t in $(UNIT_BIN); do echo "$$t"; $$t || exit 1; done

api-test: $(API_BIN)
	@for t in $(API_BIN); do echo "$$t"; $$t || exit 1; done

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
