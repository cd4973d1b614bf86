-- Looking at data by hand: what a folder holds, one series, one reading.
--
-- What depends on the files comes back as nil, err; err.message names the file. Lists of problems hold
-- { file, message, code }; code "ok" marks a note, nothing was left out because of it.

local audit = require "hilum.data.audit"
local cache = require "hilum.cache"
local engine = require "hilum.engine"

local data = {}

--- What a folder tree holds: { files, dicom_files, ct_files, xml_files, ct_xml, radiograph_xml, other_files,
--- series = { { uid, study, patient, slices, rows, columns, spacing_mm, files, xml } … }, xml = { { file,
--- series_uid, has_series, superseded, sessions, outlines, points, non_nodules, … } … }, problems }.
function data.index(folder, progress)
  return engine.index(folder, progress)
end

-- The marks of readings that are used, added up.
local function add_marks(report, xml)
  for _, name in ipairs { "sessions", "outlines", "points", "non_nodules" } do report[name] = 0 end
  for _, one in ipairs(xml) do
    if not one.superseded then
      for _, name in ipairs { "sessions", "outlines", "points", "non_nodules" } do
        report[name] = report[name] + one[name]
      end
    end
  end
end

--- The same without lists of files, with the marks of all readings added up: sessions, outlines, points,
--- non_nodules.
function data.scan(folder, progress)
  local index, err = cache.index(folder, progress)
  if not index then return nil, err end
  local report = {}
  for name, entry in pairs(index) do report[name] = entry end
  add_marks(report, index.xml)
  report.xml, report.series = nil, {}
  for i, one in ipairs(index.series) do
    local short = {}
    for name, entry in pairs(one) do short[name] = entry end
    short.files = nil
    report.series[i] = short
  end
  return report
end

--- All readings below a folder counted, and what is odd about them; docs/data.md names the keys.
function data.audit(folder, progress)
  return audit.of(folder, progress)
end

--- How far the readers of a folder (of scans or of LIDC-IDRI-slices) agree; docs/data.md names the keys.
--- options: { semantics, grouping, progress }.
function data.agreement(folder, options)
  return require("hilum.data.agreement").of(folder, options)
end

--- What every outlined nodule below a folder measures; docs/data.md names the keys, hilum/data/measures.lua the
--- options.
function data.nodules(folder, options)
  return require("hilum.data.measures").of(folder, options)
end

--- The same as CSV: one line for each nodule.
function data.nodules_csv(report)
  return require("hilum.data.measures").csv(report)
end

--- Draws the nodules of one scan with every reader's outlines; hilum/data/show.lua says what o is.
function data.show(o)
  return require("hilum.data.show").draw(o)
end

--- Draws what an experiment's augmentation makes of a case; hilum/data/augmented.lua says what o is.
function data.show_augmented(o)
  return require("hilum.data.augmented").draw(o)
end

--- One axial CT series: series:voxels() (i16 [z,y,x], Hounsfield units), series:info(), series:hash(); then a
--- list of problems. options: { header_only, processes, timeout_s, memory_bytes }.
function data.read_series(files, options)
  return engine.read_series(files, options)
end

--- One LIDC reading: marks:list(), marks:info(), marks:hash(); then a list of problems.
function data.read_xml(path)
  return engine.read_marks(path)
end

return data
