-- Finds the ends of streams of which a group has received all entries.
--
-- KEYS  the streams
-- ARGV  1 group
-- Returns for each stream the id of its last entry (0-0 if it is empty), or '' if the group has not received that entry.
-- Placed after positions.lua.

local function received_until(stream)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for i = 1, #flat, 2 do
      group[flat[i]] = flat[i + 1]
    end
    if group['name'] == ARGV[1] then
      return group['last-delivered-id']
    end
  end
  return '0-0'
end

local ids = {}
for i = 1, #KEYS do
  local last = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)[1]
  ids[i] = last and last[1] or '0-0'
  if is_after(ids[i], received_until(KEYS[i])) then
    ids[i] = ''
  end
end
return ids
