-- Pauses the queue for every worker. A pause is only ever lengthened. A secondary limit also halves the pace.
-- KEYS 1: limiter, 2: how many pauses in a row GitHub has given no time for, 3: pace
-- ARGV 1: how long (ms; negative: GitHub did not say), 2: the first pause then (ms), 3: the longest (ms), 4: the count of a
--      pause, 5: the count of the pace, 6: primary or secondary
-- Returns for how long the queue is held (ms).

local limiter, untold, pace = unpack(KEYS)
local ms, first, longest, paused, paced, kind = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]

if ms < 0 then
  -- Attempts that were under way when such a pause began do not make the next one longer.
  local count = held(limiter, paused) > 0 and tonumber(redis.call('GET', untold)) or redis.call('INCR', untold)
  ms = math.min(first * 2 ^ (count - 1), longest)
  -- A refusal soon after the pause makes the next one longer; later ones begin anew.
  redis.call('PEXPIRE', untold, 2 * ms)
end

-- Those that were under way together are refused together, and count once.
if kind == 'secondary' and now - (tonumber(redis.call('HGET', pace, 'since')) or 0) > 10000 then
  redis.call('HSET', pace, 'ratio', math.max(0.1, share(pace) / 2), 'since', now)
  -- By then it has come back step by step.
  redis.call('PEXPIRE', pace, 3600000)
end
return hold(limiter, paused, ms, held(limiter, paused, paced))
