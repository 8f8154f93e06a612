-- Goes before find-holder.lua, note-run.lua and note-no-run.lua.

-- Which dispatch holds a claim, and what has become of it: {id, 'pending', 'delivered' or 'dead'}; nothing where there is none.
-- Once the claim of a delivered one has expired, its stream knows.
-- `delivered`: claims of delivered dispatches by expiry (ms)
local function holder(claim, delivered, stream, dedup_id)
  local id = redis.call('GET', claim)
  if not id then
    local remembered = string.match(redis.call('HGET', stream, dedup_id) or '', ' (.+)$')
    return remembered and { remembered, 'delivered' }
  end
  -- The index may still have the id from an earlier dispatch whose claim has run out; a pending one has no expiry.
  if redis.call('PTTL', claim) == -1 then return { id, 'pending' } end
  return { id, redis.call('ZSCORE', delivered, dedup_id) and 'delivered' or 'dead' }
end
