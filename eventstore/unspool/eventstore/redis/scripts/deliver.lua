-- Delivers outbox entries of one shard to executions of another, each entry once.
--
-- KEYS  1 delivered entries by shard, 2 inbox, 3 index, 4 index of pending ones, 5 ids;
--       then of each start: the keys of `create`; of each message: execution
-- ARGV  1 name of the shard with the outbox; then for each start and message, in order:
--       id of the outbox entry, then the values of `create`; those of a message are '', but the message and the number
--       of its keys, which is 1
-- Returns how many starts and messages were new to this shard.
--
-- A call contains every entry of the outbox that this shard does not have yet, up to the last entry of the call. So
-- one position in the outbox is enough to know what was delivered. A repeated or late call changes nothing.

local delivered, inbox, all, pending, ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local source = ARGV[1]
local before = redis.call('HGET', delivered, source)

local function is_new(entry)
  return not before or is_after(entry, before)
end

local last = ARGV[#ARGV - 9]
if not is_new(last) then
  return 0
end
redis.call('HSET', delivered, source, last) -- Redis refuses this write when its memory is full, or allows all writes
local count, key = 0, 6
for value = 2, #ARGV, 10 do
  local is_start, fresh = ARGV[value + 1] ~= '', is_new(ARGV[value])
  if fresh and is_start then
    create(inbox, key, value + 1)
  elseif fresh and redis.call('EXISTS', KEYS[key]) == 1 then
    redis.call('XADD', inbox, '*', 'm', ARGV[value + 5])
  end
  count = count + (fresh and 1 or 0)
  key = key + tonumber(ARGV[value + 9])
end
index_created(all, pending, ids)
return count
