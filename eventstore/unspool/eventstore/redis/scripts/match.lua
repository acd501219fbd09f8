-- Sends published events to the runs of one shard that are subscribed to them, each event once.
--
-- KEYS  1 how far this shard has matched, 2 runs that have got the event that is sent in pieces, 3 runs that were
--       subscribed meanwhile, 4 subscribers, 5 version of the shapes, 6 shapes, 7 inbox
-- ARGV  1 version of the shapes from which the keys were computed, or '' for no shapes, 2 position before the events,
--       3 position of the last event; then for each event that has keys: its position, event, number of keys, keys
-- Returns {1, messages sent, position up to which this shard has matched now}: if that is before argument 3, the caller
--       repeats the call; or {0, version, shapes} without changes if the shapes are other ones;
--       or {-1, position} without changes if this shard has not matched all events up to argument 2.
--
-- The position and the messages are written in the same step. So a call that is repeated, or comes late, sends nothing
-- twice. One call sends a limited number of messages, so that Redis serves others soon. An event that needs several
-- calls is sent in pieces: the script remembers the key and the subscriber that it came to. A run may be subscribed
-- again meanwhile, with other keys; `commit` notes such runs, and they are served last.

local matched, runs, late, subscribers, inbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[7]
local MOST = 1000 -- messages in one call; those of more than a KiB count as several

local known = redis.call('HMGET', matched, 'position', 'event', 'key', 'subscriber')
local position, in_pieces = known[1] or '0-0', known[2]
if not is_after(ARGV[3], position) then
  return {1, 0, position}
elseif is_after(ARGV[2], position) then
  return {-1, position}
end
local version = redis.call('GET', KEYS[5]) or ''
if version ~= ARGV[1] then
  return {0, version, redis.call('HKEYS', KEYS[6])}
end

local room, sent = MOST, 0
local got = {} -- the runs that have got the current event in this call

local function send(event, run)
  local execution, of_execution = string.match(run, '^(%S+) (.*)$')
  local body = '{"run":' .. cjson.encode(of_execution) .. ',"event":' .. event.json .. '}'
  redis.call('XADD', inbox, '*', 'm', '["event","' .. execution .. '",' .. body .. ']')
  sent = sent + 1
end

local function send_once(event, run)
  if not got[run] and not (event.continued and redis.call('SISMEMBER', runs, run) == 1) then
    got[run] = true
    send(event, run)
  end
end

-- How many runs there is room for; at least one, so that each call makes progress.
local function most(cost)
  return math.max(1, math.floor(room / cost))
end

-- Sends an event to the subscribers of a key, those after `last` if it is given. Returns the one it came to if there was
-- no room for all.
local function offer(event, key, last)
  local limit = most(event.cost)
  local first = last and '(' .. key .. ' ' .. last or '[' .. key .. ' '
  local members = redis.call('ZRANGEBYLEX', subscribers, first, '(' .. key .. '!', 'LIMIT', 0, limit)
  local run
  for _, member in ipairs(members) do
    run = string.sub(member, #key + 2)
    send_once(event, run)
  end
  room = room - #members * event.cost
  return #members == limit and run
end

-- Sends an event to runs that were subscribed while it was sent in pieces. Returns whether there was room for all.
local function offer_late(event)
  local cost = math.max(event.cost, #event.keys)
  local limit = most(cost)
  local some = redis.call('SPOP', late, limit)
  for _, run in ipairs(some) do
    for _, key in ipairs(event.keys) do
      if redis.call('ZSCORE', subscribers, key .. ' ' .. run) then
        send_once(event, run)
      end
    end
  end
  room = room - #some * cost
  return #some < limit
end

local function forget_pieces()
  redis.call('HDEL', matched, 'event', 'key', 'subscriber')
  redis.call('DEL', runs, late)
  in_pieces = nil
end

local function remember(event, key, run)
  if in_pieces and not event.continued then
    forget_pieces()
  end
  redis.call('HSET', matched, 'position', position, 'event', event.position, 'key', key, 'subscriber', run)
  local new = {}
  for each in pairs(got) do
    new[#new + 1] = each
  end
  if #new > 0 then
    redis.call('SADD', runs, unpack(new))
  end
end

-- Sends an event to all that are subscribed to one of its keys. Returns whether there was room for all.
local function match(event)
  got = {}
  local first, last = 1, nil
  for i, key in ipairs(event.keys) do
    if event.continued and key == known[3] then
      first, last = i, known[4]
    end
  end
  for i = first, #event.keys do
    local stopped_at = offer(event, event.keys[i], i == first and last)
    if stopped_at then
      remember(event, event.keys[i], stopped_at)
      return false
    end
  end
  if event.continued and not offer_late(event) then
    remember(event, event.keys[#event.keys], '\255') -- behind all subscribers of the last key
    return false
  end
  return true
end

local at = 4
while at <= #ARGV do
  local event = {position = ARGV[at], json = ARGV[at + 1], keys = {}}
  local last = at + 2 + tonumber(ARGV[at + 2])
  for item = at + 3, last do
    event.keys[#event.keys + 1] = ARGV[item]
  end
  if is_after(event.position, position) then
    event.cost = math.ceil(#event.json / 1024)
    event.continued = in_pieces == event.position
    if not match(event) then
      return {1, sent, position}
    end
    position = event.position
  end
  at = last + 1
end
redis.call('HSET', matched, 'position', ARGV[3])
if in_pieces then
  forget_pieces()
end
return {1, sent, ARGV[3]}
