-- Sends a task's result to its execution and removes the task.
--
-- KEYS  1 queue, 2 inbox, 3 cancelled runs
-- ARGV  1 id of the task, 2 its run key, 3 the result, or '' for none
-- Returns 1; or 0, and sends nothing, when the task is gone: somebody else has finished it.
--
-- XACK is the test and the first write in one. It is let through when memory is full, and so is then the
-- rest of the script: a result must get in, because it makes room.

if redis.call('XACK', KEYS[1], 'executors', ARGV[1]) == 0 then
  return 0
end
if ARGV[3] ~= '' then
  redis.call('XADD', KEYS[2], '*', 'm', ARGV[3])
end
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[2])
return 1
