-- Gives the claim of a dispatch that has come to its end the time that it is to live on. Compares first: a claim that another
-- dispatch holds by now is not touched. What was delivered is written into its stream, which remembers it beyond the claim.
-- A dead one leaves feedback for the repeats of its event, for as long as its claim lives; there is none on a delivered one.
-- The attempt at a failure has ended, and one that was delivered confirms its outage.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: job, 4: stream, 5: streams by when they were last seen
--      (ms), 6: feedback, 7: outages of its object, 8: receipts that are to be opened
-- ARGV 1: job id, 2: dedup id, 3: time to live (ms; 0: ends now), 4: delivered or dead, 5: when the job was queued that
--      ends (ms; empty: whenever), 6: 1 where the stream remembers it, 7: time of the event (s), 8: stream id, 9: the
--      feedback, 10: 1 where it is a failure, 11: when GitHub accepted it, by GitHub's clock (ms; 0: unknown; empty: no receipt)
-- Returns Redis' clock (ms).

local ttl, dead = tonumber(ARGV[3]), ARGV[4] == 'dead'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Whoever finds the job again, its worker having died before it could end it, is not to send it again. By then the claim may
-- have expired, or belong to another dispatch.
local data = not dead and redis.call('HGET', KEYS[3], 'data')
if data then
  redis.call('HSET', KEYS[3], 'delivered', 1)
  if ARGV[11] ~= '' then
    local accepted = ARGV[11] == '0' and now or ARGV[11]
    redis.call('HSET', KEYS[8], ARGV[1], string.format('%.0f', now) .. ' ' .. accepted .. ' ' .. data)
    -- Where receipts are off for good, what is left here is not to stay for ever.
    redis.call('PEXPIRE', KEYS[8], 86400000)
  end
end

-- What a slow worker finds dead may be on the queue again.
local queued = dead and ARGV[5] ~= '' and redis.call('HGET', KEYS[3], 'timestamp')
if queued and queued ~= ARGV[5] then return now end

if ARGV[10] == '1' then end_attempt(KEYS[7], ARGV[1], not dead) end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return now end

-- Or it was delivered meanwhile by another that has taken the job up.
if dead and redis.call('PTTL', KEYS[1]) >= 0 and redis.call('ZSCORE', KEYS[2], ARGV[2]) then return now end

if ttl > 0 then redis.call('PEXPIRE', KEYS[1], ttl) else redis.call('DEL', KEYS[1]) end
if dead and ttl > 0 and ARGV[9] ~= '' then
  redis.call('SET', KEYS[6], ARGV[9], 'PX', ttl)
else
  redis.call('DEL', KEYS[6])
end
if dead then
  redis.call('ZREM', KEYS[2], ARGV[2])
  return now
end

redis.call('ZADD', KEYS[2], now + ttl, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if ARGV[6] == '1' then
  local newest, entry = unpack(redis.call('HMGET', KEYS[4], 'newest', ARGV[2]))
  -- The stream was forgotten meanwhile, which it is not to be once the dispatch is delivered.
  if not newest then
    entry = ARGV[7]
    redis.call('HSET', KEYS[4], 'newest', ARGV[2], 'time', entry)
    redis.call('ZADD', KEYS[5], now, ARGV[8])
  end
  -- Something newer may stand in the stream of a success by now.
  if entry then redis.call('HSET', KEYS[4], ARGV[2], string.match(entry, '^%d+') .. ' ' .. ARGV[1]) end
end
return now
