-- Moves a pending entry to the dead letter queue.
--
-- KEYS  1 stream, 2 dead letters, for tasks also: 3 hash of the runs of dead-lettered tasks that are not cancelled,
--       4 cancelled runs; for readable messages: 3 the order of the event messages
-- ARGV  1 group, 2 id, 3 error, 4 traceback, 5 attempts, 6 with that order: the place of an event message there, or ''
-- Returns the id of the dead letter, or '' if the entry is no longer pending.

local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if not entry or #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then
  return ''
end
local run = entry[2][1]
local time = redis.call('TIME')
local id = redis.call('XADD', KEYS[2], '*', 'source', KEYS[1], 'field', run, 'payload', entry[2][2],
  'error', ARGV[3], 'traceback', ARGV[4], 'attempts', ARGV[5],
  'time', time[1] .. string.format('%06d', time[2]), 'tracked', KEYS[4] and '1' or '')
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
if KEYS[4] and redis.call('ZREM', KEYS[4], run) == 0 then
  redis.call('HSET', KEYS[3], run, id) -- `commit` removes it when the run is cancelled
elseif KEYS[3] and not KEYS[4] then
  redis.call('ZREM', KEYS[3], ARGV[6]) -- the events after it do not wait
end
return id
