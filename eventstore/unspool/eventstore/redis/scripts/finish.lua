-- Sends results of tasks to their executions and removes the tasks, each for itself.
--
-- KEYS  1 queue, 2 inbox, 3 cancelled runs
-- ARGV  for each task: its id, its run key, the result or '' for none
--
-- A task that is gone was finished by somebody else: nothing is sent for it. The first write is XACK. It is
-- let through when memory is full, and so is then the rest of the script: a result must get in, because it
-- makes room.

local queue, inbox, cancelled = KEYS[1], KEYS[2], KEYS[3]
local may_be_cancelled = redis.call('EXISTS', cancelled) == 1
local MOST_AT_ONCE = 1000 -- Lua's stack does not hold arbitrarily many arguments of one call

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
    -- What is acknowledged is always deleted with it: what can be deleted now was waited for until now.
    if all_there or redis.call('XDEL', queue, ARGV[i]) == 1 then
      send(ARGV[i + 2], ARGV[i + 1])
    end
  end
end

for first = 1, #ARGV, 3 * MOST_AT_ONCE do
  finish(first, math.min(first + 3 * MOST_AT_ONCE - 1, #ARGV))
end
