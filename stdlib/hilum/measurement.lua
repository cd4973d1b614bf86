-- hl.measure: experiments that measure hilum itself instead of training to the end. A script returns one, `hilum run`
-- carries it out: values of the family "measurement" with
--   run(self, o)          o: { each = function(row, done, total) } -> rows, or nil and a problem
--   table(self, rows)     as Markdown
--   fixed(self)           { side, couplings }, what stays as it is while the other changes: for hilum.figure.memory

local cost = require "hilum.cost"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local json = require "hilum.json"
local loss = require "hilum.loss"
local nn = require "hilum.nn"
local problem = require "hilum.problem"
local schema = require "hilum.schema"

local measurement = {}

-- ---- lines of a peer ----

local nets = { iunet = "iUNet", unet = "UNet", ["iunet-rebuilt"] = "iUNet", ["iunet-stored"] = "iUNet" }

-- A whole number, given as such, as text, or as the first of a list of equal ones.
local function whole(x)
  if type(x) == "table" then x = x[1] end
  return math.tointeger(tonumber(x))
end

local function peer_row(line, path, i)
  local given = json.decode(line)
  if type(given) ~= "table" then given = {} end
  local row = { who = given.who, net = nets[given.net], size = whole(given.size), blocks = whole(given.blocks),
    parameters = whole(given.parameters), resident = whole(given.peak_above_start_bytes), peer = true }
  for _, name in ipairs { "who", "net", "size", "blocks", "parameters", "resident" } do
    if not row[name] then
      return nil, problem.new("format", string.format("%s, line %d: no %s (expected a line of JSON with who, net, "
        .. "size, blocks, parameters, peak_above_start_bytes)", path, i, name))
    end
  end
  row.couplings, row.blocks = row.blocks, nil
  row.mode = row.net == "iUNet" and line:find("rebuil", 1, true) and "rebuilt" or "stored"
  return row
end

local function read_peers(path)
  local file, message = io.open(path, "r")
  if not file then return nil, problem.new("io", message) end
  local rows, i = {}, 0
  for line in file:lines() do
    i = i + 1
    if line:find "%S" then
      local row, err = peer_row(line, path, i)
      if not row then
        file:close()
        return nil, err
      end
      rows[#rows + 1] = row
    end
  end
  file:close()
  return rows
end

-- ---- what is measured ----

-- { net, mode, size, couplings } of every step, each once.
local function configurations(self)
  local list, known = {}, {}
  local function add(net, mode, size, couplings)
    local key = table.concat({ net, mode, size, couplings or "" }, " ")
    if not known[key] then list[#list + 1] = { net = net, mode = mode, size = size, couplings = couplings } end
    known[key] = true
  end
  for _, mode in ipairs { "rebuilt", "stored" } do
    for _, couplings in ipairs(self.depth.couplings) do add("iUNet", mode, self.depth.side, couplings) end
    for _, side in ipairs(self.size.sides) do add("iUNet", mode, side, self.size.couplings) end
  end
  for _, side in ipairs(self.size.sides) do add("UNet", "stored", side) end
  return list
end

local function network(self, c)
  local channels, couplings = table.move(self.channels, 1, #self.channels, 1, {}), {}
  if c.net == "UNet" then return nn.unet { channels = channels } end
  for i = 1, #channels do couplings[i] = c.couplings end
  return nn.chain {
    nn.conv { out = channels[1] },
    nn.iunet { channels = channels, couplings = couplings, backprop = c.mode == "rebuilt" and "rebuild" or "store" },
  }
end

-- One configuration, with the system's own peak counted anew.
local function row_of(self, c)
  collectgarbage()
  collectgarbage()
  engine.reset_peak() -- gives back what was kept of the one before
  engine.reset_resident()
  local r = cost.of_steps { net = network(self, c), size = { c.size, c.size, c.size }, n = 1, loss = loss.dice {},
    steps = self.steps }
  return { who = "hilum " .. engine.version, net = c.net, mode = c.mode, size = c.size, couplings = c.couplings,
    parameters = r.parameters, resident = r.peak_above_start_bytes, planned = r.planned_bytes - r.start_ledger_bytes,
    ledger = r.peak_ledger_bytes - r.start_ledger_bytes, activations = r.peak_ledger_activation_bytes }
end

local function run(self, o)
  local peers, err = {}, nil
  if self.peers then peers, err = read_peers(self.peers) end
  if not peers then return nil, err end
  local rows, list = {}, configurations(self)
  for i, c in ipairs(list) do
    if engine.cancelled() then return nil, problem.new("cancelled", "interrupted") end
    rows[i] = row_of(self, c)
    o.each(rows[i], i, #list)
  end
  return table.move(peers, 1, #peers, #rows + 1, rows)
end

-- ---- the table ----

local function mib(bytes)
  return bytes and string.format("%.0f", bytes / 2 ^ 20) or ""
end

local function before(a, b)
  if (a.peer or false) ~= (b.peer or false) then return not a.peer end
  for _, name in ipairs { "who", "net", "mode", "size", "couplings" } do
    local x, y = a[name] or 0, b[name] or 0
    if x ~= y then return x < y end
  end
  return false
end

local function table_of(_, rows)
  local lines = { "| who | net | side | couplings | parameters | promised | ledger | resident | activations |",
    "|---|---|---|---|---|---|---|---|---|" }
  local sorted = table.move(rows, 1, #rows, 1, {})
  table.sort(sorted, before)
  for _, r in ipairs(sorted) do
    lines[#lines + 1] = string.format("| %s | %s %s | %d | %s | %d | %s | %s | %s | %s |", r.who, r.net, r.mode, r.size,
      r.net == "UNet" and "" or r.couplings, r.parameters, mib(r.planned), mib(r.ledger), mib(r.resident),
      mib(r.activations))
  end
  return table.concat(lines, "\n")
end

local function numbers(doc, default)
  return schema.list(schema.int { min = 1, max = 4096 }, { min = 1, default = default, doc = doc })
end

local fields = {
  name = schema.string { pattern = "[%w][%w_.%-]*", text = "a name of letters, digits and - _ .", default = "memory",
    doc = "names the files" },
  channels = schema.list(schema.int { min = 2 }, { min = 2, default = { 16, 32, 64, 128 }, doc = "per level" }),
  depth = schema.record { doc = "what is varied at one size", default = {}, fields = {
    couplings = numbers("per level", { 1, 2, 5, 10, 20 }),
    side = schema.int { min = 8, default = 64, doc = "of the image, in voxels" } } },
  size = schema.record { doc = "what is varied at one depth", default = {}, fields = {
    sides = numbers("of the image, in voxels", { 32, 48, 64, 96, 128 }),
    couplings = schema.int { min = 1, default = 2, doc = "per level" } } },
  steps = schema.int { min = 1, default = 2, doc = "of each configuration" },
  peers = schema.optional(schema.path { doc = "a file with the figures of others, one line of JSON each, shown "
    .. "beside: who, net (unet, iunet-stored, iunet-rebuilt), size, blocks, parameters, peak_above_start_bytes" }),
}

measurement.memory = schema.constructor("hl.measure.memory", {
  doc = "Peak memory of a training step against depth and against image size: promised, by the ledger, resident.",
  family = "measurement",
  fields = fields,
  prepare = function(raw, report) return experiment.apply_settings(raw, report, fields) end,
  methods = {
    run = run,
    table = table_of,
    fixed = function(self) return { side = self.depth.side, couplings = self.size.couplings } end,
  },
})

return measurement
