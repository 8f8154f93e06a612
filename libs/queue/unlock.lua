-- Opens a lock, unless it has run out and somebody else has it.
-- KEYS 1: lock
-- ARGV 1: who has it
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
