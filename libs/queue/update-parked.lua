-- Replaces the data of a dead letter, if it is parked: one that is being redriven would take the new data with it.
-- The death of a newer dispatch is left to stand for that of an older one.
-- KEYS 1: failed jobs, 2: the entry's job
-- ARGV 1: entry id, 2: data (JSON), 3: reason, 4: time (ms), 5: when the dispatch that died was accepted (ms)
-- Returns 'updated', 'newer' or 'busy'.

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 'busy' end
local dispatch = cjson.decode(redis.call('HGET', KEYS[2], 'data')).dispatch
local accepted_at = type(dispatch) == 'table' and tonumber(dispatch.accepted_at)
if accepted_at and accepted_at > tonumber(ARGV[5]) then return 'newer' end

redis.call('HSET', KEYS[2], 'data', ARGV[2], 'failedReason', ARGV[3], 'finishedOn', ARGV[4])
-- What died again is the newest in the list, and its retention begins anew.
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
return 'updated'
