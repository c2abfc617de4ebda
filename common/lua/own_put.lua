-- Name a session among those of its owner, before it is created: with the time of now, unless it
-- is named already. The newest names are kept.
--
-- KEYS[1] the owner's zset
-- ARGV[1] session id  [2] '1': now, also when it is named already  [3] names to keep  [4] TTL s
-- Returns 1 named now, 0 it was named already
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local named = 1
if ARGV[2] == '1' then
    redis.call('ZADD', KEYS[1], now, ARGV[1])
else
    named = redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return named
