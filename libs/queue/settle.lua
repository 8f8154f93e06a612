-- Gives the claim of a dispatch that has come to its end the time it is to live on. Compares first: a claim that
-- another dispatch holds by now is not touched. The claims of delivered dispatches are indexed and their number capped.
-- KEYS 1: claim, 2: delivered ids by expiry, 3: job
-- ARGV 1: job id, 2: dedup id, 3: time to live (ms; 0: ends now), 4: delivered at most (0: not delivered, but dead),
--      5: prefix of claim keys, 6: when the job was queued that ends (ms; empty: whenever)
-- Returns 1 where the claim was this dispatch's own, else 0.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local ttl, max = tonumber(ARGV[3]), tonumber(ARGV[4])

-- What a slow worker finds dead may have been delivered meanwhile by another that has taken the job up, or be on the
-- queue again.
if max == 0 then
  if redis.call('PTTL', KEYS[1]) >= 0 and redis.call('ZSCORE', KEYS[2], ARGV[2]) then return 0 end
  local queued = redis.call('HGET', KEYS[3], 'timestamp')
  if queued and ARGV[6] ~= '' and queued ~= ARGV[6] then return 0 end
end

if ttl > 0 then redis.call('PEXPIRE', KEYS[1], ttl) else redis.call('DEL', KEYS[1]) end
if max == 0 then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return 1
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now + ttl, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local excess = redis.call('ZCARD', KEYS[2]) - max
if excess > 0 then
  for i, member in ipairs(redis.call('ZPOPMIN', KEYS[2], excess)) do
    -- Members and scores alternate. A claim without expiry belongs to a pending dispatch and stays.
    local claim = ARGV[5] .. member
    if i % 2 == 1 and redis.call('PTTL', claim) >= 0 then redis.call('DEL', claim) end
  end
end
return 1
