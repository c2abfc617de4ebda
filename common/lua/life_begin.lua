-- Begin a new life of a partition, unless somebody has done it for this Redis already.
--
-- A life is what one run of one Redis process gives a partition: its number n is part of every
-- epoch committed under it and grows even when this hash was lost. When the Redis was away for
-- longer than the pause, `gap_from` is the last recorded time before and `gap_n` the life that
-- follows: sessions of an earlier life are paused as of gap_from. They are all made due, so that
-- the timekeeper comes to each. Whoever shows sessions of the partition is told, because their
-- epochs have changed without a commit.
--
-- KEYS[1] life  [2] wakeups
-- ARGV[1] run id of this Redis  [2] longest gap that does not pause, ms  [3] channel for wake-ups
-- Returns n
local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local life = redis.call('HMGET', KEYS[1], 'run_id', 'n', 'seen')
if life[1] == ARGV[1] then
    return life[2]
end
local text = function(x) return string.format('%.0f', x) end
local n = text(math.max(tonumber(life[2] or 0) + 1, now_ms))
redis.call('PERSIST', KEYS[1]) -- a write that a full Redis allows, and with it the next
redis.call('HSET', KEYS[1], 'run_id', ARGV[1], 'n', n, 'seen', text(now_ms))
if life[3] and now_ms - tonumber(life[3]) > tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], 'gap_from', life[3], 'gap_n', n)
    redis.call('ZUNIONSTORE', KEYS[2], 1, KEYS[2], 'WEIGHTS', 0)
end
redis.call('PUBLISH', ARGV[3], 'life')
return n
