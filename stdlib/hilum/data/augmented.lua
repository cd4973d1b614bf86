-- What a training sees of a case in its epochs, as a figure.

local augment = require "hilum.augment"
local dataset = require "hilum.dataset"
local drawing = require "hilum.figure.augmented"
local evaluate = require "hilum.evaluate"
local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local augmented = {}

local function plane(t, z)
  return t:slice(3, z):table()
end

local function picture_of(sample, title, phrases, pixel_mm)
  local shape, z = sample.image.shape, evaluate.fullest(sample.truth:to "f32")
  return { title = string.format("%s  ·  slice %d", title, z), phrases = phrases, height = shape[4], width = shape[5],
    image = plane(sample.image, z), truth = plane(sample.truth, z), valid = plane(sample.valid, z),
    pixel_mm = pixel_mm }
end

-- The index of the case that is asked for, or of the first one.
local function find(set, wanted)
  if not wanted then return 1 end
  local ids = {}
  for i, case in ipairs(set.cases) do
    if case.id == wanted or case.patient == wanted then return i end
    ids[i] = case.id
  end
  return nil, problem.new("data", string.format("the data has no case '%s'%s: it has %d, the first is %s", wanted,
    suggest.hint(wanted, ids), #ids, ids[1]))
end

local function note_of(set, case, spec, first, last)
  local parts = { string.format("as it is, and as the training sees it in epochs %d to %d", first, last) }
  local diameter = set.cases[case].diameter_mm
  if diameter then parts[#parts + 1] = string.format("%.1f mm", diameter) end
  parts[#parts + 1] = "seed " .. spec.seed
  return table.concat(parts, "  ·  ")
end

--- Draws what an experiment's augmentation makes of a case to BASENAME.svg and BASENAME.png. o: { spec (the
--- experiment), case = id or patient (default: the first), epoch = the first one drawn (default 1), base =
--- function(id) -> BASENAME, progress }. Returns { files, case = its id, problems, texts = what was drawn in each epoch
--- }, or nil and a problem.
function augmented.draw(o)
  local spec, first = o.spec, o.epoch or 1
  if #spec.augment == 0 then
    return nil, problem.new("data", string.format("the experiment '%s' has no augmentation", spec.name))
  end
  local set, err = spec.data:open { progress = o.progress }
  if not set then return nil, err end
  local case
  case, err = find(set, o.case)
  if not case then return nil, err end
  local sample
  sample, err = set:load(case)
  if not sample then return nil, err end
  local spacing, list = dataset.spacing_mm(spec.data), augment.on(spec.augment, spec.data)
  local pixel_mm = spacing and spacing[3]
  local pictures, texts = { picture_of(sample, "as it is", {}, pixel_mm) }, {}
  for i = 1, drawing.columns * drawing.rows - 1 do
    local epoch = first + i - 1
    local made, drawn = augment.apply(list, sample, spec.seed, epoch, case)
    texts[i] = augment.text(list, drawn)
    pictures[i + 1] = picture_of(made, "epoch " .. epoch, augment.phrases(list, drawn), pixel_mm)
  end
  local id, note = set.cases[case].id, note_of(set, case, spec, first, first + #texts - 1)
  local files, failed = drawing.draw({ title = id, note = note, pictures = pictures }, o.base(id))
  if not files then return nil, failed end
  return { files = files, case = id, problems = set.problems, texts = texts }
end

return augmented
