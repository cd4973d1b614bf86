-- The data room from Lua: index, series, readings, nodules, and the sets that training reads.
local t = require "tap"
local data = require "hilum.data"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local lidc = require "hilum.data.lidc"

local scratch = os.tmpname()
os.remove(scratch)
local folder = scratch .. ".phantom"

-- ---- the phantom, through its source ----

local source = dataset.phantom { cases = 2, nodules_per_case = 2, seed = 11, crop = { 24, 24, 24 } }

local function with_folder(s, where)
  return { folder = where, cases = s.cases, nodules_per_case = s.nodules_per_case, seed = s.seed,
    nodules = s.nodules, consensus = s.consensus, spacing_mm = s.spacing_mm, window_hu = s.window_hu, crop = s.crop,
    extent = s.extent }
end

local seen = {}
local set, err = require("hilum.data.phantom").open(with_folder(source, folder), {
  progress = function(done, total, what)
    seen[what] = { done, total }
  end,
})
t.ok(set, "the phantom opens: " .. tostring(err and err.message))
t.is(#set.cases, 4, "two patients with two nodules")
t.is(#set.problems, 0, "without problems")
t.is(seen["making the phantom"][1], 2, "writing tells its progress")
t.is(seen["reading scans"][1], 2, "so does reading")
local case = set.cases[1]
t.is(case.id, "PHANTOM-0001-1", "a case has a name")
t.is(case.patient, "PHANTOM-0001", "and a patient")
t.ok(case.series:find "^2%.25%." and case.nodule == 1 and case.readers >= 3, "series, number and readers")
t.ok(case.diameter_mm > 3 and #case.centre_mm == 3, "size and place")
do -- the median of what each reader said, read in another way
  local measured, known = assert(require("hilum.data").nodules(folder)).nodules, {}
  for _, row in ipairs(measured) do
    local values = {}
    for r, reader in ipairs(row.by_reader) do values[r] = reader.ratings.texture end
    known[string.format("%s %.6f", row.series, row.centre_mm[1])] = require("hilum.statistics").median(values)
  end
  for _, one in ipairs(set.cases) do
    t.is(one.ratings.texture, known[string.format("%s %.6f", one.series, one.centre_mm[1])],
      one.id .. ": the median of its readers' ratings")
  end
end
t.is(#set.hash, 64, "the set has a hash")
t.is(set.protocol.crop[1], 24, "and a protocol of plain values")
t.ok(tostring(set.protocol):find "24 × 24 × 24 voxels of 1 × 1 × 1 mm", tostring(set.protocol))

local sample = set:load(1)
t.is(table.concat(sample.image.shape, " "), "1 1 24 24 24", "an image in image layout")
t.is(sample.image.dtype, "f32", "of single precision")
local stats = sample.image:stats()
t.ok(stats.min >= 0 and stats.max <= 1, "between 0 and 1")
t.ok(sample.truth:stats().max == 1 and sample.valid:stats().max == 1, "with truth and validity")
t.is(#sample.readers, case.readers, "and a mask for each reader")

local again = require("hilum.data.phantom").open(with_folder(source, folder))
t.is(again.hash, set.hash, "opened again it is the same")
local other = lidc.open(with_folder(dataset.phantom { cases = 2, crop = 16, nodules = { min_readers = 4 } },
  folder))
t.is(other.hash, set.hash, "the hash is of the data, not of the protocol")
t.ok(#other.cases < #set.cases or #other.cases == 4, "the rule decides which nodules count")

-- ---- whole scans ----

local scans = assert(require("hilum.data.phantom").open(with_folder(dataset.phantom { cases = 2, nodules_per_case = 2,
  seed = 11, crop = { 32, 64, 48 }, extent = "scan" }, folder)))
t.is(#scans.cases, 2, "one case for each scan")
t.ok(tostring(scans.protocol):find "32 × 64 × 48 voxels over the whole scan", tostring(scans.protocol))
local whole = scans:load(1)
t.is(table.concat(whole.image.shape, " "), "1 1 32 64 48", "on the grid that was asked for")
t.ok(whole.valid:stats().min == 1, "all of it is scan, and both findings are nodules")
t.is(#whole.readers, 0, "masks of readers belong to nodules")
t.ok(math.abs(scans.cases[1].volume_mm3 - set.cases[1].volume_mm3 - set.cases[2].volume_mm3) < 1e-6,
  "its volume is that of its nodules")

-- ---- by hand ----

local index = assert(data.index(folder))
t.is(#index.series, 2, "the index has both series")
t.is(index.ct_files, index.dicom_files, "all files are CT")
local report = assert(data.scan(folder))
t.is(report.sessions, 8, "a scan adds sessions up")
t.ok(report.outlines > 0 and not report.series[1].files, "and leaves lists of files out")
local series, problems = data.read_series(index.series[1].files)
t.is(#problems, 0, "a series without problems")
local info = series:info()
t.is(#info.z_mm, info.slices, "a position for each slice")
t.is(table.concat(series:voxels().shape, " "),
  string.format("%d %d %d", info.slices, info.rows, info.columns), "voxels z, y, x")
local marks = data.read_xml(index.series[1].xml)
t.is(marks:info().sessions, 4, "four sessions")
local list = marks:list()
t.is(#list, marks:info().outlines + marks:info().points + marks:info().non_nodules, "all marks are listed")
t.ok(info.sop_uids[list[1].rois[1].sop_uid], "an outline's UID is a slice's")
local nodules = engine.find_nodules(series, marks, { semantics = "pylidc", min_readers = 1 })
t.ok(#nodules:list() >= 2, "nodules by another rule")
local crop = nodules:crop(1, series:voxels(), { size = { 8, 9, 10 }, spacing_mm = { 2, 1, 1 },
  window_hu = { -1000, 400 } })
t.is(table.concat(crop.truth.shape, " "), "1 1 8 9 10", "a crop of another shape")

-- ---- what depends on files comes back, what is wrong in a call raises ----

local function refused(result, problem, code, text, name)
  t.ok(result == nil and problem and problem.code == code and problem.message:find(text, 1, true),
    name .. ": " .. tostring(problem and problem.message))
end

local function raises(fn, text, name)
  local good, message = pcall(fn)
  t.ok(not good and tostring(message):find(text, 1, true), name .. ": " .. tostring(message))
end

local nothing, why = data.index(scratch .. ".nowhere")
refused(nothing, why, "io", "No such file", "a folder that is not there")
nothing, why = data.read_series { index.series[1].files[1], index.series[2].files[1] }
refused(nothing, why, "format", "two series in one list", "two series")
nothing, why = data.read_xml(index.series[1].files[1])
refused(nothing, why, "format", "not well-formed", "an image for a reading")
nothing, why = lidc.open(with_folder(dataset.phantom { nodules = { min_diameter_mm = 90 } }, folder))
refused(nothing, why, "data", "no nodule fits the experiment", "nothing left to train on")
nothing, why = lidc.open(with_folder(source, scratch .. ".nowhere"))
refused(nothing, why, "io", "No such file", "a source without its folder")
raises(function() data.read_series { 1, 2 } end, "expected a list of file names", "numbers for files")
raises(function() engine.find_nodules(series, marks, { semantics = "filled" }) end, "unknown semantics 'filled'",
  "an unknown rule")
raises(function() engine.find_nodules(series, marks, { level = 2 }) end, "consensus level is 2", "a level of 2")
raises(function() nodules:crop(99, series:voxels(), { size = { 8, 8, 8 }, spacing_mm = { 1, 1, 1 },
  window_hu = { 0, 1 } }) end, "no nodule 98", "a nodule that is not there")
raises(function() data.index(folder, function() error "enough" end) end, "enough", "an error in progress")
series:free()
raises(function() series:info() end, "already released", "a series that was let go")

-- ---- a damaged scan costs itself, not the set ----

local victim = index.series[2].files[5]
local file = assert(io.open(victim, "r+b"))
file:seek("set", 128)
file:write("XXXX")
file:close()
local rest = lidc.open(with_folder(source, folder))
t.is(#rest.cases, 2, "the other scan's cases remain")
local named = 0
for _, one in ipairs(rest.problems) do
  if one.code ~= "ok" and (one.message .. one.file):find "incomplete" then named = named + 1 end
end
t.ok(named > 0, "and the damage is named")
t.ok(rest.hash ~= set.hash, "other data, another hash")

os.execute("rm -rf '" .. folder .. "'")
t.done()
