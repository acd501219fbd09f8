-- Takes over entries whose consumer is gone, or that have been out for longer than the lease.
--
-- KEYS  the streams; then, for task queues, the sets of cancelled runs, one for each so many streams
-- ARGV  1 group, 2 consumer, 3 how many at most, 4 lease (ms), 5 number of streams, 6 streams a set of
--       cancelled runs (0: there are none), 7 with which stream to begin, then the consumers that are gone
-- Returns a flat list: number of a stream, entry, times delivered …

local group, consumer, left, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local streams, per_set, first = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local found = {}

local gone = {}
for i = 8, #ARGV do
  gone[ARGV[i]] = true
end

local function cancelled(n, run)
  return per_set > 0 and redis.call('ZREM', KEYS[streams + math.floor((n - 1) / per_set) + 1], run) == 1
end

local function claim(n, row)
  local stream, id = KEYS[n], row[1]
  local entry = redis.call('XCLAIM', stream, group, consumer, 0, id)[1]
  if not entry or not entry[2] then -- deleted: there is nothing left to deliver
    redis.call('XACK', stream, group, id)
  elseif cancelled(n, entry[2][1]) then
    redis.call('XACK', stream, group, id)
    redis.call('XDEL', stream, id)
  else
    found[#found + 1] = n
    found[#found + 1] = entry
    found[#found + 1] = row[4] + 1
    left = left - 1
  end
end

local function claim_all(n, rows)
  for _, row in ipairs(rows) do
    if left > 0 then
      claim(n, row)
    end
  end
end

for i = 0, streams - 1 do
  local n = (first + i) % streams + 1
  if left > 0 and redis.call('XLEN', KEYS[n]) > 0 then
    local pending = redis.call('XPENDING', KEYS[n], group)
    for _, holder in ipairs(pending[4] or {}) do
      if gone[holder[1]] and left > 0 then
        claim_all(n, redis.call('XPENDING', KEYS[n], group, '-', '+', left, holder[1]))
      end
    end
    if pending[1] > 0 and left > 0 then
      claim_all(n, redis.call('XPENDING', KEYS[n], group, 'IDLE', lease, '-', '+', left))
    end
  end
end
return found
