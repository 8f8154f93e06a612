-- Removes a dead letter that is parked, if it is of this dispatch or of one that was accepted before a given time.
-- KEYS 1: failed jobs, 2: the entry's job
-- ARGV 1: entry id, 2: dispatch id, 3: time (ms; 0: only this dispatch's own)
-- Returns 'busy' where there is such a one, but it is not parked yet or being redriven; else 'gone'.

local data = redis.call('HGET', KEYS[2], 'data')
if not data then return 'gone' end
local entry = cjson.decode(data)
local accepted_at = type(entry.dispatch) == 'table' and tonumber(entry.dispatch.accepted_at)
if entry.dispatch_id ~= ARGV[2] and not (accepted_at and accepted_at < tonumber(ARGV[3])) then return 'gone' end

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 'busy' end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[2] .. ':logs')
return 'gone'
