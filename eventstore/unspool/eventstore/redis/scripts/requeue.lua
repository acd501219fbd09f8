-- Puts a dead letter back where it came from, as it was.
--
-- KEYS  1 dead letters, 2 the stream it came from
-- ARGV  1 id, 2 field, 3 payload
-- Returns 1; or 0, and changes nothing, when it is gone.

if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then
  return 0
end
redis.call('XADD', KEYS[2], '*', ARGV[2], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
