-- Count a WebSocket that was opened or closed among those of its user.
--
-- A field for each broadcaster process says how many it holds; one of a process that has not
-- said for a while that it lives counts no more, so nothing is left behind by a crash.
--
-- KEYS[1] hash of the user  [2] zset of the processes: until when each one lives, s
-- ARGV[1] process  [2] how long it lives from now, s  [3] 'open', 'close'  [4] most of a user
-- Returns 1, or 0: there are as many already, this one was not counted
local KEPT = 7 * 86400

if ARGV[3] == 'close' then
    if redis.call('HINCRBY', KEYS[1], ARGV[1], -1) <= 0 then
        redis.call('HDEL', KEYS[1], ARGV[1])
    end
    return 1
end

local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
local held, open = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #held, 2 do
    if tonumber(redis.call('ZSCORE', KEYS[2], held[i]) or 0) > now then
        open = open + held[i + 1]
    else
        redis.call('HDEL', KEYS[1], held[i])
    end
end
if open >= tonumber(ARGV[4]) then
    return 0
end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('EXPIRE', KEYS[1], KEPT)
return 1
