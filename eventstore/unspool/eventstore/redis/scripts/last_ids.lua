-- Finds the ends of streams of which a group has received all entries.
--
-- KEYS  the streams
-- ARGV  1 group
-- Returns for each stream the id of the last entry that the group has received, or '' if another entry waits.

local ids = {}
for i = 1, #KEYS do
  local last, waiting = received(KEYS[i], ARGV[1])
  ids[i] = not waiting and last or ''
end
return ids
