-- What a layer sees while its network is traced: the program that is being recorded, the model's
-- parameters, the place in the model, and the predictions collected so far.
--
-- A layer is a frozen value with a method build(self, b, x) -> y, where x and y are values of b.program.

local engine = require "hilum.engine"

local builder = {}
builder.__index = builder

--- store: the model's parameters, { dtype, seed, list = {…}, by_name = {…} }.
function builder.new(program, store)
  return setmetatable({
    program = program, store = store, path = {}, bound = {}, trainable = {}, heads = {}, layers = {},
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

--- A trainable parameter of this place. shape: list; fill(tensor, rng, shape) gives its start values
--- when the model meets it for the first time. options: { decay = false } keeps weight decay away.
function builder:param(name, shape, fill, options)
  local full = self:place(name)
  local store = self.store
  local found = store.by_name[full]
  if not found then
    local tensor = engine.zeros(shape, { dtype = store.dtype, category = "parameters" })
    if fill then fill(tensor, engine.rng(store.seed, "init:" .. full, 0, 0), shape) end
    found = { name = full, tensor = tensor, decay = not options or options.decay ~= false }
    store.by_name[full] = found
    store.list[#store.list + 1] = found
  end
  if not self.bound[full] then
    self.bound[full] = self.program:bind(full, found.tensor, true)
    self.trainable[#self.trainable + 1] = { parameter = found, value = self.bound[full] }
  end
  return self.bound[full]
end

--- An invertible step of a chain: forward(values…) -> values…, inverse(values…) -> values….
--- In rebuild mode nothing inside is kept for the backward pass.
function builder:invertible(inputs, rebuild, forward, inverse)
  local p = self.program
  p:block_begin(inputs, rebuild)
  local outputs = table.pack(forward(table.unpack(inputs)))
  local placeholders = p:block_turn(outputs)
  p:block_end(table.pack(inverse(table.unpack(placeholders))))
  return table.unpack(outputs, 1, outputs.n)
end

--- A prediction (logits) at a scale: strides { z, y, x } relative to the input.
function builder:head(stride, logits)
  self.heads[#self.heads + 1] = { stride = stride, logits = logits }
end

--- Notes a finished layer for listings; `y` is its result, or the parts of the state it leaves.
function builder:note(kind, y)
  local parts = type(y) == "table" and y or { y }
  local shape = parts[1].shape
  for i = 2, #parts do shape[2] = shape[2] + parts[i].shape[2] end
  self.layers[#self.layers + 1] = { place = self:place(), kind = kind, shape = shape, parameters = 0 }
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
