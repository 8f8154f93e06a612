-- Ends a claim that is in the cooldown of a dispatch that has died. That of a pending or a delivered one stays.
-- KEYS 1: claim, 2: delivered ids by expiry
-- ARGV 1: dedup id

if redis.call('PTTL', KEYS[1]) < 0 then return end
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then redis.call('DEL', KEYS[1]) end
