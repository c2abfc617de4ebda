-- Read what a hand-over by rotation needs of a large session, or the whole of any other.
--
-- Who follows stands in the field `o` (session_slice.h): one segment for each group with somebody
-- in it. The turn goes to the next segment, after the last one to the first; there to the one
-- behind who had its newest turn, after the last one to the first.
--
-- KEYS[1] session  [2] life
-- Returns {fields and values, HMGET of life, TIME}, and a fourth element when that is a slice.
local RULES = {'v', 'e', 'c', 'h', 't', 'k', 'x', 'w'}

local life = redis.call('HMGET', KEYS[2], 'run_id', 'n', 'gaps')
local t = redis.call('TIME')

local function row(name)
    return redis.call('HGET', KEYS[1], name) or ''
end

-- The place behind `one` in the segment from `first` to `last`, and whether `one` is there.
local function behind(turns, one, first, last)
    local _, stop = string.find(turns, ' ' .. one .. ' ', first, true)
    if not stop or stop > last then
        return nil
    end
    return string.match(turns, '^%d+', stop + 1) or string.match(turns, '^;%d*: (%d+)', first)
end

-- The names of the rows; nothing when it takes more than a look at `o`.
local function names(turns)
    local on = string.match(row('h'), ' a(%d+)')
    local at, stop = string.find(turns, ' ' .. (on or '-') .. ' ', 1, true)
    if not at then
        return nil
    end
    local first = string.find(turns, ';', stop, true) or 1
    local last = (string.find(turns, ';', first + 1, true) or #turns + 1) - 1
    local group = string.match(turns, '^;(%d*):', first)
    local newest = first < at and at < last and on
        or group ~= '' and string.match(row('g:' .. group), ' l(%d+)')
    local follower
    if newest then
        follower = behind(turns, newest, first, last)
    else
        follower = string.match(turns, '^;%d*: (%d+)', first)
    end
    if not follower then
        return nil
    end
    local found = {'p:' .. on}
    if follower ~= on then
        found[#found + 1] = 'p:' .. follower
    end
    if newest and newest ~= on and newest ~= follower then
        found[#found + 1] = 'p:' .. newest
    end
    if group ~= '' then
        local own = string.match(row('p:' .. on), ' G(%d+)')
        found[#found + 1] = 'g:' .. group
        if own and own ~= group then
            found[#found + 1] = 'g:' .. own
        end
    end
    return found
end

-- What there is of these, as HGETALL tells it; nothing when a row is missing.
local function slice(found)
    local rows = #found
    for _, name in ipairs(RULES) do
        found[#found + 1] = name
    end
    local values = redis.call('HMGET', KEYS[1], unpack(found))
    local hash = {}
    for i, name in ipairs(found) do
        if values[i] then
            hash[#hash + 1] = name
            hash[#hash + 1] = values[i]
        elseif i <= rows then
            return nil
        end
    end
    return hash
end

local turns = redis.call('HGET', KEYS[1], 'o')
local found = turns and names(turns)
local hash = found and slice(found)
if hash then
    return {hash, life, t, 1}
end
return {redis.call('HGETALL', KEYS[1]), life, t}
