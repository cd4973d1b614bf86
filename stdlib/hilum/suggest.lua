-- "did you mean": the nearest of the known words.

-- Edits (insert, delete, replace, swap neighbours) from a to b.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    local before, last, row = rows[i - 2], rows[i - 1], { [0] = i }
    rows[i] = row
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      row[j] = best
    end
  end
  return rows[#a][#b]
end

local function near(word, candidate)
  local a, b = word:lower(), candidate:lower()
  if #a > 2 and (b:sub(1, #a) == a or a:sub(1, #b) == b and #b > 2) then return 1 end
  local d = distance(a, b)
  if d <= math.max(1, math.min(#a, #b) // 3) then return d end
  return nil
end

local suggest = {}

--- The nearest of the words (a list), or nil if none is near.
function suggest.nearest(word, words)
  local best, at
  for _, candidate in ipairs(words) do
    local d = near(tostring(word), candidate)
    if d and (not at or d < at or d == at and candidate < best) then best, at = candidate, d end
  end
  return best
end

--- " (did you mean 'x'?)" or, where nothing is near and the list is short, " (known: …)", or "".
function suggest.hint(word, words)
  local best = suggest.nearest(word, words)
  if best then return string.format(" (did you mean '%s'?)", best) end
  if #words == 0 or #words > 16 then return "" end
  local sorted = table.move(words, 1, #words, 1, {})
  table.sort(sorted)
  return " (known: " .. table.concat(sorted, ", ") .. ")"
end

return suggest
