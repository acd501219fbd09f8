-- Delivers outbox entries of one shard to executions of another, each entry once.
--
-- KEYS  1 delivered entries by shard, 2 inbox, 3 index, 4 index of pending ones;
--       then of each start: execution, input, index of its workflow; of each message: execution
-- ARGV  1 name of the shard with the outbox; then for each start and message, in order:
--       id of the outbox entry, id of the execution or '' for a message, created at (ms), workflow, input, message,
--       parent or '', idempotency key or ''
-- Returns how many starts and messages were new to this shard.
--
-- A call contains every entry of the outbox that this shard does not have yet, up to the last entry of the call. So
-- one position in the outbox is enough to know what was delivered. A repeated or late call changes nothing.

local delivered, inbox, all, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local source = ARGV[1]
local before = redis.call('HGET', delivered, source)

local function is_new(entry)
  return not before or is_after(entry, before)
end

local function start(key, value)
  local execution, id, created = KEYS[key], ARGV[value + 1], ARGV[value + 2]
  if redis.call('EXISTS', execution) == 1 then
    return
  end
  redis.call('SET', KEYS[key + 1], ARGV[value + 4])
  redis.call('HSET', execution, 'version', '0', 'status', 'pending', 'workflow', ARGV[value + 3], 'created', created)
  if ARGV[value + 6] ~= '' then
    redis.call('HSET', execution, 'parent', ARGV[value + 6])
  end
  if ARGV[value + 7] ~= '' then
    redis.call('HSET', execution, 'key', ARGV[value + 7])
  end
  redis.call('ZADD', all, created, id)
  redis.call('ZADD', pending, created, id)
  redis.call('ZADD', KEYS[key + 2], created, id)
  redis.call('XADD', inbox, '*', 'm', ARGV[value + 5])
end

local last = ARGV[#ARGV - 7]
if not is_new(last) then
  return 0
end
redis.call('HSET', delivered, source, last) -- Redis refuses this write when its memory is full, or allows all writes
local count, key = 0, 5
for value = 2, #ARGV, 8 do
  local is_start, fresh = ARGV[value + 1] ~= '', is_new(ARGV[value])
  if fresh and is_start then
    start(key, value)
  elseif fresh and redis.call('EXISTS', KEYS[key]) == 1 then
    redis.call('XADD', inbox, '*', 'm', ARGV[value + 5])
  end
  count = count + (fresh and 1 or 0)
  key = key + (is_start and 3 or 1)
end
return count
