-- Ends an attempt at a failure that GitHub has not accepted, as far as is known.
-- KEYS 1: outages of the object
-- ARGV 1: dispatch id, 2: token of the attempt. Where another has taken the dispatch up, its attempt goes on, 3: `again` where it
--      will be tried again, `doubtful` where GitHub may have it, too, `never` where it is not sent at all

local key, dispatch, token, ended = KEYS[1], unpack(ARGV)
local outage, by = attempt_at(key, dispatch)
if by ~= token then return end
if ended == 'never' then return end_attempt(key, dispatch, false) end
if ended == 'doubtful' then confirm_outage(key, outage) end
wait_for_next(key, dispatch)
