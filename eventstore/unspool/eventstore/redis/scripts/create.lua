-- Placed before scripts that create executions. Their KEYS have the inbox and the indexes that all executions are in
-- (INBOX, ALL, PENDING, IDS); then of each execution: itself, its input, and the indexes that it is in. The indexes get
-- the executions at the end, from `index_created`.
--
-- Values of an execution: id, created at (ms), workflow, input, start message, parent or '', idempotency key or '',
-- tags or '', number of its keys.

-- Scores and ids of the new executions: for ALL and PENDING, for IDS, and for the indexes of each, by key.
local by_time, by_id, by_index = {}, {}, {}

local function create(inbox, key, value)
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
  add_pair(by_time, created, id)
  add_pair(by_id, 0, id)
  for index = key + 2, key + tonumber(ARGV[value + 8]) - 1 do
    add_pair(list_of(by_index, KEYS[index]), created, id)
  end
  redis.call('XADD', inbox, '*', 'm', ARGV[value + 4])
  return 1
end

local function index_created(all, pending, ids)
  by_index[all], by_index[pending], by_index[ids] = by_time, by_time, by_id
  write('ZADD', by_index)
end

