-- hilum data cache: what is kept of prepared data, and how to get rid of it.

local cache = require "hilum.cache"
local common = require "hilum.cli.common"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local progress = require "hilum.progress"

local command = {
  name = "data cache",
  summary = "lists what is kept of prepared data, or removes it",
  arguments = { { "list|prune", "list: how much there is; prune: removes what was not used for a while" } },
  options = {
    { "keep-days", "N", "prune: keeps what was used in the last N days (default: 30)" },
    { "all", nil, "prune: removes everything" },
    { "json", nil, "one JSON object" },
  },
  notes = "The cache is in $HILUM_CACHE, else in hilum below $XDG_CACHE_HOME or ~/.cache. Everything in it is made\n"
    .. "anew when it is needed, so any of it may be removed at any time. Phantoms beside it stay.",
}

local function open()
  local store, err = cache.open()
  if not store then error(err, 0) end
  return store
end

local function add(sum, one)
  sum.files, sum.bytes = sum.files + 1, sum.bytes + one.bytes
end

local function list(given)
  local store = open()
  local sums = { sets = { files = 0, bytes = 0 }, index = { files = 0, bytes = 0 } }
  local entries, oldest = 0, nil
  for _, one in ipairs(store:files()) do
    add(sums[one.kind], one)
    if one.name:find "%.about%.h5$" then
      entries, oldest = entries + 1, math.min(oldest or one.used, one.used)
    end
  end
  if given.json then
    common.emit { folder = store.root, entries = entries, sets = sums.sets, index = sums.index,
      least_recently_used = oldest and os.date("!%Y-%m-%dT%H:%M:%SZ", oldest) }
    return 0
  end
  print(string.format("folder        %s", store.root))
  print(string.format("prepared      %d scans or patients, %s", entries, progress.bytes(sums.sets.bytes)))
  print(string.format("indexes       %d folders, %s", sums.index.files, progress.bytes(sums.index.bytes)))
  if oldest then print("least used    " .. os.date("%Y-%m-%d", oldest)) end
  return 0
end

local function prune(given)
  if given.all and given["keep-days"] then
    error(problem.new("usage", "hilum data cache prune: --all and --keep-days exclude each other"), 0)
  end
  local days = given.all and 0 or options.number(command, given, "keep-days", 30, 1)
  local store = open()
  local files, bytes, err = store:prune(days)
  if err then error(err, 0) end
  if given.json then
    common.emit { folder = store.root, files = files, bytes = bytes }
  else
    print(string.format("%s: %d files removed, %s", store.root, files, progress.bytes(bytes)))
  end
  return 0
end

local actions = { list = list, prune = prune }

function command.run(given)
  local action = actions[given[1]]
  if not action then
    error(problem.new("usage", string.format("hilum data cache: expected list or prune, got '%s' (see hilum data cache "
      .. "--help)", given[1])), 0)
  end
  return action(given)
end

return command
