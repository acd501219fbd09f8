-- Lets an execution that ended keep its idempotency key.
--
-- KEYS  1 executions that have a key
-- ARGV  1 digest of the key, 2 the execution, 3 the version at which it ended
-- Returns 1; or 0, without changes, if another execution has the key.

local held = redis.call('HGET', KEYS[1], ARGV[1]) or ARGV[2]
local holder, kept_at = string.match(held, '^(%S+) ?(%d*)$')
if holder ~= ARGV[2] then
  return 0
end
if tonumber(ARGV[3]) > (tonumber(kept_at) or 0) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
end
return 1
