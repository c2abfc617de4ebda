-- Read new audit records of a partition, unless somebody still holds some: so the records of a
-- partition become durable in their order, and a session's are never there with a gap. Who asks
-- holds nothing: what is his own is of an acknowledgement that was lost, and is read once more.
--
-- KEYS[1] audit stream
-- ARGV[1] group  [2] consumer  [3] records at most
-- Returns the entries {id, {field, value, ...}}; fails with NOGROUP when there is no such group
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
if pending.err then
    return pending
end
local from = '>'
if pending[1] > 0 then
    if #pending[4] > 1 or pending[4][1][1] ~= ARGV[2] then
        return {}
    end
    from = '0'
end
local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS',
    KEYS[1], from)
return read and read[1][2] or {}
