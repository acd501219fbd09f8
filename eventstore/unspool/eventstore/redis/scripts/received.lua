-- Placed before scripts that ask how far a consumer group has read a stream.

-- Returns the id of the last entry that the group has received, and the first entry that it has not, if there is one.
-- Returns nothing if there is no such group.
local function received(stream, name)
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    -- 1 'name', 2 its value, … 7 'last-delivered-id', 8 its value
    if group[2] == name then
      return group[8], redis.call('XRANGE', stream, '(' .. group[8], '+', 'COUNT', 1)[1]
    end
  end
end

