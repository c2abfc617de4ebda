-- Take names of sessions that are gone away from their owner: those that were not named anew since
-- they were read, and not within the last minute, since a name is there before its session.
--
-- KEYS[1] the owner's zset
-- ARGV: session id, score as it was read, and so on
-- Returns how many
local before = (redis.call('TIME')[1] - 60) * 1000
local dropped = 0
for i = 1, #ARGV, 2 do
    if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] and ARGV[i + 1] + 0 < before then
        dropped = dropped + redis.call('ZREM', KEYS[1], ARGV[i])
    end
end
return dropped
