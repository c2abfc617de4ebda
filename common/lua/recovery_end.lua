-- A life's losses were looked after: whoever shows sessions of the partition reads them again.
--
-- KEYS[1] life
-- ARGV[1] life n  [2] channel for wake-ups
-- Returns 1 done, 0 another life has begun
if redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[1], 'recovered', ARGV[1])
redis.call('PUBLISH', ARGV[2], 'life')
return 1
