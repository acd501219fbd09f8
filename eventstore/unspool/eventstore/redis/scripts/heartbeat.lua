-- Writes a heartbeat of a member.
--
-- KEYS  1 members
-- ARGV  1 name, 2 heartbeat: an array in JSON. The script adds the time (ms).
--
-- Redis allows HDEL when its memory is full, and then also allows the later writes of the same script. Without it, all
-- members would count as dead when memory is full.

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], ARGV[1], string.sub(ARGV[2], 1, -2) .. ',' .. now .. ']')
