-- Notes that a workflow run came of a dispatch: there is nothing to say about it any more. What was said about another dispatch
-- of the same dedup id stays.
-- KEYS 1: claim, 2: claims of delivered dispatches by expiry (ms), 3: stream, 4: feedback
-- ARGV 1: dedup id, 2: dispatch id

local held = holder(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if held and held[1] ~= ARGV[2] then return end
if string.match(redis.call('GET', KEYS[4]) or '', '^no_run ') then redis.call('DEL', KEYS[4]) end
