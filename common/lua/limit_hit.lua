-- Count one hit on a limit, if it is allowed.
--
-- KEYS[1] the limit
-- ARGV[1] hits per window, [2] window ms, [3] cool-down ms (0: none)
-- Returns {1 allowed or 0, remaining, reset ms}
--#include limit_window
local t = redis.call('TIME')
local now = math.floor((t[1] * 1000000 + t[2]) / 1000)
return {limit_hit(KEYS[1], now, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))}
