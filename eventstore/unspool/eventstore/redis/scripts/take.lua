-- Takes new entries for a consumer without waiting, fairly from all streams.
--
-- KEYS  the streams; then, for task queues, the sets of cancelled runs, each for several streams (ARGV 5)
-- ARGV  1 group, 2 consumer, 3 maximum number of entries, 4 number of streams, 5 number of streams that share a set
--       of cancelled runs (0: there are no sets), 6 the stream to begin with
-- Returns a flat list: number of a stream, its entries, number of a stream, its entries …. Entries are a flat list
-- too: id, value, number of this delivery …. Redis needs much longer to return a table for each entry.
--
-- XREADGROUP alone is not enough: its COUNT is per stream, so from 16 streams it takes 16 times as many.

local group, consumer, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local streams, per_set, first = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local MOST_STREAMS = 8
local taken = {}
local asked = 0 -- number of streams that were asked for their length

-- Returns the next streams that have entries. If there are many streams, a call reads only some of them: one script
-- call commits all steps of one shard, so many deliveries of one shard are cheaper than a few deliveries of many shards.
local function next_filled()
  local filled = {}
  while asked < streams and #filled < MOST_STREAMS do
    local n = (first + asked) % streams + 1
    if redis.call('XLEN', KEYS[n]) > 0 then
      filled[#filled + 1] = n
    end
    asked = asked + 1
  end
  return filled
end

local function without_cancelled(n, entries)
  local cancelled = KEYS[streams + math.floor((n - 1) / per_set) + 1]
  if redis.call('EXISTS', cancelled) == 0 then
    return entries
  end
  local kept = {}
  for _, entry in ipairs(entries) do
    if redis.call('ZREM', cancelled, entry[2][1]) == 1 then -- its result is no longer needed
      redis.call('XACK', KEYS[n], group, entry[1])
      redis.call('XDEL', KEYS[n], entry[1])
    else
      kept[#kept + 1] = entry
    end
  end
  return kept
end

local function flat(entries)
  local values, length = {}, 0
  for i = 1, #entries do
    local id, fields = entries[i][1], entries[i][2]
    values[length + 1] = id
    values[length + 2] = fields[2]
    values[length + 3] = (fields[4] or 0) + 1 -- deliveries before it was released, and this one
    length = length + 3
  end
  return values
end

local function take(n, count)
  local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', KEYS[n], '>')
  if not reply then
    return 0
  end
  local entries = reply[1][2]
  local found = #entries
  if per_set > 0 then
    entries = without_cancelled(n, entries)
  end
  if #entries > 0 then
    taken[#taken + 1] = n
    taken[#taken + 1] = flat(entries)
    left = left - #entries
  end
  return found
end

-- First takes an equal share from each stream, so that a full stream does not delay the others.
local share
local more = {}
while left > 0 and asked < streams do
  local filled = next_filled()
  share = share or math.ceil(left / math.max(#filled, 1))
  for _, n in ipairs(filled) do
    if left > 0 and take(n, math.min(share, left)) == share then
      more[#more + 1] = n
    end
  end
end
-- Then takes the rest from the streams that have more entries.
for _, n in ipairs(more) do
  if left > 0 then
    take(n, left)
  end
end
return taken
