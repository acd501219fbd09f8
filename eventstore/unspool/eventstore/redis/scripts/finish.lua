-- Sends results of tasks to their executions and removes the tasks, each for itself.
--
-- KEYS  1 inbox, 2 cancelled runs, then queues
-- ARGV  for each task: number of its queue's key, its id, its run key, the result or '' for none
--
-- A task that is gone was finished by somebody else: nothing is sent for it. XACK is that test and the first
-- write in one. It is let through when memory is full, and so is then the rest of the script: a result must
-- get in, because it makes room.

local inbox, cancelled = KEYS[1], KEYS[2]
local may_be_cancelled = redis.call('EXISTS', cancelled) == 1

for i = 1, #ARGV, 4 do
  local queue, id = KEYS[tonumber(ARGV[i])], ARGV[i + 1]
  if redis.call('XACK', queue, 'executors', id) == 1 then
    if ARGV[i + 3] ~= '' then
      redis.call('XADD', inbox, '*', 'm', ARGV[i + 3])
    end
    redis.call('XDEL', queue, id)
    if may_be_cancelled then
      redis.call('ZREM', cancelled, ARGV[i + 2])
    end
  end
end
