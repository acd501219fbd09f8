-- Adds to the figures of a source of events.
--
-- KEYS  1 sources
-- ARGV  1 source, 2 events that were published, 3 entries that were refused, 4 failure or ''

local sources, source, failure = KEYS[1], ARGV[1], ARGV[4]
local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))

redis.call('HSET', sources, 'seen ' .. source, now)
for field, count in pairs({published = ARGV[2], refused = ARGV[3]}) do
  if count ~= '0' then
    redis.call('HINCRBY', sources, field .. ' ' .. source, count)
  end
end
if failure == '' then
  redis.call('HDEL', sources, 'failure ' .. source, 'since ' .. source)
else
  redis.call('HSET', sources, 'failure ' .. source, failure)
  redis.call('HSETNX', sources, 'since ' .. source, now)
end
