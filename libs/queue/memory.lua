-- Goes before the scripts that remember streams or objects, after outages.lua.

-- One clock for all replicas.
local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now = now_s * 1000 + math.floor(clock[2] / 1000)

-- Flux's own retries make an event late by seconds. One that is later than this is from a clock that differs.
local LATE_S = 120

-- The time of an event (s). A clock that is ahead must not hold back what happens until the time that it showed.
local function event_time(timestamp)
  return math.min(tonumber(timestamp) or now_s, now_s)
end

-- An event that is far older than what has been seen counts as of its arrival.
local function unless_late(at, seen)
  return seen and seen - at > LATE_S and now_s or at
end

-- Drops from an index, which holds what is remembered by when it was last seen (ms), what is to be forgotten, and returns it:
-- what has not been seen for `memory`, and the oldest of what is more than `max`, but nothing seen within `keep`. At most 100 at
-- a time, so that no event waits for it.
local function forget(index, memory, max, keep)
  local excess = redis.call('ZCARD', index) - max
  local oldest = redis.call('ZRANGEBYSCORE', index, '-inf', now - memory, 'LIMIT', 0, 100)
  if excess > #oldest then
    oldest = redis.call('ZRANGEBYSCORE', index, '-inf', now - keep, 'LIMIT', 0, math.min(excess, 100))
  end
  if #oldest > 0 then redis.call('ZREM', index, unpack(oldest)) end
  return oldest
end

-- Forgets objects by this rule: when they were last healthy, and their outages. An object counts as seen when it has a success,
-- or when a failure of it is tried.
-- `healthy`: the time of each object's newest success (s), `objects`: objects by when they were last seen (ms), `prefix`: of the
-- keys of outages
local function forget_objects(healthy, objects, prefix, memory, max, keep)
  for _, object in ipairs(forget(objects, memory, max, keep)) do
    redis.call('HDEL', healthy, object)
    redis.call('DEL', prefix .. object)
  end
end

-- Notes that an object was healthy at a time, which re-arms its older failures. Returns the time.
local function recovered(healthy, objects, object, at, prefix, memory, max, keep)
  local newest = tonumber(redis.call('HGET', healthy, object))
  at = unless_late(at, newest)
  if not newest or newest < at then redis.call('HSET', healthy, object, at) end
  note_success(prefix .. object, at)
  redis.call('ZADD', objects, now, object)
  forget_objects(healthy, objects, prefix, memory, max, keep)
  return at
end
