-- Ends a claim that is in the cooldown of a dispatch that has died. That of a pending or a delivered one stays.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: feedback
-- ARGV 1: dedup id

if redis.call('PTTL', KEYS[1]) < 0 then return end
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then redis.call('DEL', KEYS[1], KEYS[3]) end
