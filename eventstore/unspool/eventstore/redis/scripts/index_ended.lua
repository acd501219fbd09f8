-- Adds executions of one shard to the set of those that have ended.
--
-- KEYS  1 ended executions, 2 the index of an ended status that has them; then the executions
-- ARGV  the id of each
--
-- One that does not exist is removed from the index: Redis may have lost it, and the sizes of the sets are compared.

local ENDED = {cancelled = true, faulted = true, completed = true}

for n = 1, #ARGV do
  local known = redis.call('HMGET', KEYS[n + 2], 'status', 'ended', 'created')
  if ENDED[known[1]] then
    redis.call('ZADD', KEYS[1], 'NX', known[2] or known[3], ARGV[n])
  elseif not known[1] then
    redis.call('ZREM', KEYS[2], ARGV[n])
  end
end
