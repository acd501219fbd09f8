-- Adds executions of one shard to the indexes by id and parent, which an earlier release did not have.
--
-- KEYS  1 the index by id, 2 the index of all executions; then of each: itself, and the index of its parent, or the
--       index by id if it has none
-- ARGV  the id of each
--
-- One that does not exist is removed from the index of all: Redis may have lost it, and the sizes are compared.

for n = 1, #ARGV do
  local key, id = 1 + 2 * n, ARGV[n]
  local created = redis.call('HGET', KEYS[key], 'created')
  if created then
    redis.call('ZADD', KEYS[1], 0, id)
    if KEYS[key + 1] ~= KEYS[1] then
      redis.call('ZADD', KEYS[key + 1], created, id)
    end
  else
    redis.call('ZREM', KEYS[2], id)
  end
end
