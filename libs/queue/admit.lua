-- Asks, before an enqueue, whether the event repeats a dispatch that has come to its end.
-- KEYS 1: claim, 2: delivered ids by expiry
-- ARGV 1: dedup id, 2: how long a repeat renews the claim of a delivered dispatch (ms; 0: not at all)
-- Returns the id of the dispatch that the event repeats, or nil where the event is to be enqueued.

local ttl = redis.call('PTTL', KEYS[1])
-- No claim, or one without expiry: its dispatch is pending. The enqueue itself decides these, by SET NX, and there
-- BullMQ also takes over a claim whose job has vanished.
if ttl < 0 then return nil end

local renewal = tonumber(ARGV[2])
if renewal > 0 and redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  local time = redis.call('TIME')
  redis.call('PEXPIRE', KEYS[1], renewal)
  redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + renewal, ARGV[1])
end
return redis.call('GET', KEYS[1])
