-- One hit on a limit: a sliding window weighted over two counted buckets, and a cool-down.
--
-- The window that ends now covers all of this bucket and the rest of the one before, whose hits
-- are taken as spread evenly. A refused hit is not counted. The one that meets a full window
-- starts the cool-down; hits during a cool-down change nothing, so they do not prolong it.
--
-- key: string of four numbers: which bucket, its hits, those of the one before, when the cool-down
-- ends. now, window, cooldown: ms. Returns 1 allowed or 0, remaining, ms until the bucket ends;
-- when refused, until a hit will pass.
local function limit_hit(key, now, count, window, cooldown)
    local i, c, p = math.floor(now / window), 0, 0
    local spent = now - i * window
    local bucket, hits, before, blocked =
        string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%d+) (%d+)$')
    if bucket then
        if tonumber(blocked) > now then
            return 0, 0, blocked - now
        end
        if tonumber(bucket) == i then
            c, p = tonumber(hits), tonumber(before)
        elseif tonumber(bucket) == i - 1 then
            p = tonumber(hits)
        end
    end
    local used = c + p * (window - spent) / window

    if used + 1 <= count then
        if c > 0 then -- all but its hits is as the first one left it
            redis.call('SET', key, bucket .. ' ' .. c + 1 .. ' ' .. before .. ' 0', 'KEEPTTL')
        else
            redis.call('SET', key, string.format('%d 1 %d 0', i, p), 'PX', 2 * window)
        end
        return 1, math.floor(count - used - 1), window - spent
    end
    if cooldown > 0 then
        redis.call('SET', key, string.format('%d %d %d %d', i, c, p, now + cooldown), 'PX',
            math.max(cooldown, 2 * window))
        return 0, 0, cooldown
    end
    if c + 1 <= count then -- the older bucket has to fade
        return 0, 0, math.max(1, math.ceil(window * (1 - (count - c - 1) / p) - spent))
    end
    -- this bucket has to end, then fade
    return 0, 0, math.max(1, math.ceil(window - spent + window * (1 - (count - 1) / c)))
end
