-- Shows that a member lives.
--
-- KEYS  1 members
-- ARGV  1 name, 2 beat
--
-- HDEL, of nothing, is let through when memory is full, and so is then what follows: else everybody would look
-- dead to everybody as soon as there is no room.

redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
