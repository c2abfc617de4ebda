-- Tell the commits of a partition how full the audit streams are.
--
-- KEYS[1] life
-- ARGV[1] '0' go on, '1' creations are refused, '2' commands too
-- Returns 1 when the verdict is another one than before
if (redis.call('HGET', KEYS[1], 'backlog') or '0') == ARGV[1] then
    return 0
end
redis.call('PERSIST', KEYS[1]) -- a write that a full Redis allows, and with it the next
redis.call('HSET', KEYS[1], 'backlog', ARGV[1])
return 1
