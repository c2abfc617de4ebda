-- Claim a partition for a timekeeper and ask what is due there.
--
-- KEYS[1] lease  [2] wakeups  [3] life
-- ARGV[1] owner  [2] lease ms  [3] ids at most  [4] run id of this Redis  [5] how long a new life
--     waits, with nothing due, for what it lost to be put back (recovery_end.lua), ms
-- Returns {2} when the life of the partition is another (nothing was done); {1, TIME, earliest
--     wake-up left in ms or '', due ids, each followed by its wake-up} for the holder; {0, TIME,
--     when the other's claim ends in ms, {}} for others.
local SEEN_MS = 1000

local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local now = string.format('%.0f', now_ms)
local life = redis.call('HMGET', KEYS[3], 'run_id', 'seen', 'n', 'recovered')
if life[1] ~= ARGV[4] then
    return {2}
end
-- PERSIST and PEXPIRE change nothing here: they are writes that a full Redis allows, and with
-- them what follows. Time has to be kept then, too, and sessions that are over have to go.
if now_ms - tonumber(life[2] or 0) >= SEEN_MS then
    redis.call('PERSIST', KEYS[3])
    redis.call('HSET', KEYS[3], 'seen', now)
end

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
    -- looking again when the other's claim ends is enough, if it is not renewed
    local rest = redis.call('PTTL', KEYS[1])
    return {0, t, rest < 0 and '' or string.format('%.0f', now_ms + rest), {}}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if life[3] ~= life[4] and now_ms - life[3] < tonumber(ARGV[5]) then
    return {1, t, string.format('%.0f', now_ms + 200), {}}
end
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local left = redis.call('ZRANGE', KEYS[2], #due / 2, #due / 2, 'WITHSCORES')[2]
return {1, t, left and string.format('%.0f', tonumber(left)) or '', due}
