-- Goes before the scripts that know outages.
--
-- The outages of an object towards a repository are a hash. Under the id of each stands the time of the failure that opened it
-- (s), and `confirmed` once a failure of it was delivered, or may have been. Under `ended:` and its id stands the time of the first
-- success after it (s). Under `tried:` and the id of its dispatch stands each failure that belongs to an outage and has not come to
-- its end: the id of the outage, and the token of the attempt that is under way or `-`. An outage that is not confirmed and has no
-- such failure has come to nothing, and is dropped.

local TRIED, ENDED, WAITS = 'tried:', 'ended:', '-'

-- The outages by their ids: each with `id`, `since`, when it `ended`, whether it is `confirmed`, whether a failure of it is
-- `under_way`, and whether one will be tried again (`open`).
local function read_outages(key)
  local outages, ended, tried = {}, {}, {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if string.sub(name, 1, #TRIED) == TRIED then
      tried[#tried + 1] = value
    elseif string.sub(name, 1, #ENDED) == ENDED then
      ended[string.sub(name, #ENDED + 1)] = tonumber(value)
    else
      local since, confirmed = string.match(value, '^(%d+)(.*)$')
      outages[name] = { id = name, since = tonumber(since), confirmed = confirmed ~= '' }
    end
  end
  for id, outage in pairs(outages) do outage.ended = ended[id] end
  for _, value in ipairs(tried) do
    local id, token = string.match(value, '^(%S+) (.*)$')
    local outage = outages[id]
    if outage then
      outage.open = true
      outage.under_way = outage.under_way or token ~= WAITS
    end
  end
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

local function drop_outage(key, id) redis.call('HDEL', key, id, ENDED .. id) end

local function confirm_outage(key, id)
  local since = string.match(redis.call('HGET', key, id) or '', '^%d+')
  if since then redis.call('HSET', key, id, since .. ' confirmed') end
end

-- A failure that has been tried: the id of its outage, and the token of the attempt that is under way or `-`; nothing where it is
-- none.
local function attempt_at(key, dispatch)
  return string.match(redis.call('HGET', key, TRIED .. dispatch) or '', '^(%S+) (.*)$')
end

-- The attempt at a failure has ended, and it will be tried again: it stays in its outage.
local function wait_for_next(key, dispatch)
  local id = attempt_at(key, dispatch)
  if id then redis.call('HSET', key, TRIED .. dispatch, id .. ' ' .. WAITS) end
end

-- A failure has come to its end.
local function end_attempt(key, dispatch, delivered)
  local id = attempt_at(key, dispatch)
  if not id then return end
  redis.call('HDEL', key, TRIED .. dispatch)
  if delivered then return confirm_outage(key, id) end
  local outage = read_outages(key)[id]
  if outage and not outage.confirmed and not outage.open then drop_outage(key, id) end
end

-- The object was healthy at a time (s), which ends the outages that began strictly before.
local function note_success(key, at)
  for id, outage in pairs(read_outages(key)) do
    if outage.since < at and (not outage.ended or at < outage.ended) then redis.call('HSET', key, ENDED .. id, at) end
  end
end
