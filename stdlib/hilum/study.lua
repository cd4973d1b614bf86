-- hl.study: one experiment in several variants. docs/experiments.md tells how to write one.
--
--   hl.study { name = "seeds", base = hl.experiment { … }, vary = { seed = { 1, 2, 3 }, loss = { … } } }
--   hl.study { name = "nets", base = { … }, vary = { { name = "unet", model = … }, { name = "iunet", model = … } } }
--
-- `hilum run` trains one variant after another and keeps an index, which study.open reads.

local experiment = require "hilum.experiment"
local index = require "hilum.study.index"
local names = require "hilum.study.names"
local problem = require "hilum.problem"
local schema = require "hilum.schema"
local value = require "hilum.value"

local study = {}

local MOST = 1000 -- variants
local LONGEST = 100 -- characters of a variant's name: it becomes a file's
local NAME = "[%w][%w_.%-]*"

-- ---- what is varied ----

local function sorted_names(record)
  local list = {}
  for key in pairs(record) do
    if type(key) == "string" then list[#list + 1] = key end
  end
  table.sort(list)
  return list
end

-- The values of one path, with their labels: { { value, label }, … }; nothing after a report.
local function choices_of(path, list, report)
  local choices, at = {}, string.format("vary[%q]", path)
  if type(list) ~= "table" or value.constructor(list) then
    return report(at, "expected a list of values, got " .. value.show(list))
  end
  local known = sorted_names(list)
  if #list == 0 and #known == 0 then return report(at, "is empty: it takes one value at least") end
  if #list > 0 and #known > 0 then return report(at, "has values with names and others without") end
  local labels = #known == 0 and names.choices(list)
  for i, name in ipairs(known) do choices[i] = { value = list[name], label = names.safe(name) } end
  for i = 1, #list do choices[i] = { value = list[i], label = labels[i] } end
  return choices
end

-- { seed = { 1, 2 }, … }: every combination; the paths in the order of the alphabet, the last one changes fastest.
local function product_of(vary, report)
  local paths, rows = sorted_names(vary), { { settings = {}, parts = {} } }
  local keys = names.keys(paths)
  for k, path in ipairs(paths) do
    if path == "name" then report("vary.name", "variants have their names from what is varied") end
    local longer, choices = {}, choices_of(path, vary[path], report) or {}
    if #rows * #choices > MOST then return report("vary", string.format("makes more than %d variants", MOST)) end
    for _, row in ipairs(rows) do
      for _, choice in ipairs(choices) do
        local new = { settings = table.move(row.settings, 1, k - 1, 1, {}),
          parts = table.move(row.parts, 1, k - 1, 1, {}) }
        new.settings[k], new.parts[k] = { path = path, value = choice.value }, keys[k] .. "-" .. choice.label
        longer[#longer + 1] = new
      end
    end
    rows = longer
  end
  for _, row in ipairs(rows) do row.name = table.concat(row.parts, "_") end
  return rows
end

-- { { name = "unet", model = … }, … }
local function list_of(vary, report)
  local rows = {}
  for i = 1, #vary do
    local one, at = vary[i], string.format("vary[%d]", i)
    if type(one) ~= "table" or value.constructor(one) or #one > 0 then
      report(at, "expected a variant { name = …, path = value, … }, got " .. value.show(one))
    elseif type(one.name) ~= "string" or not one.name:find("^" .. NAME .. "$") then
      report(at .. ".name", "expected a name of letters, digits and - _ ., got " .. value.show(one.name))
    else
      local row = { name = one.name, settings = {} }
      for _, path in ipairs(sorted_names(one)) do
        if path ~= "name" then row.settings[#row.settings + 1] = { path = path, value = one[path] } end
      end
      rows[#rows + 1] = row
    end
  end
  return rows
end

-- ---- the experiments ----

local function properties(base)
  local raw = {}
  for key, part in pairs(base) do raw[key] = part end
  return raw
end

local function build(base, variant, name)
  local raw = properties(base)
  for _, setting in ipairs(variant.settings) do
    local new, err = value.with(raw, setting.path, setting.value, experiment.new.fields)
    if not new then error(problem.new("schema", err), 0) end
    raw = new
  end
  raw.name = name
  return experiment.new(raw)
end

-- The experiment of a variant, or nil and what is wrong with it.
local function built(base, variant, name)
  local fine, spec = pcall(schema.gather, build, base, variant, name)
  if fine then return spec end
  return nil, problem.of(spec).message
end

local function check_names(rows, report)
  local known = {}
  for _, row in ipairs(rows) do
    local folded = row.name:lower() -- files may not tell them apart
    if known[folded] then
      report("vary", string.format("two variants are called '%s'", row.name))
    elseif #row.name > LONGEST then
      report("vary", string.format("the name '%s…' has more than %d characters: give the values names",
        row.name:sub(1, 40), LONGEST))
    end
    known[folded] = true
  end
end

-- True if one of two paths is, or is inside, the other.
local function overlap(a, b)
  if #a > #b then a, b = b, a end
  return a == b or b:sub(1, #a) == a and b:find("^[.%[]", #a + 1) ~= nil
end

-- What the command line sets would be lost where the study varies it.
local function check_settings(rows, report)
  for _, given in ipairs(experiment.settings()) do
    for _, row in ipairs(rows) do
      for _, setting in ipairs(row.settings) do
        if overlap(given.path, setting.path) then
          return report("", string.format("--set %s: the study varies %s", given.path, setting.path))
        end
      end
    end
  end
end

local function expand(self, report)
  local vary = self.vary
  local listed = #vary > 0
  if listed and #sorted_names(vary) > 0 then
    return report("vary", "expected either a list of variants or lists by path, not both")
  end
  local problems = 0
  local function note(...)
    problems = problems + 1
    report(...)
  end
  local rows = listed and list_of(vary, note) or product_of(vary, note)
  if problems > 0 then return end
  if not listed and #sorted_names(vary) == 0 then return note("vary", "is empty: there is nothing to vary") end
  check_names(rows, note)
  check_settings(rows, note)
  local twins = {}
  for _, row in ipairs(problems == 0 and rows or {}) do
    local spec, err = built(self.base, row, row.name)
    if not spec then
      note("", string.format("variant '%s': %s", row.name, err))
      break -- the others are likely to say the same
    end
    local content = value.canonical(built(self.base, row, self.name))
    if twins[content] then
      note("vary", string.format("the variants '%s' and '%s' are the same experiment", twins[content], row.name))
    end
    twins[content], row.spec = row.name, spec
  end
  return problems == 0 and rows or nil
end

-- What the command line sets, in a base that is no experiment yet, so that the study's text says it too.
local function prepare(raw, report)
  if type(raw.base) ~= "table" or value.constructor(raw.base) then return raw end
  local copy = properties(raw)
  copy.base = experiment.apply_settings(raw.base, report, experiment.new.fields)
  return copy
end

local expanded = setmetatable({}, { __mode = "k" }) -- a study -> its variants

--- The study as a value. v:variants() -> a list of { name, settings = { { path, value }, … }, spec = the experiment,
--- which has the variant's name }.
study.new = schema.constructor("hl.study", {
  doc = "An experiment in several variants, run one after another.", family = "study",
  fields = {
    name = schema.string { pattern = NAME, text = "a name of letters, digits and - _ .", doc = "names the files" },
    base = schema.anything { text = "an experiment, or a table of its properties",
      doc = "what the variants share; what all of them give may be missing" },
    vary = schema.anything { text = "lists by path, or a list of variants",
      doc = "{ path = { value, … }, … }: every combination; or { { name = …, path = value, … }, … }" },
  },
  methods = { variants = function(self) return expanded[self] end },
  prepare = prepare,
  check = function(self, report)
    local ctor = value.constructor(self.base)
    if ctor and ctor ~= experiment.new then
      return report("base", "expected an experiment, or a table of its properties, got " .. ctor.name)
    elseif value.constructor(self.vary) then
      return report("vary", "expected lists by path, or a list of variants, got " .. value.show(self.vary))
    end
    expanded[self] = expand(self, report)
  end,
})

-- ---- its index ----

--- Reads the index of a study that `hilum run` wrote: { name, study = its text, modules, provenance, variants = a list
--- of { name, settings = { [path] = number, text or boolean; values as Lua }, archive = path of its run, sha256 = the
--- hash of its experiment, state = "waiting", "running", "failed" or "finished", error, epochs, planned (epochs),
--- best = { dice_mean, epoch }, last = the same } }; or nil and a problem. A variant that has not run has no best.
study.open = index.read

return study
