-- Goes before the scripts that know outages.
--
-- The outages of an object towards a repository are a hash. Under the id of each stands the time of the failure that opened it
-- (s), and `confirmed` once a failure of it was delivered, or may have been. Under `trying:` and the id of its dispatch stands
-- each attempt at a failure that is under way: the id of the outage and the token of the attempt. An outage that is neither
-- confirmed nor tried has come to nothing, and is dropped.

local TRYING = 'trying:'

-- The outages by their ids: each with `id`, `since`, whether it is `confirmed` and whether a failure of it is `tried`.
local function read_outages(key)
  local outages, tried = {}, {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if string.sub(name, 1, #TRYING) == TRYING then
      tried[string.match(value, '^%S+')] = true
    else
      local since, confirmed = string.match(value, '^(%d+)(.*)$')
      outages[name] = { id = name, since = tonumber(since), confirmed = confirmed ~= '' }
    end
  end
  for id, outage in pairs(outages) do outage.tried = tried[id] == true end
  return outages
end

-- The newest outage that began before a time (s).
local function newest_outage(outages, before)
  local newest
  for _, outage in pairs(outages) do
    if outage.since < before and (not newest or outage.since > newest.since) then newest = outage end
  end
  return newest
end

local function confirm_outage(key, id)
  local since = string.match(redis.call('HGET', key, id) or '', '^%d+')
  if since then redis.call('HSET', key, id, since .. ' confirmed') end
end

-- The attempt at a failure that is under way: the id of its outage and its token; nothing where there is none.
local function attempt_at(key, dispatch)
  return string.match(redis.call('HGET', key, TRYING .. dispatch) or '', '^(%S+) (.*)$')
end

-- The attempt at a failure has ended.
local function end_attempt(key, dispatch, delivered)
  local id = attempt_at(key, dispatch)
  if not id then return end
  redis.call('HDEL', key, TRYING .. dispatch)
  if delivered then return confirm_outage(key, id) end
  local outage = read_outages(key)[id]
  if outage and not outage.confirmed and not outage.tried then redis.call('HDEL', key, id) end
end
