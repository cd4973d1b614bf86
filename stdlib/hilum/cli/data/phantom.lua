-- hilum data phantom: writes synthetic chests.

local engine = require "hilum.engine"
local options = require "hilum.cli.options"
local shared = require "hilum.cli.data.shared"

local defaults, variants = engine.phantom_defaults(), engine.phantom_variants()

local phantom = {
  name = "data phantom",
  summary = "writes the phantom: synthetic chests as LIDC folders (DICOM and XML)",
  arguments = { { "DIR", "a new or empty folder; a complete phantom of the same kind is left as it is" } },
  options = {
    { "cases", "N", string.format("patients (default: %d)", defaults.cases) },
    { "nodules", "N", string.format("nodules in each (default: %d)", defaults.nodules) },
    { "size", "SIZE", "small (the default: parts of small chests) or full (adults, 512 x 512 pixels)" },
    { "variant", "NAME", "with something odd or wrong in every case, for tests (default: plain)" },
    { "seed", "S", string.format("another phantom for another number (default: %d)", defaults.seed) },
  },
  notes = "Variants (docs/phantom.md says what becomes of them): " .. table.concat(variants, ", "),
}

function phantom.run(given)
  local what = {
    cases = options.number(phantom, given, "cases", defaults.cases, 1),
    nodules = options.number(phantom, given, "nodules", defaults.nodules, 1),
    size = options.choice(phantom, given, "size", { "small", "full" }),
    variant = options.choice(phantom, given, "variant", variants),
    seed = options.number(phantom, given, "seed", defaults.seed, 0),
  }
  local bar, tell = shared.with_bar(false)
  shared.stop_on_interrupt(engine.write_phantom, given[1], what, tell)
  bar:clear()
  print(string.format("%s: %d cases", given[1], what.cases))
end

return phantom
