-- Removes entries.
--
-- KEYS  1 stream, 2 the order of the event messages in it
-- ARGV  1 group, 2 number of entries, then their ids, then the places of event messages among them in the order
-- Returns how many entries existed.

local removed, last = 0, 2 + ARGV[2]
for i = last + 1, #ARGV do
  redis.call('ZREM', KEYS[2], ARGV[i])
end
for i = 3, last do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  removed = removed + redis.call('XDEL', KEYS[1], ARGV[i])
end
return removed
