-- Makes an execution and its start message.
--
-- KEYS  1 execution, 2 input, 3 inbox, 4 index, 5 index of pending ones, 6 index of its workflow
-- ARGV  1 id, 2 created at (ms), 3 workflow, 4 input, 5 start message
-- Returns 1; or 0, and changes nothing, when there is such an execution.

if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end

-- The first write is one that Redis refuses when its memory is full: then nothing has been changed.
redis.call('SET', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], 'version', '0', 'status', 'pending', 'workflow', ARGV[3], 'created', ARGV[2])
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[6], ARGV[2], ARGV[1])
redis.call('XADD', KEYS[3], '*', 'm', ARGV[5])
return 1
