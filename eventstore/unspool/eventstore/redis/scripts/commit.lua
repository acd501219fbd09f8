-- Makes one step of an execution true: all of it, or nothing.
--
-- KEYS  1 execution, 2 history, 3 inbox, 4 timers, 5 cancelled, 6 input,
--       7-13 indexes by status, in the order of STATUSES (only when a status is given),
--       then the queues that get tasks
-- ARGV  1 expected version, 2 new version, 3 commit id, 4 history entry, 5 id of the execution,
--       6 channel of its news, 7 channel of timers, 8 status or '', 9 started at or '', 10 ended at or '',
--       11-16 how many of each follow, in this order:
--       ids to acknowledge, messages, tasks (number of its key, run key, task), cancelled run keys,
--       timers (due at, message), cancelled timers (message)
-- Returns 1 committed, 0 conflict, 2 duplicate, -1 no such execution.
--
-- Payloads are opaque: nothing here looks into one. Redis does not undo what a failing script has done, so
-- everything is checked before the first write.

local STATUSES = {pending = 7, running = 8, waiting = 9, suspended = 10, cancelled = 11, faulted = 12, completed = 13}

local execution, history, inbox, timers, cancelled = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local version, commit, status = ARGV[2], ARGV[3], ARGV[8]

local known = redis.call('HMGET', execution, 'version', 'commit', 'status', 'created')
if not known[1] then
  return -1
end
if known[2] == commit then -- made before; only its reply was lost
  return 2
end
if known[1] ~= ARGV[1] then
  return 0
end

local acknowledged, messages, tasks = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local stopped, set, unset = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
if #ARGV ~= 16 + acknowledged + messages + 3 * tasks + stopped + 2 * set + unset then
  return redis.error_reply('ERR commit: wrong number of arguments')
end
if status ~= '' and not STATUSES[status] then
  return redis.error_reply('ERR commit: unknown status')
end

-- The first write is one that Redis refuses when its memory is full; once it has passed, the rest is let
-- through. It also is a second fence: a stream never takes an id that is not above its last.
redis.call('XADD', history, version .. '-0', 'e', ARGV[4])
redis.call('HSET', execution, 'version', version, 'commit', commit)
if known[1] == '0' then -- from now on the history holds the input
  redis.call('DEL', KEYS[6])
end

local at = 16
for i = at + acknowledged + 1, at + acknowledged + messages do
  redis.call('XADD', inbox, '*', 'm', ARGV[i])
end
for i = at + 1, at + acknowledged do
  redis.call('XACK', inbox, 'workers', ARGV[i])
  redis.call('XDEL', inbox, ARGV[i])
end
at = at + acknowledged + messages

for i = at + 1, at + 3 * tasks, 3 do
  redis.call('XADD', KEYS[tonumber(ARGV[i])], '*', ARGV[i + 1], ARGV[i + 2])
end
at = at + 3 * tasks

if stopped > 0 then
  local now = tonumber(redis.call('TIME')[1])
  for i = at + 1, at + stopped do
    redis.call('ZADD', cancelled, now, ARGV[i])
  end
  -- A task that had ended already will never ask; a day is longer than any executor holds one unheard of.
  redis.call('ZREMRANGEBYSCORE', cancelled, '-inf', now - 86400)
  at = at + stopped
end

if set > 0 then
  local mine = {}
  for i = at + 1, at + 2 * set, 2 do
    redis.call('ZADD', timers, ARGV[i], ARGV[i + 1])
    mine[ARGV[i + 1]] = ARGV[i]
  end
  -- Whoever sleeps until the earliest timer has to know of an earlier one, and of no other.
  local due = mine[redis.call('ZRANGE', timers, 0, 0)[1]]
  if due then
    redis.call('PUBLISH', ARGV[7], due)
  end
  at = at + 2 * set
end
for i = at + 1, at + unset do
  redis.call('ZREM', timers, ARGV[i])
end

if status ~= '' then
  if known[3] ~= status then
    redis.call('ZREM', KEYS[STATUSES[known[3]]], ARGV[5])
    redis.call('ZADD', KEYS[STATUSES[status]], known[4], ARGV[5])
    redis.call('HSET', execution, 'status', status)
    if STATUSES[status] < STATUSES.cancelled then -- not an end: it may have been retried after one
      redis.call('HDEL', execution, 'ended')
    end
  end
  if ARGV[9] ~= '' then
    redis.call('HSET', execution, 'started', ARGV[9])
  end
  if ARGV[10] ~= '' then
    redis.call('HSET', execution, 'ended', ARGV[10])
  end
end

redis.call('PUBLISH', ARGV[6], version)
return 1
