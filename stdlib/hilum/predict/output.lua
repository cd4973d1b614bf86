-- A prediction as files: NIfTI, a DICOM Segmentation object, a figure.

local contour = require "hilum.contour"
local drawing = require "hilum.figure.readers"
local engine = require "hilum.engine"
local grids = require "hilum.grid"
local pictures = require "hilum.figure.scan"
local problem = require "hilum.problem"
local scan = require "hilum.data.scan"

local output = {}

local WINDOW = { -1000, 400 } -- of figures, where the experiment has none

--- "nifti", "seg" or nil, by the end of a file's name.
function output.kind(path)
  if path:find "%.nii%.gz$" or path:find "%.nii$" then return "nifti" end
  return path:find "%.dcm$" and "seg" or nil
end

--- true if a file of this name can be written for the image, or nil and a problem: asked before the work.
function output.check(path, image)
  if output.kind(path) == "seg" and not image.series then
    return nil, problem.new("usage", path .. ": a segmentation object refers to a DICOM series, and the scan is a "
      .. "NIfTI file: give -o OUT.nii.gz")
  end
  if output.kind(path) == "nifti" and image.series then
    local step, err = image.series:step()
    if not step then
      return nil, problem.new("format", string.format("%s: NIfTI has one step between slices (%s): give -o OUT.dcm",
        path, err.message))
    end
  end
  return true
end

-- ASCII, as long as a DICOM value may be.
local function ascii(text, most)
  return (text:gsub("[^\32-\126]", "?"):gsub("\\", "/"):sub(1, most))
end

local function write_seg(path, p, image, result)
  local list = {}
  for k, row in ipairs(result.parts) do
    list[k] = { first = row.first, size = row.size, text = string.format("predicted: %.1f mm3, diameter of a sphere of "
      .. "this volume %.1f mm, mean probability %.2f", row.volume_mm3, row.equivalent_diameter_mm,
      row.probability_mean) }
  end
  local done, err = engine.write_seg_parts(path, image.series, result.labels, list, ascii("hilum " .. p.name, 64))
  if not done then return nil, err end
  return { file = path, what = string.format("%d segments in %d frames", done.segments, done.frames) }
end

--- Writes the mask, or the probabilities, on the image's own grid. Returns { file, what }, or nil and a problem.
function output.write(path, p, image, result, as_probability)
  if output.kind(path) == "seg" then return write_seg(path, p, image, result) end
  local what = as_probability and "probabilities" or "mask"
  local fine, err = scan.write_nifti(image, path, as_probability and result.probability or result.mask,
    "hilum: predicted " .. what)
  if not fine then return nil, err end
  return { file = path, what = what .. (not as_probability and #result.parts == 0 and ", empty" or "") }
end

-- ---- the figure ----

-- Lines around the mask on slice k within a window, in pixels from 0.
local function outline(mask, k, w)
  local plane = mask:slice(1, k):slice(2, w.y, w.y + w.side - 1):slice(3, w.x, w.x + w.side - 1)
  local values, lines = plane:clone():table(), {}
  for i, line in ipairs(contour.lines(function(y, x) return values[(y - 1) * w.side + x] end, w.side, w.side, 0.5)) do
    lines[i] = {}
    for j, point in ipairs(line) do lines[i][j] = { point[1] - 1, point[2] - 1 } end
  end
  return lines
end

local function row_of(p, image, result, row)
  local g = image.grid
  local w = pictures.window(row, { rows = g.size[2], columns = g.size[3] })
  local title = string.format("part %d  ·  %.0f mm³  ·  %.1f mm  ·  probability %.2f", row.number,
    row.volume_mm3, row.equivalent_diameter_mm, row.probability_mean)
  local out = { title = title, pixel_mm = g.spacing_mm[3], width = w.side, height = w.side, slices = {} }
  for c, k in ipairs(pictures.chosen(row.first[1], row.first[1] + row.size[1] - 1, drawing.most_columns)) do
    out.slices[c] = { text = string.format("slice %d  ·  z %s mm", k, pictures.signed("%.1f", grids.position(g, 1, k))),
      grey = pictures.grey(image.voxels, k, w, p.seen.window or WINDOW), lines = { outline(result.mask, k, w) },
      holes = {} }
  end
  return out
end

--- Draws the largest parts, a row of slices each, to BASENAME.svg and BASENAME.png: the list of files, or nil and a
--- problem.
function output.draw(basename, p, image, result)
  local order = table.move(result.parts, 1, #result.parts, 1, {})
  if #order == 0 then
    return nil, problem.new("figure", "no part is predicted, so there is nothing to be drawn")
  end
  table.sort(order, function(a, b) return a.volume_mm3 > b.volume_mm3 end)
  local rows, g, w = {}, image.grid, p.seen.window or WINDOW
  for i = 1, math.min(#order, drawing.most_rows) do rows[i] = row_of(p, image, result, order[i]) end
  return drawing.draw({ title = string.format("%s  ·  %s", p.name, image.patient or image.path:match "[^/]*$"),
    note = string.format("%d of %d predicted parts  ·  %s … %s HU  ·  %.3g × %.3g × %.3g mm", #rows, #order,
      pictures.signed("%g", w[1]), pictures.signed("%g", w[2]), g.spacing_mm[1], g.spacing_mm[2], g.spacing_mm[3]),
    readers = { "predicted" }, rows = rows }, basename)
end

return output
