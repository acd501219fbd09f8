-- Takes new entries for a consumer without waiting, fairly from all streams.
--
-- KEYS  the streams; then, for task queues, the sets of cancelled runs, each for several streams (ARGV 5)
-- ARGV  1 group, 2 consumer, 3 maximum number of entries, 4 number of streams, 5 number of streams that share a set
--       of cancelled runs (0: there are no sets), 6 the stream to begin with
-- Returns a flat list: number of a stream, its entries, number of a stream, its entries …
--
-- XREADGROUP alone is not enough: its COUNT is per stream, so from 16 streams it takes 16 times as many.

local group, consumer, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local streams, per_set, first = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local MOST_STREAMS = 8
local taken = {}

local filled = {}
for i = 0, streams - 1 do
  local n = (first + i) % streams + 1
  if redis.call('XLEN', KEYS[n]) > 0 then
    filled[#filled + 1] = n
  end
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
    taken[#taken + 1] = entries
    left = left - #entries
  end
  return found
end

-- First takes an equal share from each stream, so that a full stream does not delay the others. If there are many
-- streams, a call reads only some of them: one script call commits all steps of one shard, so many deliveries of one
-- shard are cheaper than a few deliveries of many shards.
local share = math.ceil(left / math.min(math.max(#filled, 1), MOST_STREAMS))
local more = {}
for _, n in ipairs(filled) do
  if left > 0 and take(n, math.min(share, left)) == share then
    more[#more + 1] = n
  end
end
-- Then takes the rest from the streams that have more entries.
for _, n in ipairs(more) do
  if left > 0 then
    take(n, left)
  end
end
return taken
