-- Notes a success that no dispatch is wanted for: it re-arms the failures of its object all the same.
-- KEYS 1: time of each object's newest success (s), 2: objects by when they were last seen (ms)
-- ARGV 1: object id, 2: time of the event (s; empty: unknown), 3: how long it is remembered (ms), 4: how many are,
--      5: how long one is kept however many there are (ms), 6: prefix of the keys of outages

local object, timestamp, memory, max, keep, prefix = unpack(ARGV)
recovered(KEYS[1], KEYS[2], object, event_time(timestamp), prefix, tonumber(memory), tonumber(max), tonumber(keep))
