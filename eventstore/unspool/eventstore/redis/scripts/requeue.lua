-- Adds a dead letter to its stream again.
--
-- KEYS  1 dead letters, 2 the stream it came from
-- ARGV  1 id, 2 field, 3 payload
-- Returns 1; or 0, without changes, if there is no such dead letter.

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 0
end
redis.call('XADD', KEYS[2], '*', ARGV[2], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
