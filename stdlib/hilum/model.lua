-- A model: a network's specification together with its parameters, and the programs made of the two.

local engine = require "hilum.engine"
local budget = require "hilum.budget"
local builder = require "hilum.nn.builder"
local codec = require "hilum.codec"
local drawing = require "hilum.nn.drawing"
local finite = require "hilum.finite"
local grid = require "hilum.nn.grid"
local loss = require "hilum.loss"
local optim = require "hilum.optim"
local problem = require "hilum.problem"

local op = engine.op
local model = {}
model.__index = model

--- spec: a layer value, for example hl.nn.chain { … }. o: { seed, channels = 1, dtype = "f32", precision = that }.
--- precision = "bf16": images and their gradients are kept in 16 bits, parameters, statistics and losses in f32.
--- Parameters come to life when the network is first traced, with start values that depend on the seed and
--- their name alone.
function model.new(spec, o)
  o = o or {}
  local self = setmetatable({ spec = spec, channels = o.channels or 1, precision = o.precision or o.dtype or "f32" },
    model)
  self.store = builder.store { dtype = o.dtype or "f32", seed = o.seed or 0 }
  return self
end

--- Records the network on an image, of the parameters' type, in the model's precision.
function model:apply(b, image)
  return b:scope("model", function() return self.spec:build(b, grid.to(image, self.precision)) end)
end

-- Records the network on an image input; returns the builder, whose heads are the predictions.
local function trace(self, batch, size, o)
  local p = engine.program()
  local b = builder.new(p, self.store, o)
  local options = { dtype = self.store.dtype, layout = "image" }
  b.image = p:input("image", { batch, self.channels, size[1], size[2], size[3] }, options)
  local y = self:apply(b, b.image)
  if #b.heads == 0 then b:head({ 1, 1, 1 }, y) end
  self.layers, self.remarks = b:layer_list(), b.remarks
  return b
end

local function finest(b)
  for _, head in ipairs(b.heads) do
    if head.stride[1] * head.stride[2] * head.stride[3] == 1 then return head.logits end
  end
  error("the network makes no prediction at scale 1", 0)
end

-- What is said about the image itself: padding that a network added is cut off.
local function uncovered(b, x)
  if not b.padded then return x end
  local before, after = {}, {}
  for i = 1, 3 do before[i], after[i] = -b.padded.before[i], -b.padded.after[i] end
  return (op.pad(x, { before = before, after = after }))
end

-- Truth and validity under padding: nothing there counts.
local function covered(b, x)
  if not b.padded then return x end
  return (op.pad(x, { before = b.padded.before, after = b.padded.after }))
end

-- Adds truth, validity and the loss; notes which results of the program are what.
local function add_loss(self, b, spec, batch, size)
  local logits = finest(b)
  local shape = { batch, logits.shape[2], size[1], size[2], size[3] }
  local options = { dtype = self.store.dtype, layout = "image" }
  local truth, valid = b.program:input("truth", shape, options), b.program:input("valid", shape, options)
  local total, scales = loss.build(spec, b, b.heads, covered(b, truth), covered(b, valid))
  b.total, b.results = total, { loss = b.program:output(total), scales = {} }
  for i, s in ipairs(scales) do
    local entry = { scale = s.scale, loss = b.program:output(s.loss) }
    if type(s.weight) == "number" then entry.fixed = s.weight else entry.weight = b.program:output(s.weight) end
    b.results.scales[i] = entry
  end
  b.results.probability = b.program:output(op.sigmoid(uncovered(b, logits)))
end

local function number(tensor)
  return tensor:table()[1]
end

-- The numbers of a run, by name.
local function read_results(results, out)
  local scales = {}
  for i, s in ipairs(results.scales) do
    scales[i] = { scale = s.scale, loss = number(out[s.loss]), weight = s.fixed or number(out[s.weight]) }
  end
  return { loss = number(out[results.loss]), scales = scales, probability = out[results.probability] }
end

-- ---- training ----

local trainer = {}
trainer.__index = trainer

-- The gradients as inputs of a program of its own.
local function gradient_inputs(p, b)
  local list = {}
  for i, t in ipairs(b.trainable) do
    local item = t.parameter
    list[i] = p:input(item.name .. ".gradient", item.tensor.shape, { dtype = item.tensor.dtype })
  end
  return list
end

-- Records the optimiser's update of every parameter, and of its moving average if there is one; the inputs are the
-- gradients.
local function update_program(self, spec, b, average)
  local p = engine.program()
  self.clock = engine.zeros({ 3 }, { dtype = "f64", category = "optimiser" })
  local clock = p:bind("clock", self.clock, false)
  local gradients = gradient_inputs(p, b)
  for i, t in ipairs(b.trainable) do
    local item = t.parameter
    local state = spec:state(item.tensor)
    self.states[i] = { name = item.name, tensors = state }
    spec:emit(p, item, gradients[i], state, clock)
    if average then
      state.average = engine.zeros(item.tensor.shape, { dtype = item.tensor.dtype, category = "optimiser" })
      state.average:copy_(item.tensor)
      op.ema(p:bind(item.name .. ".average", state.average, false), p:bind(item.name, item.tensor, false),
        { decay = average })
    end
  end
  return p:finish()
end

-- Norm of all gradients together.
local function norm_program(b, order)
  local p = engine.program()
  p:output(optim.norm(gradient_inputs(p, b), order))
  return p:finish()
end

-- Records forward and backward pass. kept: places whose activations are stored all the same. slabs: places whose
-- couplings go through slabs.
local function record_step(step, kept, slabs)
  local o = step.options
  local b = trace(step.model, o.batch, o.size, { training = true, kept = kept, slabs = slabs })
  add_loss(step.model, b, o.loss, o.batch, o.size)
  local wrt = {}
  for i, t in ipairs(b.trainable) do wrt[i] = t.value end
  for _, g in ipairs(b.program:gradient(b.total, wrt)) do b.program:output(g, "gradients") end
  for _, update in ipairs(b.updates) do b.program:output(update.value) end
  b.program:finish()
  step.program, step.results, step.first_gradient, step.changes = b.program, b.results, b.results.probability, b.updates
  step.parameters, step.layers, step.remarks = b.trainable, b:layer_list(), b.remarks
  step.kept, step.slabs = kept, slabs
  for _, line in ipairs(budget.lines(slabs)) do table.insert(step.remarks, line) end
  return b
end

-- Records the step anew, in slabs where that is needed to keep the budget. Returns true, or nil and a problem.
local function keep_budget(step, limit, streams)
  local slabs, err = budget.fit(limit, streams, function(slabs)
    if next(slabs) then record_step(step, step.kept, slabs) end
    local plan = step:plan()
    return { bytes = plan.bytes.peak, where = plan.where }
  end)
  return slabs ~= nil, err
end

--- o: { loss, optim, batch, size = { z, y, x }, accumulate, average, budget, slabs }. The step for batches of this
--- shape. accumulate: how many of them go into one update (1), which plans count with. average: decay of a moving
--- average of the weights, which starts as they are now; none without it. budget: bytes that a step may hold at most;
--- to keep it, couplings go through slabs of z, and what would fit is said where that is not enough (nil and a
--- problem). slabs: { [place] = slices at a time }, chosen by hand.
function model:trainer(o)
  local step = setmetatable({ model = self, options = o, states = {}, steps = 0, runs = 0 }, trainer)
  local b = record_step(step, {}, o.slabs or {})
  step.update_program = update_program(step, o.optim, b, o.average)
  step.clip_norm = o.optim.clip_norm
  step.norm_program = norm_program(b, o.optim.clip_order)
  if not o.budget then return step end
  local fits, err = keep_budget(step, o.budget, b.streams)
  if not fits then return nil, err end
  return step
end

--- From now on the activations at these places, { [place] = true }, are stored although their network rebuilds.
function trainer:keep(places)
  record_step(self, places, self.slabs)
end

-- At once, not when the collector comes by: they are as large as the parameters.
local function drop_gradients(self)
  for _, gradient in ipairs(self.gradients or {}) do gradient:free() end
  self.gradients, self.runs = nil, 0
end

-- The sum of the gradients of several runs; takes both lists.
local function add_gradients(before, fresh)
  for i, gradient in ipairs(fresh) do
    local sum = op.add(before[i], gradient)
    before[i]:free()
    gradient:free()
    fresh[i] = sum
  end
  return fresh
end

-- Running statistics with what the last run has seen.
local function apply_changes(self)
  for i, change in ipairs(self.changes) do change.tensor:copy_(self.changed[i]) end
end

-- Dropout draws anew in each run: the number of this one since the training began. run: since the last update, from 1.
local function count_run(self, run)
  self.model.store.step:set(1, self.steps * (self.options.accumulate or 1) + run)
end

-- Numbers that left the range of a state's grid: { [place of a level] = count }.
local function by_level(clipped)
  local levels = {}
  for place, n in pairs(clipped) do
    local level = place:gsub("%.coupling%[%d+%].*$", "")
    levels[level] = (levels[level] or 0) + n
  end
  return levels
end

-- The passes; the gradients are returned, not kept.
local function passes(self, batch, observer)
  count_run(self, self.runs + 1)
  local out, err = self.program:run({ batch.image, batch.truth, batch.valid }, observer)
  if not out then return nil, err end
  local last = self.first_gradient + #self.parameters
  self.changed, self.runs = table.move(out, last + 1, #out, 1, {}), self.runs + 1
  local result = read_results(self.results, out)
  result.clipped = by_level(self.program:clipped())
  return result, table.move(out, self.first_gradient + 1, last, 1, {})
end

--- Forward and backward pass of { image, truth, valid }, tensors { batch, 1, z, y, x }. Returns { loss,
--- scales = { { scale, loss, weight }, … }, probability, clipped = { [place] = numbers of a 16-bit state that left its
--- range and were cut off } }, or nil and an error with code "cancelled". An observer is called after each op with
--- { op, place, backward, seconds, live, block, input, out }, see hilum.profile and hilum.timeline; what it returns,
--- unless it is nothing, ends the run.
function trainer:run(batch, observer)
  drop_gradients(self) -- before the next ones are made
  local result, gradients = passes(self, batch, observer)
  if not result then return nil, gradients end
  self.gradients = gradients
  return result
end

--- The same after a run, whose gradients stay: update takes the mean of those of all runs since the last one.
function trainer:add(batch)
  assert(self.gradients, "add comes after run")
  apply_changes(self)
  local result, gradients = passes(self, batch)
  if not result then return nil, gradients end
  self.gradients = add_gradients(self.gradients, gradients)
  return result
end

--- Runs the passes of the last run again, looking at each op, for the first result that is not finite: what
--- finite.search says of it, or nil if there is none. The gradients stay as they are. run: as which of the runs since
--- the last update (the last one); dropout draws by it.
function trainer:search(batch, run)
  count_run(self, run or self.runs)
  return finite.search(self.program, { batch.image, batch.truth, batch.valid })
end

-- What the sum of the gradients is multiplied by, and the norm of their mean; nil and a problem if it is no number, or
-- if the user asked to stop.
local function scaling(self)
  local out, err = self.norm_program:run(self.gradients)
  if not out then return nil, err end
  local norm = number(out[1]) / self.runs
  if norm ~= norm or norm == math.huge then
    return nil, problem.new("nan", "the norm of the gradients is " .. (norm ~= norm and "nan" or norm))
  end
  return (self.clip_norm and optim.clip_factor(norm, self.clip_norm) or 1) / self.runs, norm
end

--- Changes the parameters with the gradients of the last run (the mean of those of several), and running statistics
--- with what it has seen. Returns true and the norm of the gradients before clipping; or nil and a problem: a gradient
--- is not finite (code "nan"), and no parameter has changed; or "cancelled", perhaps in the middle of the changes.
function trainer:update(rate)
  assert(self.gradients, "update comes after run")
  local factor, norm = scaling(self)
  if not factor then return nil, norm end
  self.steps = self.steps + 1
  self.clock:set(1, rate)
  self.clock:set(2, self.steps)
  self.clock:set(3, factor)
  local out, err = self.update_program:run(self.gradients)
  if not out then return nil, err end
  apply_changes(self)
  drop_gradients(self)
  return true, norm
end

--- The moving averages of the weights by name, where the trainer keeps them, and what is not trained (not copies).
function trainer:averages()
  local weights = {}
  for _, item in ipairs(self.model.store.states) do weights[item.name] = item.tensor end
  for _, s in ipairs(self.states) do weights[s.name] = s.tensors.average end
  return weights
end

--- Exchanges the weights with their moving averages, if the trainer keeps them: what is predicted from then on is the
--- averages', until the next call.
function trainer:swap_averages()
  for i, t in ipairs(self.parameters) do
    local average, weight = self.states[i].tensors.average, t.parameter.tensor
    if average then
      local held <close> = weight:clone()
      weight:copy_(average)
      average:copy_(held)
    end
  end
end

--- The optimiser's tensors by name, and how many steps it has made.
function trainer:state()
  local tensors = {}
  for _, s in ipairs(self.states) do
    for part, tensor in pairs(s.tensors) do tensors[s.name .. "." .. part] = tensor end
  end
  return { tensors = tensors, steps = self.steps }
end

function trainer:load_state(state)
  for name, tensor in pairs(self:state().tensors) do
    tensor:copy_(assert(state.tensors[name], "the optimiser's state lacks " .. name))
  end
  self.steps = state.steps
end

local function parameter_bytes(self)
  local bytes = 0
  for _, t in ipairs(self.parameters) do bytes = bytes + t.parameter.tensor.bytes end
  return bytes
end

--- What training will hold, from the program itself run on a counting ledger: { parameters = count, bytes =
--- { parameters, optimiser, gradients, state, workspace, data, peak }, where, ops, layers }.
function trainer:plan()
  local plan = self.program:plan()
  local bytes, count = plan.peak, 0
  for _, t in ipairs(self.parameters) do count = count + #t.parameter.tensor end
  bytes.parameters = bytes.parameters + parameter_bytes(self)
  bytes.optimiser = bytes.optimiser + self.clock.bytes
  for _, s in ipairs(self.states) do
    for _, tensor in pairs(s.tensors) do bytes.optimiser = bytes.optimiser + tensor.bytes end
  end
  if (self.options.accumulate or 1) > 1 then -- the sum so far, beside those of a run
    local sum = parameter_bytes(self)
    bytes.gradients, bytes.all = bytes.gradients + sum, bytes.all + sum
  end
  bytes.peak, bytes.all = bytes.all + bytes.parameters + bytes.optimiser, nil
  return { parameters = count, bytes = bytes, where = plan.where, ops = plan.ops, layers = self.layers,
    remarks = self.remarks, drawing = drawing.text(self.layers, self.model.precision) }
end

-- ---- use ----

--- o: { loss, batch, size }. run { image, truth, valid } -> as a trainer's run, without gradients; search likewise.
function model:evaluator(o)
  local b = trace(self, o.batch, o.size)
  add_loss(self, b, o.loss, o.batch, o.size)
  b.program:finish()
  return {
    run = function(_, batch)
      local out, err = b.program:run { batch.image, batch.truth, batch.valid }
      if not out then return nil, err end
      return read_results(b.results, out)
    end,
    search = function(_, batch) return finite.search(b.program, { batch.image, batch.truth, batch.valid }) end,
  }
end

--- o: { batch, size, slabs (as for a trainer) }. run(image[, observer]) -> probabilities { batch, classes, z, y, x };
--- streams: what can go through slabs.
function model:predictor(o)
  local b = trace(self, o.batch, o.size, { slabs = o.slabs })
  b.program:output(op.sigmoid(uncovered(b, finest(b))))
  b.program:finish()
  return {
    program = b.program, streams = b.streams,
    run = function(_, image, observer)
      local out, err = b.program:run({ image }, observer)
      if not out then return nil, err end
      return out[1]
    end,
  }
end

--- What encodes, decodes and inverts the model's invertible network: see hilum.codec.
function model:codec(o)
  return codec.new(self.spec, self.store, o)
end

--- The plan of a training step: o as for trainer.
function model:plan(o)
  return self:trainer(o):plan()
end

--- Ordered list of { name, tensor, decay }: everything that is trained. Empty before the first trace.
function model:parameters()
  return self.store.list
end

--- Number of trained values.
function model:parameter_count()
  local n = 0
  for _, item in ipairs(self.store.list) do n = n + #item.tensor end
  return n
end

-- Everything with values: what is trained, then fixed matrices and running statistics.
local function all_items(self)
  local items = table.move(self.store.list, 1, #self.store.list, 1, {})
  return table.move(self.store.states, 1, #self.store.states, #items + 1, items)
end

--- Everything the model is made of by name, what is not trained included: the tensors themselves, not copies.
function model:weights()
  local weights = {}
  for _, item in ipairs(all_items(self)) do weights[item.name] = item.tensor end
  return weights
end

--- Bytes of all of it.
function model:bytes()
  local sum = 0
  for _, item in ipairs(all_items(self)) do sum = sum + item.tensor.bytes end
  return sum
end

--- Copies values into the model; every one must be there with its shape, finite.
function model:load_weights(weights)
  for _, item in ipairs(all_items(self)) do
    local tensor = weights[item.name]
    if not tensor then error(string.format("the weights lack '%s'", item.name), 2) end
    local stats = tensor:stats()
    if stats.nan + stats.infinite > 0 then
      error(string.format("the weights '%s' hold %d numbers that are not finite", item.name,
        stats.nan + stats.infinite), 2)
    end
    item.tensor:copy_(tensor)
  end
end

--- The network as text, with the shapes for a batch of images of this size: its U, then every layer.
--- o: { batch = 1, size = { z, y, x } }
function model:draw(o)
  trace(self, o.batch or 1, o.size)
  return tostring(self)
end

--- At the prompt: as it was last traced.
function model:__tostring()
  if not self.layers then return "a model without shapes yet: model:draw { size = { z, y, x } } says them" end
  local lines = { drawing.text(self.layers, self.precision), model.listing(self.layers) }
  if lines[1] == "" then table.remove(lines, 1) end
  for _, remark in ipairs(self.remarks) do lines[#lines + 1] = remark end
  lines[#lines + 1] = string.format("%d parameters", self:parameter_count())
  return table.concat(lines, "\n")
end

--- The layers of a plan as lines: place, kind, shape, trained values.
function model.listing(layers)
  local rows, widths = {}, { 0, 0, 0, 0 }
  for i, l in ipairs(layers) do
    rows[i] = { l.place, l.kind, table.concat(l.shape, " x "), string.format("%d", l.parameters) }
    for k, text in ipairs(rows[i]) do widths[k] = math.max(widths[k], utf8.len(text)) end
  end
  for i, row in ipairs(rows) do
    local cells = {}
    for k, text in ipairs(row) do
      local gap = string.rep(" ", widths[k] - utf8.len(text))
      cells[k] = k == 4 and gap .. text or text .. gap
    end
    rows[i] = table.concat(cells, "  ")
  end
  return table.concat(rows, "\n")
end

return model
