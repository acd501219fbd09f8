-- Reads events of a bus that a sink has not passed, for a consumer that sends them.
--
-- KEYS  1 sinks of the bus, 2 events
-- ARGV  1 sink, 2 consumer, 3 a consumer that is gone, or '', 4 how many events at most
-- Returns {position of the sink, events after it}; or nothing while another consumer sends events to the sink.

local position_field, holder_field = 'position ' .. ARGV[1], 'holder ' .. ARGV[1]
local known = redis.call('HMGET', KEYS[1], position_field, holder_field)
local position, holder = known[1] or '0-0', known[2]
if holder and holder ~= ARGV[2] and holder ~= ARGV[3] then
  return false
end
local events = redis.call('XRANGE', KEYS[2], '(' .. position, '+', 'COUNT', ARGV[4])
if #events > 0 and holder ~= ARGV[2] then
  redis.call('HSET', KEYS[1], holder_field, ARGV[2])
end
return {position, events}
