-- Lets a new sink begin behind the newest event of a bus, unless it has a position there.
--
-- KEYS  1 state of the bus, 2 sinks of the bus
-- ARGV  1 sink

local known = redis.call('HMGET', KEYS[1], 'newest', 'published')
if redis.call('HSETNX', KEYS[2], 'position ' .. ARGV[1], known[1] or '0-0') == 1 then
  redis.call('HSET', KEYS[2], 'passed ' .. ARGV[1], known[2] or '0')
end
