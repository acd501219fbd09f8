-- Placed before scripts that compare ids of stream entries, `<milliseconds>-<number>`.

local function is_after(position, other)
  local ms, n = string.match(position, '(%d+)-(%d+)')
  local other_ms, other_n = string.match(other, '(%d+)-(%d+)')
  ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
  return ms > other_ms or (ms == other_ms and n > other_n)
end

