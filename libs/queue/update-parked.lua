-- Replaces the data of a dead letter, if it is parked: one that is being redriven would take the new data with it.
-- KEYS 1: failed jobs, 2: the entry's job, 3: waiting, 4: active, 5: delayed jobs
-- ARGV 1: entry id, 2: the SHA-1 of the data that it had when it was read ('' for none), 3: data (JSON), 4: reason, 5: time (ms)
-- Returns 'updated', 'changed' where it has other data by now, or 'busy'.
--
-- The data is compared, not decoded: cjson refuses some of what JSON.stringify writes, such as a lone surrogate.

if redis.call('EXISTS', KEYS[2]) == 0 then return 'changed' end
local data = redis.call('HGET', KEYS[2], 'data')
if (data and redis.sha1hex(data) or '') ~= ARGV[2] then return 'changed' end
if not is_parked() then return 'busy' end

redis.call('HSET', KEYS[2], 'data', ARGV[3], 'failedReason', ARGV[4], 'finishedOn', ARGV[5])
-- What died again is the newest in the list, and its retention begins anew.
redis.call('ZADD', KEYS[1], ARGV[5], ARGV[1])
return 'updated'
