-- Sets when retention looks at a text again, and since when the text is unused.
--
-- KEYS  1 text, 2 its uses, 3 texts by when retention looks at them
-- ARGV  1 hash; 2 time of the next look (ms); 3 since when it is unused (ms), or empty
--
-- A text that another service has deleted meanwhile leaves nothing.

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('UNLINK', KEYS[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
  return
end
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[2], 'unused')
else
  redis.call('HSET', KEYS[2], 'unused', ARGV[3])
end
