-- hilum verify: whether an archive is what it was, and fits together.

local common = require "hilum.cli.common"
local index = require "hilum.study.index"
local json = require "hilum.json"
local verify = require "hilum.verify"

local function count_wrong(list)
  local n = 0
  for _, one in ipairs(list) do n = n + (one.fine and 0 or 1) end
  return n
end

return {
  name = "verify",
  summary = "computes the hashes of an archive again, and checks that its parts fit together",
  arguments = { { "RUN.h5", "an archive of a run, or the index of a study: then its variants too" } },
  options = {
    { "data", "SOURCE", "reads the data again, there, and compares its hash (of a phantom: any word)" },
    { "json", nil, "one JSON object" },
  },
  notes = "Exit codes: 0 all is as it was, 1 something is not.",
  run = function(given)
    local is_study = common.format(given[1]) == index.format
    local list = (is_study and verify.study or verify.run)(given[1], { data = given.data })
    local wrong = count_wrong(list)
    if given.json then
      common.emit { archive = given[1], fine = wrong == 0, checks = json.list(list) }
    else
      for _, one in ipairs(list) do
        print(string.format("%-5s  %-12s %s", one.fine and "ok" or "WRONG", one.what, one.text))
      end
    end
    return wrong == 0 and 0 or 1
  end,
}
