-- Take over audit records that a consumer has held for too long, and forget consumers that have
-- been gone for an hour and hold nothing.
--
-- KEYS[1] audit stream
-- ARGV[1] group  [2] consumer  [3] held for at least, ms  [4] records at most
-- Returns the entries {id, {field, value, ...}}, none when there is no such group
local GONE_MS = 3600000

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then
    return {}
end
for _, c in ipairs(consumers) do
    local name, pending, idle = c[2], c[4], c[6]
    if pending == 0 and idle > GONE_MS and name ~= ARGV[2] then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], name)
    end
end
return redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], '0-0', 'COUNT', ARGV[4])[2]
