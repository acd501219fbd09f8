-- Sends results of tasks to their executions and removes the tasks.
--
-- KEYS  1 queue, 2 inbox, 3 cancelled runs
-- ARGV  for each task: its id, its run key, the result or '' for none
--
-- If another consumer has finished a task, nothing is sent for it. The first write is XACK. Redis allows it when its
-- memory is full, and then allows the rest of the script: results must be accepted, because they free memory.

local queue, inbox, cancelled = KEYS[1], KEYS[2], KEYS[3]
local may_be_cancelled = redis.call('EXISTS', cancelled) == 1
local MOST_AT_ONCE = 1000 -- Lua limits the arguments of one call

local function send(result, run)
  if result ~= '' then
    redis.call('XADD', inbox, '*', 'm', result)
  end
  if may_be_cancelled then
    redis.call('ZREM', cancelled, run)
  end
end

local function finish(first, last)
  local ids = {}
  for i = first, last, 3 do
    ids[#ids + 1] = ARGV[i]
  end
  local all_there = redis.call('XACK', queue, 'executors', unpack(ids)) == #ids
  if all_there then
    redis.call('XDEL', queue, unpack(ids))
  end
  for i = first, last, 3 do
    -- Every acknowledgement also deletes the entry. So an entry that can be deleted now was not finished before.
    if all_there or redis.call('XDEL', queue, ARGV[i]) == 1 then
      send(ARGV[i + 2], ARGV[i + 1])
    end
  end
end

for first = 1, #ARGV, 3 * MOST_AT_ONCE do
  finish(first, math.min(first + 3 * MOST_AT_ONCE - 1, #ARGV))
end
