-- Removes a consumer from the groups of some streams and adds its pending entries again.
--
-- KEYS  streams
-- ARGV  1 group, 2 consumer, 3 maximum number of entries
-- Returns how many entries were added again (if it is the limit, call again), and the numbers of their streams.
--
-- XGROUP DELCONSUMER loses pending entries, so it is called only if there are none.

local group, consumer, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local asked = left
local changed = {}

local function add_again(stream, id, times)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if entry then
    local before = tonumber(entry[2][4] or '0')
    redis.call('XADD', stream, '*', entry[2][1], entry[2][2], 'n', before + times)
  end
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
  left = left - 1
end

for number, stream in ipairs(KEYS) do
  if left == 0 then
    break
  end
  local rows = redis.pcall('XPENDING', stream, group, '-', '+', left, consumer)
  if not rows.err then -- an error: the stream or the group does not exist
    for _, row in ipairs(rows) do
      add_again(stream, row[1], row[4])
    end
    if #rows > 0 then
      changed[#changed + 1] = number
    end
    if #redis.call('XPENDING', stream, group, '-', '+', 1, consumer) == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
    end
  end
end
return {asked - left, changed}
