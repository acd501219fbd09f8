-- Notes how far all shards have matched the events of a bus, and deletes events that are no longer needed.
--
-- KEYS  1 state of the bus, 2 events
-- ARGV  1 position that all shards have matched, 2 consumer that has matched, or '', 3 how many of the newest events
--       stay, 4 how many to delete at most
-- Returns how many were deleted.

redis.call('HSET', KEYS[1], 'matched', ARGV[1])
if redis.call('HGET', KEYS[1], 'holder') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'holder')
end
local excess = math.min(redis.call('XLEN', KEYS[2]) - tonumber(ARGV[3]), tonumber(ARGV[4]))
if excess <= 0 then
  return 0
end
local ids = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', ARGV[1], 'COUNT', excess)) do
  ids[#ids + 1] = entry[1]
end
return #ids > 0 and redis.call('XDEL', KEYS[2], unpack(ids)) or 0
