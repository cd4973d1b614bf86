-- What a nodule measures: size, shape, Hounsfield units, ratings. docs/data.md has the formulas.

local engine = require "hilum.engine"
local grids = require "hilum.grid"
local scans = require "hilum.data.scans"

local measures = {}

measures.ratings = { "subtlety", "internalStructure", "calcification", "sphericity", "margin", "lobulation",
  "spiculation", "texture", "malignancy" }

-- Volume, surface and what follows from both.
local function shape_of(mask, volume_mm3, spacing_mm)
  local surface = engine.mask_surface(mask, spacing_mm)
  return {
    volume_mm3 = volume_mm3, surface_mm2 = surface,
    sphericity = math.pi ^ (1 / 3) * (6 * volume_mm3) ^ (2 / 3) / surface,
    equivalent_diameter_mm = (6 * volume_mm3 / math.pi) ^ (1 / 3),
    longest_mm = engine.mask_longest(mask, spacing_mm),
  }
end

-- First voxel (from 1) and size of what a mask holds.
local function box_of(mask)
  local _, parts = engine.mask_parts(mask, 26)
  local first, last = { math.huge, math.huge, math.huge }, { 0, 0, 0 }
  for _, part in ipairs(parts) do
    for a = 1, 3 do
      first[a] = math.min(first[a], part.first[a])
      last[a] = math.max(last[a], part.first[a] + part.size[a] - 1)
    end
  end
  return { last[1] - first[1] + 1, last[2] - first[2] + 1, last[3] - first[3] + 1 }, #parts
end

local function volume_of(mask, first, info)
  local counts = engine.op.sum(mask:to "f32", { axes = { 2, 3 } }):table()
  local volume = 0
  for i, n in ipairs(counts) do volume = volume + n * grids.thickness_mm(info, first + i - 1) end
  return volume * info.spacing_mm[2] * info.spacing_mm[3]
end

-- One reader: his mask, and his outlines as pylidc measures them.
local function reader_of(scan, i, nodule, r)
  local info, mask = scan.info, scan.nodules:mask(i, r)
  local shape = shape_of(mask, volume_of(mask, nodule.first[1], info), info.spacing_mm)
  local outline = scan.marks:shape(nodule.marks[r], scan.series, info.thickness_mm)
  shape.session, shape.ratings = nodule.sessions[r], scan.ratings[nodule.marks[r]] or nil
  shape.outline = {
    volume_mm3 = outline.volume_mm3, longest_mm = outline.longest_mm,
    surface_mm2 = engine.mask_surface(mask, { info.thickness_mm, info.spacing_mm[2], info.spacing_mm[3] }),
  }
  return shape
end

local function box(voxels, nodule)
  local part = voxels
  for a = 1, 3 do part = part:slice(a, nodule.first[a], nodule.first[a] + nodule.size[a] - 1) end
  return part:clone()
end

local function row_of(scan, i, nodule)
  local info, mask = scan.info, scan.nodules:mask(i)
  local row = shape_of(mask, nodule.volume_mm3, info.spacing_mm)
  local size, parts = box_of(mask)
  row.patient, row.series, row.nodule, row.readers = info.patient, info.uid, i, nodule.readers
  row.diameter_mm, row.centre_mm, row.parts = nodule.diameter_mm, nodule.centre_mm, parts
  row.box_mm = { size[1] * info.spacing_mm[1], size[2] * info.spacing_mm[2], size[3] * info.spacing_mm[3] }
  row.hu = engine.mask_inside(mask, box(scan.voxels, nodule))
  row.voxels, row.hu.voxels = row.hu.voxels, nil
  row.mean_ratings, row.by_reader = nodule.mean_ratings, {}
  for r = 1, nodule.readers do row.by_reader[r] = reader_of(scan, i, nodule, r) end
  return row
end

--- Measures every outlined nodule below a folder. o: { semantics, grouping, level (default 0.5: of the readers who
--- outlined it), progress }. Returns { nodules = list of rows (docs/data.md names the keys), left_out = nodules without
--- a voxel of consensus, problems }, or nil and a problem.
function measures.of(folder, o)
  o = o or {}
  local report = { nodules = {}, left_out = 0 }
  local found, err = scans.each {
    folder = folder, voxels = true, progress = o.progress,
    rule = { semantics = o.semantics, grouping = o.grouping, level = o.level or 0.5, of = "marks" },
    visit = function(scan)
      local voxels <close> = scan.series:voxels()
      scan.voxels, scan.ratings = voxels, scan.marks:ratings()
      for i, nodule in ipairs(scan.nodules:list()) do
        report.nodules[#report.nodules + 1] = row_of(scan, i, nodule)
      end
      report.left_out = report.left_out + scan.nodules:left_out().disputed
    end,
  }
  if not found then return nil, err end
  report.problems = found.problems
  return report
end

-- ---- as a table ----

local COLUMNS = { "patient", "series", "nodule", "readers", "diameter_mm", "voxels", "parts", "volume_mm3",
  "surface_mm2", "sphericity", "equivalent_diameter_mm", "longest_mm" }
local VECTORS, HU = { "box_mm", "centre_mm" }, { "mean", "sd", "skewness", "kurtosis", "min", "p5", "p10", "p25", "p50",
  "p75", "p90", "p95", "max" }

local function cell(x)
  if type(x) == "number" then return math.type(x) == "integer" and tostring(x) or string.format("%.10g", x) end
  local text = tostring(x == nil and "" or x)
  return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

local function header()
  local names = table.move(COLUMNS, 1, #COLUMNS, 1, {})
  for _, vector in ipairs(VECTORS) do
    for _, axis in ipairs { "z", "y", "x" } do names[#names + 1] = vector .. "_" .. axis end
  end
  for _, name in ipairs(HU) do names[#names + 1] = "hu_" .. name end
  for _, name in ipairs(measures.ratings) do
    names[#names + 1], names[#names + 2] = "rating_" .. name, "rating_" .. name .. "_by_reader"
  end
  return names
end

local function cells(row)
  local list = {}
  local function add(x) list[#list + 1] = cell(x) end
  for _, name in ipairs(COLUMNS) do add(row[name]) end
  for _, vector in ipairs(VECTORS) do
    for a = 1, 3 do add(row[vector][a]) end
  end
  for _, name in ipairs(HU) do add(row.hu[name]) end
  for _, name in ipairs(measures.ratings) do
    local raw = {}
    for r, reader in ipairs(row.by_reader) do raw[r] = tostring(reader.ratings and reader.ratings[name] or "-") end
    add(row.mean_ratings[name])
    add(table.concat(raw, " "))
  end
  return list
end

--- The rows as CSV (RFC 4180, with a header): one line for each nodule.
function measures.csv(report)
  local lines = { table.concat(header(), ",") }
  for _, row in ipairs(report.nodules) do lines[#lines + 1] = table.concat(cells(row), ",") end
  return table.concat(lines, "\r\n") .. "\r\n"
end

return measures
