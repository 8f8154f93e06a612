-- Begins an attempt at a failure, which opens an outage of its object or belongs to the one that lasts; unless its object has
-- recovered since.
-- KEYS 1: outages of the object, 2: time of each object's newest success (s), 3: objects by when they were last seen (ms)
-- ARGV 1: object id, 2: dispatch id, 3: token of the attempt, 4: time of the failure (s), 5: how long an object is remembered
--      (ms), 6: how many are, 7: how long one is kept however many there are (ms), 8: prefix of the keys of outages
-- Returns {id of the outage, since when it lasts (s)}; nothing where the failure is superseded.

local key, healthy, objects = unpack(KEYS)
local object, dispatch, token, time, memory, max, keep, prefix = unpack(ARGV)
time, memory, max, keep = tonumber(time), tonumber(memory), tonumber(max), tonumber(keep)

-- The worker of that attempt died in it, and GitHub may have the failure. The same token is the same attempt, whose answer from
-- here was lost.
local tried, by = attempt_at(key, dispatch)
if tried and by ~= token and by ~= WAITS then confirm_outage(key, tried) end

local success = tonumber(redis.call('HGET', healthy, object))
if success and success > time then
  end_attempt(key, dispatch, false)
  return
end

-- Its outage is the same over every attempt: GitHub may have it from an earlier one.
local outages = read_outages(key)
local outage = tried and outages[tried] or newest_outage(outages, math.huge)
local is_over = outage and outage.id ~= tried and success and success > outage.since
-- An attempt from long ago may still be under way in an older outage, so a few of them are remembered.
local MAX_OUTAGES = 8
if not outage or is_over then
  outage = { id = dispatch, since = time }
  redis.call('HSET', key, outage.id, time)
  local ids = {}
  for id in pairs(outages) do ids[#ids + 1] = id end
  table.sort(ids, function(a, b) return outages[a].since > outages[b].since end)
  for i = MAX_OUTAGES, #ids do drop_outage(key, ids[i]) end
end
redis.call('HSET', key, TRIED .. dispatch, outage.id .. ' ' .. token)
redis.call('PEXPIRE', key, memory)
redis.call('ZADD', objects, now, object)
forget_objects(healthy, objects, prefix, memory, max, keep)
return { outage.id, outage.since }
