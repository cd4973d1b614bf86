-- How other data is prepared for an archived network: like its own, as far as the kinds of data share the words.

local t = require "tap"
local dataset = require "hilum.dataset"
local value = require "hilum.value"

local own = {
  lidc = dataset.lidc { folder = "x", crop = 48, spacing_mm = { 2, 1, 1 }, window_hu = { -900, 300 },
    nodules = { min_diameter_mm = 5, min_readers = 3, semantics = "closed", ratings = { texture = { 1, 3 } } },
    consensus = { level = 0.75, of = "marks" }, resample = { image = "cubic" } },
  phantom = dataset.phantom { cases = 7, seed = 9, crop = 48, nodules = { min_readers = 3 },
    consensus = { level = 0.75, of = "marks" } },
  list = dataset.list { file = "x.csv", crop = 48, nodules = { from = "labels", min_readers = 3 },
    consensus = { level = 0.75, of = "marks" } },
  slices = dataset.slices { folder = "x", crop = { 8, 48, 48 }, min_readers = 3,
    consensus = { level = 0.75, of = "marks" } },
}

local function made(kind, options)
  local raw = value.plain(options[kind])
  raw[kind == "list" and "file" or "folder"] = kind ~= "phantom" and "y" or nil
  return dataset[kind](raw)
end

for from, source in pairs(own) do
  local options = dataset.like(source)
  for to in pairs(own) do
    local fine, found = pcall(made, to, options)
    local what = from .. " → " .. to
    t.ok(fine, what .. " can be made: " .. (fine and "" or tostring(found)))
    if fine then
      t.ok(found.crop[2] == 48 and found.crop[3] == 48, what .. ": the crop")
      t.is(found.consensus.level, 0.75, what .. ": the consensus")
      t.is(found.consensus.of, "marks", what .. ": of whom")
      t.is(found.nodules and found.nodules.min_readers or found.min_readers, 3, what .. ": by how many readers")
    end
  end
end

local lidc = dataset.like(own.lidc)
t.same({ made("phantom", lidc).spacing_mm[1], made("list", lidc).window_hu[1] }, { 2.0, -900.0 }, "spacing and window")
t.is(made("list", lidc).nodules.min_diameter_mm, 5.0, "the least diameter")
local same = made("lidc", lidc)
t.ok(same.nodules.semantics == "closed" and same.nodules.ratings.texture[2] == 3 and same.resample.image == "cubic",
  "of the same kind everything but the place")
t.is(made("phantom", dataset.like(own.phantom)).seed, 9, "a phantom is the same phantom")
t.is(made("phantom", lidc).cases, dataset.phantom {}.cases, "no other kind says how many cases are made")

t.done()
