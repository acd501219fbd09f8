-- Takes new entries for a consumer, fairly from all streams that have some, without waiting.
--
-- KEYS  the streams; then, for task queues, the sets of cancelled runs, one for each so many streams
-- ARGV  1 group, 2 consumer, 3 how many at most, 4 number of streams, 5 streams a set of cancelled runs
--       (0: there are none), 6 with which stream to begin
-- Returns a flat list: number of a stream, its entries, number of a stream, its entries …
--
-- XREADGROUP alone cannot do it: its COUNT is per stream, so from 16 streams it takes 16 times as much.

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
  local wanted = {}
  for _, entry in ipairs(entries) do
    if redis.call('ZREM', cancelled, entry[2][1]) == 1 then -- nobody waits for this one any more
      redis.call('XACK', KEYS[n], group, entry[1])
      redis.call('XDEL', KEYS[n], entry[1])
    else
      wanted[#wanted + 1] = entry
    end
  end
  return wanted
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

-- Everybody's share first, so that one stream full to the brim does not keep the others waiting; of many
-- streams some now and others next time: what comes from one shard is answered in one script, which costs the
-- less the more it answers …
local share = math.ceil(left / math.min(math.max(#filled, 1), MOST_STREAMS))
local more = {}
for _, n in ipairs(filled) do
  if left > 0 and take(n, math.min(share, left)) == share then
    more[#more + 1] = n
  end
end
-- … then whatever is left to whoever has more.
for _, n in ipairs(more) do
  if left > 0 then
    take(n, left)
  end
end
return taken
