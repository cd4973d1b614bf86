-- hilum diff: what differs between two runs.

local common = require "hilum.cli.common"
local difference = require "hilum.difference"
local json = require "hilum.json"

return {
  name = "diff",
  summary = "what differs between two runs, bit by bit",
  arguments = { { "A.h5", "an archive that hilum run wrote" }, { "B.h5", "another" } },
  options = { { "json", nil, "one JSON object" } },
  notes = "Experiment, code, data, split, curves, weights and predictions are compared; times, host, versions,\n"
    .. "memory, log and resumptions are not.\nExit codes: 0 they agree, 1 they differ, or one cannot be read.",
  run = function(given)
    local list = difference.of(common.read_run(given[1]), common.read_run(given[2]))
    if given.json then
      common.emit { equal = #list == 0, differences = json.list(list) }
    elseif #list == 0 then
      print("the runs agree, bit by bit")
    else
      for _, one in ipairs(list) do print(string.format("%-36s %s", one.path, one.what)) end
    end
    return #list == 0 and 0 or 1
  end,
}
