-- What readers outlined, as numbers: agreement and measures of marks that are known.

local t = require "tap"
local data = require "hilum.data"
local engine = require "hilum.engine"
local metric = require "hilum.metric"

local scratch = assert(engine.scratch())
local folder = scratch:path() .. "/phantom"
assert(engine.write_phantom(folder, { cases = 2, nodules = 2, seed = 11 }))

-- ---- agreement ----

local a = engine.from({ 1, 1, 1, 1, 0, 0 }, { dtype = "u8" })
local b = engine.from({ 1, 1, 1, 0, 0, 0 }, { dtype = "u8" })
local c = engine.from({ 1, 1, 0, 0, 0, 1 }, { dtype = "u8" })
local values = metric.interreader { a, b, c }
-- the others of a: b or c (a tie counts): 1 1 1 0 0 1
t.near(values[1], 2 * 3 / (4 + 4), 1e-12, "against the others: a tie belongs to the majority")
local report = assert(data.agreement(folder))
t.is(#report.cases, 4, "all nodules")
local pairs_expected, readings = 0, 0
for n, count in pairs(report.readers) do
  n = tonumber(n)
  pairs_expected, readings = pairs_expected + count * n * (n - 1) / 2, readings + (n > 1 and count * n or 0)
end
t.near(report.between_two.count, pairs_expected, 0, "each two readers of each nodule")
t.near(report.against_majority.count, readings, 0, "each reader of a nodule with others")
t.ok(report.between_two.mean > 0.6 and report.between_two.mean < 0.95, "the phantom's readers agree as people do")
local closed = assert(data.agreement(folder, { semantics = "closed" }))
t.ok(closed.between_two.mean > report.between_two.mean, "fatter masks agree more")

-- ---- measures ----

local found = assert(data.nodules(folder))
t.is(#found.nodules, 4, "all nodules are measured")
for _, row in ipairs(found.nodules) do
  local name = row.patient .. "-" .. row.nodule
  t.near(row.equivalent_diameter_mm, (6 * row.volume_mm3 / math.pi) ^ (1 / 3), 1e-9, name .. ": a sphere of its volume")
  t.ok(row.sphericity > 0.5 and row.sphericity < 1.2, name .. ": roundish")
  t.ok(row.longest_mm <= math.sqrt(row.box_mm[2] ^ 2 + row.box_mm[3] ^ 2), name .. ": its diameter lies in its box")
  t.ok(row.hu.p5 <= row.hu.p50 and row.hu.p50 <= row.hu.p95 and row.hu.min <= row.hu.mean and row.hu.mean <= row.hu.max,
    name .. ": percentiles in order")
  t.is(#row.by_reader, row.readers, name .. ": each reader")
  for _, reader in ipairs(row.by_reader) do
    t.ok(reader.outline.volume_mm3 > reader.volume_mm3, name .. ": an outline runs outside of what it means")
    t.ok(reader.ratings.malignancy >= 1 and reader.ratings.malignancy <= 5, name .. ": ratings as they are")
  end
end
local half, any = found, assert(data.nodules(folder, { level = 0.01 }))
t.ok(any.nodules[1].volume_mm3 > half.nodules[1].volume_mm3, "by one reader more is nodule")
local csv = data.nodules_csv(found)
t.is(select(2, csv:gsub("\r\n", "")), 5, "CSV: a header and a line each")
local columns
for line in csv:gmatch "[^\r\n]+" do
  local n = select(2, line:gsub(",", ""))
  t.is(n, columns or n, "as many columns as the header")
  columns = columns or n
end
local nothing, err = data.nodules(scratch:path() .. "/nowhere")
t.ok(nothing == nil and err.code == "io", "a folder that is not there")

scratch:free()
t.done()
