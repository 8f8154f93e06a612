-- Enters a receipt among those of its repository, and reads what they share.
-- KEYS 1: open receipts of the repository, 2: those of the event type that look for runs, both by when GitHub accepted their
--      dispatches (ms), 3: what came of the newest listing
-- ARGV 1: dispatch id, 2: when GitHub accepted it (ms), 3: until when it looks for runs (ms), 4: how long anything is kept (ms)
-- Returns {now (ms), when GitHub accepted the oldest (ms), {id, when, id, when, ...} of those that look for runs, the listing}.
local open, seekers, listed = unpack(KEYS)
local id, accepted, until_ms, keep = unpack(ARGV)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', open, accepted, id)
if now < tonumber(until_ms) then redis.call('ZADD', seekers, accepted, id) else redis.call('ZREM', seekers, id) end
for _, key in ipairs({ open, seekers }) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. (tonumber(accepted) - tonumber(keep)))
  redis.call('PEXPIRE', key, keep)
end
return {
  now,
  redis.call('ZRANGE', open, 0, 0, 'WITHSCORES')[2],
  redis.call('ZRANGE', seekers, 0, -1, 'WITHSCORES'),
  redis.call('GET', listed),
}
