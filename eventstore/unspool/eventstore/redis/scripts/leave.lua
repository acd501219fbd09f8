-- Takes a consumer out of the groups of some streams and hands back what it holds.
--
-- KEYS  streams
-- ARGV  1 group, 2 consumer, 3 how many entries at most
-- Returns how many entries were handed back; as many as asked for means: call again.
--
-- XGROUP DELCONSUMER forgets what a consumer holds, so it must hold nothing then.

local group, consumer, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local asked = left

local function hand_back(stream, id, times)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if entry then
    local before = tonumber(entry[2][4] or '0')
    redis.call('XADD', stream, '*', entry[2][1], entry[2][2], 'n', before + times)
  end
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
  left = left - 1
end

for _, stream in ipairs(KEYS) do
  if left == 0 then
    break
  end
  local rows = redis.pcall('XPENDING', stream, group, '-', '+', left, consumer)
  if not rows.err then -- an error: there is no such stream or group yet
    for _, row in ipairs(rows) do
      hand_back(stream, row[1], row[4])
    end
    if #redis.call('XPENDING', stream, group, '-', '+', 1, consumer) == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
    end
  end
end
return asked - left
