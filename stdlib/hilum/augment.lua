-- Augmentation: the last stage before the network. What a training sees of a sample in one epoch.
--
-- A member of a list is a value of the family "augmentation". self:draw(rng, about) gives what was drawn as a text, a
-- number or a list of numbers, or nil where nothing is to be changed; it is recorded, and drawing and applying are
-- apart, so that it can be applied again. A member does one of three things with it:
--   self:choose(drawn, sample)          the truth to begin with
--   self:move(drawn, about)             a map (augment/map.lua); those of a list, in its order, become one transform
--                                       of image, truth, validity and readers' masks, with one interpolation
--   self:change(drawn, image, about)    the image's values, after all movements, in the order of the list
-- and may say by self:fits(about, report) that it does not go with the data, and by self:say(drawn) what it did, for
-- people. `about` is what is known of the images: { size = { z, y, x }, spacing_mm and window_hu where there are such,
-- readers } and, for fits, name (of the source), for change valid (the mask). readers: how many masks a sample has; for
-- fits whether any come with the source.

local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local geometry = require "hilum.augment.geometry"
local intensity = require "hilum.augment.intensity"
local map = require "hilum.augment.map"
local parts = require "hilum.augment.parts"
local schema = require "hilum.schema"
local value = require "hilum.value"

local augment = {}

for _, members in ipairs { geometry, intensity } do
  for name, member in pairs(members) do augment[name] = member end
end

augment.reader = schema.constructor("hl.augment.reader", {
  doc = "Takes the mask of one of the nodule's readers, drawn anew for each sample, as the truth in place of the "
    .. "consensus.",
  family = "augmentation",
  fields = { probability = parts.probability(0.5) },
  methods = {
    -- The number of the reader.
    draw = function(self, rng, about)
      if rng:uniform() >= self.probability or about.readers == 0 then return nil end
      return 1 + rng:below(about.readers)
    end,
    say = function(_, reader) return "reader " .. reader end,
    choose = function(_, reader, sample)
      local mask = sample.readers and sample.readers[reader]
      if not mask then
        error(string.format("hl.augment.reader: the sample has %d readers' masks, not %d", #(sample.readers or {}),
          reader), 0)
      end
      return mask
    end,
    fits = function(_, about, report)
      if not about.readers then report("", about.name .. " of whole scans keeps no readers' masks") end
    end,
  },
})

-- ---- what is known of the data ----

--- What a source says of its images.
function augment.about(source)
  return { name = value.constructor(source).name, size = value.plain(source.crop),
    spacing_mm = dataset.spacing_mm(source), window_hu = source.window_hu and value.plain(source.window_hu),
    readers = source.extent ~= "scan" }
end

--- The list with what its data is known by: to be given to augment.apply.
function augment.on(list, source)
  local bound = table.move(list, 1, #list, 1, {})
  bound.about = augment.about(source)
  return bound
end

--- Reports (path, sentence) for each member that does not go with the source.
function augment.check(list, source, report)
  local about = augment.about(source)
  for i, one in ipairs(list) do
    if one.fits then
      one:fits(about, function(name, sentence)
        report(string.format("augment[%d]%s%s", i, name ~= "" and "." or "", name), sentence)
      end)
    end
  end
end

local function about_of(list, sample)
  local s, known = sample.image.shape, list.about or {}
  return { size = { s[3], s[4], s[5] }, spacing_mm = known.spacing_mm, window_hu = known.window_hu,
    readers = #(sample.readers or {}) }
end

-- ---- drawing and applying ----

-- "hl.augment.flip" -> "flip"
local function name_of(one)
  return value.constructor(one).name:match "[^.]+$"
end

local function drawn_of(one, drawn)
  return drawn and drawn[name_of(one)]
end

-- Image and masks where the maps lead to.
local function moved(sample, maps)
  local rule = "linear"
  for _, one in ipairs(maps) do rule = one.interpolation == "cubic" and "cubic" or rule end
  local channels = { { sample.image, rule }, { sample.truth, sample.truth.dtype == "u8" and "mask" or "soft" },
    { sample.valid, "mask" } }
  for _, mask in ipairs(sample.readers or {}) do channels[#channels + 1] = { mask, "mask" } end
  local out = engine.warp(map.steps(maps), channels)
  return { image = out[1], truth = out[2], valid = out[3],
    readers = sample.readers and table.move(out, 4, #out, 1, {}) }
end

-- What the members ask for: the truth, the maps, and whether values change.
local function collect(list, drawn, sample, about)
  local truth, maps, changes = sample.truth, {}, false
  for i, one in ipairs(list) do
    local what = drawn_of(one, drawn[i])
    if what and one.choose then truth = one:choose(what, sample) end
    if what and one.move then
      maps[#maps + 1] = one:move(what, about)
      maps[#maps].interpolation = one.interpolation
    end
    changes = changes or what and one.change ~= nil
  end
  return truth, maps, changes
end

--- Applies what was drawn (a list with an entry { name = what } or {} for each member). Returns a new sample; the one
--- given stays as it is.
function augment.again(list, drawn, sample)
  local about = about_of(list, sample)
  local truth, maps, changes = collect(list, drawn, sample, about)
  local result = { image = sample.image, truth = truth, valid = sample.valid, readers = sample.readers }
  if #maps > 0 then result = moved(result, maps) elseif changes then result.image = sample.image:clone() end
  about.valid = result.valid
  for i, one in ipairs(list) do
    local what = drawn_of(one, drawn[i])
    if what and one.change then one:change(what, result.image, about) end
  end
  return result
end

--- What the members draw for one case in one epoch. The stream is named by (seed, epoch, case), so neither the order
--- of samples nor the number of workers matters.
function augment.draw(list, sample, seed, epoch, case)
  local drawn, about = {}, about_of(list, sample)
  local rng = #list > 0 and engine.rng(seed, "augment", epoch, case)
  for i, one in ipairs(list) do drawn[i] = { [name_of(one)] = one:draw(rng, about) } end
  return drawn
end

--- Draws and applies. A sample is { image (f32), truth (u8, or f32 where it is soft), valid (u8), readers (a list of
--- u8, optional) }, each {1,1,z,y,x}. Voxels that come from outside the sample are not valid. list: an experiment's, or
--- that of augment.on, which members need that deal in mm or Hounsfield units. Returns the new sample and what was
--- drawn.
function augment.apply(list, sample, seed, epoch, case)
  local drawn = augment.draw(list, sample, seed, epoch, case)
  return augment.again(list, drawn, sample), drawn
end

-- ---- what was drawn, as a text ----

local function word_of(what)
  if type(what) ~= "table" then return tostring(what) end
  local numbers = {}
  for i, x in ipairs(what) do
    numbers[i] = math.type(x) == "float" and string.format("%.5g", x) or tostring(x)
  end
  return table.concat(numbers, ",")
end

-- Names of a list's members; the second of a kind is "flip2".
local function names_of(list)
  local names, count = {}, {}
  for i, one in ipairs(list) do
    local name = name_of(one)
    count[name] = (count[name] or 0) + 1
    names[i] = count[name] == 1 and name or name .. count[name]
  end
  return names
end

--- "flip=zy rotate=3.1,0,-12.5 noise=0.013,88172": the members that changed something; "nothing" if none did.
--- augment.parse reads it back.
function augment.text(list, drawn)
  local words, names = {}, names_of(list)
  for i, one in ipairs(list) do
    local what = drawn_of(one, drawn[i])
    if what then words[#words + 1] = names[i] .. "=" .. word_of(type(what) == "number" and { what } or what) end
  end
  return words[1] and table.concat(words, " ") or "nothing"
end

--- The same for people, without the names of random streams: a list of phrases.
function augment.phrases(list, drawn)
  local phrases = {}
  for i, one in ipairs(list) do
    local what = drawn_of(one, drawn[i])
    if what then phrases[#phrases + 1] = one.say and one:say(what) or name_of(one) end
  end
  return phrases
end

local function read_word(text)
  if not text:find "^[%-%d]" then return text end
  local numbers = {}
  for part in text:gmatch "[^,]+" do
    local x = tonumber(part)
    if not x then return nil end
    numbers[#numbers + 1] = x
  end
  return #numbers == 1 and numbers[1] or numbers
end

--- What was drawn from an archive's text, for augment.again; raises where the list has no such member.
function augment.parse(list, text)
  local drawn, at = {}, {}
  for i, name in ipairs(names_of(list)) do drawn[i], at[name] = {}, i end
  for word in (text == "nothing" and "" or text):gmatch "%S+" do
    local name, what = word:match "^([%w_]+)=(.*)$"
    local i = name and at[name]
    local read = i and read_word(what)
    if not read then error(string.format("'%s' was not drawn by this augmentation", word), 0) end
    drawn[i][name_of(list[i])] = read
  end
  return drawn
end

return augment
