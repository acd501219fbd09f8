-- Reads again entries whose reply may have been lost: those above the last id that the consumer has seen.
--
-- KEYS  streams
-- ARGV  1 group, 2 consumer, 3 maximum number of entries, then for each stream the last id seen
-- Returns a flat list: number of a stream, entry, times delivered …. Entries that were deleted are
-- acknowledged.

local group, consumer, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local found = {}

for n, stream in ipairs(KEYS) do
  if left <= 0 then
    break
  end
  local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', left, 'STREAMS', stream, ARGV[3 + n])
  for _, entry in ipairs(reply and reply[1][2] or {}) do
    if entry[2] and #entry[2] > 0 then
      local pending = redis.call('XPENDING', stream, group, entry[1], entry[1], 1)
      found[#found + 1] = n
      found[#found + 1] = entry
      found[#found + 1] = pending[1][4]
      left = left - 1
    else
      redis.call('XACK', stream, group, entry[1])
    end
  end
end
return found
