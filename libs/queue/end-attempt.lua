-- Ends an attempt at a failure that GitHub has not accepted, and that is made again later.
-- KEYS 1: outages of the object
-- ARGV 1: dispatch id, 2: token of the attempt. Where another has taken the dispatch up, its attempt goes on

local _, by = attempt_at(KEYS[1], ARGV[1])
if by == ARGV[2] then end_attempt(KEYS[1], ARGV[1], false) end
