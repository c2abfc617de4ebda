-- wrk script: requests to many sessions in turn; prints one line of JSON. From the environment:
--   BENCH_METHOD, BENCH_PATH   "@" in the path stands for the id
--   BENCH_IDS                  a file of ids, one a line; without, every request has an id of its own
--   BENCH_BODY                 "@" stands for the id
--   BENCH_HEADERS              lines of a header
--   BENCH_KEYS                 set: an Idempotency-Key of its own for each request
--   BENCH_COUNT                end when one of the threads has sent so many
local ID, KEY = '00000000-0000-4000-8000-000000000000', 'ffffffff-ffff-4fff-8fff-ffffffffffff'
local SIGINT, ffi = 2, require('ffi')
ffi.cdef('int getpid(void); int kill(int pid, int signal);')
local threads, ids, pieces = {}, {}, {}
local at, salt, n, limit = 0, nil, 0, tonumber(os.getenv('BENCH_COUNT'))

function setup(thread)
    thread:set('number', #threads)
    table.insert(threads, thread)
end

-- The request as strings, with 1 where an id belongs and 2 where a key does.
local function split(text)
    local from = 1
    while true do
        local id, key = string.find(text, ID, from, true), string.find(text, KEY, from, true)
        local first = math.min(id or #text + 1, key or #text + 1)
        table.insert(pieces, string.sub(text, from, first - 1))
        if first > #text then
            return
        end
        table.insert(pieces, first == id and 1 or 2)
        from = first + #ID
    end
end

function init()
    local seed = tonumber(string.match(tostring({}), '%x+$'), 16) -- where memory is, which no two runs have in common
    math.randomseed(os.time() + seed % 1000003)
    salt = string.format('%08x-%04x-4%03x-8000', math.random(0, 2147483647), math.random(0, 65535), number)
    if os.getenv('BENCH_IDS') then
        for line in io.lines(os.getenv('BENCH_IDS')) do
            table.insert(ids, line)
        end
        at = math.random(0, #ids)
    end
    for name, value in string.gmatch(os.getenv('BENCH_HEADERS') or '', '([^:\n]+): ([^\n]+)') do
        wrk.headers[name] = value
    end
    if os.getenv('BENCH_KEYS') then
        wrk.headers['Idempotency-Key'] = KEY
    end
    local path, body = string.gsub(os.getenv('BENCH_PATH'), '@', ID), os.getenv('BENCH_BODY')
    if body then
        wrk.headers['Content-Type'] = 'application/json'
        body = string.gsub(body, '@', ID)
    end
    split(wrk.format(os.getenv('BENCH_METHOD'), path, nil, body))
end

function request()
    local out = {}
    n = n + 1
    if n == limit then
        -- a thread that merely stops does not wake up the one that waits for the time to be over
        ffi.C.kill(ffi.C.getpid(), SIGINT)
    end
    at = at % math.max(1, #ids) + 1
    local fresh = string.format('%s-%012x', salt, n)
    for k, piece in ipairs(pieces) do
        out[k] = piece == 1 and (ids[at] or fresh) or piece == 2 and fresh or piece
    end
    return table.concat(out)
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        '{"per_s":%.1f,"answered":%d,"bad":%d,"bytes":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,"p999_ms":%.3f,"max_ms":%.3f}\n',
        summary.requests / summary.duration * 1e6, summary.requests - e.status,
        e.status + e.connect + e.read + e.write + e.timeout, summary.bytes / math.max(1, summary.requests),
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
