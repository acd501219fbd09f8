-- Turns due timers into messages, each exactly once, by the clock of Redis.
--
-- KEYS  pairs of a set of timers and the inbox of the same shard
-- ARGV  1 maximum number of timers to fire; with 0 the script only reads
-- Returns how many timers were fired, the numbers of the pairs whose inbox got messages (from 0), for each pair when its
-- next timer is due (ms; '' if none is set), and how late the latest of the fired timers is (ms).
--
-- A timer is stored as the message that it sends, so firing needs no lookup.

local left = tonumber(ARGV[1])
local asked = left
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local next_due = {}
local fired = {}
local late = 0

for i = 1, #KEYS, 2 do
  if left > 0 then
    local due = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, left)
    for _, message in ipairs(due) do
      redis.call('XADD', KEYS[i + 1], '*', 'm', message)
    end
    if #due > 0 then
      fired[#fired + 1] = (i - 1) / 2
      late = math.max(late, now - redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')[2])
      redis.call('ZREMRANGEBYRANK', KEYS[i], 0, #due - 1) -- they are the first
      left = left - #due
    end
  end
  next_due[#next_due + 1] = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')[2] or ''
end
return {asked - left, fired, next_due, late}
