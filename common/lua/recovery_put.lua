-- Put a session back as it was recorded, by compare-and-set on what is there now.
--
-- It is made due at once, so that the timekeeper gives it its own wake-up, and pauses it when the
-- Redis was away for long. Its epoch stays: loads raise it to the life of the partition.
--
-- KEYS[1] session  [2] wakeups  [3] life
-- ARGV[1] version found, '' none  [2] epoch found  [3] life n  [4] session id
--     [5] version, '' to remove it  [6] epoch  [7] when Redis may forget it, epoch ms; then the
--     fields and values
-- Returns 1 done, 0 something else is there now
local TTL_MIN_MS = 3600000 -- of what is over, until the timekeeper has come

local found = redis.call('HMGET', KEYS[1], 'v', 'e')
if (found[1] or '') ~= ARGV[1] or (found[2] or '') ~= ARGV[2]
    or redis.call('HGET', KEYS[3], 'n') ~= ARGV[3] then
    return 0
end
redis.call('DEL', KEYS[1])
if ARGV[5] == '' then
    redis.call('ZREM', KEYS[2], ARGV[4])
    return 1
end
redis.call('HSET', KEYS[1], 'v', ARGV[5], 'e', ARGV[6], 'c', '-', unpack(ARGV, 8))
local now_ms = redis.call('TIME')[1] * 1000
redis.call('PEXPIRE', KEYS[1], math.max(TTL_MIN_MS, ARGV[7] - now_ms))
redis.call('ZADD', KEYS[2], string.format('%d', now_ms), ARGV[4])
return 1
