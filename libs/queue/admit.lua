-- Asks, before an enqueue, whether an event is news. What it answers with 'add' goes on to BullMQ's enqueue, whose SET NX
-- of the claim stays the only gate: the same event at two replicas at once is 'add' for both, and one job.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: stream, 4: streams by when they were last seen (ms),
--      5: time of each object's newest success (s), 6: objects by when they were last seen (ms), 7: turns, 8: jobs that
--      wait, by priority, 9: feedback
-- ARGV 1: dedup id, 2: stream id, 3: object id, 4: class, 5: time of the event (s; empty: unknown), 6: 1 where a delivered
--      dispatch is remembered for as long as its stream, 7: how long a stream is remembered (ms), 8: how many are, 9: how
--      long one is kept however many there are (ms), 10: prefix of stream keys, 11: prefix of the keys of outages, 12: prefix of
--      job keys, 13: repository, 14: the last priority, 15: 1 where Redis has no room for another dispatch
-- Returns {'add', time of the event (s), now (ms), priority, 1 where two sources overwrite each other}, {'repeat', id of the
-- dispatch that it repeats, feedback on that (empty: none)}, {'stale'} or {'full'}.
--
-- A stream is a hash. `newest` and `time` are the dedup id and the time of its newest enqueued event. Under its dedup id stands
-- each event that is remembered, of a success stream the newest alone: its time and, once delivered, its dispatch id.
-- `previous`, `turned`, `turns` and `warned` tell whether two sources overwrite each other.

local claim, delivered, stream, streams, healthy, objects, turns, waiting, feedback = unpack(KEYS)
local id, stream_id, object, class, timestamp, remembered, memory, max, keep = unpack(ARGV)
local prefix, outages, jobs, repo, last, full = unpack(ARGV, 10)
memory, max, keep, last = tonumber(memory), tonumber(max), tonumber(keep), tonumber(last)
local at = event_time(timestamp)

local newest_id, newest_time, entry = unpack(redis.call('HMGET', stream, 'newest', 'time', id))
newest_time = tonumber(newest_time)
local entry_time, dispatch_id = string.match(entry or '', '^(%d+) ?(.*)$')
entry_time = tonumber(entry_time)
local success = class == 'failure' and tonumber(redis.call('HGET', healthy, object)) or nil
at = unless_late(unless_late(at, newest_time), success)
local ttl = redis.call('PTTL', claim)
-- What has a claim and no entry was forgotten by its stream. Its job knows when it happened.
if ttl ~= -2 and not entry then
  local data = redis.call('HGET', jobs .. redis.call('GET', claim), 'data')
  local readable, dispatch = pcall(cjson.decode, data or '')
  entry_time = readable and type(dispatch) == 'table' and tonumber(dispatch.event_time) or nil
end

-- A success repeats what its stream holds unless something else has been deployed since, a failure unless its object has
-- recovered since. The recovery from an outage happens once.
local known = entry or ttl ~= -2
if class == 'success' then
  known = known and (not newest_id or newest_id == id)
else
  known = known and not (success and entry_time and entry_time < success and success <= at)
end
-- Each outage has its recovery, in whichever order they are reported.
if not known and class ~= 'recovery' and newest_time and at < newest_time then return { 'stale' } end

-- Only now: an event that has been overtaken says nothing about how things are.
if class == 'success' then at = recovered(healthy, objects, object, at, outages, memory, max, keep) end

local function see()
  redis.call('PEXPIRE', stream, memory)
  redis.call('ZADD', streams, now, stream_id)
end

-- The dispatch has come to its end, so there may be something to say about it.
local function repeats(dispatch)
  see()
  return { 'repeat', dispatch, redis.call('GET', feedback) or '' }
end

if known then
  if ttl >= 0 then
    dispatch_id = redis.call('GET', claim)
    -- The stream was forgotten meanwhile, or the dispatch was settled by a version that does not write into it.
    if remembered == '1' and redis.call('ZSCORE', delivered, id) then
      redis.call('HSET', stream, 'newest', newest_id or id, 'time', newest_time or entry_time or at)
      redis.call('HSET', stream, id, (entry_time or at) .. ' ' .. dispatch_id)
    end
    return repeats(dispatch_id)
  end
  if ttl == -2 and dispatch_id ~= '' then return repeats(dispatch_id) end
end

-- It is new, or pending, or was not delivered.
local pending = known and ttl == -1
-- Its dispatch stands for every report of it so far, in whichever order they arrive.
if known and entry_time then at = math.max(at, entry_time) end
if full == '1' and not pending then return { 'full' } end
-- A claim of its own from before the stream moved on is in its way.
if not known then redis.call('DEL', claim) end

-- Two sources that overwrite each other go back and forth between two events.
local conflict = 0
if class == 'success' and newest_id and newest_id ~= id then
  local previous, turned, count, warned = unpack(redis.call('HMGET', stream, 'previous', 'turned', 'turns', 'warned'))
  if previous == id then
    turned, count, warned = tonumber(turned) or 0, tonumber(count) or 0, tonumber(warned) or 0
    if now_s - turned > 3600 then turned, count = now_s, 0 end
    count = count + 1
    if count > 4 and now_s - warned >= 3600 then conflict, warned = 1, now_s end
    redis.call('HSET', stream, 'turned', turned, 'turns', count, 'warned', warned)
  end
  redis.call('HSET', stream, 'previous', newest_id)
  redis.call('HDEL', stream, newest_id)
end

if not pending then
  redis.call('HSET', stream, 'newest', id, 'time', math.max(at, newest_time or at), id, at)
elseif not entry then
  redis.call('HSET', stream, 'newest', newest_id or id, 'time', newest_time or entry_time or at, id, entry_time or at)
end

-- An object that breaks in ever new ways must not grow its stream without end. The oldest failures are forgotten first.
local MAX_FAILURES = 256
if redis.call('HLEN', stream) > MAX_FAILURES then
  local failures = {}
  local fields = redis.call('HGETALL', stream)
  for i = 1, #fields, 2 do
    if #fields[i] == 64 and fields[i] ~= id then
      failures[#failures + 1] = { fields[i], tonumber(string.match(fields[i + 1], '^%d+')) }
    end
  end
  table.sort(failures, function(a, b) return a[2] < b[2] end)
  for i = 1, MAX_FAILURES / 2 do redis.call('HDEL', stream, failures[i][1]) end
end

see()
for _, forgotten in ipairs(forget(streams, memory, max, keep)) do redis.call('DEL', prefix .. forgotten) end

-- What is pending has its turn.
local priority = next_turn(turns, waiting, repo, last, claim, id, not pending)
-- What was said about the dispatch before it does not count any more.
if not pending then redis.call('DEL', feedback) end
return { 'add', at, now, priority, conflict }
