-- Which of some dead letters holds a text in its data. Looks at a few at a time, so that Redis is never held up.
-- KEYS 1: a dead letter's key without its id
-- ARGV 1: text, 2...: ids
-- Returns the id of the first one; nothing where none does.

for i = 2, #ARGV do
  local data = redis.call('HGET', KEYS[1] .. ARGV[i], 'data')
  if data and string.find(data, ARGV[1], 1, true) then return ARGV[i] end
end
