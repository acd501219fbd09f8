-- Takes an idempotency key from an execution.
--
-- KEYS  1 executions that have a key
-- ARGV  1 digest of the key, 2 the execution
-- Returns 1; or 0, without changes, if the execution does not have the key.

local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or string.match(held, '^%S+') ~= ARGV[2] then
  return 0
end
return redis.call('HDEL', KEYS[1], ARGV[1])
