-- Creates executions of one shard and their start messages.
--
-- KEYS  1 inbox, 2 index, 3 index of pending ones; then for each: execution, input, index of its workflow
-- ARGV  for each: id, created at (ms), workflow, input, start message, parent or '', idempotency key or ''
-- Returns for each 1; or 0, without changes, if the execution exists; or an error.

local inbox, all, pending = KEYS[1], KEYS[2], KEYS[3]

local function start(key, value)
  local execution, id, created = KEYS[key], ARGV[value], ARGV[value + 1]
  if redis.call('EXISTS', execution) == 1 then
    return 0
  end
  -- Redis refuses this first write when its memory is full; then nothing has changed.
  local kept = redis.pcall('SET', KEYS[key + 1], ARGV[value + 3])
  if kept.err then
    return kept
  end
  redis.call('HSET', execution, 'version', '0', 'status', 'pending', 'workflow', ARGV[value + 2], 'created', created)
  if ARGV[value + 5] ~= '' then
    redis.call('HSET', execution, 'parent', ARGV[value + 5])
  end
  if ARGV[value + 6] ~= '' then
    redis.call('HSET', execution, 'key', ARGV[value + 6])
  end
  redis.call('ZADD', all, created, id)
  redis.call('ZADD', pending, created, id)
  redis.call('ZADD', KEYS[key + 2], created, id)
  redis.call('XADD', inbox, '*', 'm', ARGV[value + 4])
  return 1
end

local answers = {}
for n = 0, #ARGV / 7 - 1 do
  answers[n + 1] = start(4 + 3 * n, 1 + 7 * n)
end
return answers
