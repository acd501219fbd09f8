-- Renews the leases of tasks or messages that a consumer works on.
--
-- KEYS  1 queue or inbox, 2 cancelled runs
-- ARGV  1 group, 2 consumer, then pairs of an id and its run key, '' for messages
-- Returns for each: 1 held, 2 held but cancelled, 0 lost.
--
-- XCLAIM alone would take a task from its current consumer, so the script checks that first.

local answers = {}
for i = 3, #ARGV, 2 do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)[1]
  if not pending or pending[2] ~= ARGV[2] then
    answers[#answers + 1] = 0
  else
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID') -- not counted as a delivery
    answers[#answers + 1] = redis.call('ZSCORE', KEYS[2], ARGV[i + 1]) and 2 or 1
  end
end
return answers
