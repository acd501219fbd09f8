-- Deletes executions of one shard that have ended, each completely or not at all.
--
-- KEYS  1 ended executions, 2 index, 3 outbox, 4-6 indexes of the cancelled, faulted and completed ones, 7 ids;
--       then of each: execution, history, snapshot, input, the other indexes that it is in
-- ARGV  of each: id, version, number of its keys
-- Returns for each 1 if it was deleted; 0, without changes, if it has another version or has not ended, or if the
-- outbox may hold its messages.
--
-- UNLINK takes the same time for a history of any length: Redis frees the memory in another thread.

local STATUSES = {cancelled = 4, faulted = 5, completed = 6}
local MARGIN = 60000 -- ms; the time of an end is by a worker's clock, and the id of an outbox entry by that of Redis

local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
local undelivered_since = oldest and tonumber(string.match(oldest[1], '^%d+'))

local function drop(key, id, version, keys)
  local known = redis.call('HMGET', KEYS[key], 'version', 'status', 'ended')
  local status = STATUSES[known[2]]
  if not status or known[1] ~= version then
    return 0
  elseif undelivered_since and undelivered_since <= (tonumber(known[3]) or undelivered_since) + MARGIN then
    return 0
  end
  redis.call('UNLINK', KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3])
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[status], id)
  redis.call('ZREM', KEYS[7], id)
  for index = key + 4, key + keys - 1 do
    redis.call('ZREM', KEYS[index], id)
  end
  return 1
end

local answers, key = {}, 8
for value = 1, #ARGV, 3 do
  local keys = tonumber(ARGV[value + 2])
  answers[#answers + 1] = drop(key, ARGV[value], ARGV[value + 1], keys)
  key = key + keys
end
return answers
