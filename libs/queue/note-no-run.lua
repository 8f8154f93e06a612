-- Notes that no workflow run came of a delivered dispatch, for the next repeats of its event. A dispatch that is not the newest
-- of its dedup id any more, or is on the queue again, changes nothing.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: stream, 4: feedback
-- ARGV 1: dedup id, 2: dispatch id, 3: the feedback, 4: how long it lives (ms)

local held = holder(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if held and held[1] == ARGV[2] and held[2] == 'delivered' then redis.call('SET', KEYS[4], ARGV[3], 'PX', ARGV[4]) end
