-- Reads an index of executions of one shard downwards, and returns those that other indexes have too.
--
-- KEYS  1 the index that is read, 2 the index of all by time; then the indexes of the conditions
-- ARGV  1 1 if the index is one of ids, 0 if it is by time, 2 least id, for an index of ids, 3 and 4 oldest and newest
--       time (ms; '-inf', '+inf'), 5 and 6 time and id of the place below which it reads, or '' and '',
--       7 executions to find, at most, 8 executions to read, at most, 9 1 if those of built-in programs are found,
--       10 the greatest id, for an index of ids; then for each condition: how many indexes it has. An execution meets
--       the condition if it is in one of them.
-- Returns times and ids of what it found, and time and id of the last that it read, or '' and '' if it read to the end.

local walked, all = KEYS[1], KEYS[2]
local by_id, least_id, oldest, newest = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4]
local below_time, below_id = ARGV[5], ARGV[6]
local most_found, most_read, built_in, greatest_id = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9] == '1', ARGV[10]
local CHUNK = 100

-- The rank, from the greatest on, of the first place below a time and an id. Equal times are ordered by id.
local function rank_below(time, id)
  local low = redis.call('ZCOUNT', walked, '(' .. time, '+inf')
  local high = low + redis.call('ZCOUNT', walked, time, time)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZREVRANGE', walked, middle, middle)[1] < id then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local function first_rank()
  local first = newest == '+inf' and 0 or redis.call('ZCOUNT', walked, newest, '+inf')
  return below_id == '' and first or math.max(first, rank_below(below_time, below_id))
end

local rank = by_id and 0 or first_rank()
local greatest = below_id == '' and '(' .. greatest_id or '(' .. below_id

-- The next ids and times of the index, in order; none after the oldest.
local function chunk()
  if by_id then
    local ids = redis.call('ZREVRANGEBYLEX', walked, greatest, '[' .. least_id, 'LIMIT', 0, CHUNK)
    greatest = '(' .. (ids[#ids] or '')
    local items = {}
    for place, id in ipairs(ids) do
      items[2 * place - 1], items[2 * place] = id, redis.call('ZSCORE', all, id) or '0'
    end
    return items
  end
  local items = redis.call('ZREVRANGE', walked, rank, rank + CHUNK - 1, 'WITHSCORES')
  rank = rank + CHUNK
  return items
end

local function is_within(time)
  return (oldest == '-inf' or tonumber(time) >= tonumber(oldest)) and (newest == '+inf' or tonumber(time) < tonumber(newest))
end

local function is_in_one(first, last, id)
  for key = first, last do
    if redis.call('ZSCORE', KEYS[key], id) then
      return true
    end
  end
  return false
end

local function meets_all(id)
  local key = 3
  for condition = 11, #ARGV do
    local last = key + tonumber(ARGV[condition]) - 1
    if not is_in_one(key, last, id) then
      return false
    end
    key = last + 1
  end
  return true
end

local found, read = {}, 0
while true do
  local items = chunk()
  for item = 1, #items, 2 do
    local id, time = items[item], items[item + 1]
    if not by_id and oldest ~= '-inf' and tonumber(time) < tonumber(oldest) then
      return {found, {'', ''}}
    end
    read = read + 1
    if (built_in or string.sub(id, 1, 1) ~= '$') and is_within(time) and meets_all(id) then
      found[#found + 1] = time
      found[#found + 1] = id
    end
    if #found == 2 * most_found or read == most_read then
      return {found, {time, id}}
    end
  end
  if #items < 2 * CHUNK then
    return {found, {'', ''}}
  end
end
