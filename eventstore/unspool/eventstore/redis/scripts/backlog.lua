-- Counts what waits in one shard.
--
-- KEYS  1 timers, 2 dead letters, 3 inbox, then task queues
-- Returns when the next timer is due (ms; '' if none is set), and for each of the other keys: its entries, how many of
-- them a consumer holds, and the id of the oldest that none holds ('' if there is none).

local found = { redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or '' }

for i = 2, #KEYS do
  local length = redis.call('XLEN', KEYS[i])
  local held, oldest = 0, ''
  if length > 0 then
    local after = '-'
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[i])) do -- each stream has one group, or none yet
      -- 1 'name', 2 its value, … 5 'pending', 6 its value, 7 'last-delivered-id', 8 its value
      held, after = group[6], '(' .. group[8]
    end
    local entry = redis.call('XRANGE', KEYS[i], after, '+', 'COUNT', 1)[1]
    oldest = entry and entry[1] or ''
  end
  found[#found + 1] = length
  found[#found + 1] = held
  found[#found + 1] = oldest
end
return found
