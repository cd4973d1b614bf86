-- What a layer sees while its network is traced: the program that is being recorded, the model's
-- parameters, the place in the model, and the predictions collected so far.
--
-- A layer is a frozen value with a method build(self, b, x) -> y, where x and y are values of b.program.

local engine = require "hilum.engine"
local grid = require "hilum.nn.grid"

local builder = {}
builder.__index = builder

--- An empty store of parameters. o: { dtype, seed }. list: what is trained; states: what is not; step: number of the
--- training step, which draws by random depend on; drops: number of each place where something is dropped.
function builder.store(o)
  return { dtype = o.dtype, seed = o.seed, list = {}, states = {}, by_name = {}, drops = {}, drop_count = 0,
    step = engine.zeros({ 1 }, { dtype = "f64", category = "parameters" }) }
end

--- store: the model's parameters. o.training: the network is traced to be trained (statistics of batches).
--- o.kept: places whose activations are stored although their network rebuilds, { [place] = true }.
--- o.slabs: places whose couplings go through slabs of so many slices, { [place] = thickness }.
--- o.steps: a list that takes the invertible steps instead of declaring them as blocks, see builder:invertible.
function builder.new(program, store, o)
  o = o or {}
  return setmetatable({
    program = program, store = store, path = {}, bound = {}, trainable = {}, heads = {}, layers = {}, updates = {},
    remarks = {}, streams = {}, training = o.training or false, kept = o.kept or {}, slabs = o.slabs or {},
    steps = o.steps,
  }, builder)
end

--- Runs f(…) at a named place of the model: "iunet", "level[2]". Errors, plans and parameter names say it.
function builder:scope(name, f, ...)
  self.program:enter(name)
  self.path[#self.path + 1] = name
  local results = table.pack(f(...))
  self.path[#self.path] = nil
  self.program:leave()
  return table.unpack(results, 1, results.n)
end

--- "model[2].iunet" or, with a name, "model[2].iunet.name".
function builder:place(name)
  local path = ""
  for _, part in ipairs(self.path) do
    path = path .. ((path == "" or part:sub(1, 1) == "[") and "" or ".") .. part
  end
  if not name then return path end
  return path == "" and name or path .. "." .. name
end

-- A tensor of this place from the store, made when the model meets it for the first time.
local function stored(self, full, shape, fill, into, decay)
  local store = self.store
  local found = store.by_name[full]
  if found then return found end
  local tensor = engine.zeros(shape, { dtype = store.dtype, category = "parameters" })
  if fill then fill(tensor, engine.rng(store.seed, "init:" .. full, 0, 0), shape) end
  found = { name = full, tensor = tensor, decay = decay }
  store.by_name[full] = found
  into[#into + 1] = found
  return found
end

--- A trainable parameter of this place. shape: list; fill(tensor, rng, shape) gives its start values.
--- options: { decay = false } keeps weight decay away.
function builder:param(name, shape, fill, options)
  local full = self:place(name)
  if not self.bound[full] then
    local found = stored(self, full, shape, fill, self.store.list, not options or options.decay ~= false)
    self.bound[full] = self.program:bind(full, found.tensor, true)
    self.trainable[#self.trainable + 1] = { parameter = found, value = self.bound[full] }
  end
  return self.bound[full]
end

--- The same for what is not trained but belongs to the model: fixed matrices, running statistics.
--- Returns the value and the tensor itself.
function builder:state(name, shape, fill)
  local full = self:place(name)
  local found = stored(self, full, shape, fill, self.store.states, false)
  self.bound[full] = self.bound[full] or self.program:bind(full, found.tensor, false)
  return self.bound[full], found.tensor
end

--- A change of a state that each training step makes: value() gives what it becomes. Only the first of a place
--- counts: what is computed again is not a further step.
function builder:update(name, tensor, value)
  local full = self:place(name)
  if self.updates[full] then return end
  local update = { name = full, tensor = tensor, value = value() }
  self.updates[full] = update
  self.updates[#self.updates + 1] = update
end

-- What a map of places says of this place, or of the outermost one around it that it knows.
local function said_of(self, map)
  if not next(map) then return nil end
  local path = ""
  for _, part in ipairs(self.path) do
    path = path .. ((path == "" or part:sub(1, 1) == "[") and "" or ".") .. part
    if map[path] then return map[path] end
  end
end

--- How many slices at a time a coupling of this place goes through; nil: all at once.
function builder:slab()
  return said_of(self, self.slabs)
end

--- Notes that the couplings of the place around this one can go through slabs. parts: the state there.
function builder:can_stream(parts)
  local inner = table.remove(self.path)
  local place, values = self:place(), 0
  self.path[#self.path + 1] = inner
  if self.streams[place] then return end
  for _, part in ipairs(parts) do
    local n = 1
    for _, size in ipairs(part.shape) do n = n * size end
    values = values + n
  end
  local one = { place = place, slices = parts[1].shape[3], values = values }
  self.streams[place], self.streams[#self.streams + 1] = one, one
end

--- What f() gives. Nothing inside is kept for the backward pass, which computes it again.
function builder:again(f)
  self.program:again_begin()
  local result = f()
  self.program:again_end()
  return result
end

--- An invertible step of a chain: forward(values…) -> values…, inverse(values…) -> values….
--- In rebuild mode nothing inside is kept for the backward pass. Where steps are collected, the step is appended
--- to them as { inputs, outputs, inverse, path, dimensions } and its ops are ordinary ones.
function builder:invertible(inputs, rebuild, forward, inverse)
  local p = self.program
  if self.steps then
    local outputs = table.pack(forward(table.unpack(inputs)))
    self.steps[#self.steps + 1] = { inputs = inputs, outputs = outputs, inverse = inverse,
      path = table.move(self.path, 1, #self.path, 1, {}), dimensions = self.dimensions }
    return table.unpack(outputs, 1, outputs.n)
  end
  p:block_begin(inputs, rebuild and not said_of(self, self.kept))
  local outputs = table.pack(forward(table.unpack(inputs)))
  local placeholders = p:block_turn(outputs)
  p:block_end(table.pack(inverse(table.unpack(placeholders))))
  return table.unpack(outputs, 1, outputs.n)
end

--- Where steps are collected: names the state that is reached, to be compared when it is rebuilt.
function builder:mark(parts)
  if self.steps then self.steps[#self.steps + 1] = { mark = self:place(), parts = parts } end
end

--- x with numbers (or, o.channels, whole channels) set to 0 at random while the network is trained. o: { rate,
--- channels }. What is dropped depends on the model's seed, the place and the number of the step.
function builder:dropout(x, o)
  if not self.training or o.rate == 0 then return x end
  local store, place = self.store, self:place()
  if not store.drops[place] then
    store.drop_count = store.drop_count + 1
    store.drops[place] = store.drop_count
  end
  self.step = self.step or self.program:bind("step", store.step, false)
  return (engine.op.dropout(x, self.step, { rate = o.rate, channels = o.channels, seed = store.seed,
    stream = store.drops[place] }))
end

--- A prediction (logits) at a scale: strides { z, y, x } relative to the input. Losses compute in the parameters' type.
function builder:head(stride, logits)
  logits = grid.to(logits, self.store.dtype)
  self.heads[#self.heads + 1] = { stride = stride, logits = logits }
end

--- Notes a finished layer for listings; `y` is its result, or the parts of the state it leaves.
function builder:note(kind, y)
  local parts = type(y) == "table" and y or { y }
  local shape = parts[1].shape
  for i = 2, #parts do shape[2] = shape[2] + parts[i].shape[2] end
  self.layers[#self.layers + 1] = { place = self:place(), kind = kind, shape = shape, parameters = 0 }
end

--- Notes what was built otherwise than wished, for plans.
function builder:remark(text)
  self.remarks[#self.remarks + 1] = self:place() .. ": " .. text
end

--- The noted layers, each with the number of trained values at its place and below (as far as no other
--- layer is nearer to them).
function builder:layer_list()
  for _, layer in ipairs(self.layers) do layer.parameters = 0 end
  for _, t in ipairs(self.trainable) do
    local nearest, length = nil, -1
    for _, layer in ipairs(self.layers) do
      local rest = t.parameter.name:sub(#layer.place + 1, #layer.place + 1)
      local inside = t.parameter.name:sub(1, #layer.place) == layer.place and (rest == "." or rest == "[")
      if inside and #layer.place > length then nearest, length = layer, #layer.place end
    end
    if nearest then nearest.parameters = nearest.parameters + #t.parameter.tensor end
  end
  return self.layers
end

return builder
