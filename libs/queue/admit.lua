-- Asks, before an enqueue, whether an event is news. Ends nobody's claim but the event's own.
-- KEYS 1: claim, 2: delivered ids by expiry, 3: stream, 4: time of the object's newest success towards the repository (s)
-- ARGV 1: dedup id, 2: class, 3: time of the event (s), 4: how long a repeat renews the claim of a delivered dispatch
--      (ms; 0: not at all), 5: how long a stream is remembered without an event (ms), 6: prefix of claim keys
-- Returns {'add'}, {'repeat', id of the dispatch that it repeats} or {'stale'}.
--
-- A stream is a hash: `id` and `time` of its newest enqueued event, and for failures `at:<dedup id>`, the time at which
-- each was enqueued, so that a success since then can be told.

local claim, delivered, stream, successes = unpack(KEYS)
local id, class, at, renewal, memory, prefix = unpack(ARGV)
at, renewal = tonumber(at), tonumber(renewal)

local newest = redis.call('HMGET', stream, 'id', 'time')
local newest_id, newest_time = newest[1], tonumber(newest[2])
local ttl = redis.call('PTTL', claim)
local own = ttl ~= -2

-- Whether the claim is from an earlier run of the stream: for a success, something else has been deployed since; for a
-- failure, the object was well again since.
if own and class == 'success' then
  own = not newest_id or newest_id == id
elseif own then
  local success = tonumber(redis.call('GET', successes))
  local claimed_at = tonumber(redis.call('HGET', stream, 'at:' .. id))
  own = not (success and claimed_at and claimed_at < success and success <= at)
end

if not own and newest_time and at < newest_time then return { 'stale' } end

-- Only now, as an event that is overtaken says nothing of how things are.
if class == 'success' then
  redis.call('SET', successes, math.max(at, tonumber(redis.call('GET', successes)) or 0), 'PX', memory)
end

-- Without expiry the dispatch is pending. The enqueue decides on it, by SET NX, and there BullMQ also takes over a claim
-- whose job has vanished.
if own and ttl == -1 then
  redis.call('PEXPIRE', stream, memory)
  return { 'add' }
end

if own then
  if renewal > 0 and redis.call('ZSCORE', delivered, id) then
    local time = redis.call('TIME')
    redis.call('PEXPIRE', claim, renewal)
    redis.call('ZADD', delivered, time[1] * 1000 + math.floor(time[2] / 1000) + renewal, id)
  end
  redis.call('PEXPIRE', stream, memory)
  return { 'repeat', redis.call('GET', claim) }
end

if ttl ~= -2 then
  redis.call('DEL', claim)
  redis.call('ZREM', delivered, id)
end
redis.call('HSET', stream, 'id', id, 'time', at)
if class == 'failure' then
  redis.call('HSET', stream, 'at:' .. id, at)
  -- A broken object that keeps finding new words for it must not grow its stream without end.
  if redis.call('HLEN', stream) > 64 then
    for _, field in ipairs(redis.call('HKEYS', stream)) do
      local failure = string.match(field, '^at:(.+)$')
      if failure and failure ~= id and redis.call('EXISTS', prefix .. failure) == 0 then
        redis.call('HDEL', stream, field)
      end
    end
  end
end
redis.call('PEXPIRE', stream, memory)
return { 'add' }
