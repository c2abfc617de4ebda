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
-- Returns {0, TIME, verdict, changes of the partition so far} committed; {1, HGETALL, HMGET of life, TIME} lost the race;
--     {2} another life; {3, TIME, verdict} refused by the switch limit; {4} the key has its
--     verdict already; {5} the audit streams are full (audit_verdict). verdict: limit_window.
--#include limit_window
local SEEN_MS = 1000
local WAKE_MS = 2000 -- timekeepers look at least every 500 ms
local VERDICTS, VERDICT_MS = 64, 86400000 -- kept of a session, and how long

local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local life = redis.call('HMGET', KEYS[4], 'run_id', 'n', 'gaps', 'seen')
if life[1] ~= ARGV[6] or life[2] ~= ARGV[7] then
    return {2}
end
if ARGV[20] ~= '' then
    local known = redis.call('HGET', KEYS[6], ARGV[20])
    if known and now_ms - tonumber(string.match(known, '^%d+ ') or 0) < VERDICT_MS then
        return {4}
    end
end
local found = redis.call('HMGET', KEYS[1], 'v', 'e')
local old = t[1] * 1000000 + t[2] - ARGV[8] > 1000000
if old or (found[1] or '') ~= ARGV[1] or (found[2] or '') ~= ARGV[2] then
    return {1, redis.call('HGETALL', KEYS[1]), life, t}
end

if ARGV[9] == '' and ARGV[3] ~= '' then
    local backlog = redis.call('HGET', KEYS[4], 'backlog')
    if backlog == '2' or (backlog == '1' and ARGV[1] == '') then
        return {5}
    end
end

local verdict = {}
if ARGV[16] ~= '0' then
    verdict = limit_hit(KEYS[5], now_ms, tonumber(ARGV[16]), tonumber(ARGV[17]),
        tonumber(ARGV[18]))
    if verdict[1] == 0 then
        return {3, t, verdict}
    end
end

-- Store the verdict in the place of the one that came VERDICTS before it.
local function keep_verdict()
    local n = redis.call('HINCRBY', KEYS[6], 'n', 1)
    local place = string.format('%.0f', n % VERDICTS)
    local key = redis.call('HGET', KEYS[6], place)
    local text = key and redis.call('HGET', KEYS[6], key)
    -- The key may have been used again since, when it was over a day old.
    if text and string.match(text, '^%d+ (%d+) ') == string.format('%.0f', n - VERDICTS) then
        redis.call('HDEL', KEYS[6], key)
    end
    redis.call('HSET', KEYS[6], place, ARGV[20], ARGV[20],
        string.format('%.0f %.0f ', now_ms, n) .. ARGV[21])
    redis.call('PEXPIRE', KEYS[6], VERDICT_MS)
end

local warnings_end = 22 + 2 * ARGV[22]
local fields_end = warnings_end + ARGV[19]
if ARGV[9] == 'delete' then
    redis.call('DEL', KEYS[1])
elseif ARGV[9] == 'due' then
    redis.call('PEXPIRE', KEYS[1], ARGV[10])
end
if ARGV[20] ~= '' then
    keep_verdict()
end
if ARGV[9] ~= 'delete' and ARGV[3] ~= '' then
    redis.call('HSET', KEYS[1], 'v', ARGV[3], 'e', ARGV[4], 'c', ARGV[5],
        unpack(ARGV, warnings_end + 1, fields_end))
end
if ARGV[9] == '' then
    redis.call('PEXPIRE', KEYS[1], ARGV[10])
end

if warnings_end > 22 then
    local told = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[12]) or 0)
    for i = 23, warnings_end, 2 do
        if tonumber(ARGV[i]) >= told then
            redis.call('PUBLISH', ARGV[13], ARGV[i + 1])
        end
    end
end
if ARGV[11] == '' then
    redis.call('ZREM', KEYS[2], ARGV[12])
elseif ARGV[11] ~= '-' then
    -- Timekeepers look by themselves long before a later one.
    local soon = ARGV[11] - now_ms < WAKE_MS
    local first = soon and redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', KEYS[2], ARGV[11], ARGV[12])
    if soon and (not first or tonumber(ARGV[11]) < tonumber(first)) then
        redis.call('PUBLISH', ARGV[14], ARGV[11])
    end
end

local changes = 0
for i = fields_end + 1, #ARGV, 2 do
    changes = string.format('%.0f', redis.call('HINCRBY', KEYS[4], 'changes', 1))
    if ARGV[i + 1] == '' then
        redis.call('XADD', KEYS[3], '*', 'n', changes, 'd', ARGV[i])
    else
        redis.call('XADD', KEYS[3], '*', 'n', changes, 'd', ARGV[i], 's', ARGV[i + 1])
    end
    redis.call('PUBLISH', ARGV[13], ARGV[i])
end
if ARGV[15] ~= '' then
    redis.call('XTRIM', KEYS[3], 'MAXLEN', '~', ARGV[15])
end
if now_ms - tonumber(life[4] or 0) >= SEEN_MS then
    redis.call('HSET', KEYS[4], 'seen', string.format('%.0f', now_ms))
end
return {0, t, verdict, tonumber(changes)}
