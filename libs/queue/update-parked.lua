-- Replaces the data of a dead letter, if it is parked: one that is being redriven would take the new data with it.
-- KEYS 1: failed jobs, 2: the entry's job
-- ARGV 1: entry id, 2: data (JSON), 3: reason, 4: time (ms)
-- Returns 1 where it was replaced, else 0.

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], 'data', ARGV[2], 'failedReason', ARGV[3], 'finishedOn', ARGV[4])
-- What died again is the newest in the list, and its retention begins anew.
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
return 1
