-- Remembers how far a sink has got on a bus.
--
-- KEYS  1 sinks of the bus, 2 events
-- ARGV  1 sink, 2 consumer, 3 position before the batch, 4 position up to which the sink has passed all events,
--       5 how many were sent, 6 how many were refused, 7 failure or ''
--
-- The number of events that the sink has passed is exact, also if another consumer has sent some of them, or some were
-- dropped meanwhile. A repeated call counts as sent again.

local sinks, sink = KEYS[1], ARGV[1]
local sent, refused, failure = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

local function field(name)
  return name .. ' ' .. sink
end

local function add(name, count)
  if count > 0 then
    redis.call('HINCRBY', sinks, field(name), count)
  end
end

local position = redis.call('HGET', sinks, field('position')) or '0-0'
if is_after(ARGV[4], position) then
  local passed = sent + refused
  if position ~= ARGV[3] then
    passed = #redis.call('XRANGE', KEYS[2], '(' .. position, ARGV[4])
  end
  redis.call('HSET', sinks, field('position'), ARGV[4])
  add('passed', passed)
end
add('sent', sent)
add('refused', refused)
if failure ~= '' then
  local time = redis.call('TIME')
  add('failures', 1)
  redis.call('HSET', sinks, field('failure'), failure)
  redis.call('HSETNX', sinks, field('since'), string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000)))
  return
end
redis.call('HDEL', sinks, field('failure'), field('since'))
if redis.call('HGET', sinks, field('holder')) == ARGV[2] then
  redis.call('HDEL', sinks, field('holder'))
end
