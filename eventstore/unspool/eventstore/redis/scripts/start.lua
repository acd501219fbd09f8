-- Creates executions of one shard and their start messages.
--
-- KEYS  1 inbox, 2 index, 3 index of pending ones, 4 ids; then for each the keys of `create`
-- ARGV  for each the values of `create`
-- Returns for each 1; or 0, without changes, if the execution exists; or an error.

local answers, key = {}, 5
for value = 1, #ARGV, 9 do
  answers[#answers + 1] = create(KEYS[1], key, value)
  key = key + tonumber(ARGV[value + 8])
end
index_created(KEYS[2], KEYS[3], KEYS[4])
return answers
