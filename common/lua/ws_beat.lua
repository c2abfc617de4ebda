-- Say that a broadcaster process lives, and forget those that do not.
--
-- KEYS[1] zset of the processes: until when each one lives, s
-- ARGV[1] process  [2] how long it lives from now, s
-- Returns 1
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
    redis.call('ZREM', KEYS[1], owner)
end
return 1
