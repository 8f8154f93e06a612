-- Pauses the queue for every worker, through the key of BullMQ's own limiter. A pause is only ever lengthened.
-- KEYS 1: limiter, 2: how many pauses in a row GitHub has given no time for
-- ARGV 1: how long (ms; negative: GitHub did not say), 2: the first pause then (ms), 3: the longest (ms),
--      4: the count at which every worker's limiter is exhausted
-- Returns how long the queue is paused from now (ms).

local ms = tonumber(ARGV[1])
local left = 0
if redis.call('GET', KEYS[1]) == ARGV[4] then left = redis.call('PTTL', KEYS[1]) end

if ms < 0 then
  -- Attempts that were under way when such a pause began do not make the next one longer.
  local count = left > 0 and tonumber(redis.call('GET', KEYS[2])) or redis.call('INCR', KEYS[2])
  ms = math.min(tonumber(ARGV[2]) * 2 ^ (count - 1), tonumber(ARGV[3]))
  -- A refusal soon after the pause makes the next one longer; later ones begin anew.
  redis.call('PEXPIRE', KEYS[2], 2 * ms)
end
if ms <= left then return left end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ms)
return ms
