-- Goes before admit.lua.

-- Repositories take turns: a dispatch goes to the turn after the newest one of its repository, but to none that is over. What
-- was redriven has the last priority, behind every turn. When nothing else waits, turns start over, or a repository that
-- dispatches one after another would be held back for it later. But what was admitted a moment ago may not be in the queue yet:
-- it is there once it has its claim.
local UNDER_WAY_MS = 2000

-- The priority of a dispatch that is admitted. Where it `takes` its turn, the next one of its repository comes after it.
-- `turns`: see keys.ts, `waiting`: jobs that wait, by priority, `last`: the last priority, `claim`: of `id`
local function next_turn(turns, waiting, repo, last, claim, id, takes)
  local head = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  local first = head and math.floor(head / 0x100000000) or last
  local newest_turn, current, given_at, given = unpack(redis.call('HMGET', turns, repo, 'current', 'given_at', 'given'))
  local arrived = given and redis.call('EXISTS', string.sub(claim, 1, -1 - #id) .. given) == 1
  if first >= last and (arrived or now - (tonumber(given_at) or 0) > UNDER_WAY_MS) then
    redis.call('DEL', turns)
    newest_turn, current = nil, nil
  end
  -- A dispatch that is tried again, in the turn that it had, does not set the turns back.
  local turn = math.max(tonumber(current) or 1, first < last and first or 1)
  local priority = math.min(math.max(turn, (tonumber(newest_turn) or 0) + 1), last - 1)
  if takes then redis.call('HSET', turns, repo, priority, 'current', turn, 'given_at', now, 'given', id) end
  return priority
end
