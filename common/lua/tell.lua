-- A session whose wake-up came and that has no change due: publish what that wake-up was for, and
-- set the next one. Or do nothing: when the session has changed, or when another timekeeper was
-- here, which has moved the wake-up. So nothing is told twice, whoever is killed or frozen where.
--
-- Refuses a `now` that is more than 1 s old, and whatever comes when the clock has run out by then:
-- the next claim finds what is true.
--
-- KEYS[1] session  [2] wakeups  [3] life
-- ARGV[1] version as read  [2] epoch as read  [3] run id of this Redis as the caller knows it
--     [4] life n  [5] now, us  [6] session id  [7] wake-up as claimed, ms  [8] the next one, ms
--     [9] when the next change is due, ms  [10] channel of the session; then the messages
-- Returns 1 done, 0 not.
local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local life = redis.call('HMGET', KEYS[3], 'run_id', 'n')
local found = redis.call('HMGET', KEYS[1], 'v', 'e')
local wakeup = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[6]) or -1)
if life[1] ~= ARGV[3] or life[2] ~= ARGV[4] or found[1] ~= ARGV[1] or found[2] ~= ARGV[2]
    or wakeup ~= tonumber(ARGV[7]) or now_ms >= tonumber(ARGV[9])
    or t[1] * 1000000 + t[2] - ARGV[5] > 1000000 then
    return 0
end
redis.call('PERSIST', KEYS[3]) -- a write that a full Redis allows, and with it the next
redis.call('ZADD', KEYS[2], ARGV[8], ARGV[6])
for i = 11, #ARGV do
    redis.call('PUBLISH', ARGV[10], ARGV[i])
end
return 1
