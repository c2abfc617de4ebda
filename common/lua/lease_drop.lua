-- Give the claim on a partition back, if it is still ours, and say so to the other timekeepers.
--
-- KEYS[1] lease
-- ARGV[1] owner  [2] channel for wake-ups
-- Returns 1 given back, 0 it was not ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], '')
return 1
