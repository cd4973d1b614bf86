-- What the members of an augmentation share: fields, draws, and the rule for images whose slices lie at an unknown
-- distance.

local schema = require "hilum.schema"
local value = require "hilum.value"

local parts = {}

--- The field `probability`.
function parts.probability(default, doc)
  return schema.number { default = default, min = 0, max = 1, doc = doc or "of this change, for each sample" }
end

--- A field { lowest, highest }; o as for schema.number.
function parts.range(o)
  local one = schema.number { min = o.min, max = o.max, above = o.above }
  return schema.list(one, { min = 2, max = 2, default = o.default, doc = o.doc })
end

--- Reports a range that is the wrong way round.
function parts.check_order(self, name, report)
  local range = self[name]
  if range and range[1] > range[2] then
    report(name, string.format("the lower end must come first, got { %s, %s }", value.atom(range[1]),
      value.atom(range[2])))
  end
end

--- A number for all axes, or { z, y, x }; o as for schema.number. A number stays one: see parts.axes_of.
function parts.each_axis(o)
  local range = { min = o.min, max = o.max, above = o.above }
  return schema.any_of { schema.number(range), schema.list(schema.number(range), { min = 3, max = 3 }),
    default = o.default, doc = o.doc }
end

--- Adds the fields NAME_voxels and NAME_mm, of which one is given; `kind` makes them.
function parts.with_unit(fields, name, kind, o)
  for _, unit in ipairs { "voxels", "mm" } do
    local options = { min = o.min, max = o.max, above = o.above,
      doc = (unit == "mm" and "in mm; " or "in voxels (default: " .. o.text .. "); ") .. o.doc }
    fields[name .. "_" .. unit] = schema.optional(kind(options))
  end
  return fields
end

--- To be called by `prepare`: where neither is given, the default in voxels.
function parts.fill_unit(raw, name, default)
  if raw[name .. "_mm"] ~= nil or raw[name .. "_voxels"] ~= nil then return raw end
  local copy = { [name .. "_voxels"] = default }
  for key, part in pairs(raw) do copy[key] = part end
  return copy
end

--- Reports where both are given.
function parts.check_unit(self, name, report)
  if self[name .. "_mm"] and self[name .. "_voxels"] then
    report(name .. "_mm", string.format("either this or %s_voxels, not both", name))
  end
end

--- Reports a length in mm where the distance of the voxels is not known.
function parts.check_mm(self, name, about, report)
  if self[name .. "_mm"] and not about.spacing_mm then
    report(name .. "_mm", string.format("%s gives no distance of its voxels: write %s_voxels", about.name, name))
  end
end

-- The axes that a number alone means: not z where the distance of slices is not known.
local function meant(about)
  return about.spacing_mm and "zyx" or "yx"
end

--- Three numbers from a field of parts.each_axis. A number alone does not count along z where the distance between
--- slices is not known.
function parts.axes_of(given, about)
  if type(given) ~= "number" then return { given[1], given[2], given[3] } end
  return { meant(about):find("z", 1, true) and given or 0, given, given }
end

--- The same in voxels, of a field made by parts.with_unit.
function parts.voxels_of(self, name, about)
  local given = self[name .. "_mm"]
  if not given then return parts.axes_of(self[name .. "_voxels"], about) end
  local list = parts.axes_of(given, about)
  for a = 1, 3 do list[a] = list[a] / about.spacing_mm[a] end
  return list
end

--- An optional field `axes`, and which axes it means: without it as a number alone.
function parts.axes(doc)
  return schema.optional(schema.axes {
    doc = doc .. " (default: all; y and x where the distance of slices is not known)" })
end

--- { true or false, for z, y, x }.
function parts.which(self, about)
  local axes = self.axes or meant(about)
  return { axes:find("z", 1, true) ~= nil, axes:find("y", 1, true) ~= nil, axes:find("x", 1, true) ~= nil }
end

-- ---- draws ----

--- With five digits, so that what is written down is what was applied.
function parts.short(x)
  return tonumber(string.format("%.5g", x)) + 0.0
end

--- Uniform between the ends.
function parts.uniform(rng, low, high)
  return parts.short(low + (high - low) * rng:uniform())
end

--- Of a factor: uniform in its logarithm, so that twice is as likely as half.
function parts.factor(rng, range)
  return parts.short(range[1] * (range[2] / range[1]) ^ rng:uniform())
end

--- Numbers for z, y, x as a text for people; one where all are one, or where there is no more. Minus signs are as wide
--- as digits.
function parts.each(form, list)
  local one = not list[2] or list[1] == list[2] and list[2] == list[3]
  local text = string.format(one and form or form .. " " .. form .. " " .. form, table.unpack(list))
  return (text:gsub("-", "−"))
end

--- A number that names a random stream.
function parts.seed(rng)
  return rng:below(1 << 31)
end

return parts
