-- Removes entries.
--
-- KEYS  1 stream
-- ARGV  1 group, then ids
-- Returns how many entries existed.

local removed = 0
for i = 2, #ARGV do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  removed = removed + redis.call('XDEL', KEYS[1], ARGV[i])
end
return removed
