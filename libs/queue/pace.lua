-- Lets one call to GitHub go, or holds the queue until the next may: over all replicas there are no more calls than the pace
-- allows in any window of its length, whenever that begins.
-- KEYS 1: limiter, 2: times of the newest calls (ms), newest first, 3: pace
-- ARGV 1: calls in a window (0: any number), 2: the window (ms), 3: the count of a pause, 4: the count of the pace
-- Returns for how long the call has to wait (ms); 0: it goes.

local limiter, calls, pace = unpack(KEYS)
local max, window, paused, paced = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]

local left = held(limiter, paused, paced)
if left > 0 or max == 0 then return left end

-- Part of a call in a window is a call in a longer window.
local fair = max * share(pace)
local allowed = math.max(1, math.floor(fair))
window = math.ceil(window * allowed / fair)

-- How long until the call that opened the window is out of it.
local function until_next()
  local first = redis.call('LINDEX', calls, allowed - 1)
  return first and first + window - now or 0
end

local wait = until_next()
if wait > 0 then return hold(limiter, paced, wait, 0) end
redis.call('LPUSH', calls, now)
redis.call('LTRIM', calls, 0, max - 1)
redis.call('PEXPIRE', calls, window)

-- It was the last one of its window: a job that is fetched now would only be put back.
wait = until_next()
if wait > 0 then hold(limiter, paced, wait, 0) end
return 0
