-- hilum data export: one case for other programs.

local common = require "hilum.cli.common"
local data_export = require "hilum.data.export"
local json = require "hilum.json"
local problem = require "hilum.problem"
local options = require "hilum.cli.options"
local shared = require "hilum.cli.data.shared"

local export = {
  name = "data export",
  summary = "writes one case as NIfTI (image and masks) and as a DICOM Segmentation object",
  arguments = { { "CASE", "a folder with one CT series; with --data, a patient or a series UID" } },
  options = {
    { "data", "DIR", "the folder of LIDC-IDRI in which CASE is looked for" },
    { "out", "X.nii.gz", "the image; beside it X_mask.nii.gz (consensus) and X_reader1.nii.gz … (each reader)",
      short = "o" },
    { "seg", "X.dcm", "a segmentation object: a segment for each nodule's consensus" },
    { "readers", nil, "in the segmentation object, a segment for each reader of each nodule instead" },
    { "labels", nil, "NIfTI masks hold the nodule's number, from 1 on, instead of 1" },
    { "level", "SHARE", "votes that make a consensus, as a share (default: 0.5)" },
    { "of", "WHAT", "of what share: sessions (all who read the scan; the default) or marks (who outlined the nodule)" },
    { "semantics", "NAME", "what an outline means: interior (default), closed, pylidc" },
    { "min-readers", "N", "leaves out nodules outlined by fewer (default: 1)" },
    { "min-diameter-mm", "MM", "leaves out smaller nodules (default: 0)" },
    { "json", nil, "one JSON object" },
  },
  notes = "Voxels keep their grid. NIfTI has one step between slices: a series with uneven steps is refused there; a\n"
    .. "segmentation object holds it as it is. docs/data.md says more.\n"
    .. "Exit codes: 0 written, 3 written, with problems (they are named), 1 not written.",
}

local function usage(text, ...)
  error(problem.new("usage", "hilum data export: " .. string.format(text, ...)), 0)
end

local function decimal(given, name, least, most)
  local text = given[name]
  if text == nil then return nil end
  local v = tonumber(text)
  if not v or not (v >= least and v <= most) then
    usage("--%s: expected a number from %g to %g, got '%s'", name, least, most, text)
  end
  return v
end

local function one_of(given, name, ...)
  local word = given[name]
  if word == nil then return nil end
  for _, known in ipairs { ... } do
    if word == known then return word end
  end
  usage("--%s: expected one of %s, got '%s'", name, table.concat({ ... }, ", "), word)
end

local function what_to_write(given)
  if not given.out and not given.seg then usage("nothing to write: give -o X.nii.gz or --seg X.dcm, or both") end
  if given.out and not data_export.stem_and_ending(given.out) then
    usage("--out: expected a name that ends in .nii.gz or .nii, got '%s'", given.out)
  end
  return {
    nifti = given.out, seg = given.seg, readers = given.readers, labels = given.labels,
    level = decimal(given, "level", 1e-6, 1), of = one_of(given, "of", "sessions", "marks"),
    semantics = one_of(given, "semantics", "interior", "closed", "pylidc"),
    min_readers = options.number(export, given, "min-readers", nil, 1),
    min_diameter_mm = decimal(given, "min-diameter-mm", 0, 1e6),
  }
end

local function lines_of(report)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  local s, mm = report.size, report.spacing_mm
  add("case          %s, series %s", report.patient, report.series)
  add("voxels        %d × %d × %d, %.4g × %.4g × %.4g mm", s[1], s[2], s[3], mm[1], mm[2], mm[3])
  if report.sessions > 0 then
    add("nodules       %d, outlined by at least one of %d readers", report.nodules, report.sessions)
  else
    add("nodules       unknown: no reading")
  end
  for _, one in ipairs(report.files) do add("written       %s: %s", one.file, one.what) end
  if #report.problems > 0 then shared.add_problems(add, report.problems) end
  return lines
end

-- The problems that were met before the one that ends it.
local function say_problems(problems)
  for _, one in ipairs(problems or {}) do
    if one.code ~= "ok" then io.stderr:write(one.file, ": ", one.message, "\n") end
  end
end

function export.run(given)
  local what = what_to_write(given)
  for _, path in ipairs { given.out or given.seg, given.seg } do common.folder_for(path) end
  local bar, tell = shared.with_bar(given.json)
  local entry = shared.stop_on_interrupt(data_export.find, given[1], given.data, tell)
  bar:clear()
  local report = shared.stop_on_interrupt(function()
    local done, err, problems = data_export.write(entry, what)
    if not done then say_problems(problems) end
    return done, err
  end)
  if given.json then
    json.list(report.files)
    json.list(report.problems)
    common.emit(report)
  else
    print(table.concat(lines_of(report), "\n"))
  end
  return #common.problems(report.problems) > 0 and shared.WITH_PROBLEMS or 0
end

return export
