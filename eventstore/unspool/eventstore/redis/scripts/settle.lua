-- Notes how far all shards have matched the events of a bus, and deletes events that are no longer needed.
--
-- KEYS  1 state of the bus, 2 events, 3 sinks of the bus
-- ARGV  1 position that all shards have matched, 2 consumer that has matched, or '', 3 how many of the newest events
--       stay, 4 how many to delete at most, 5 how many matched events stay for sinks at most,
--       6 how long events are retained (ms); then the registered sinks
-- Returns {how many were deleted, 1 if there are events that are not matched, else 0}, and each sink that had not passed
--       all of the deleted events with the number of those.

local state, events, sinks = KEYS[1], KEYS[2], KEYS[3]
local matched, kept, most, kept_for_sinks = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local retention = tonumber(ARGV[6])

redis.call('HSET', state, 'matched', matched)
local known = redis.call('HMGET', state, 'holder', 'newest')
if known[1] == ARGV[2] then
  redis.call('HDEL', state, 'holder')
end
local left = known[2] and is_after(known[2], matched) and 1 or 0

-- The last position of events up to `last` that are not retained.
local function not_retained(last)
  if retention == 0 then
    return last
  end
  local before = string.format('%.0f-0', redis.call('TIME')[1] * 1000 - retention)
  return is_after(last, before) and before or last
end

local function delete(last, count)
  local ids = {}
  if count > 0 then
    for _, entry in ipairs(redis.call('XRANGE', events, '-', not_retained(last), 'COUNT', math.min(count, most))) do
      ids[#ids + 1] = entry[1]
    end
  end
  if #ids > 0 then
    redis.call('XDEL', events, unpack(ids))
  end
  return ids
end

-- The position of each sink: of those that are registered, and of new ones that the caller does not know yet.
local function positions()
  local found = {}
  for i = 7, #ARGV do
    found[ARGV[i]] = '0-0'
  end
  local fields = redis.call('HGETALL', sinks)
  for i = 1, #fields, 2 do
    local sink = string.match(fields[i], '^position (.*)$')
    if sink then
      found[sink] = fields[i + 1]
    end
  end
  return found
end

-- Moves the sinks that had not passed deleted events behind these.
local function drop(ids, found)
  local result = {#ids, left}
  for sink, position in pairs(found) do
    local count = 0
    for _, id in ipairs(ids) do
      count = count + (is_after(id, position) and 1 or 0)
    end
    if count > 0 then
      redis.call('HSET', sinks, 'position ' .. sink, ids[#ids])
      redis.call('HINCRBY', sinks, 'passed ' .. sink, count)
      redis.call('HINCRBY', sinks, 'dropped ' .. sink, count)
      result[#result + 1] = sink
      result[#result + 1] = count
    end
  end
  return result
end

local excess = redis.call('XLEN', events) - kept
if excess <= 0 then
  return {0, left}
end
local found = positions()
local passed = matched
for _, position in pairs(found) do
  passed = is_after(passed, position) and position or passed
end
local ids = delete(passed, excess)
if #ids < math.min(excess, most) and excess - #ids > kept_for_sinks - kept then
  return drop(delete(matched, excess - #ids - (kept_for_sinks - kept)), found)
end
return {#ids, left}
