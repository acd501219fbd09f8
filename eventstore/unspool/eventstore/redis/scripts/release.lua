-- Releases entries: each is added again at the end of the stream, for any consumer.
--
-- KEYS  1 stream
-- ARGV  1 group, 2 1 to release only if no other entry of the stream waits for a consumer, then pairs of an id
--       and the number of this delivery
-- Returns how many were released. Entries that another consumer holds now are not released. -1: another entry waits.
--
-- The script adds entries again instead of claiming them for a consumer that does not exist, because only new entries
-- wake blocked reads.

if ARGV[2] == '1' then
  local _, waiting = received(KEYS[1], ARGV[1])
  if waiting then
    return -1
  end
end

local released = 0
for i = 3, #ARGV, 2 do
  local id, attempts = ARGV[i], tonumber(ARGV[i + 1])
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1]
  if entry and pending and tonumber(entry[2][4] or '0') + pending[4] == attempts then
    redis.call('XADD', KEYS[1], '*', entry[2][1], entry[2][2], 'n', attempts - 1)
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('XDEL', KEYS[1], id)
    released = released + 1
  end
end
return released
