-- How nodules of scans become cases, as a table of plain values that prints as one line: it is archived and stands
-- beside every number.

local filters = require "hilum.data.filters"

local protocol = {}

local Protocol = {}

local function truth_of(p)
  local voters = p.consensus_of == "marks" and "marks" or "sessions"
  if p.consensus_soft then return string.format("the share of the %s", voters) end
  if p.consensus_readers then return string.format("%d readers or more", p.consensus_readers) end
  return string.format("%g of the %s", p.consensus_level, voters)
end

function Protocol.__tostring(p)
  local function by(v, form)
    return string.format(form .. " × " .. form .. " × " .. form, v[1], v[2], v[3])
  end
  local place = p.extent == "scan" and "over the whole scan"
    or string.format("of %s mm around the nodule", by(p.spacing_mm, "%g"))
  local by_other = p.image_by ~= "linear" and string.format(" (resampled: %s)", p.image_by) or ""
  return string.format("%s voxels %s%s, %g to %g HU; %s; truth: %s (%s%s)", by(p.crop, "%d"), place, by_other,
    p.window_hu[1], p.window_hu[2], filters.words(p.nodules), truth_of(p), p.semantics,
    p.grouping == "pylidc" and ", grouped as by pylidc" or "")
end

local function copy(list)
  return table.move(list, 1, #list, 1, {})
end

--- The engine's options of a crop.
function protocol.grid(p)
  return { size = p.crop, spacing_mm = p.spacing_mm, window_hu = p.window_hu, image = p.image_by, masks = p.masks_by }
end

--- Of a source { nodules, consensus, spacing_mm, resample, window_hu, crop, extent }.
function protocol.of(source)
  local nodules, consensus, rule = source.nodules, source.consensus, filters.rule(source.nodules)
  return setmetatable({
    crop = copy(source.crop), extent = source.extent or "nodule", spacing_mm = copy(source.spacing_mm),
    window_hu = copy(source.window_hu), image_by = source.resample and source.resample.image or "linear",
    masks_by = source.resample and source.resample.masks or "linear", nodules = rule,
    min_diameter_mm = rule.min_diameter_mm, min_readers = rule.min_readers,
    consensus_level = consensus.level, consensus_of = consensus.of, consensus_readers = consensus.readers,
    consensus_soft = consensus.soft or nil, semantics = nodules.semantics or "interior",
    grouping = nodules.grouping or "mm", gap_mm = nodules.grouping ~= "pylidc" and 3 or nil,
    other_findings = "not valid",
  }, Protocol)
end

--- The engine's rule for it; thickness_mm: of the scan's slices.
function protocol.rule(p, thickness_mm)
  return {
    semantics = p.semantics, grouping = p.grouping, gap_mm = p.gap_mm, thickness_mm = thickness_mm,
    min_readers = p.min_readers, min_diameter_mm = p.min_diameter_mm, level = p.consensus_level, of = p.consensus_of,
    votes = p.consensus_readers, soft = p.consensus_soft,
  }
end

return protocol
