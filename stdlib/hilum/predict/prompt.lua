-- hl.predict: an archive, an image, a look at the result, in few words.

local output = require "hilum.predict.output"
local positions = require "hilum.predict.positions"
local predict = require "hilum.predict"
local problem = require "hilum.problem"
local scan = require "hilum.data.scan"
local text = require "hilum.predict.text"

local Result = {}
Result.__index = Result

function Result:__tostring()
  return text.of(self)
end

local function checked(value, err)
  if value == nil then error(problem.of(err), 0) end
  return value
end

--- Writes the mask (or, o.probability, the probabilities) to a file that ends in .nii.gz, .nii or .dcm.
function Result:save(path, o)
  if not output.kind(path) then problem.raise("argument", path .. ": expected .nii.gz, .nii or .dcm") end
  checked(output.check(path, self.image))
  return checked(output.write(path, self.predictor, self.image, self, o and o.probability)).file
end

--- Draws the largest parts to BASENAME.svg and BASENAME.png.
function Result:draw(basename)
  return checked(output.draw(basename, self.predictor, self.image, self))
end

local function places(image, o)
  if o.nodules then return checked(positions.read(o.nodules, image)) end
  local list = {}
  for _, name in ipairs { "at", "at_mm" } do
    local given = o[name] or {}
    for i, at in ipairs(type(given[1]) == "number" and { given } or given) do
      if type(at) ~= "table" or not (tonumber(at[1]) and tonumber(at[2]) and tonumber(at[3])) then
        problem.raise("argument", string.format("hl.predict: %s: expected { z, y, x } or a list of them", name))
      end
      list[i] = checked(positions.one(image, at, name == "at_mm"))
    end
  end
  if #list == 0 then
    problem.raise("argument", "hl.predict: where? at = { z, y, x }, at_mm, nodules = \"marks.csv\" or whole = true")
  end
  return list
end

local function on_scan(p, path, o)
  local image = checked(scan.read(path, { series = o.series }))
  image.path = path
  local result = checked(predict.on(p, image, { positions = not o.whole and places(image, o) or nil, whole = o.whole,
    tile = o.tile, overlap = o.overlap, name = path }))
  result.image, result.predictor = image, p
  return setmetatable(result, Result)
end

local Predictor = {}
Predictor.__index = Predictor

function Predictor:__tostring()
  return string.format("%s: the network of %s, %s weights, of epoch %s; sees %s voxels", self.path, self.name,
    self.weights, tostring(self.epoch), text.by(self.seen.crop, "%d"))
end

function Predictor:__call(image, o)
  if type(image) == "string" then return on_scan(self, image, o or {}) end
  return checked(predict.image(self, image))
end

--- The prediction of an archived run. run: its archive, or what hl.predict(archive) gave. image: a tensor [z,y,x] as
--- the network sees it (0 to 1, on its grid), which gives probabilities [z,y,x]; or a folder with a CT series or a
--- NIfTI file, with o.at = { z, y, x } (from 1), at_mm, nodules = "marks.csv" or whole = true (tile, overlap), which
--- gives a result that prints its parts and has mask, probability, parts, :save(file) and :draw(basename). o: weights
--- = "best" or "last", threshold, keep, flips, memory (bytes), series too. Without an image: the predictor
--- alone, to be called with (image, o) again and again.
return function(run, image, o)
  local p = run
  if type(run) == "string" then p = setmetatable(checked(predict.open(run, o)), Predictor) end
  if getmetatable(p) ~= Predictor then
    problem.raise("argument", "hl.predict: expected the name of an archive, or what hl.predict gave for one")
  end
  if image == nil then return p end
  return p(image, o)
end
