-- Finds out what has become of an outage.
-- KEYS 1: outages of the object
-- ARGV 1: id of the outage
-- Returns 'tried' while an attempt at a failure of it is under way, 'confirmed', or 'gone'.

local outage = read_outages(KEYS[1])[ARGV[1]]
if not outage then return 'gone' end
if outage.under_way then return 'tried' end
return outage.confirmed and 'confirmed' or 'gone'
