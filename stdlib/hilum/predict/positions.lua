-- Where to predict: positions in a scan, as a person types them or as a table has them.
--
-- A table (CSV) says its coordinates by its columns' names:
--   centre_mm_z, centre_mm_y, centre_mm_x   mm along the scan's axes, as `hilum data nodules --csv` writes them
--   z_mm, y_mm, x_mm                        the same
--   z, y, x                                 slice, row, column, from 1
--   coordX, coordY, coordZ                  mm in the patient (left, back, head), as LUNA16 has them
-- and may name the series of each line (series or seriesuid): lines of other series do not count.

local csv = require "hilum.data.csv"
local grids = require "hilum.grid"
local problem = require "hilum.problem"

local positions = {}

local FORMS = {
  { columns = { "centre_mm_z", "centre_mm_y", "centre_mm_x" }, mm = true },
  { columns = { "z_mm", "y_mm", "x_mm" }, mm = true },
  { columns = { "coordZ", "coordY", "coordX" }, mm = true, patient = true },
  { columns = { "z", "y", "x" } },
}

local AXES = { "z", "y", "x" }

local function refuse(text, ...)
  error(problem.new("format", string.format(text, ...)), 0)
end

local function form_of(names, path)
  local there = {}
  for _, name in ipairs(names) do there[name] = true end
  for _, form in ipairs(FORMS) do
    local c = form.columns
    if there[c[1]] and there[c[2]] and there[c[3]] then return form, there end
  end
  refuse("%s: has no columns that say a position: centre_mm_z, centre_mm_y, centre_mm_x (as hilum data nodules writes "
    .. "them), or z_mm, y_mm, x_mm, or z, y, x, or coordX, coordY, coordZ", path)
end

local function number_of(row, name, path)
  local x = tonumber(row[name])
  if x and x == x and math.abs(x) < 1e6 then return x end
  refuse("%s:%d: %s is '%s', expected a number", path, row.line, name, row[name])
end

-- The index of a position on the image's grid, checked; `what` names it.
local function placed(image, at, form, what)
  local index = {}
  for a = 1, 3 do
    local value = at[a]
    if form.patient then value = value * image.signs[a] end
    index[a] = form.mm and grids.index(image.grid, a, value) or value
    local n = image.grid.size[a]
    if index[a] < 0.5 or index[a] > n + 0.5 then
      local low, high = 1, n
      if form.mm then low, high = grids.position(image.grid, a, 1), grids.position(image.grid, a, n) end
      refuse("%s: %s is %.6g, outside the scan (%.6g to %.6g%s)", what, AXES[a], value, low, high,
        form.mm and " mm" or "")
    end
  end
  return index
end

-- The lines of the table that mean this image.
local function own_rows(rows, there, image, path)
  local column = there.series and "series" or there.seriesuid and "seriesuid"
  if not column or not image.uid then return rows end
  local own, others, named = {}, {}, 0
  for _, row in ipairs(rows) do
    local uid = row[column]
    if uid == "" or uid == image.uid then
      own[#own + 1] = row
    elseif not others[uid] then
      others[uid], named = true, named + 1
    end
  end
  if #own == 0 then
    refuse("%s: no line is of series %s (it has lines of %d others)", path, image.uid, named)
  end
  return own
end

local function read(path, image)
  local file, why = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  if not text then error(problem.new("io", tostring(why or path .. ": cannot be read")), 0) end
  local rows, names = csv.parse(text, path)
  local form, there = form_of(names, path)
  local list = {}
  if #rows == 0 then refuse("%s: holds no position", path) end
  for i, row in ipairs(own_rows(rows, there, image, path)) do
    local at = {}
    for a = 1, 3 do at[a] = number_of(row, form.columns[a], path) end
    list[i] = placed(image, at, form, string.format("%s:%d", path, row.line))
  end
  return list
end

--- The positions of a table as continuous indices (from 1) on the grid of an image (data/scan.lua); or nil and a
--- problem.
function positions.read(path, image)
  local fine, list = pcall(read, path, image)
  if fine then return list end
  if type(list) ~= "table" then error(list, 0) end
  return nil, list
end

--- One position { z, y, x }: an index from 1 or, with mm, mm along the scan's axes. The index, or nil and a problem.
function positions.one(image, at, mm)
  local fine, index = pcall(placed, image, at, { mm = mm }, "the position")
  if fine then return index end
  return nil, index
end

return positions
