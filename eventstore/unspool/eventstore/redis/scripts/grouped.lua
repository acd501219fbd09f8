-- Placed before scripts that write many values to few keys. One call for each key costs less than one for each value.

local MOST_AT_ONCE = 1000 -- Lua limits the arguments of one call. It is even, so that no pair is divided.

local function add_pair(list, first, second)
  local length = #list
  list[length + 1] = first
  list[length + 2] = second
end

-- Returns the list of a key; a new one for a new key.
local function list_of(lists, key)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  return list
end

-- Calls `what` with the indexes of the first and the last value of each part of a list.
local function in_parts(list, what)
  for first = 1, #list, MOST_AT_ONCE do
    what(first, math.min(first + MOST_AT_ONCE - 1, #list))
  end
end

-- Runs a command for each key with its list of values.
local function write(command, lists)
  for key, list in pairs(lists) do
    in_parts(list, function(first, last) redis.call(command, key, unpack(list, first, last)) end)
  end
end

