-- Which nodules count: by readers, size and ratings, and the filters that papers name.
--
-- A filter is the `nodules` of a source. What it leaves out is no background: in every image it is "not valid",
-- neither in the loss nor in the score.

local schema = require "hilum.schema"

local filters = {}

--- Outlined is what LIDC calls a nodule of 3 mm or more; both presets take that word for it and do not measure.
filters.presets = {
  -- LUNA16 (Setio et al. 2017): scans with slices of at most 2.5 mm, evenly spaced; at least 3 of 4 readers.
  luna16 = { min_readers = 3, min_diameter_mm = 0, max_thickness_mm = 2.5, even_slices = true },
  -- Every nodule that some reader outlined.
  all_3mm = { min_readers = 1, min_diameter_mm = 0 },
}

-- Where neither the experiment nor a preset says anything.
local USUAL = { min_diameter_mm = 3, min_readers = 2, even_slices = false }

-- What a preset sets.
local SET = { "min_diameter_mm", "min_readers", "max_thickness_mm", "even_slices" }

local RATINGS = { "subtlety", "internalStructure", "calcification", "sphericity", "margin", "lobulation", "spiculation",
  "texture", "malignancy" }

local function rating_fields()
  local fields = {}
  for _, name in ipairs(RATINGS) do
    fields[name] = schema.optional(schema.list(schema.number {}, { min = 2, max = 2 }))
  end
  return fields
end

local function check(self, report)
  local preset = filters.presets[self.preset] or {}
  for _, name in ipairs(SET) do
    if preset[name] ~= nil and self[name] ~= nil and self[name] ~= preset[name] then
      report(name, string.format("is %s, and the preset %s says %s: leave one of them out", tostring(self[name]),
        self.preset, tostring(preset[name])))
    end
  end
  local rule = filters.rule(self)
  local low, high = rule.min_diameter_mm, rule.max_diameter_mm
  if high and high <= low then report("max_diameter_mm", "must be above min_diameter_mm") end
  if self.max_readers and self.max_readers < rule.min_readers then
    report("max_readers", "must not be below min_readers")
  end
  for _, name in ipairs(RATINGS) do
    local range = self.ratings[name]
    if range and range[1] > range[2] then report("ratings." .. name, "the lower end must come first") end
  end
end

--- The schema of `nodules`. (Made when it is needed: fields are printed in the order in which they are made.)
function filters.schema()
  return schema.record {
    doc = "which nodules count, and how they are made of readers' outlines", default = {},
    fields = {
      preset = schema.optional(schema.one_of { "luna16", "all_3mm",
        doc = "a filter known by this name" }),
      min_diameter_mm = schema.optional(schema.number { min = 0,
        doc = "mean over the readers; 3 where it is not said and there is no preset" }),
      max_diameter_mm = schema.optional(schema.number { above = 0, doc = "of it, this one not included" }),
      min_readers = schema.optional(schema.int { min = 1, max = 16,
        doc = "who outlined it; 2 where it is not said and there is no preset" }),
      max_readers = schema.optional(schema.int { min = 1, max = 16 }),
      ratings = schema.record { default = {}, fields = rating_fields(),
        doc = "lowest and highest mean over the readers that rated; texture = { 1, 3 }" },
      label = schema.optional(schema.one_of { "malignancy",
        doc = "case.label: malignant where the mean is above 3, benign below; others are left out" }),
      max_thickness_mm = schema.optional(schema.number { above = 0, doc = "of the scan's slices" }),
      even_slices = schema.optional(schema.bool {
        doc = "only scans whose slices lie at equal distances (within 2 %)" }),
      semantics = schema.one_of { "interior", "closed", "pylidc", default = "interior",
        doc = "what an outline holds: the pixels within, those and the outline, or what pylidc makes of it" },
      grouping = schema.one_of { "mm", "pylidc", default = "mm",
        doc = "which marks mean one nodule: by overlap and distance in mm, or by pylidc's rule" },
    },
    check = check,
  }
end

--- The filter as plain values: `nodules` with what its preset says, or what is usual.
function filters.rule(nodules)
  local preset, rule = filters.presets[nodules.preset] or {}, {}
  for _, name in ipairs { "preset", "max_diameter_mm", "max_readers", "label" } do rule[name] = nodules[name] end
  for _, name in ipairs(SET) do
    rule[name] = nodules[name]
    if rule[name] == nil then rule[name] = preset[name] end
    if rule[name] == nil then rule[name] = USUAL[name] end
  end
  for _, name in ipairs(RATINGS) do
    local range = nodules.ratings and nodules.ratings[name]
    if range then
      rule.ratings = rule.ratings or {}
      rule.ratings[name] = { range[1], range[2] }
    end
  end
  return rule
end

-- ---- at work ----

local function range_text(range)
  return string.format("%g to %g", range[1], range[2])
end

local function is_even(z_mm)
  local steps = {}
  for k = 2, #z_mm do steps[k - 1] = z_mm[k] - z_mm[k - 1] end
  local sorted = table.move(steps, 1, #steps, 1, {})
  table.sort(sorted)
  local median = sorted[(#sorted + 1) // 2]
  for _, step in ipairs(steps) do
    if math.abs(step - median) > 0.02 * median then return false end
  end
  return true
end

--- Why a scan (info of its series) is left out, or nil.
function filters.scan(rule, info)
  if rule.max_thickness_mm and info.thickness_mm > rule.max_thickness_mm then
    return string.format("in scans with slices of more than %g mm", rule.max_thickness_mm)
  end
  if rule.even_slices and not is_even(info.z_mm) then return "in scans with uneven slices" end
  return nil
end

local function by_rating(rule, mean)
  for _, name in ipairs(RATINGS) do
    local range = rule.ratings and rule.ratings[name]
    if range and not mean[name] then return "without a rating of " .. name end
    if range and (mean[name] < range[1] or mean[name] > range[2]) then
      return string.format("with a %s outside %s", name, range_text(range))
    end
  end
  return nil
end

--- "malignant", "benign", or nil where the readers' mean is 3 or nobody rated.
function filters.label(rule, nodule)
  local mean = nodule.mean_ratings.malignancy
  if rule.label ~= "malignancy" or not mean or mean == 3 then return nil end
  return mean > 3 and "malignant" or "benign"
end

--- Why a nodule is left out, or nil.
function filters.nodule(rule, nodule)
  if rule.max_diameter_mm and nodule.diameter_mm >= rule.max_diameter_mm then
    return string.format("of %g mm or more", rule.max_diameter_mm)
  end
  if rule.max_readers and nodule.readers > rule.max_readers then
    return string.format("outlined by more than %d readers", rule.max_readers)
  end
  local why = by_rating(rule, nodule.mean_ratings)
  if why then return why end
  if rule.label and not filters.label(rule, nodule) then return "of undecided malignancy (mean 3, or not rated)" end
  return nil
end

--- Leaves out of `nodules` (found by the engine with the rule's min_readers and min_diameter_mm) what the rule does
--- not take. Returns how many were left out, by reason.
function filters.apply(rule, nodules, info)
  local left, keep, whole = {}, {}, filters.scan(rule, info)
  local function count(reason, n)
    if n > 0 then left[reason] = (left[reason] or 0) + n end
  end
  for i, nodule in ipairs(nodules:list()) do
    local why = whole or filters.nodule(rule, nodule)
    keep[i] = not why
    if why then count(why, 1) end
  end
  nodules:keep(keep)
  local found = nodules:left_out()
  count(string.format("outlined by fewer than %d readers", rule.min_readers), found.few_readers)
  count(string.format("of less than %g mm", rule.min_diameter_mm), found.small)
  count("without a voxel of consensus", found.disputed)
  return left
end

--- "12 outlined by fewer than 2 readers, 3 of less than 3 mm", or nil where nothing was left out.
function filters.text(left)
  local parts = {}
  for reason, n in pairs(left) do parts[#parts + 1] = { n = n, reason = reason } end
  table.sort(parts, function(a, b) return a.n ~= b.n and a.n > b.n or a.n == b.n and a.reason < b.reason end)
  for i, part in ipairs(parts) do parts[i] = string.format("%d %s", part.n, part.reason) end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

--- The rule in words: "nodules of 3 mm and more by 2 readers and more".
function filters.words(rule)
  local size = rule.min_diameter_mm > 0 and string.format(" of %g mm and more", rule.min_diameter_mm) or ""
  local parts = { string.format("nodules%s by %d readers and more", size, rule.min_readers) }
  local function add(...) parts[#parts + 1] = string.format(...) end
  if rule.preset then parts[1] = string.format("%s (%s)", parts[1], rule.preset) end
  if rule.max_diameter_mm then add("below %g mm", rule.max_diameter_mm) end
  if rule.max_readers then add("by at most %d readers", rule.max_readers) end
  for _, name in ipairs(RATINGS) do
    local range = rule.ratings and rule.ratings[name]
    if range then add("%s %s", name, range_text(range)) end
  end
  if rule.label then add("labelled by %s", rule.label) end
  if rule.max_thickness_mm then add("slices of at most %g mm", rule.max_thickness_mm) end
  if rule.even_slices then add("even slices") end
  return table.concat(parts, ", ")
end

return filters
