-- Removes a dead letter, if it is parked.
-- KEYS 1: failed jobs, 2: the entry's job, 3: waiting, 4: active, 5: delayed jobs
-- ARGV 1: entry id, 2: the SHA-1 of the data that it had when it was read ('' where it was not read yet)
-- Returns 'gone', 'changed' where it has other data by now, or 'busy' where it is not parked yet or being redriven.

local data = redis.call('HGET', KEYS[2], 'data')
if not data then return 'gone' end
if redis.sha1hex(data) ~= ARGV[2] then return 'changed' end
if not is_parked() then return 'busy' end

redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[2] .. ':logs')
return 'gone'
