-- Replaces the snapshot, unless the stored one is newer.
--
-- KEYS  1 snapshot
-- ARGV  1 version, 2 state
-- Returns 1 if it was stored.

local known = string.match(redis.call('GETRANGE', KEYS[1], 0, 20), '^%d+') -- a snapshot may be large
if known and tonumber(known) > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return 1
