-- What a partition's life began with, and whether its losses were looked after.
--
-- KEYS[1] life  [2] audit
-- Returns numbers as texts, '' for none: n; the n that was looked after; changes that this Redis
--     came with, and that were known; when it was seen before this life, ms; the run id of the life;
--     when its oldest audit record was added, ms
local life = redis.call('HMGET', KEYS[1], 'n', 'recovered', 'changes_from', 'changes_to',
    'seen_from', 'run_id')
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
life[7] = first and string.match(first[1], '^%d+')
for i = 1, 7 do
    life[i] = life[i] or ''
end
return life
