-- Goes before pause.lua, pace.lua and pace-ratio.lua.
--
-- BullMQ's workers take no job while the count at the key of their limiter is at their maximum, so a count that is beyond every
-- maximum holds all replicas. There are two such counts: one for a pause that GitHub has asked for, one for the pace.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- For how long the queue is held with one of these counts (ms).
local function held(limiter, ...)
  local count = redis.call('GET', limiter)
  for _, each in ipairs({ ... }) do
    if count == each then return math.max(redis.call('PTTL', limiter), 0) end
  end
  return 0
end

-- Holds the queue. That it is held for longer already stays. Returns for how long it is held (ms).
local function hold(limiter, count, ms, left)
  if ms <= left then return left end
  redis.call('SET', limiter, count, 'PX', ms)
  return ms
end

-- The share of the pace that GitHub bears at present. It doubles with every 10 minutes since the last secondary limit.
local function share(pace)
  local ratio, since = unpack(redis.call('HMGET', pace, 'ratio', 'since'))
  if not ratio then return 1 end
  return math.min(1, ratio * 2 ^ math.floor((now - since) / 600000))
end
