-- Adds a dead letter to its stream again. A task whose result is no longer needed is only removed.
--
-- KEYS  1 dead letters, 2 the stream it came from, for tasks also: 3 hash of the runs of dead-lettered tasks that are
--       not cancelled, 4 cancelled runs, 5 execution
-- ARGV  1 id, 2 field, 3 payload, 4 '1' if the hash holds its run until it is cancelled (older entries have no '1')
-- Returns 1; or 0, without changes, if there is no such dead letter.

local ENDED = {cancelled = true, faulted = true, completed = true}

local function is_needed(run)
  if ARGV[4] == '1' and redis.call('HGET', KEYS[3], run) ~= ARGV[1] then
    return false
  end
  return not redis.call('ZSCORE', KEYS[4], run) and not ENDED[redis.call('HGET', KEYS[5], 'status') or '']
end

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 0
end
if not KEYS[3] or is_needed(ARGV[2]) then
  redis.call('XADD', KEYS[2], '*', ARGV[2], ARGV[3])
end
if KEYS[3] then
  redis.call('HDEL', KEYS[3], ARGV[2])
end
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
