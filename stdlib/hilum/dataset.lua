-- Where the images come from: hl.data.source picks the source that a command line names.
--
-- A source is a value. source:preset() is what it proposes for `train`. source:open{ progress = function(done,
-- total, what) end } gives a set, or nil and a problem: set.cases[i] = { id, patient, series, nodule,
-- diameter_mm, centre_mm, readers }, set:load(i) -> { image, truth, valid, readers }, set.problems, set.hash,
-- set.protocol.

local engine = require "hilum.engine"
local filters = require "hilum.data.filters"
local problem = require "hilum.problem"
local schema = require "hilum.schema"
local suggest = require "hilum.suggest"
local value = require "hilum.value"
local votes = require "hilum.data.votes"

local dataset = {}

-- What `train = { preset = "by source" }` stands for. The phantom's training ends within minutes on two
-- cores; a study of real data takes hours.
local presets = {
  phantom = { epochs = 14, batch = 2 },
  lidc = { epochs = 100, batch = 2 },
  slices = { epochs = 40, batch = 4 },
  list = { epochs = 100, batch = 2 },
}

-- How nodules are made of readers' marks, and cut out: the same for every source of scans.
local function scan_fields(crop)
  return {
    nodules = filters.schema(),
    consensus = schema.record {
      doc = "when a voxel is nodule", default = {},
      fields = {
        level = schema.number { default = 0.5, above = 0, max = 1, doc = "share of the votes needed" },
        of = schema.one_of { "sessions", "marks", default = "sessions",
          doc = "of all readers of the scan, or of those who outlined this nodule" },
        readers = schema.optional(schema.int { min = 1, max = 16, doc = "at least so many, whatever the level" }),
        soft = schema.bool { default = false,
          doc = "the truth is the share of the votes; the consensus says what is a nodule, where and how large" },
      },
    },
    spacing_mm = schema.zyx { default = 1, whole = false, above = 0, doc = "of the resampled crop" },
    resample = schema.record {
      doc = "how the scan's voxels become the image's", default = {},
      fields = {
        image = schema.one_of { "linear", "nearest", "cubic", "area", default = "linear",
          doc = "cubic: a B-spline; area: the mean over a voxel's box, for voxels coarser than the scan's" },
        masks = schema.one_of { "linear", "nearest", "area", default = "linear",
          doc = "a voxel is in a reader's mask from one half on" },
      },
    },
    window_hu = schema.list(schema.number {}, { default = { -1000, 400 }, min = 2, max = 2,
      doc = "Hounsfield units that become 0 and 1" }),
    crop = schema.zyx { default = crop, min = 1, max = 1024, doc = "voxels of the image" },
    extent = schema.one_of { "nodule", "scan", default = "nodule",
      doc = "what the image covers: spacing_mm around each nodule, or each scan with all its nodules, edge to edge" },
  }
end

local function check_window(self, report)
  local low, high = self.window_hu[1], self.window_hu[2]
  if low >= high then
    report("window_hu", string.format("the lower end must come first, got { %s, %s }", value.atom(low),
      value.atom(high)))
  end
end

local function with(fields, more)
  for name, kind in pairs(more) do fields[name] = kind end
  return fields
end

dataset.lidc = schema.constructor("hl.data.lidc", {
  doc = "A folder of LIDC-IDRI: DICOM CT series and XML readings, however they are named.", family = "source",
  fields = with({ folder = schema.path { doc = "searched with all folders below it" } }, scan_fields(64)),
  check = check_window,
  methods = {
    preset = function() return presets.lidc end,
    open = function(self, options) return require("hilum.data.lidc").open(self, options) end,
  },
})

dataset.slices = schema.constructor("hl.data.slices", {
  doc = "A folder of LIDC-IDRI-slices: pictures of nodules (PNG, 8 bits) and four readers' masks. They carry neither "
    .. "Hounsfield units nor spacing, and end where the nodule ends.",
  family = "source",
  fields = {
    folder = schema.path { doc = "holds PATIENT/nodule-K/images/slice-I.png and mask-0 … mask-3 beside images" },
    min_readers = schema.int { default = 2, min = 1, max = 16, doc = "who drew it on any slice" },
    consensus = votes.field(),
    crop = schema.zyx { default = { 8, 64, 64 }, min = 1, max = 1024,
      doc = "voxels: the middle of the nodule's slices; where there are fewer, the rest is not valid" },
  },
  methods = {
    preset = function() return presets.slices end,
    open = function(self, options) return require("hilum.data.slices").open(self, options) end,
  },
})

dataset.list = schema.constructor("hl.data.list", {
  doc = "Own data: a table (CSV) with the columns id, patient, image and mask, or mask_1, mask_2, … for several "
    .. "readers. Images are NIfTI files or folders with one CT series, masks NIfTI files.",
  family = "source",
  fields = {
    file = schema.path { doc = "the table; paths in it are relative to its folder" },
    nodules = schema.record {
      doc = "what a nodule is in masks, and which count", default = {},
      fields = {
        from = schema.one_of { "components", "labels", default = "components",
          doc = "connected parts of what any reader drew, or voxels of one number" },
        min_diameter_mm = schema.number { default = 0, min = 0, doc = "of the sphere with the nodule's volume" },
        min_readers = schema.int { default = 1, min = 1, max = 16, doc = "who drew it" },
      },
    },
    consensus = votes.field(),
    spacing_mm = schema.zyx { default = 1, whole = false, above = 0, doc = "of the resampled crop" },
    window_hu = schema.list(schema.number {}, { default = { -1000, 400 }, min = 2, max = 2,
      doc = "values of the image (Hounsfield units of a CT) that become 0 and 1" }),
    crop = schema.zyx { default = 64, min = 1, max = 1024, doc = "voxels of the image" },
    extent = schema.one_of { "nodule", "scan", default = "nodule",
      doc = "what the image covers: spacing_mm around each nodule, or each scan with all its nodules, edge to edge" },
  },
  check = check_window,
  methods = {
    preset = function() return presets.list end,
    open = function(self, options) return require("hilum.data.list").open(self, options) end,
  },
})

-- Asked of the engine, where the phantom is made.
local function phantom_default(name)
  return function() return engine.phantom_defaults()[name] end
end

dataset.phantom = schema.constructor("hl.data.phantom", {
  doc = "Synthetic chests, written as LIDC folders and read back by the same loader.", family = "source",
  fields = with({
    cases = schema.int { default = phantom_default "cases", min = 2, max = 1000, doc = "patients, one scan each" },
    nodules_per_case = schema.int { default = phantom_default "nodules", min = 1, max = 4 },
    size = schema.one_of { "small", "full", default = "small",
      doc = "small: 82 mm of small chests on 176 or 192 pixels; full: whole adults' chests on 512" },
    seed = schema.int { default = phantom_default "seed", min = 0,
      doc = "of the phantom, apart from the experiment's seed" },
  }, scan_fields(32)),
  check = check_window,
  methods = {
    preset = function() return presets.phantom end,
    open = function(self, options) return require("hilum.data.phantom").open(self, options) end,
  },
})

local sources = { lidc = dataset.lidc, slices = dataset.slices, list = dataset.list, phantom = dataset.phantom }

-- LIDC-IDRI-slices: LIDC-IDRI-0001/nodule-0/{images,mask-0,…}/slice-0.png
local function looks_like_slices(folder, names)
  for _, name in ipairs(names) do
    for _, inner in ipairs(engine.list_folder(folder .. "/" .. name) or {}) do
      if inner:find "^nodule%-%d+$" and engine.file_kind(folder .. "/" .. name .. "/" .. inner .. "/images") then
        return true
      end
    end
  end
  return false
end

local function recognise(where)
  if where == "phantom" then return "phantom" end
  if engine.file_kind(where) == "file" and where:lower():find "%.csv$" then return "list" end
  local names = engine.list_folder(where)
  if not names then
    local reason = engine.file_kind(where) and "no folder that can be read" or "not there"
    problem.raise("data", string.format(
      'the data source "%s" is %s (expected "phantom", the folder of a data set, or a .csv file)', where, reason))
  end
  return looks_like_slices(where, names) and "slices" or "lidc"
end

--- The distance of the images' voxels in mm, { z, y, x }; nil where none is known or each scan has its own.
function dataset.spacing_mm(source)
  local spacing = source.extent ~= "scan" and source.spacing_mm
  return spacing and { spacing[1], spacing[2], spacing[3] } or nil
end

--- Options for every source that say nothing: its defaults.
function dataset.defaults()
  local options = {}
  for kind in pairs(sources) do options[kind] = {} end
  return options
end

-- Those of a value's properties that are named.
local function only(v, names)
  local copy = {}
  for _, name in ipairs(names) do copy[name] = v and value.plain(v[name]) end
  return copy
end

-- Where the files are, and what is made: not how it becomes cases.
local places = { folder = true, file = true, cases = true, nodules_per_case = true, size = true, seed = true }

-- What a source shares with another kind, whose nodules and consensus may have other names.
local function shared(v, kind)
  local copy, nodules = {}, v.nodules or only(v, { "min_readers" })
  for name in pairs(sources[kind].fields) do
    if not places[name] then copy[name] = value.plain(v[name]) end
  end
  if kind ~= "lidc" and kind ~= "phantom" or not v.resample then
    copy.nodules = sources[kind].fields.nodules and only(nodules, { "min_diameter_mm", "min_readers" })
    copy.consensus = only(v.consensus, { "level", "of" })
    copy.min_readers = kind == "slices" and nodules.min_readers or nil
  end
  return copy
end

--- Options for dataset.source by which every kind of data is prepared like a source's, as far as they share the words.
function dataset.like(v)
  local options = {}
  for kind, ctor in pairs(sources) do
    if value.constructor(v) == ctor then
      options[kind] = value.plain(v)
      for _, name in ipairs { "kind", "folder", "file" } do options[kind][name] = nil end
    else
      options[kind] = shared(v, kind)
    end
  end
  return options
end

-- Every source's options are checked, also those of sources that are not chosen.
local function build(kind, where, options)
  local raw = { [kind == "list" and "file" or "folder"] = where }
  for name, option in pairs(options[kind] or {}) do raw[name] = option end
  if kind == "phantom" then raw.folder = nil end
  return sources[kind](raw)
end

--- The source that `where` names: "phantom", or a folder whose kind is recognised. options: { lidc = {…},
--- slices = {…}, phantom = {…} }, the properties of each source that the experiment is prepared for.
function dataset.source(where, options)
  if type(where) ~= "string" or type(options) ~= "table" then
    problem.raise("argument", string.format(
      "hl.data.source: expected a name and a table of options, got %s and %s", value.show(where),
      value.show(options)))
  end
  local known = {}
  for kind in pairs(sources) do known[#known + 1] = kind end
  for kind, one in pairs(options) do
    if not sources[kind] or type(one) ~= "table" then
      problem.raise("schema", string.format("hl.data.source: '%s' is no source this version reads%s",
        tostring(kind), suggest.hint(kind, known)))
    end
  end
  local chosen = recognise(where)
  if not options[chosen] then
    problem.raise("data", string.format("this experiment is not prepared for the source '%s' (%s)", chosen,
      where))
  end
  local result
  table.sort(known)
  for _, kind in ipairs(known) do
    if options[kind] then
      local source = build(kind, kind == chosen and where or "(not chosen)", options)
      if kind == chosen then result = source end
    end
  end
  return result
end

--- The source with its files at another place; nil where it has none.
function dataset.moved(source, place)
  for name, field in pairs(value.constructor(source).fields) do
    if field.unhashed and source[name] ~= nil then return (value.with(source, name, place)) end
  end
end

return dataset
