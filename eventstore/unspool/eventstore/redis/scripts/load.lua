-- Reads executions of one shard at one point in time.
--
-- KEYS  for each: execution, input, snapshot, history
-- ARGV  1 maximum number of entries of a history, then the fields of an execution to read
-- Returns for each: those fields, its pending input, its snapshot, the entries after the snapshot.

local found = {}
for key = 1, #KEYS, 4 do
  local snapshot = redis.call('GET', KEYS[key + 2])
  local version = snapshot and tonumber(string.match(snapshot, '^%d+')) or 0
  found[#found + 1] = {
    redis.call('HMGET', KEYS[key], unpack(ARGV, 2)),
    redis.call('GET', KEYS[key + 1]),
    snapshot,
    redis.call('XRANGE', KEYS[key + 3], string.format('%.0f-0', version + 1), '+', 'COUNT', ARGV[1]),
  }
end
return found
