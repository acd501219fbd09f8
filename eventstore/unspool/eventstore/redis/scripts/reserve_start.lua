-- Reserves the next start of a limited rate.
--
-- KEYS  1 the time of the next start at an even rate, microseconds since 1970
-- ARGV  1 microseconds between starts, 2 starts that may follow at once, 3 the longest wait in microseconds
-- Returns the microseconds until the start; -1 if it would be later than the longest wait.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local even = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = math.max(0, even - (burst - 1) * interval - now)
if wait > most then
  return -1
end
local following = even + interval
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000) + 1)
return wait
