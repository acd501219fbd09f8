-- Commits steps of executions of one shard. Each step is applied completely or not at all.
--
-- KEYS  1 inbox, 2 timers, 3 cancelled, 4-10 indexes by status, in the order of STATUSES,
--       11 runs of dead-lettered tasks that are not cancelled, 12 ended executions; then the queues that get tasks, and
--       the outbox if a step has an entry for it, and if a step concerns published events: subscribers,
--       subscriptions, shapes, how far events are matched, runs that are subscribed while an event is sent in
--       pieces, runs that look back, events accepted lately, the order of the event messages in the inbox, the newest
--       acceptances of events; then the indexes of tags that change; then of each step: execution, history, and its
--       input if the expected version is 0
-- ARGV  1 number of the first step's first key, 2 channel for new versions of the shard, 3 channel of timers,
--       4 the name of the shard there, published with the due time of a timer that is the earliest; then of each step:
--       the number of its arguments after this one; negative if the step concerns published events,
--       expected version, expected commit id or '', new version, commit id, history entry,
--       id of the execution,
--       status, started at or '', ended at or '' (a single '' replaces all three),
--       then six lists, each with its length before it:
--       ids to acknowledge, tasks (number of its key, run key, task), messages, timers (due at, message),
--       cancelled timers (message), cancelled run keys; a step can end after its tasks, if nothing else follows;
--       and, only if its tags change: 'tags', all tags, number of the first key of their indexes, how many indexes the
--       execution leaves, and how many it enters, which follow;
--       and, only if it has outgoing effects or the next part: number of the key of the outbox or 0, the outbox entry;
--       and, only if it concerns published events: number of the key of subscribers or 0; if it is not 0, the time for
--       which events are retained (ms; 0: they are not), accepted events with their number before them,
--       closed subscriptions (execution and run) with their number before them,
--       opened ones (execution and run; 0, or if it looks back 1 + how many of the accepted events were accepted after it
--       was opened; number of shapes and keys, shapes and keys) with their number before them,
--       messages of published events that are acknowledged (id, place in the order), with their number behind them and
--       the number of the key of their order
-- Returns for each step: 1 committed, 0 conflict, 2 duplicate, 3 a published event was acknowledged before,
-- 4 an earlier one is in the inbox, -1 no such execution, or an error. A committed step with an outbox entry returns the
-- id of the entry instead of 1, if the outbox was empty before this call.
--
-- Payloads are opaque. Redis does not roll back a failing script, so a step is checked before its first write.

local STATUSES = {pending = 4, running = 5, waiting = 6, suspended = 7, cancelled = 8, faulted = 9, completed = 10}
local KEPT_ACCEPTANCES = 1000 -- as in event_bus.py

local call, KEYS, ARGV = redis.call, KEYS, ARGV -- Lua finds a local variable faster than a global one
local inbox, timers, cancelled, dead_runs, all_ended = KEYS[1], KEYS[2], KEYS[3], KEYS[11], KEYS[12]
local at, last = 4, 4 -- index of the last argument that was read, and of the last one of the step
local changed, acknowledged, set, inputs = {}, {}, {}, {}
local moved, removed, added = {}, {}, {} -- executions with a new status; changes of the indexes by status, by key
local outbox_was_empty
local subscribers, changed_shapes, last_subscriber -- number of a key; changes by shape; a commit

-- Calls `what` for each item of the next list, with the index in ARGV at which the item begins.
local function each(what, width)
  local first = at + 2
  at = at + 1 + width * tonumber(ARGV[at + 1])
  for item = first, at, width do
    what(item)
  end
end

local function acknowledge(item)
  acknowledged[#acknowledged + 1] = ARGV[item]
end

local function send(item)
  call('XADD', inbox, '*', 'm', ARGV[item])
end

local function add_task(item)
  call('XADD', KEYS[tonumber(ARGV[item])], '*', ARGV[item + 1], ARGV[item + 2])
end

local function cancel(item)
  local now = tonumber(call('TIME')[1])
  call('ZADD', cancelled, now, ARGV[item])
  call('HDEL', dead_runs, ARGV[item]) -- so a later requeue of its dead letter does not deliver it
  -- If the task had already ended, nothing removes its run from the set. Runs are removed after a day: no executor
  -- holds a task that long without contact to Redis.
  call('ZREMRANGEBYSCORE', cancelled, '-inf', now - 86400)
end

local function set_timer(item)
  call('ZADD', timers, ARGV[item], ARGV[item + 1])
  set[ARGV[item + 1]] = true
end

local function unset_timer(item)
  call('ZREM', timers, ARGV[item])
end

-- Updates the indexes by status and the ended executions, each in one call.
local function update_indexes()
  write('ZREM', removed)
  write('ZADD', added)
  moved, removed, added = {}, {}, {}
end

-- Notes that an execution has a new status, for `update_indexes`.
local function move(execution, id, before, status, created, ended)
  if moved[id] then -- by an earlier step of this call
    update_indexes()
  end
  moved[id] = true
  local had_ended, has_ended = STATUSES[before] >= STATUSES.cancelled, STATUSES[status] >= STATUSES.cancelled
  local members = list_of(removed, KEYS[STATUSES[before]])
  members[#members + 1] = id
  add_pair(list_of(added, KEYS[STATUSES[status]]), created, id)
  if has_ended then
    add_pair(list_of(added, all_ended), ended ~= '' and ended or created, id)
  elseif had_ended then -- running again after a retry
    call('HDEL', execution, 'ended')
    call('ZREM', all_ended, id)
  end
end

-- Updates the fields of an execution, in one call.
local function update(execution, version, commit, status, started, ended)
  if status == '' then -- most steps
    call('HSET', execution, 'version', version, 'commit', commit)
    return
  end
  local fields = {'version', version, 'commit', commit, 'status', status}
  if started ~= '' then
    add_pair(fields, 'started', started)
  end
  if ended ~= '' then
    add_pair(fields, 'ended', ended)
  end
  call('HSET', execution, unpack(fields))
end

local function change_tags(execution, id)
  local created = call('HGET', execution, 'created')
  local first, left, entered = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  call('HSET', execution, 'tags', ARGV[at + 2])
  for key = first, first + left - 1 do
    call('ZREM', KEYS[key], id)
  end
  for key = first + left, first + left + entered - 1 do
    call('ZADD', KEYS[key], created, id)
  end
  at = at + 5
end

local function add_to_outbox(outbox, entry)
  if outbox_was_empty == nil then
    outbox_was_empty = call('XLEN', outbox) == 0
  end
  local id = call('XADD', outbox, '*', 'o', entry)
  return outbox_was_empty and id or 1
end

local function count_shapes(index, change)
  for i = 1, #index, 2 do
    changed_shapes[index[i]] = (changed_shapes[index[i]] or 0) + change
  end
end

local function unsubscribe(run)
  local stored = call('HGET', KEYS[subscribers + 1], run)
  if not stored then
    return
  end
  local index = cmsgpack.unpack(stored) -- shape, key, shape, key …
  for i = 2, #index, 2 do
    call('ZREM', KEYS[subscribers], index[i] .. ' ' .. run)
  end
  call('HDEL', KEYS[subscribers + 1], run)
  count_shapes(index, -1)
end

local function subscribe(run, index)
  unsubscribe(run)
  for i = 2, #index, 2 do
    call('ZADD', KEYS[subscribers], 0, index[i] .. ' ' .. run)
  end
  call('HSET', KEYS[subscribers + 1], run, cmsgpack.pack(index))
  if call('HEXISTS', KEYS[subscribers + 3], 'event') == 1 then
    call('SADD', KEYS[subscribers + 4], run)
  end
  count_shapes(index, 1)
end

local function milliseconds()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- From when on the accepted events are complete: before, some were not noted, or are forgotten.
local function complete_from()
  return tonumber(call('HGET', KEYS[subscribers + 3], 'complete_from') or 0)
end

-- Notes the count of runs that look back where `match` reads the position.
local function count_look_backs()
  call('HSET', KEYS[subscribers + 3], 'look_backs', call('HLEN', KEYS[subscribers + 5]))
end

-- The place of the newest accepted event: its score. Each one is above those before it, also if the clock stands still
-- or is put back, so places show what was accepted before a run began to look back.
local function newest_place()
  local newest = call('ZREVRANGE', KEYS[subscribers + 6], 0, 0, 'WITHSCORES')
  return tonumber(newest[2] or 0)
end

-- Notes which events a run is to be offered: those after a time that were matched before, but not those that were
-- accepted up to a place. The place is among the keys, with a blank before it: no event has such a key.
local function look_back(run, index, retention, place)
  local since = math.max(milliseconds() - retention, complete_from())
  local after = string.format('%.0f-18446744073709551615', since - 1)
  local position = call('HGET', KEYS[subscribers + 3], 'position')
  if position and is_after(position, after) then
    add_pair(index, index[1], string.format(' %.3f', place))
    call('HSET', KEYS[subscribers + 5], run, after .. ' ' .. position .. ' ' .. cjson.encode(index))
    count_look_backs()
  end
end

-- Gives the events that a step accepts, the items up to `upto`, their places. The last ones, `later`, are accepted after
-- the step opens a subscription that looks back. Returns the place before the events, and theirs.
local function give_places(first, upto, now, later)
  local accepted, places, placed = KEYS[subscribers + 6], {newest_place()}, {}
  local look_backs = call('HLEN', KEYS[subscribers + 5])
  for item = first, upto do
    -- What was accepted before a run began to look back must stay there. Else what is accepted again is kept longer: it
    -- may have been published again.
    local change = (look_backs > 0 or item > upto - later) and 'NX' or 'GT'
    local newest = places[#places]
    local place = string.format('%.3f', math.max(now, newest + 0.001))
    local is_new = not placed[ARGV[item]] and call('ZADD', accepted, change, 'CH', place, ARGV[item]) == 1
    placed[ARGV[item]] = true
    -- A place that no event has is not counted: the next step would give it again.
    places[#places + 1] = is_new and tonumber(place) or newest
  end
  return places
end

-- Notes the events that a step accepts, the items up to `upto`, for as long as a look back could offer them again.
-- Returns their places, if events are retained.
local function accept(first, upto, retention, later)
  if first > upto then
    return
  end
  for item = first, upto do
    call('XADD', KEYS[subscribers + 8], 'MAXLEN', '~', KEPT_ACCEPTANCES, '*', 'a', ARGV[item])
  end
  local now, places, complete = milliseconds(), nil, nil
  if retention == 0 then
    complete = now + 1
  else
    local forgotten = call('ZREMRANGEBYSCORE', KEYS[subscribers + 6], '-inf', now - retention)
    complete = forgotten > 0 and math.max(now - retention + 1, complete_from())
    places = give_places(first, upto, now, later)
  end
  if complete then
    call('HSET', KEYS[subscribers + 3], 'complete_from', string.format('%.0f', complete))
  end
  return places
end

local function close(run)
  unsubscribe(run)
  if call('HDEL', KEYS[subscribers + 5], run) == 1 then
    count_look_backs()
  end
end

-- Closes and opens the subscriptions of a step, and accepts its events.
local function change_subscriptions(commit)
  subscribers, changed_shapes, last_subscriber = tonumber(ARGV[at + 1]), changed_shapes or {}, commit
  local retention, accepted, looking, later = tonumber(ARGV[at + 2]), at + 4, {}, 0
  at = at + 3 + tonumber(ARGV[at + 3])
  local upto = at
  each(function(item) close(ARGV[item]) end, 1)
  at = at + 1
  for _ = 1, tonumber(ARGV[at]) do
    local run, looks_back, first, index = ARGV[at + 1], tonumber(ARGV[at + 2]), at + 4, {}
    at = at + 3 + tonumber(ARGV[at + 3])
    for item = first, at do
      index[#index + 1] = ARGV[item]
    end
    subscribe(run, index)
    if looks_back > 0 and retention > 0 then
      looking[#looking + 1] = {run, index, looks_back}
      later = math.max(later, looks_back - 1)
    end
  end
  local places = accept(accepted, upto, retention, later)
  for _, one in ipairs(looking) do
    look_back(one[1], one[2], retention, places and places[#places - one[3] + 1] or newest_place())
  end
end

-- Whether a published event that the step acknowledges is not in the inbox any more.
local function is_answered()
  for item = last - 1 - 2 * tonumber(ARGV[last - 1]), last - 2, 2 do
    if #call('XRANGE', inbox, ARGV[item], ARGV[item]) == 0 then
      return true
    end
  end
  return false
end

-- Whether the inbox has an earlier published event for the execution that the step does not acknowledge.
local function is_early(id)
  local order, newest, known = KEYS[tonumber(ARGV[last])], nil, 0
  for item = last - 2 * tonumber(ARGV[last - 1]), last - 2, 2 do
    if call('ZSCORE', order, ARGV[item]) then
      known = known + 1
      newest = (not newest or ARGV[item] > newest) and ARGV[item] or newest
    end
  end
  return newest and call('ZLEXCOUNT', order, '[' .. id .. ' ', '[' .. newest) > known
end

local function remove_from_order()
  for item = last - 2 * tonumber(ARGV[last - 1]), last - 2, 2 do
    call('ZREM', KEYS[tonumber(ARGV[last])], ARGV[item])
  end
end

-- Applies one step. Its arguments begin after index `at` and end at index `last`.
local function step(execution, history, input, has_published)
  local expected, follows, version, commit, entry, id, status, started, ended = unpack(ARGV, at + 1, at + 9)
  local known
  if status == '' then
    known = call('HMGET', execution, 'version', 'commit')
  else
    known = call('HMGET', execution, 'version', 'commit', 'status', 'created')
  end
  if not known[1] then
    return -1
  elseif known[2] == commit then -- applied before; its reply was lost
    return 2
  elseif known[1] ~= expected or (follows ~= '' and known[2] ~= follows) then
    return 0
  elseif has_published and is_answered() then
    return 3
  elseif has_published and is_early(id) then
    return 4
  elseif status ~= '' and not STATUSES[status] then
    return redis.error_reply('ERR commit: unknown status')
  end

  -- Redis refuses this write when its memory is full; if it succeeds, Redis allows the rest. It is also a second
  -- check of the version: a stream refuses an id that is not above its last.
  local appended = redis.pcall('XADD', history, version .. '-0', 'e', entry)
  if appended.err then
    return appended
  end
  update(execution, version, commit, status, started, ended)
  if status ~= '' and status ~= known[3] then
    move(execution, id, known[3], status, known[4], ended)
  end
  if input then -- from now on the history holds it
    inputs[#inputs + 1] = input
  end
  at = at + (status == '' and 7 or 9)
  each(acknowledge, 1)
  each(add_task, 3)
  changed[#changed + 1] = id
  if at == last then -- most steps have no more
    return 1
  end
  each(send, 1)
  each(set_timer, 2)
  each(unset_timer, 1)
  each(cancel, 1)
  local answer = 1
  if at < last and ARGV[at + 1] == 'tags' then
    change_tags(execution, id)
  end
  if at < last then
    if ARGV[at + 1] ~= '0' then
      answer = add_to_outbox(KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2])
    end
    at = at + 2
  end
  if at < last and ARGV[at + 1] ~= '0' then
    change_subscriptions(commit)
  end
  if has_published then
    remove_from_order()
  end
  return answer
end

local answers = {}
local key = tonumber(ARGV[1])
while key <= #KEYS do
  at = last + 1 -- skips the arguments of a refused step
  local size, is_first = tonumber(ARGV[at]), ARGV[at + 1] == '0'
  last = at + math.abs(size)
  answers[#answers + 1] = step(KEYS[key], KEYS[key + 1], is_first and KEYS[key + 2], size < 0)
  key = key + (is_first and 3 or 2)
end

update_indexes()
in_parts(inputs, function(first, last) call('DEL', unpack(inputs, first, last)) end)
in_parts(acknowledged, function(first, last)
  call('XACK', inbox, 'workers', unpack(acknowledged, first, last))
  call('XDEL', inbox, unpack(acknowledged, first, last))
end)

-- The version changes if a shape came or went.
if subscribers then
  local shapes, matched = KEYS[subscribers + 2], KEYS[subscribers + 3]
  local came_or_went = false
  for shape, change in pairs(changed_shapes) do
    local count = change ~= 0 and call('HINCRBY', shapes, shape, change)
    if count == 0 then
      call('HDEL', shapes, shape)
    end
    came_or_went = came_or_went or count == 0 or (count and count == change)
  end
  if call('EXISTS', shapes) == 0 then
    call('HDEL', matched, 'shapes')
  elseif came_or_went then
    call('HSET', matched, 'shapes', last_subscriber)
  end
end

-- A timer service knows the earliest timer of each shard, so it is notified only of an earlier one.
if next(set) then
  local first = call('ZRANGE', timers, 0, 0, 'WITHSCORES')
  if set[first[1]] then
    call('PUBLISH', ARGV[3], first[2] .. '@' .. ARGV[4])
  end
end
if #changed > 0 then
  call('PUBLISH', ARGV[2], table.concat(changed, ' '))
end
return answers
