-- Writes a heartbeat of a member.
--
-- KEYS  1 members
-- ARGV  1 name, 2 heartbeat
--
-- Redis allows HDEL when its memory is full, and then the writes after it in the same script. Without this, all
-- members would look dead when memory is full.

redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
