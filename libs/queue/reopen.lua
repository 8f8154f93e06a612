-- Ends the claim of a dispatch that has come to its end, so that the same dispatch can be enqueued again. That of a pending one,
-- or of another dispatch, stays.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: feedback
-- ARGV 1: dedup id, 2: dispatch id

local claim, delivered, feedback = unpack(KEYS)
local held_by = redis.call('GET', claim)
if held_by and (held_by ~= ARGV[2] or redis.call('PTTL', claim) < 0) then return end
redis.call('DEL', claim, feedback)
redis.call('ZREM', delivered, ARGV[1])
