-- Which dispatch holds a claim, and what has become of it. Once the claim of a delivered one has expired, its stream knows.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: stream
-- ARGV 1: dedup id
-- Returns {id, 'pending', 'delivered' or 'dead'}; nothing where there is none.

local id = redis.call('GET', KEYS[1])
if not id then
  local delivered = string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', ' (.+)$')
  return delivered and { delivered, 'delivered' }
end
-- The index may still have the id from an earlier dispatch whose claim has run out; a pending one has no expiry.
if redis.call('PTTL', KEYS[1]) == -1 then return { id, 'pending' } end
return { id, redis.call('ZSCORE', KEYS[2], ARGV[1]) and 'delivered' or 'dead' }
