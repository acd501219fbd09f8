-- Claims entries of dead consumers and lists idle entries; or claims idle entries that an earlier call listed.
--
-- KEYS  the streams; then, for task queues, the sets of cancelled runs, each for several streams (ARGV 6)
-- ARGV  1 group, 2 consumer, 3 maximum number of entries to claim, 4 lease (ms), 5 number of streams, 6 number of
--       streams that share a set of cancelled runs (0: there are no sets), 7 the stream to begin with, 8 number of
--       dead consumers, then their names; then the idle entries to claim, each as number of its stream, id, holder.
--       If there are idle entries to claim, the script claims only them.
-- Returns two flat lists: of claimed entries: number of a stream, entry, times delivered …; of idle entries:
--       number of a stream, id, holder, times delivered …
--
-- Redis measures idle times with its clock, which may jump. The caller decides when an idle entry has expired.

local group, consumer, left, lease = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local streams, per_set, first = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local found = {}

local MOST_IDLE = 256 -- entries in the list of idle ones
local idle = {}
local gone = {}
local first_idle = 9 + tonumber(ARGV[8])
for i = 9, first_idle - 1 do
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

local function list_idle(n)
  local room = MOST_IDLE - #idle / 4
  if room <= 0 then
    return
  end
  for _, row in ipairs(redis.call('XPENDING', KEYS[n], group, 'IDLE', lease, '-', '+', room)) do
    for _, value in ipairs({n, row[1], row[2], row[4]}) do
      idle[#idle + 1] = value
    end
  end
end

local function claim_idle()
  for i = first_idle, #ARGV, 3 do
    local n, id = tonumber(ARGV[i]), ARGV[i + 1]
    local row = redis.call('XPENDING', KEYS[n], group, 'IDLE', lease, id, id, 1)[1]
    if left > 0 and row and row[2] == ARGV[i + 2] then
      claim(n, row)
    end
  end
end

local function claim_of_gone(n, pending)
  for _, holder in ipairs(pending[4] or {}) do
    if gone[holder[1]] and left > 0 then
      claim_all(n, redis.call('XPENDING', KEYS[n], group, '-', '+', left, holder[1]))
    end
  end
end

if first_idle <= #ARGV then
  claim_idle()
  return {found, idle}
end
for i = 0, streams - 1 do
  local n = (first + i) % streams + 1
  if left > 0 and redis.call('XLEN', KEYS[n]) > 0 then
    local pending = redis.call('XPENDING', KEYS[n], group)
    if pending[1] > 0 then
      list_idle(n) -- first, so that the list does not contain the entries that are claimed now
      claim_of_gone(n, pending)
    end
  end
end
return {found, idle}
