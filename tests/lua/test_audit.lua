-- Auditing readings: each oddity once, made small; several files of one series; damage.
local t = require "tap"
local data = require "hilum.data"
local engine = require "hilum.engine"

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder .. "/below"))

local function put(name, text)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
  file:close()
end

local SESSION = "<readingSession>%s</readingSession>"

-- A reading of `sessions` sessions, the first with `marks`.
local function reading(uid, marks, sessions, date)
  return string.format(
    "<LidcReadMessage><ResponseHeader><SeriesInstanceUid>%s</SeriesInstanceUid><DateService>%s</DateService>"
      .. "</ResponseHeader>%s%s</LidcReadMessage>", uid, date or "2001-01-01", SESSION:format(marks),
    SESSION:format(""):rep((sessions or 4) - 1))
end

local function nodule(inside)
  return "<unblindedReadNodule><noduleID>n</noduleID>" .. inside .. "</unblindedReadNodule>"
end

local function roi(z, uid, points, inclusion)
  local parts = {}
  for x, y in points:gmatch "(%d+),(%d+)" do
    parts[#parts + 1] = string.format("<edgeMap><xCoord>%s</xCoord><yCoord>%s</yCoord></edgeMap>", x, y)
  end
  return string.format("<roi>%s%s<inclusion>%s</inclusion>%s</roi>",
    z and "<imageZposition>" .. z .. "</imageZposition>" or "",
    uid and "<imageSOP_UID>" .. uid .. "</imageSOP_UID>" or "", inclusion or "TRUE", table.concat(parts))
end

local function rated(value)
  return string.format("<characteristics><malignancy>%s</malignancy></characteristics>", value)
end

local BOX = "1,1 2,1 2,2 1,2 1,1"
local plain = nodule(rated(4) .. roi(1, "a", BOX))
local point = nodule(roi(1, "a", "5,5"))
local non_nodule = "<nonNodule><imageZposition>1</imageZposition><imageSOP_UID>a</imageSOP_UID>"
  .. "<locus><xCoord>1</xCoord><yCoord>1</yCoord></locus></nonNodule>"

put("plain.xml", reading("1.1", plain .. point .. non_nodule))
put("radiograph.xml", "<IdriReadMessage/>")
put("notes.txt", "notes")
local report = assert(data.audit(folder))
t.is(report.files, 2, "readings")
t.is(report.ct_files, 1, "of CT")
t.is(report.radiograph_files, 1, "of radiographs")
t.is(report.damaged_files, 0, "none damaged")
t.is(report.other_files, 1, "a file that is none")
t.is(report.marks, 3, "marks")
t.same({ report.outlines_rated, report.points, report.non_nodules }, { 1, 1, 1 }, "one of each kind")
t.same(report.sessions, { ["4"] = 1 }, "sessions")
t.same(report.malignancy, { ["0"] = 0, ["1"] = 0, ["2"] = 0, ["3"] = 0, ["4"] = 1, ["5"] = 0 }, "malignancy")
t.is(#report.oddities, 0, "nothing is odd")

local function messages(list)
  local lines = {}
  for i, one in ipairs(list) do lines[i] = string.format("%s %s: %s", one.code, one.file, one.message) end
  return table.concat(lines, "\n")
end

-- Each file has one oddity; its key of the report, where it has one, becomes 1.
local odd = {
  { "sessions", reading("2.1", plain, 3), 3 },
  { "sessions", reading("2.2", plain, 8), 8 },
  { "outlines_unrated", reading("2.3", nodule(roi(1, "a", BOX))) },
  { "points_rated", reading("2.4", nodule(rated(0) .. roi(1, "a", "5,5"))) },
  { "empty_characteristics", reading("2.5", nodule("<characteristics/>" .. roi(1, "a", "5,5"))) },
  { "ratings_out_of_range", reading("2.6", nodule(rated(6) .. roi(1, "a", BOX))) },
  { "rois_without_points", reading("2.7", nodule(rated(3) .. roi(1, "a", BOX) .. roi(2, "b", ""))) },
  { "rois_without_sop_uid", reading("2.8", nodule(roi(1, nil, "5,5"))) },
  { "rois_without_z", reading("2.9", nodule(roi(nil, "a", "5,5"))) },
  { "z_with_blanks", reading("2.10", nodule(roi("-1.5 ", "a", "5,5"))) },
  { "outlines_open", reading("2.11", nodule(rated(3) .. roi(1, "a", "1,1 2,1 2,2 1,2"))) },
  { "outlines_with_gaps", reading("2.12", nodule(rated(3) .. roi(1, "a", "1,1 3,1 2,2 1,1"))) },
  { "nodules_with_several_outlines_on_one_slice",
    reading("2.13", nodule(rated(3) .. roi(1, "a", BOX) .. roi("1.0", "a", BOX, "FALSE"))) },
  { "nodules_with_one_slice_at_several_z",
    reading("2.14", nodule(rated(3) .. roi(1, "a", BOX) .. roi(2, "a", BOX))) },
}
for _, one in ipairs(odd) do
  local kind, text, count = one[1], one[2], one[3] or 1
  put("odd.xml", text)
  report = assert(data.audit(folder))
  t.is(#report.oddities, 1, kind .. ": one oddity")
  local said = report.oddities[1] or {}
  t.same({ said.kind, said.file, said.count }, { kind, folder .. "/odd.xml", count }, "of this kind and file")
  t.is(kind == "sessions" and report.sessions[tostring(count)] or report[kind], 1, "counted")
end
t.is(report.outlines_connected, 3, "outlines without a gap")
put("odd.xml", reading("2.6", nodule(rated(6) .. roi(1, "a", BOX))))
t.like(messages(assert(data.audit(folder)).problems), "odd.xml: line 1: rating malignancy is 6, expected 1 to 5",
  "the rating is named")
put("odd.xml", reading("2.13", nodule(rated(3) .. roi(1, "a", BOX) .. roi(1, "b", BOX))))
t.is(#assert(data.audit(folder)).oddities, 0, "two slices at one z are not one slice")
os.remove(folder .. "/odd.xml")

-- ---- several files of one series ----

put("below/copy.xml", reading("1.1", plain .. point .. non_nodule, 4, "2009-01-01"))
report = assert(data.audit(folder))
t.is(report.series, 1, "one series")
t.is(report.series_with_several_files, 1, "of two files")
t.is(report.several_files[1].same_payload, true, "that say the same")
t.is(report.marks, 3, "count once")
t.same(report.all_files, { outlines = 2, points = 2, non_nodules = 2 }, "or, over all files, twice")
t.like(messages(report.problems), "ok .*the same reading as", "and are noted")

put("below/copy.xml", reading("1.1", plain, 4, "2009-01-01"))
report = assert(data.audit(folder))
local two = report.several_files[1]
t.is(two.same_payload, false, "another payload")
t.is(two.used, folder .. "/below/copy.xml", "the later date of service counts")
t.is(#two.files, 2, "both are named")
t.is(report.marks, 1, "only its marks")
t.like(messages(report.problems), "plain.xml: another reading of series 1.1 .*the later one is used", "and it is said")

put("below/third.xml", reading("1.1", plain .. point .. non_nodule, 4, "2010-01-01"))
report = assert(data.audit(folder))
t.is(report.several_files[1].used, folder .. "/below/third.xml", "the first reading again, later than both, counts")
t.is(report.marks, 3, "with its marks")
t.is(#report.several_files[1].files, 3, "of three files")
os.remove(folder .. "/below/third.xml")

put("below/copy.xml", reading("1.1", plain))
report = assert(data.audit(folder))
t.is(report.several_files[1].used, folder .. "/below/copy.xml", "of one date the first path counts")
t.like(messages(report.problems), "the one whose path sorts first is used", "and that is said")

-- ---- the keys ----

local source = os.getenv "HILUM_SOURCE" or "."
local guide = assert(io.open(source .. "/docs/data.md", "rb"))
local text = guide:read "a"
guide:close()
local unnamed = {}
for key in pairs(report) do
  if not text:find("`" .. key .. "`", 1, true) then unnamed[#unnamed + 1] = key end
end
t.is(table.concat(unnamed, " "), "", "docs/data.md names every key")

-- ---- damage ----

put("below/copy.xml", "<LidcReadMessage><ResponseHeader>")
report = assert(data.audit(folder))
t.is(report.damaged_files, 1, "a file that is cut off")
t.is(report.files, 3, "is one of the readings")
t.is(report.marks, 3, "and spoils no other")
t.like(messages(report.problems), "copy.xml: line 1: not well%-formed", "it is named")

local none, err = data.audit(folder .. "/nowhere")
t.ok(none == nil, "no folder, no report")
t.like(err.message, "nowhere: the folder cannot be read", "but a message")

t.done(function() os.execute("rm -rf '" .. folder .. "'") end)
