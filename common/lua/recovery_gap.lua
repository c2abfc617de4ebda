-- Say since when a life's Redis was away, where more is known than when the life began.
--
-- KEYS[1] life
-- ARGV[1] life n  [2] last instant at which the Redis was seen, ms; '' when it was not away for long
-- Returns 1 done, 0 another life has begun
local life = redis.call('HMGET', KEYS[1], 'n', 'gaps')
if life[1] ~= ARGV[1] then
    return 0
end
local gaps = {}
for n, from in string.gmatch(life[2] or '', '(%d+):(%d+)') do
    if n ~= ARGV[1] then
        gaps[#gaps + 1] = n .. ':' .. from
    end
end
if ARGV[2] ~= '' then
    gaps[#gaps + 1] = ARGV[1] .. ':' .. ARGV[2]
end
redis.call('HSET', KEYS[1], 'gaps', table.concat(gaps, ' '))
return 1
