-- Sends published events to the runs of some shards that are subscribed to them, each event once.
--
-- KEYS  for each shard: 1 how far it has matched, 2 runs that have got the event that is sent in pieces, 3 runs that were
--       subscribed meanwhile, 4 subscribers, 5 shapes, 6 inbox, 7 the order of the event messages there
-- ARGV  1 position before the events, 2 position of the last event; then for each shard the version of the shapes from
--       which the keys were computed, or '' for no shapes; then for each event that has keys: its position, event,
--       number of keys, keys
-- Returns for each shard {1, messages sent, position up to which it has matched now}: if that is before argument 2, the
--       caller repeats the call; or {0, version, shapes} without changes if the shapes are other ones;
--       or {-1, position} without changes if it has not matched all events up to argument 1;
--       or {2} without changes if runs look back: they must get earlier events first.
--
-- The shards have the same shapes, so an event has the same keys for all of them. No shard needs another one: a caller
-- may ask each of them alone.
--
-- The position and the messages are written in the same step. So a call that is repeated, or comes late, sends nothing
-- twice. One call sends a limited number of messages, so that Redis serves others soon: the shards behind the limit are
-- not asked, and an event that needs several calls is sent in pieces. The script remembers the key and the subscriber
-- that it came to. A run may be subscribed again meanwhile, with other keys; `commit` notes such runs, and they are
-- served last.

local MOST = 1000 -- messages to one shard in one call; those of more than a KiB count as several
local WIDTH = 7 -- keys of a shard

local call = redis.call
local matched, runs, late, subscribers, inbox, order -- keys of the current shard
local position, in_pieces, known_key, known_subscriber -- what it remembers; all but the position if it has sent a piece
local room, sent
local got -- the runs of the shard that have got the current event in this call
local events

local function send(event, run)
  local execution, of_execution = string.match(run, '^(%S+) (.*)$')
  local body = '{"run":' .. cjson.encode(of_execution) .. ',"order":"' .. event.order .. '","event":' .. event.json .. '}'
  call('XADD', inbox, '*', 'm', '["event","' .. execution .. '",' .. body .. ']')
  call('ZADD', order, 0, execution .. ' ' .. event.order .. ' ' .. of_execution)
  sent = sent + 1
end

local function send_once(event, run)
  if not got[run] and not (event.continued and call('SISMEMBER', runs, run) == 1) then
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
  local first = last and '(' .. key.text .. ' ' .. last or key.first
  local members = call('ZRANGEBYLEX', subscribers, first, key.last, 'LIMIT', 0, limit)
  local run
  for _, member in ipairs(members) do
    run = string.sub(member, #key.text + 2)
    send_once(event, run)
  end
  room = room - #members * event.cost
  return #members == limit and run
end

-- Sends an event to runs that were subscribed while it was sent in pieces. Returns whether there was room for all.
local function offer_late(event)
  local cost = math.max(event.cost, #event.keys)
  local limit = most(cost)
  local some = call('SPOP', late, limit)
  for _, run in ipairs(some) do
    for _, key in ipairs(event.keys) do
      if call('ZSCORE', subscribers, key.text .. ' ' .. run) then
        send_once(event, run)
      end
    end
  end
  room = room - #some * cost
  return #some < limit
end

local function forget_pieces()
  call('HDEL', matched, 'event', 'key', 'subscriber')
  call('DEL', runs, late)
  in_pieces = nil
end

local function remember(event, key, run)
  if in_pieces and not event.continued then
    forget_pieces()
  end
  call('HSET', matched, 'position', position, 'event', event.position, 'key', key.text, 'subscriber', run)
  local new = {}
  for each in pairs(got) do
    new[#new + 1] = each
  end
  if #new > 0 then
    call('SADD', runs, unpack(new))
  end
end

-- Sends an event to all that are subscribed to one of its keys. Returns whether there was room for all.
local function match(event)
  got = {}
  local first, last = 1, nil
  if event.continued then
    for i, key in ipairs(event.keys) do
      if key.text == known_key then
        first, last = i, known_subscriber
      end
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

-- The events, from index `at` of ARGV on.
local function read_events(at)
  local events = {}
  while at <= #ARGV do
    local event = {position = ARGV[at], json = ARGV[at + 1], keys = {}}
    event.cost = math.ceil(#event.json / 1024)
    event.order = string.gsub(event.position, '%d+$', function(number) return string.format('%010d', number) end)
    local last = at + 2 + tonumber(ARGV[at + 2])
    for item = at + 3, last do
      local key = ARGV[item]
      event.keys[#event.keys + 1] = {text = key, first = '[' .. key .. ' ', last = '(' .. key .. '!'}
    end
    events[#events + 1] = event
    at = last + 1
  end
  return events
end

-- Matches all events after the position of the shard.
local function match_all()
  sent = 0
  local after_all = position == ARGV[1] -- as usual: no event was matched before
  for _, event in ipairs(events) do
    if after_all or is_after(event.position, position) then
      event.continued = in_pieces == event.position
      if not match(event) then
        return {1, sent, position}
      end
      position = event.position
    end
  end
  call('HSET', matched, 'position', ARGV[2])
  if in_pieces then
    forget_pieces()
  end
  return {1, sent, ARGV[2]}
end

-- The answer of the current shard. A caller that knows all, as usual, has its position and its version.
local function answer(shapes_key, version, expected, look_backs)
  if look_backs and look_backs ~= '0' then
    return {2}
  elseif position ~= ARGV[1] and not is_after(ARGV[2], position) then
    return {1, 0, position}
  elseif position ~= ARGV[1] and is_after(ARGV[1], position) then
    return {-1, position}
  elseif version ~= expected then
    return {0, version, call('HKEYS', shapes_key)}
  end
  return match_all()
end

events = read_events(3 + #KEYS / WIDTH)
local answers, left = {}, MOST
for first = 1, #KEYS, WIDTH do
  local number = #answers + 1
  local stored = call('HMGET', KEYS[first], 'position', 'shapes', 'look_backs', 'event', 'key', 'subscriber')
  matched, runs, late = KEYS[first], KEYS[first + 1], KEYS[first + 2]
  subscribers, inbox, order = KEYS[first + 3], KEYS[first + 5], KEYS[first + 6]
  position, in_pieces, known_key, known_subscriber = stored[1] or '0-0', stored[4], stored[5], stored[6]
  room = MOST
  answers[number] = left > 0 and answer(KEYS[first + 4], stored[2] or '', ARGV[2 + number], stored[3])
    or {1, 0, position}
  left = left - (MOST - room)
end
return answers
