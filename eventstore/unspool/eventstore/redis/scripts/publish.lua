-- Appends events to the bus of a tenant, each once.
--
-- KEYS  1 events, 2 ids published lately, 3 last outbox entry published, by shard, 4 state of the bus
-- ARGV  1 name of the shard with the outbox, or '', 2 time in which an id is published once (ms; 0: no such check),
--       3 channel of new events, 4 tenant; then for each event: id of the outbox entry or '', digest of its source
--       and id, event
-- Returns how many were appended.
--
-- As for `deliver`, a call with entries of an outbox holds all that the bus has not yet got of it up to its last entry.

local events, ids, delivered, state = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local source, window = ARGV[1], tonumber(ARGV[2])
local before = source ~= '' and redis.call('HGET', delivered, source)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function is_new(entry)
  return not before or is_after(entry, before)
end

local function was_published(id)
  if window == 0 then
    return false
  end
  local at = redis.call('ZSCORE', ids, id)
  if at and now - at < window then
    return true
  end
  redis.call('ZADD', ids, now, id)
  return false
end

if source ~= '' then
  local last = ARGV[#ARGV - 2]
  if not is_new(last) then
    return 0
  end
  redis.call('HSET', delivered, source, last) -- Redis refuses the first write when its memory is full, else none
end
local count, newest = 0, nil
for value = 5, #ARGV, 3 do
  if is_new(ARGV[value]) and not was_published(ARGV[value + 1]) then
    newest = redis.call('XADD', events, '*', 'e', ARGV[value + 2])
    count = count + 1
  end
end
if newest then
  redis.call('HSET', state, 'newest', newest)
  redis.call('HINCRBY', state, 'published', count)
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end
if window > 0 then
  redis.call('ZREMRANGEBYSCORE', ids, '-inf', now - window)
  redis.call('PEXPIRE', ids, window)
end
return count
