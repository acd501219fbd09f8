-- Reads events of a bus that are not matched, for a consumer that matches them.
--
-- KEYS  1 state of the bus, 2 events
-- ARGV  1 consumer, 2 a consumer that is gone, or '', 3 how many events at most
-- Returns {position up to which all is matched, events after it, nil}; without events while another consumer matches
-- them: {position, {}, that consumer}.

local known = redis.call('HMGET', KEYS[1], 'matched', 'holder')
local matched, holder = known[1] or '0-0', known[2]
if holder and holder ~= ARGV[1] and holder ~= ARGV[2] then
  return {matched, {}, holder}
end
local events = redis.call('XRANGE', KEYS[2], '(' .. matched, '+', 'COUNT', ARGV[3])
if #events > 0 and holder ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'holder', ARGV[1])
end
return {matched, events, false}
