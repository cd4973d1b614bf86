-- Which nodules count, by name and by property; consensus by readers and by share; all of it in the protocol.

local t = require "tap"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local filters = require "hilum.data.filters"
local phantom = require "hilum.data.phantom"

-- ---- the rule ----

local function rule(nodules)
  return filters.rule(dataset.lidc { folder = "x", nodules = nodules }.nodules)
end

t.is(rule({}).min_readers, 2, "by default two readers")
t.is(rule({}).min_diameter_mm, 3, "and 3 mm")
t.is(rule({ preset = "luna16" }).min_readers, 3, "LUNA16: three")
t.is(rule({ preset = "luna16" }).max_thickness_mm, 2.5, "and thin slices")
t.is(rule({ preset = "all_3mm" }).min_readers, 1, "all that anyone outlined")
t.is(rule({ preset = "luna16", max_diameter_mm = 20 }).max_diameter_mm, 20.0, "a preset and more")
t.raises(function() rule { preset = "luna16", min_readers = 2 } end, "preset luna16 says 3", "a preset and less")
t.raises(function() rule { preset = "luna" } end, "luna16", "an unknown preset")
t.raises(function() rule { min_diameter_mm = 8, max_diameter_mm = 8 } end, "above min_diameter_mm", "no size")
t.raises(function() rule { min_readers = 3, max_readers = 2 } end, "max_readers", "no number of readers")
t.raises(function() rule { ratings = { texture = { 5, 4 } } } end, "texture", "a range upside down")
t.raises(function() rule { ratings = { colour = { 1, 2 } } } end, "colour", "an unknown rating")
t.is(filters.words(rule { preset = "luna16", ratings = { texture = { 4, 5 } } }),
  "nodules by 3 readers and more (luna16), texture 4 to 5, slices of at most 2.5 mm, even slices",
  "in words")

local nodule = { diameter_mm = 8, readers = 3, mean_ratings = { texture = 4.5, malignancy = 3 } }
t.is(filters.nodule(rule {}, nodule), nil, "a nodule that is taken")
t.like(filters.nodule(rule { max_diameter_mm = 8 }, nodule), "of 8 mm or more", "too large")
t.like(filters.nodule(rule { max_readers = 2 }, nodule), "more than 2 readers", "too well agreed")
t.like(filters.nodule(rule { ratings = { texture = { 1, 3 } } }, nodule), "texture outside 1 to 3", "too solid")
t.like(filters.nodule(rule { ratings = { margin = { 1, 3 } } }, nodule), "without a rating of margin", "not rated")
t.like(filters.nodule(rule { label = "malignancy" }, nodule), "undecided", "neither malignant nor benign")
nodule.mean_ratings.malignancy = 3.25
t.is(filters.label(rule { label = "malignancy" }, nodule), "malignant", "above 3: malignant")
nodule.mean_ratings.malignancy = 2.75
t.is(filters.label(rule { label = "malignancy" }, nodule), "benign", "below 3: benign")
t.is(filters.label(rule {}, nodule), nil, "a label where one is asked for")

local scan = { thickness_mm = 3, z_mm = { 0, 2, 4, 6 } }
t.like(filters.scan(rule { preset = "luna16" }, scan), "more than 2.5 mm", "a scan of thick slices")
scan.thickness_mm = 2.5
t.is(filters.scan(rule { preset = "luna16" }, scan), nil, "of thin ones")
scan.z_mm[3] = 4.2
t.like(filters.scan(rule { preset = "luna16" }, scan), "uneven", "of uneven ones")
t.is(filters.scan(rule {}, scan), nil, "which others take")
t.is(filters.text { ["of less than 3 mm"] = 3, ["outlined by fewer than 2 readers"] = 12 },
  "12 outlined by fewer than 2 readers, 3 of less than 3 mm", "what was left out, in words")
t.is(filters.text {}, nil, "or nothing")

-- ---- on the phantom ----

local scratch = assert(engine.scratch())
local folder = scratch:path() .. "/phantom"

local function open(options)
  options.cases, options.nodules_per_case, options.seed, options.crop = 3, 2, 11, options.crop or 24
  local source = dataset.phantom(options)
  return phantom.open({ folder = folder, cases = 3, nodules_per_case = 2, seed = 11, nodules = source.nodules,
    consensus = source.consensus, spacing_mm = source.spacing_mm, window_hu = source.window_hu, crop = source.crop,
    extent = source.extent })
end

local usual = assert(open {})
local sizes = {}
for i, case in ipairs(usual.cases) do sizes[i] = case.diameter_mm end
table.sort(sizes)
local middle = (sizes[#sizes // 2] + sizes[#sizes // 2 + 1]) / 2
local small = assert(open { nodules = { max_diameter_mm = middle } })
t.is(#small.cases, #sizes // 2, "the smaller half")
t.is(filters.text(small.left_out), string.format("%d of %g mm or more", #sizes - #sizes // 2, middle),
  "the others are counted with their reason")

-- What is left out is no background.
local function not_valid(set)
  local n = 0
  for i = 1, #set.cases do
    local valid = set:load(i).valid
    n = n + 1 - valid:stats().mean
  end
  return n
end
local all = assert(open { extent = "scan", crop = 96 })
local fewer = assert(open { extent = "scan", crop = 96, nodules = { max_diameter_mm = middle } })
t.ok(not_valid(fewer) / #fewer.cases > not_valid(all) / #all.cases,
  "a nodule that is left out is not valid in its scan")

local luna = open { nodules = { preset = "luna16" } }
t.is(tostring(luna.protocol):find("luna16", 1, true) ~= nil, true, tostring(luna.protocol))
for _, case in ipairs(luna.cases) do t.ok(case.readers >= 3, case.id .. " has three readers") end
local labelled = open { nodules = { label = "malignancy" } }
for _, case in ipairs(labelled and labelled.cases or {}) do
  t.ok(case.label == "malignant" or case.label == "benign", case.id .. " has a label: " .. tostring(case.label))
end

local function volume(set)
  local v = 0
  for _, case in ipairs(set.cases) do v = v + case.volume_mm3 end
  return v
end
local one, three = open { consensus = { readers = 1 } }, open { consensus = { readers = 3 } }
t.ok(volume(one) > volume(usual) and volume(usual) > volume(three), "the more readers must agree, the less is nodule")
t.is(three.protocol.consensus_readers, 3, "in the protocol")
t.ok(tostring(three.protocol):find "truth: 3 readers or more", tostring(three.protocol))
local soft = open { consensus = { soft = true } }
local truth = soft:load(1).truth
t.is(truth.dtype, "f32", "a soft truth")
t.is(truth:get(1, 1, 12, 12, 12), 1.0, "is 1 where all agree")
t.ok(tostring(soft.protocol):find "truth: the share of the sessions", tostring(soft.protocol))
local closed = open { nodules = { semantics = "closed" } }
t.ok(volume(closed) > volume(usual), "outlines that belong to the nodule make it larger")
t.is(closed.protocol.semantics, "closed", "in the protocol")
local pylidc = open { nodules = { semantics = "pylidc", grouping = "pylidc" } }
t.ok(tostring(pylidc.protocol):find "pylidc, grouped as by pylidc", tostring(pylidc.protocol))

scratch:free()
t.done()
