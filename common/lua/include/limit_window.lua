-- One hit on a limit: a sliding window weighted over two counted buckets, and a cool-down.
--
-- The window that ends now covers all of this bucket and the rest of the one before, whose hits
-- are taken as spread evenly. A refused hit is not counted. The one that meets a full window
-- starts the cool-down; hits during a cool-down change nothing, so they do not prolong it.
--
-- key: hash i (number of the bucket), c (its hits), p (hits of the one before), b (cool-down ends)
-- now, window, cooldown: ms. Returns {1 allowed or 0, remaining, ms until the bucket ends; when
-- refused, until a hit will pass}.
local function limit_hit(key, now, count, window, cooldown)
    local text = function(n) return string.format('%.0f', n) end
    local h = redis.call('HMGET', key, 'i', 'c', 'p', 'b')
    local blocked = tonumber(h[4] or 0)
    if blocked > now then
        return {0, 0, blocked - now}
    end

    local i = math.floor(now / window)
    local last, c, p = tonumber(h[1] or -1), 0, 0
    if last == i then
        c, p = tonumber(h[2]), tonumber(h[3])
    elseif last == i - 1 then
        p = tonumber(h[2])
    end
    local spent = now - i * window
    local used = c + p * (window - spent) / window

    if used + 1 > count then
        if cooldown > 0 then
            redis.call('HSET', key, 'b', text(now + cooldown))
            redis.call('PEXPIRE', key, text(math.max(cooldown, 2 * window)))
            return {0, 0, cooldown}
        end
        local wait
        if c + 1 <= count then -- the older bucket has to fade
            wait = window * (1 - (count - c - 1) / p) - spent
        else -- this bucket has to end, then fade
            wait = window - spent + window * (1 - (count - 1) / c)
        end
        return {0, 0, math.max(1, math.ceil(wait))}
    end

    if last == i then -- i, p and the end of life are as its first hit left them
        redis.call('HSET', key, 'c', text(c + 1))
    else
        redis.call('HSET', key, 'i', text(i), 'c', text(c + 1), 'p', text(p))
        redis.call('PEXPIRE', key, text(2 * window))
    end
    return {1, math.floor(count - used - 1), window - spent}
end
