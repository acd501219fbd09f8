-- Notes that an execution uses a text, and stores the text if it is given.
--
-- KEYS  1 text, 2 its uses, 3 texts by when retention looks at them
-- ARGV  1 hash; 2 workflow, 3 since, 4 until of the use (ms); 5 the text (optional)
-- Returns 0, without changes, if the text is neither stored nor given; else 1.
--
-- Most uses change nothing, so they write nothing.

local workflow, since, until_ = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

if redis.call('EXISTS', KEYS[1]) == 0 then
  if not ARGV[5] then
    return 0
  end
  redis.call('SET', KEYS[1], ARGV[5])
  redis.call('ZADD', KEYS[3], 'NX', ARGV[3], ARGV[1])
elseif redis.call('EXISTS', KEYS[2]) == 0 then
  -- An earlier state of the store did not note uses: each execution until now may use the text.
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[2], '*', '0 ' .. (now[1] + 1) * 1000)
  redis.call('ZADD', KEYS[3], 'NX', ARGV[3], ARGV[1])
end

local known = redis.call('HMGET', KEYS[2], workflow, 'unused')
if known[1] then
  local first, last = string.match(known[1], '^(%d+) (%d+)$')
  since, until_ = math.min(since, tonumber(first)), math.max(until_, tonumber(last))
end
local noted = string.format('%.0f %.0f', since, until_)
if noted ~= known[1] then
  redis.call('HSET', KEYS[2], workflow, noted)
end
if known[2] then
  redis.call('HDEL', KEYS[2], 'unused')
end
return 1
