-- A scan's nodules with every reader's outlines, as a figure.

local cache = require "hilum.cache"
local drawing = require "hilum.figure.readers"
local pictures = require "hilum.figure.scan"
local problem = require "hilum.problem"
local scans = require "hilum.data.scans"

local show = {}

-- The slice a roi lies on: by SOP UID, else by z.
local function slice_of(roi, info)
  local k = info.sop_uids[roi.sop_uid]
  if k or not roi.z_mm then return k end
  for i, z in ipairs(info.z_mm) do
    if math.abs(z - roi.z_mm) <= 0.1 * info.spacing_mm[1] then return i end
  end
  return nil
end

-- A closed line in pixels of the window, from 0.
local function line_of(roi, w)
  local line = {}
  for i, p in ipairs(roi.points) do line[i] = { p.x - (w.x - 1), p.y - (w.y - 1) } end
  line[#line + 1] = line[1]
  return line
end

-- lines[k][reader], holes[k][reader]: lists of lines on slice k.
local function outlines(scan, nodule, w)
  local lines, holes = {}, {}
  for r, m in ipairs(nodule.marks) do
    local reader = math.min(nodule.sessions[r], drawing.most_readers)
    for _, roi in ipairs(scan.list[m].rois) do
      local k, into = slice_of(roi, scan.info), roi.inclusion and lines or holes
      if k and #roi.points > 1 then
        into[k] = into[k] or {}
        into[k][reader] = into[k][reader] or {}
        table.insert(into[k][reader], line_of(roi, w))
      end
    end
  end
  return lines, holes
end

local function title_of(i, nodule)
  local parts = { string.format("nodule %d", i), string.format("%.1f mm", nodule.diameter_mm),
    nodule.readers == 1 and "1 reader" or nodule.readers .. " readers" }
  local malignancy = nodule.mean_ratings.malignancy
  if malignancy then parts[#parts + 1] = string.format("malignancy %.2g", malignancy) end
  return table.concat(parts, "  ·  ")
end

local function row_of(scan, i, nodule, hu)
  local w = pictures.window(nodule, scan.info)
  local lines, holes = outlines(scan, nodule, w)
  local row = { title = title_of(i, nodule), pixel_mm = scan.info.spacing_mm[3], width = w.side, height = w.side,
    slices = {} }
  for c, k in ipairs(pictures.chosen(nodule.first[1], nodule.first[1] + nodule.size[1] - 1, drawing.most_columns)) do
    row.slices[c] = { text = string.format("slice %d  ·  z %s mm", k, pictures.signed("%.1f", scan.info.z_mm[k])),
      grey = pictures.grey(scan.voxels, k, w, hu), lines = lines[k] or {}, holes = holes[k] or {} }
  end
  return row
end

-- Which nodules are drawn: the one asked for, or the largest, in the order of the scan.
local function which(list, wanted)
  if wanted then return list[wanted] and { wanted } or {} end
  local order = {}
  for i in ipairs(list) do order[i] = i end
  table.sort(order, function(a, b) return list[a].diameter_mm > list[b].diameter_mm end)
  order = table.move(order, 1, math.min(#order, drawing.most_rows), 1, {})
  table.sort(order)
  return order
end

local function figure_of(scan, o)
  local list, info = scan.nodules:list(), scan.info
  scan.list, scan.voxels = scan.marks:list(), scan.series:voxels()
  local hu, names, sessions = o.window_hu, {}, scan.marks:info().sessions
  for k = 1, math.min(sessions, drawing.most_readers) do names[k] = "reader " .. k end
  if sessions > drawing.most_readers then names[#names] = names[#names] .. " and on" end
  local order, figure = which(list, o.nodule), { title = info.patient, readers = names, rows = {} }
  for i, k in ipairs(order) do figure.rows[i] = row_of(scan, k, list[k], hu) end
  figure.note = string.format("%d of %d outlined nodules  ·  %s … %s HU  ·  %.3g × %.3g × %.3g mm  ·  series …%s",
    #order, #list, pictures.signed("%g", hu[1]), pictures.signed("%g", hu[2]), info.spacing_mm[1], info.spacing_mm[2],
    info.spacing_mm[3], info.uid:sub(-12))
  if o.nodule and #order == 0 then
    return nil, problem.new("data", string.format("%s has no nodule %d: readers outlined %d", info.patient, o.nodule,
      #list))
  end
  return figure
end

-- One series is drawn; several are named.
local function only_one(o, index)
  local list, names = scans.chosen(index, o.case), {}
  if #list == 1 then return list[1].uid end
  for i = 1, math.min(#list, 6) do names[i] = string.format("%s (%s)", list[i].uid, list[i].patient) end
  if #list > 6 then names[7] = "…" end
  if #list == 0 then
    return nil, problem.new("data", string.format("%s: no CT series with a reading%s", o.folder,
      o.case and string.format(" of the patient or series '%s'", o.case) or ""))
  end
  return nil, problem.new("data", string.format(
    "%s: %d CT series with a reading, one is drawn: name its series UID: %s", o.folder, #list,
    table.concat(names, ", ")))
end

--- Draws the outlined nodules of one scan to BASENAME.svg and BASENAME.png. o: { folder, case = patient or series UID
--- (not needed where the folder holds one series), nodule = its number (default: the largest eight), window_hu = {
--- -1000, 400 }, base = function(patient) -> BASENAME, progress }. Returns { files, patient, nodules, problems }, or
--- nil and a problem.
function show.draw(o)
  local index, err = cache.index(o.folder, o.progress)
  if not index then return nil, err end
  local uid
  uid, err = only_one(o, index)
  if not uid then return nil, err end
  local figure, result
  local found, failed = scans.each {
    folder = o.folder, index = index, case = uid, voxels = true, progress = o.progress, rule = { votes = 1 },
    visit = function(scan)
      figure, err = figure_of(scan, { nodule = o.nodule, window_hu = o.window_hu or { -1000, 400 } })
      result = { patient = scan.info.patient, nodules = #scan.nodules:list() }
    end,
  }
  if not found then return nil, failed end
  result = result or {}
  if not figure then return nil, err or problem.new("data", found.problems[#found.problems].message) end
  result.files, err = drawing.draw(figure, o.base(result.patient))
  if not result.files then return nil, err end
  result.problems = found.problems
  return result
end

return show
