-- One case as files that other programs read: NIfTI (image and masks), DICOM Segmentation.

local engine = require "hilum.engine"
local problem = require "hilum.problem"

local export = {}

local function named(index, name)
  local found = {}
  for _, one in ipairs(index.series) do
    if one.uid == name then return { one } end
    if one.patient == name then found[#found + 1] = one end
  end
  return found
end

local function several(what, list)
  local uids = {}
  for i, one in ipairs(list) do uids[i] = one.uid end
  return nil, problem.new("data", string.format("%s has %d CT series; name one of them: %s", what, #list,
    table.concat(uids, ", ")))
end

--- The series that `name` means: a folder with one CT series; or, in the folder `data`, a patient with one, or a
--- series UID. An entry of engine.index(), or nil and a problem.
function export.find(name, data, progress)
  local index, err = engine.index(data or name, progress)
  if not index then return nil, err end
  local list = data and named(index, name) or index.series
  if #list == 1 then return list[1] end
  if #list > 1 then return several(data and "patient " .. name or name, list) end
  return nil, problem.new("data", string.format(
    "%s: no CT series of that UID or patient (of %d; hilum data scan lists them)", data and data .. ": " .. name
    or name, #index.series))
end

-- The case as values to be freed: series, and nodules and marks if it has a reading.
local function read(entry, options)
  local case = { problems = {} }
  local series, err, more = engine.read_series(entry.files)
  table.move(series and err or more or {}, 1, #(series and err or more or {}), 1, case.problems)
  if not series then return nil, err, case.problems end
  case.series = series
  if not entry.xml then return case end
  local marks, found = engine.read_marks(entry.xml)
  if not marks then return nil, found, case.problems end
  table.move(found, 1, #found, #case.problems + 1, case.problems)
  -- What has any vote is kept; the level of a consensus is asked for when it is drawn.
  local nodules, odd = engine.find_nodules(series, marks, { semantics = options.semantics, gap_mm = options.gap_mm,
    min_readers = options.min_readers or 1, min_diameter_mm = options.min_diameter_mm or 0, level = 1e-6 })
  if not nodules then return nil, odd, case.problems end
  table.move(odd, 1, #odd, #case.problems + 1, case.problems)
  case.marks, case.nodules = marks, nodules
  return case
end

local function stem_and_ending(path)
  local stem = path:match "^(.+)%.nii%.gz$"
  if stem then return stem, ".nii.gz" end
  stem = path:match "^(.+)%.nii$"
  if stem then return stem, ".nii" end
end

-- Writes a mask and says what is in it.
local function write_mask(report, case, path, what, options)
  local mask <close> = engine.draw_nodules(case.nodules, { session = what.session, level = options.level,
    of = options.of, labels = options.labels })
  local stats = mask:stats()
  local fine, err = engine.write_nifti(path, mask, case.series, "hilum: " .. what.title)
  if not fine then return nil, err end
  report.files[#report.files + 1] = { file = path, what = what.title .. (stats.max == 0 and ", empty" or "") }
  return true
end

local function write_image(report, case, path)
  local voxels <close> = case.series:voxels()
  local fine, err = engine.write_nifti(path, voxels, case.series, "hilum: CT in Hounsfield units")
  if not fine then return nil, err end
  report.files[#report.files + 1] = { file = path, what = "image, Hounsfield units" }
  return true
end

local function write_nifti(report, case, options)
  local stem, ending = stem_and_ending(options.nifti)
  local fine, err = write_image(report, case, options.nifti)
  if not fine or not case.nodules then return fine, err end
  fine, err = write_mask(report, case, stem .. "_mask" .. ending, { title = "consensus of readers" }, options)
  for session = 1, fine and report.sessions or 0 do
    fine, err = write_mask(report, case, string.format("%s_reader%d%s", stem, session, ending),
      { title = "reader " .. session, session = session }, options)
    if not fine then break end
  end
  return fine, err
end

local function write_seg(report, case, options)
  if not case.nodules then
    return nil, problem.new("data", string.format("%s: series %s has no reading, so there is nothing to segment",
      options.seg, report.series))
  end
  local done, err = engine.write_seg(options.seg, case.series, case.nodules, case.marks, options)
  if not done then return nil, err end
  report.segments, report.frames = done.segments, done.frames
  local what = string.format("%d segments in %d frames", done.segments, done.frames)
  if done.without_consensus > 0 then
    what = string.format("%s; left out for want of a consensus: %d", what, done.without_consensus)
  end
  report.files[#report.files + 1] = { file = options.seg, what = what }
  return true
end

--- Writes a series (of export.find). options: { nifti = path, seg = path, readers (SEG: a segment for each reader),
--- labels (masks hold the nodule's number), level, of, semantics, gap_mm, min_readers, min_diameter_mm }. Returns
--- { series, patient, size, nodules, sessions, files = { { file, what } … }, problems }, or nil, a problem and the
--- list of problems so far.
function export.write(entry, options)
  local case, err, problems = read(entry, options)
  if not case then return nil, err, problems end
  local info = case.series:info()
  local report = { series = info.uid, patient = info.patient, size = { info.slices, info.rows, info.columns },
    spacing_mm = info.spacing_mm, nodules = case.nodules and #case.nodules:list() or 0,
    sessions = case.marks and case.marks:info().sessions or 0, files = {}, problems = case.problems }
  local fine = true
  if options.nifti then fine, err = write_nifti(report, case, options) end
  if fine and options.seg then fine, err = write_seg(report, case, options) end
  for _, one in ipairs { "nodules", "marks", "series" } do
    if case[one] then case[one]:free() end
  end
  if not fine then return nil, err, case.problems end
  return report
end

export.stem_and_ending = stem_and_ending

return export
