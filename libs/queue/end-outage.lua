-- Notes a success as recover.lua does, and finds the outage that has ended with it: the newest one that began strictly before.
-- KEYS 1: time of each object's newest success (s), 2: objects by when they were last seen (ms), 3: outages of the object
-- ARGV 1: object id, 2: time of the event (s; empty: unknown), 3: how long it is remembered (ms), 4: how many are, 5: how
--      long one is kept however many there are (ms), 6: prefix of the keys of outages
-- Returns {id of the outage, since when it lasted (s), time of the success (s), 1 where it is certain to be confirmed, time of the
-- first success after it (s)}; nothing where there is none.

local object, timestamp, memory, max, keep, prefix = unpack(ARGV)
memory = tonumber(memory)
local at = recovered(KEYS[1], KEYS[2], object, event_time(timestamp), prefix, memory, tonumber(max), tonumber(keep))
-- What only waits for its next attempt is superseded by this success.
local known = {}
for id, outage in pairs(read_outages(KEYS[3])) do
  if outage.confirmed or outage.under_way then known[id] = outage end
end
local outage = newest_outage(known, at)
if not outage then return end
redis.call('PEXPIRE', KEYS[3], memory)
return { outage.id, outage.since, at, outage.confirmed and 1 or 0, outage.ended }
