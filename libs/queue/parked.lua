-- Whether a dead letter is parked. Goes before remove-parked.lua and update-parked.lua.
-- KEYS 1: failed jobs, 3: waiting, 4: active, 5: delayed jobs
-- ARGV 1: entry id

-- Whoever deletes the list of the failed jobs by hand leaves entries behind that are in no list. They count as parked.
local function is_parked()
  return redis.call('ZSCORE', KEYS[1], ARGV[1])
    or not (
      redis.call('LPOS', KEYS[3], ARGV[1])
      or redis.call('LPOS', KEYS[4], ARGV[1])
      or redis.call('ZSCORE', KEYS[5], ARGV[1])
    )
end
