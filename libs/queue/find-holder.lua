-- Which dispatch holds a claim, and what has become of it.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: stream
-- ARGV 1: dedup id
-- Returns {id, 'pending', 'delivered' or 'dead'}; nothing where there is none.

return holder(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
