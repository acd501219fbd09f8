-- Keeps a snapshot in place of the one before, unless that is newer.
--
-- KEYS  1 snapshot
-- ARGV  1 version, 2 state
-- Returns 1 if it was kept.

local known = string.match(redis.call('GETRANGE', KEYS[1], 0, 20), '^%d+') -- not all of it: it may be large
if known and tonumber(known) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return 1
