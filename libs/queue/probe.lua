-- Finds out whether Redis takes our writes: writes a key of ours, and looks at those that every dispatch passes through.
-- KEYS 1: probe, the others: keys whose type matters
-- ARGV 1: how long the probe lives (ms), the others: the type of each of those keys
-- Returns nothing. Fails as the command does that Redis refuses.

redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
for i = 2, #KEYS do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= ARGV[i] then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. found .. ', not a ' .. ARGV[i])
  end
end
