-- Writes a heartbeat of a member.
--
-- KEYS  1 members
-- ARGV  1 name, 2 heartbeat
--
-- Redis allows HDEL when its memory is full, and then also allows the later writes of the same script. Without it, all
-- members would count as dead when memory is full.

redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
