-- Gives an idempotency key to an execution, unless another one has it.
--
-- KEYS  1 executions that have a key
-- ARGV  1 digest of the key, 2 the execution, 3 the execution that ended and may lose the key or '', 4 the version
--       at which it ended
-- Returns the execution that has the key now.
--
-- A value is the id of an execution and, after a space, the version at which it ended and kept the key.

local held = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local holder, kept_at = string.match(held, '^(%S+) ?(%d*)$')
local is_free = not holder or (holder == ARGV[3] and tonumber(ARGV[4]) > (tonumber(kept_at) or 0))
if is_free then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  return ARGV[2]
end
return holder
