-- Deletes a text, unless it was used since it was found unused.
--
-- KEYS  1 text, 2 its uses, 3 texts by when retention looks at them
-- ARGV  1 hash; 2 since when it is unused (ms)
-- Returns 1 if it is deleted, else 0.

if redis.call('HGET', KEYS[2], 'unused') ~= ARGV[2] then
  return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
