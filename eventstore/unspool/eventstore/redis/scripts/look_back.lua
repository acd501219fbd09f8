-- Offers events that were matched before to a run that looks back, each event once; not those that the execution had
-- accepted before the run began to listen.
--
-- KEYS  1 how far this shard has matched, 2 runs that look back, 3 events accepted lately, 4 inbox, 5 the order of the
--       event messages there
-- ARGV  1 execution and run, 2 what was to be offered to it, 3 what is still to be offered after these events, or '',
--       4 the place of the newest event that was accepted before; then for each event: how the accepted events name it,
--       the message, its place in the order
-- Returns how many messages were sent; or -1 without changes if something else is to be offered to the run, or nothing.

local matched, look_backs, accepted, inbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local run, before, after, newest = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if redis.call('HGET', look_backs, run) ~= before then
  return -1
end
local sent = 0
for item = 5, #ARGV, 3 do
  local place = redis.call('ZSCORE', accepted, ARGV[item])
  if not place or tonumber(place) > newest then
    redis.call('XADD', inbox, '*', 'm', ARGV[item + 1])
    redis.call('ZADD', KEYS[5], 0, ARGV[item + 2])
    sent = sent + 1
  end
end
if after == '' then
  redis.call('HDEL', look_backs, run)
  redis.call('HSET', matched, 'look_backs', redis.call('HLEN', look_backs))
else
  redis.call('HSET', look_backs, run, after)
end
return sent
