-- Golden vectors of LIDC's annotations, read the way of pylidc by name: masks, measures, groups, consensus.

local golden = require "golden.golden"
local engine = require "hilum.engine"

-- Every mark counts, however small.
local ALL = {
  semantics = "pylidc", grouping = "pylidc", min_readers = 1, min_diameter_mm = 0, level = 1e-9, of = "marks",
}

local function with(rule, more)
  local result = {}
  for key, value in pairs(rule) do result[key] = value end
  for key, value in pairs(more) do result[key] = value end
  return result
end

local function place_of(case, inputs)
  local z_mm, uids = {}, {}
  local listed = inputs.slice_z and inputs.slice_z:table()
  for k = 1, case.n_slices do
    z_mm[k] = listed and listed[k] or case.slice_z_first + (k - 1) * case.slice_z_step
    uids[k] = string.format("slice-%d", k - 1)
  end
  return engine.place {
    size = { case.n_slices, 512, 512 }, spacing_mm = { case.slice_spacing, case.pixel_spacing, case.pixel_spacing },
    z_mm = z_mm, uids = uids,
  }
end

-- The annotations of a case as marks of one session (readers are not told apart there), and their ids in order.
local function marks_of(inputs)
  local rows, xy, z_mm = inputs.contours:table(), inputs.contour_xy:table(), inputs.contour_z:table()
  local marks, ids = {}, {}
  for i = 1, #z_mm do
    local start, stop, inclusion, k, id = table.unpack(rows, 5 * i - 4, 5 * i)
    if not ids[id] then
      ids[#ids + 1] = id
      ids[id] = { id = string.format("%d", id), rois = {} }
      marks[#marks + 1] = ids[id]
    end
    local points = {}
    for p = start, stop - 1 do points[#points + 1] = { xy[2 * p + 1], xy[2 * p + 2] } end
    table.insert(ids[id].rois, { z_mm = z_mm[i], sop_uid = string.format("slice-%d", k), inclusion = inclusion ~= 0,
      points = points })
  end
  return engine.marks { sessions = { marks } }, ids
end

-- A mask on the box `first`, `size` laid into the box { i0, i1, j0, j1, k0, k1 } (row, column, slice), in that order.
local function laid(mask, first, box)
  local size = { box[2] - box[1] + 1, box[4] - box[3] + 1, box[6] - box[5] + 1 }
  local out = engine.zeros(size, { dtype = "f64" })
  if not mask then return out end
  local values, shape, at = mask:table(), mask.shape, 0
  for z = 1, shape[1] do
    for y = 1, shape[2] do
      for x = 1, shape[3] do
        at = at + 1
        if values[at] ~= 0 then
          out:set(y + first[2] - 1 - box[1], x + first[3] - 1 - box[3], z + first[1] - 1 - box[5], 1)
        end
      end
    end
  end
  return out
end

local function annotation(case, _, data)
  local place, marks = place_of(case, data.inputs), (marks_of(data.inputs))
  local nodules = engine.find_nodules(place, marks, ALL)
  local found = nodules:list()[1]
  local mask, first = found and nodules:mask(1, 1), found and found.first
  local s = marks:shape(1, place, case.slice_thickness)
  local bbox, spacing = {}, { case.slice_spacing, case.pixel_spacing, case.pixel_spacing }
  local dims, centroid = {}, {}
  for i, a in ipairs { 2, 3, 1 } do -- row, column, slice
    bbox[2 * i - 1], bbox[2 * i] = s.first[a] - 1, s.first[a] + s.size[a] - 2
    dims[i], centroid[i] = (s.size[a] - 1) * spacing[a], s.centroid[a] - 1
  end
  local out = {
    mask = laid(mask, first, bbox), bbox = bbox, bbox_dims = dims, centroid = centroid, diameter = s.longest_mm,
    volume = s.volume_mm3,
  }
  if case.bbox_pad2 then out.mask_pad2 = laid(mask, first, case.bbox_pad2) end
  if mask then
    out.surface_area = engine.mask_surface(mask, { case.slice_thickness, case.pixel_spacing, case.pixel_spacing })
  end
  return out
end

-- Groups are numbered by the mean slice of their marks' centroids.
local function numbered(groups, marks, place, thickness_mm)
  local order = {}
  for i, group in ipairs(groups) do
    local sum = 0
    for _, m in ipairs(group) do sum = sum + marks:shape(m, place, thickness_mm).centroid[1] end
    order[i] = { marks = group, slice = sum / #group }
  end
  table.sort(order, function(a, b) return a.slice < b.slice end)
  return order
end

local function find_all(case, inputs, level)
  local place = place_of(case, inputs)
  local marks, ids = marks_of(inputs)
  local nodules, problems = engine.find_nodules(place, marks,
    with(ALL, { thickness_mm = case.slice_thickness, level = level }))
  if not nodules then error(problems.message, 0) end
  return place, marks, ids, nodules
end

local function clusters(case, _, data)
  local place, marks, ids, nodules = find_all(case, data.inputs)
  local of_id = {}
  for number, group in ipairs(numbered(nodules:groups(), marks, place, case.slice_thickness)) do
    for _, m in ipairs(group.marks) do of_id[ids[m]] = number - 1 end
  end
  local order, index, wanted = {}, {}, data.inputs.annotation_id:table()
  for i, id in ipairs(ids) do index[id] = i end
  local found, distance = nodules:distances(), {}
  for i, id in ipairs(wanted) do
    order[i], distance[i] = of_id[id], {}
    for k, other in ipairs(wanted) do distance[i][k] = found:get(index[id], index[other]) end
  end
  return { cluster = order, distance = distance }
end

-- The annotations belong to the case of their scan.
local function consensus(case, _, _, read)
  local scan, data = read(string.format("scan_%04d", case.scan_id))
  if not scan.op then golden.missing("the scan of the annotations") end
  local _, _, ids, nodules = find_all(scan, data.inputs, case.clevel)
  local wanted, members = {}, {}
  for i, id in ipairs(case.annotation_ids) do wanted[id] = i end
  for i, nodule in ipairs(nodules:list()) do
    if wanted[ids[nodule.marks[1]]] then
      for r, m in ipairs(nodule.marks) do
        members[wanted[ids[m]]] = laid(nodules:mask(i, r), nodule.first, case.bbox):table()
      end
      local mask = laid(nodules:mask(i), nodule.first, case.bbox)
      local size = mask.shape
      return { mask = mask, members = engine.from(members, { dtype = "f64" }):reshape { #members, size[1], size[2],
        size[3] } }
    end
  end
  return { mask = laid(nil, nil, case.bbox) }
end

golden.run {
  topic = "lidc_masks", dtypes = { "f64" },
  ops = {
    annotation = {
      run = annotation, attributes = { "bbox", "bbox_dims", "centroid", "diameter", "volume", "surface_area" },
    },
    clusters = clusters,
    consensus = consensus,
  },
}
