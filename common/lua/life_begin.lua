-- Begin a new life of a partition, unless somebody has done it for this Redis already.
--
-- A life is what one run of one Redis process gives a partition: its number n is part of every
-- epoch committed under it and grows even when this hash was lost. When the Redis was away for
-- longer than the pause, `gaps` gets "n:from", the life that follows and the last recorded time
-- before: sessions of an earlier life are paused as of then, by the first such gap after the life
-- that they were last seen in. They are all made due, so that the timekeeper comes to each; the
-- newest gaps are kept, more than it will ever be behind. Whoever shows sessions of the partition
-- is told, because their epochs have changed without a commit. What the Redis came with is kept
-- for the recovery (changes_from, seen_from), and changes are counted on from what is known.
--
-- KEYS[1] life  [2] wakeups
-- ARGV[1] run id of this Redis  [2] longest gap that does not pause, ms  [3] channel for wake-ups
--     [4] changes that the caller knows the partition to have had
-- Returns n
local GAPS = 4

local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local life = redis.call('HMGET', KEYS[1], 'run_id', 'n', 'seen', 'gaps', 'changes')
if life[1] == ARGV[1] then
    return life[2]
end
local text = function(x) return string.format('%.0f', x) end
local n = text(math.max(tonumber(life[2] or 0) + 1, now_ms))
redis.call('PERSIST', KEYS[1]) -- a write that a full Redis allows, and with it the next
local changes = text(math.max(tonumber(life[5] or 0), tonumber(ARGV[4])))
redis.call('HSET', KEYS[1], 'run_id', ARGV[1], 'n', n, 'seen', text(now_ms), 'changes', changes,
    'changes_from', life[5] or '0', 'changes_to', changes, 'seen_from', life[3] or '')
if life[3] and now_ms - tonumber(life[3]) > tonumber(ARGV[2]) then
    local gaps = {}
    for gap in string.gmatch((life[4] or '') .. ' ' .. n .. ':' .. life[3], '%S+') do
        gaps[#gaps + 1] = gap
    end
    redis.call('HSET', KEYS[1], 'gaps', table.concat(gaps, ' ', math.max(1, #gaps - GAPS + 1)))
    redis.call('ZUNIONSTORE', KEYS[2], 1, KEYS[2], 'WEIGHTS', 0)
end
redis.call('PUBLISH', ARGV[3], 'life')
return n
