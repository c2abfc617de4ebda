-- Commit the changes of one session, or do nothing.
--
-- Compares version and epoch as they were read, and the life of the partition; refuses a `now`
-- that is more than 1 s old. Then, in one step: fields, TTL, wake-up, audit records, pushes.
-- When memory is full, Redis refuses the first write that may need some, and nothing that follows
-- a write, so nothing is ever half done; deletions and what is due begin with a write that needs
-- none and always go through. With new version '' nothing of the session changes (a verdict alone,
-- or a session that is gone).
--
-- The wake-up tells which warnings have been published: those before it.
--
-- KEYS[1] session  [2] wakeups  [3] audit  [4] life  [5] switch limit  [6] verdicts
-- ARGV[1] version as read, '' when the session must not exist  [2] epoch as read
--     [3] new version, '' for no change  [4] new epoch  [5] commit id
--     [6] run id of this Redis as the caller knows it  [7] life n  [8] now, us
--     [9] 'delete', 'due' (no command is in it), ''  [10] TTL ms, '' to leave it  [11] wake-up ms,
--     '' for none, '-' to leave it
--     [12] session id  [13] channel of the session  [14] channel for wake-ups
--     [15] audit records to keep, about, '' for all  [16] [17] [18] switch limit: hits (0: none), window ms,
--     cool-down ms  [19] number of field names and values  [20] hash of the Idempotency-Key, '' for
--     none  [21] its verdict  [22] number of warnings that were due before; then the instant and
--     the message of each; then the field names and values; then, for each change, its event and
--     its snapshot ('' for none)
-- Returns {0, now us, changes of the partition so far, verdict...} committed; {1, HGETALL, HMGET
--     of life, TIME} lost the race; {2} another life; {3, verdict...} refused by the switch
--     limit; {4} the key has its verdict already; {5} the audit streams are full
--     (audit_verdict). verdict: the three numbers of limit_window, none without a limit.
--#include limit_window
local SEEN_MS = 1000
local WAKE_MS = 2000 -- timekeepers look at least every 500 ms
local VERDICTS, VERDICT_MS = 64, 86400000 -- kept of a session, and how long
local VERDICT_SLACK_MS = 3600000 -- the hash lives longer, so that not every verdict renews it
local VALUES = 6000 -- of one HSET: Lua has no room for 8000, and overdue changes may have more

local call = redis.call
local t = call('TIME')
local now_us = t[1] * 1000000 + t[2]
local now_ms = math.floor(now_us / 1000)
local life = call('HMGET', KEYS[4], 'run_id', 'n', 'seen', 'backlog')
if life[1] ~= ARGV[6] or life[2] ~= ARGV[7] then
    return {2}
end
local known, numbered, renewed
if ARGV[20] ~= '' then
    local kept = call('HMGET', KEYS[6], ARGV[20], 'n', 'renewed')
    known, numbered, renewed = kept[1], kept[2] or 0, kept[3] or 0
    if known and now_ms - (string.match(known, '^%d+') or 0) < VERDICT_MS then
        return {4}
    end
end
local found = call('HMGET', KEYS[1], 'v', 'e')
if now_us - ARGV[8] > 1000000 or (found[1] or '') ~= ARGV[1] or (found[2] or '') ~= ARGV[2] then
    return {1, call('HGETALL', KEYS[1]), call('HMGET', KEYS[4], 'run_id', 'n', 'gaps'), t}
end

if ARGV[9] == '' and ARGV[3] ~= '' then
    local backlog = life[4]
    if backlog == '2' or (backlog == '1' and ARGV[1] == '') then
        return {5}
    end
end

local allowed, remaining, reset
if ARGV[16] ~= '0' then
    allowed, remaining, reset = limit_hit(KEYS[5], now_ms, tonumber(ARGV[16]), tonumber(ARGV[17]),
        tonumber(ARGV[18]))
    if allowed == 0 then
        return {3, allowed, remaining, reset}
    end
end

-- Store the verdict in the place of the one that came VERDICTS before it. A place names the key
-- whose verdict has its number.
local function keep_verdict()
    local n = numbered + 1
    local place = string.format('%d', n % VERDICTS)
    if known then -- over a day ago
        local before = string.match(known, '^%d+ (%d+)') or 0
        call('HDEL', KEYS[6], string.format('%d', before % VERDICTS))
    end
    if n > VERDICTS then
        local oldest = call('HGET', KEYS[6], place)
        if oldest then
            call('HDEL', KEYS[6], oldest)
        end
    end
    local now = string.format('%d', now_ms)
    n = string.format('%d', n)
    call('HSET', KEYS[6], 'n', n, place, ARGV[20], ARGV[20], now .. ' ' .. n .. ' ' .. ARGV[21])
    if now_ms - renewed >= VERDICT_SLACK_MS then
        call('HSET', KEYS[6], 'renewed', now)
        call('PEXPIRE', KEYS[6], VERDICT_MS + VERDICT_SLACK_MS)
    end
end

local warnings_end = 22 + 2 * ARGV[22]
local fields_end = warnings_end + ARGV[19]
if ARGV[9] == 'delete' then
    call('DEL', KEYS[1])
elseif ARGV[9] == 'due' then
    call('PEXPIRE', KEYS[1], ARGV[10])
end
if ARGV[20] ~= '' then
    keep_verdict()
end
if ARGV[9] ~= 'delete' and ARGV[3] ~= '' then
    call('HSET', KEYS[1], 'v', ARGV[3], 'e', ARGV[4], 'c', ARGV[5],
        unpack(ARGV, warnings_end + 1, math.min(warnings_end + VALUES, fields_end)))
    for i = warnings_end + VALUES + 1, fields_end, VALUES do
        call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + VALUES - 1, fields_end)))
    end
end
if ARGV[9] == '' and ARGV[10] ~= '' then
    call('PEXPIRE', KEYS[1], ARGV[10])
end

if warnings_end > 22 then
    local told = tonumber(call('ZSCORE', KEYS[2], ARGV[12]) or 0)
    for i = 23, warnings_end, 2 do
        if tonumber(ARGV[i]) >= told then
            call('PUBLISH', ARGV[13], ARGV[i + 1])
        end
    end
end
if ARGV[11] == '' then
    call('ZREM', KEYS[2], ARGV[12])
elseif ARGV[11] ~= '-' then
    -- Timekeepers look by themselves long before a later one.
    local soon = ARGV[11] - now_ms < WAKE_MS
    local first = soon and call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    call('ZADD', KEYS[2], ARGV[11], ARGV[12])
    if soon and (not first or tonumber(ARGV[11]) < tonumber(first)) then
        call('PUBLISH', ARGV[14], ARGV[11])
    end
end

local changes = 0
for i = fields_end + 1, #ARGV, 2 do
    changes = call('HINCRBY', KEYS[4], 'changes', 1)
    local n = string.format('%d', changes)
    if ARGV[i + 1] == '' then
        call('XADD', KEYS[3], '*', 'n', n, 'd', ARGV[i])
    else
        call('XADD', KEYS[3], '*', 'n', n, 'd', ARGV[i], 's', ARGV[i + 1])
    end
    call('PUBLISH', ARGV[13], ARGV[i])
end
if ARGV[15] ~= '' then
    call('XTRIM', KEYS[3], 'MAXLEN', '~', ARGV[15])
end
if now_ms - (life[3] or 0) >= SEEN_MS then
    call('HSET', KEYS[4], 'seen', string.format('%d', now_ms))
end
return {0, now_us, changes, allowed, remaining, reset}
