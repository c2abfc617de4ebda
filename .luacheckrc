-- Scripts run inside Redis; an include (`--#include x`) is put in by the build.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV" }
max_line_length = 100
files["common/lua/*.lua"] = { read_globals = { "limit_hit" } }
files["common/lua/include/*.lua"] = { ignore = { "211" } }
