-- Which dispatch holds a claim, and what has become of it.
-- KEYS 1: claim, 2: delivered ids by expiry
-- ARGV 1: dedup id
-- Returns {id, 'pending', 'delivered' or 'dead'}; nothing where nobody does.

local id = redis.call('GET', KEYS[1])
if not id then return end
-- The index may still have the id from an earlier dispatch whose claim has run out; a pending one has no expiry.
if redis.call('PTTL', KEYS[1]) == -1 then return { id, 'pending' } end
return { id, redis.call('ZSCORE', KEYS[2], ARGV[1]) and 'delivered' or 'dead' }
