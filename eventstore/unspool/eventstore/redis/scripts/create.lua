-- Placed before scripts that create executions. Their KEYS have the inbox and the indexes that all executions are in
-- (INBOX, ALL, PENDING, IDS); then of each execution: itself, its input, and the indexes that it is in.
--
-- Values of an execution: id, created at (ms), workflow, input, start message, parent or '', idempotency key or '',
-- tags or '', number of its keys.

local function create(inbox, all, pending, ids, key, value)
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
  if ARGV[value + 7] ~= '' then
    redis.call('HSET', execution, 'tags', ARGV[value + 7])
  end
  redis.call('ZADD', all, created, id)
  redis.call('ZADD', pending, created, id)
  redis.call('ZADD', ids, 0, id)
  for index = key + 2, key + tonumber(ARGV[value + 8]) - 1 do
    redis.call('ZADD', KEYS[index], created, id)
  end
  redis.call('XADD', inbox, '*', 'm', ARGV[value + 4])
  return 1
end

