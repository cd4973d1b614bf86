-- The tables of texts that plots/page.gp draws on most pages.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"

local texts = {}

--- Adds title and note, in the upper left corner of a page from x on, and the tables of texts that are not there yet.
function texts.add(tables, x, title, note)
  local height = tables.page[1][2]
  tables.title = { { x, height - 36, gnuplot.shortened(title, 64) } }
  tables.note = { { x, height - 68, gnuplot.shortened(note, 130) } }
  for _, name in ipairs { "heads", "x_axes", "y_axes", "small", "middle", "right" } do
    tables[name] = tables[name] or {}
  end
  return tables
end

--- Adds a key from x, y (pixels) on to the right, or downwards where down is the distance of its lines: entries are
--- { table that holds the ends of a line of the key's, text }.
function texts.key(tables, entries, x, y, down)
  tables.small = tables.small or {}
  for _, entry in ipairs(entries) do
    tables[entry[1]] = { { x, y }, { x + 42, y } }
    tables.small[#tables.small + 1] = { x + 52, y, entry[2] }
    if down then y = y - down else x = x + 84 + 9.6 * utf8.len(entry[2]) end
  end
end

--- What a run is called: its experiment's name, and its seed where others of the name have another.
function texts.label(run, others)
  local name = tostring(run.name or "run")
  for _, other in ipairs(others or {}) do
    if other.name == run.name and other.seed ~= run.seed then
      return string.format("%s, seed %s", name, tostring(run.seed))
    end
  end
  return name
end

--- "12 nodules  ·  patients: 240 training, 60 validation  ·  seed 7", as far as it is known.
function texts.about(run)
  local split, parts = numbers.fields(run.split), {}
  local nodules = #numbers.fields(run.cases)
  if nodules > 0 then parts[1] = nodules == 1 and "1 nodule" or nodules .. " nodules" end
  if type(split.train) == "table" and type(split.validation) == "table" then
    parts[#parts + 1] = string.format("patients: %d training, %d validation", #split.train, #split.validation)
  end
  if run.seed ~= nil then parts[#parts + 1] = "seed " .. tostring(run.seed) end
  return table.concat(parts, "  ·  ")
end

--- The rows of the validation cases.
function texts.validation(run)
  local rows = {}
  for _, row in ipairs(numbers.fields(run.cases)) do
    if type(row) == "table" and row.role == "validation" then rows[#rows + 1] = row end
  end
  return rows
end

return texts
