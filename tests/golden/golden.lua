-- Golden tests: every case of every file of a topic is computed again and compared, in f64 through the
-- reference of each op and in f32 and bf16 through the kernels. One TAP line per case tells the worst error of each
-- pass, lines at the end ("errors TOPIC PASS …") the median and the worst of all cases.
--
--   local golden = require "golden.golden"
--   golden.run {
--     topic = "ops",
--     ops = { -- by the case's attribute `op`
--       conv3d = {
--         bind = { x = golden.image },                -- how a dataset becomes a tensor; default: as it is
--         run = function(case, v)                     -- v.x, v.weight, …: values of a live program
--           return { y = op.conv(v.x, v.weight, v.bias, { stride = case.stride }) }
--         end,
--       },
--     },
--   }
--
-- `case` holds the group's attributes (`config` included, unpacked), its name and the dtype of this pass. v has the
-- datasets inputs.*, weights.* and state.* without their section; a third argument has every section as tensors.
-- run returns what the file calls outputs.* (values, tensors, numbers or lists), then optionally the scalar that is
-- differentiated (default: the sum of outputs times upstream), then optionally gradients by name that are not those
-- of the values in v. A fourth argument, read(name), gives another case of the file and its tensors by section. Where
-- results are attributes of the group, the entry names them in `attributes`; they are compared as outputs. Where
-- something is not there yet, run calls golden.missing("dilation"): the case is a failure known to be one.
--
-- Where a reference value is known to be less exact, the entry's tolerance(case, data) says how much is allowed (nil:
-- as usual; only f64 gets less than usual).
--
-- Passes in 16 bits: "bf16", images in bf16 and the rest in f32, and "q10", in which case.state is that grid and
-- images go through it as an invertible network's state does (entries with `state`). Entries with `parameters` have no
-- images and stay f32. Such a pass is judged beside "moved": the exact result of data that 16 bits have rounded and, in
-- networks, of data moved at random by as much. What that does to a number is what the case itself makes of roundings,
-- and is allowed on top of the tolerance. In networks a rounding can put a value on the other side of an activation's
-- kink, which changes single gradients by any amount: there the gradients of a case are measured together, root of
-- summed squares. Where an entry's steps(case, data) is true the case is a step, of which 16 bits can say nothing: it
-- is noted apart, and must be finite.
--
-- Files are looked for in HILUM_GOLDEN, else in HILUM_SHARED/golden. With HILUM_GOLDEN_OUT=DIR everything computed
-- in f64 is also written there, under the reference's names of files, groups, datasets and attributes.

local t = require "tap"
local engine = require "hilum.engine"
local errors = require "golden.errors"
local read_json = require "golden.json"

local golden = {}

-- Largest difference allowed, relative to the largest reference value of the dataset.
-- In 16 bits an op rounds up to three times by up to 2⁻⁸: an upstream gradient, a product or sum, the result.
local TOLERANCE = {
  f64 = { outputs = 1e-10, grads = 1e-10 }, f32 = { outputs = 2e-5, grads = 2e-5 },
  bf16 = { outputs = 3 * 2 ^ -8, grads = 3 * 2 ^ -8 },
}

local PASSES = {
  f64 = { dtype = "f64" }, f32 = { dtype = "f32" },
  moved = { dtype = "f64", narrow = true },
  bf16 = { dtype = "bf16", narrow = true }, q10 = { dtype = "bf16", state = "q10", narrow = true },
}

-- A tolerance that only infinities and NaN exceed.
local FINITE = 1e30

-- How often a network's data are moved.
local TRIES = 3

--- Ends a case: what it needs is not there yet.
function golden.missing(what)
  error({ missing = what }, 0)
end

-- ---- how datasets become tensors ----

local function with_axes(tensor, leading, spatial)
  local shape = {}
  for i = 1, leading do shape[i] = tensor.shape[i] end
  for _ = 1, spatial - (#tensor.shape - leading) do shape[#shape + 1] = 1 end
  for i = leading + 1, #tensor.shape do shape[#shape + 1] = tensor.shape[i] end
  return tensor:reshape(shape)
end

--- N, C and one to three spatial axes as an image.
function golden.image(tensor)
  return with_axes(tensor, 2, 3):dense "image"
end

--- A convolution's weight with one to three spatial axes as one with three.
function golden.kernel(tensor)
  return with_axes(tensor, 2, 3)
end

--- One to three numbers for the last axes as three for z, y, x.
function golden.zyx(list, filler)
  local full = { filler, filler, filler }
  for i = 1, #list do full[3 - #list + i] = list[i] end
  return full
end

-- ---- cases ----

-- "grads.F.0.weight" -> "grads", "F.0.weight"
local function split(name)
  return name:match "^([^.]*)%.(.*)$"
end

local function read_case(store, name)
  local case, group = { name = name }, "/" .. name
  local config = store:attr(group, "config")
  for key, value in pairs(config and read_json(config) or {}) do case[key] = value end
  for _, key in ipairs(store:attrs(group)) do
    if case[key] == nil and key ~= "config" then case[key] = store:attr(group, key) end
  end
  return case
end

local renamed = { monai = "peer" }

-- Tensors of a case by section and bare name, all f64. peer: results of another tool, which run compares itself.
local function read_data(store, name)
  local data = { inputs = {}, weights = {}, state = {}, upstream = {}, outputs = {}, grads = {}, peer = {} }
  for _, dataset in ipairs(store:list("/" .. name)) do
    local section, bare = split(dataset)
    section = renamed[section] or section
    local path = "/" .. name .. "/" .. dataset
    local text = section == "inputs" and type(store:get(path)) == "table" -- names, not numbers
    if data[section] and not text then data[section][bare] = store:tensor(path):to "f64" end
  end
  return data
end

-- A plain f64 tensor of a number or a list.
local function of_numbers(x)
  if type(x) == "table" then return engine.from(x, { dtype = "f64" }) end
  return engine.from({ x }, { dtype = "f64" }):reshape {}
end

local function read_attributes(entry, case, data)
  for _, name in ipairs(entry.attributes or {}) do
    if case[name] ~= nil then data.outputs[name] = of_numbers(case[name]) end
  end
end

local function sorted(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- ---- computing one ----

-- Values of a live program for inputs, weights and state; those with a gradient are trainable. Beside bf16 images
-- weights and state are f32.
local function bind(program, entry, case, data)
  local values = {}
  for _, section in ipairs { "inputs", "weights", "state" } do
    for _, name in ipairs(sorted(data[section])) do
      local wide = case.dtype == "bf16" and section ~= "inputs"
      local tensor = data[section][name]:to(wide and "f32" or case.dtype)
      local shape_it = entry.bind and entry.bind[name]
      if shape_it then tensor = shape_it(tensor, case) end
      values[name] = program:bind(name, tensor, data.grads[name] ~= nil)
    end
  end
  return values
end

local function upstream_of(tensor, out, dtype)
  return tensor:to(dtype):reshape(out.shape):dense(out.layout)
end

local function weighted_sum(outputs, data, dtype)
  local op = engine.op
  local total
  for _, name in ipairs(sorted(data.upstream)) do
    local out = outputs[name]
    if out then
      local part = op.sum(op.mul(out, upstream_of(data.upstream[name], out, dtype)))
      total = total and op.add(total, part) or part
    end
  end
  return total
end

local function gradients(program, objective, values, data, given)
  local names, wrt, result = {}, {}, {}
  for _, name in ipairs(sorted(data.grads)) do
    if given and given[name] then
      result[name] = given[name]
    elseif values[name] then
      names[#names + 1], wrt[#wrt + 1] = name, values[name]
    end
  end
  if objective and #wrt > 0 then
    for i, value in ipairs(program:gradient(objective, wrt)) do result[names[i]] = value end
  end
  return result
end

-- A plain f64 tensor of what a case returned: a program's value, a tensor, a number or a list.
local function plain(x)
  if type(x) == "number" or type(x) == "table" then return of_numbers(x) end
  local ok, tensor = pcall(function() return x:tensor() end)
  return (ok and tensor or x):to("f64"):dense "plain"
end

-- Data as 16 bits hold them; after the first try moved at random instead, by up to their largest rounding.
local function moved(data, sections, try)
  local copy = setmetatable({}, { __index = data })
  for _, section in ipairs(sections) do
    copy[section] = {}
    for name, tensor in pairs(data[section]) do
      if try == 1 then
        copy[section][name] = tensor:to("bf16"):to "f64"
      else
        local factor = engine.zeros(tensor.shape, { dtype = "f64" })
        engine.rng(0, "moved " .. name, try, 0):fill_uniform(factor, 1 - 2 ^ -8, 1 + 2 ^ -8)
        copy[section][name] = engine.op.mul(tensor, factor)
      end
    end
  end
  return copy
end

-- What the case's file calls outputs.* and grads.*, as plain f64 tensors.
local function compute(entry, case, data, read)
  local program = engine.program { live = true }
  local values = bind(program, entry, case, data)
  local outputs, objective, given = entry.run(case, values, data, read)
  objective = objective or weighted_sum(outputs, data, case.dtype)
  local computed = { outputs = {}, grads = {} }
  for name, value in pairs(gradients(program, objective, values, data, given)) do
    computed.grads[name] = plain(value)
  end
  for name, value in pairs(outputs) do computed.outputs[name] = plain(value) end
  return computed
end

-- ---- comparing ----

-- The least that numbers are measured against. In 16 bits that is the case's largest for gradients of a network, and
-- what an entry's scale(case, data) says for single results.
local function floors_of(spec, entry, case, pass, data)
  local narrow = PASSES[pass].narrow
  local part = narrow and spec.networks and 1 or spec.floor and spec.floor[pass]
  local floors = { grads = part and part * errors.largest_of(data.grads) or 0 }
  for name, least in pairs(narrow and entry.scale and entry.scale(case, data) or {}) do
    floors["outputs." .. name] = least
  end
  return floors
end

-- Which errors have a limit.
local function judged(spec, pass)
  return { "outputs", spec.networks and PASSES[pass].narrow and "together" or "grads" }
end

-- ---- writing what was computed ----

local function write_case(out, store, name, data, computed, attributes)
  local group, is_attribute = "/" .. name, {}
  for _, key in ipairs(attributes or {}) do is_attribute[key] = true end
  out:put_group(group)
  for _, key in ipairs(store:attrs(group)) do
    local got = is_attribute[key] and computed.outputs[key]
    local values = got and got:table()
    out:attr(group, key, values and (#got.shape == 0 and values[1] or values) or store:attr(group, key))
  end
  for _, section in ipairs { "outputs", "grads" } do
    for bare, want in pairs(data[section]) do
      local got = not is_attribute[bare] and computed[section][bare]
      if got and #got == #want then out:put(group .. "/" .. section .. "." .. bare, got:reshape(want.shape)) end
    end
  end
end

-- ---- a topic ----

local function allowed(spec, entry, case, data, pass)
  local known = PASSES[pass].narrow and "bf16" or pass
  local usual = spec.tolerance and spec.tolerance[known] or TOLERANCE[known]
  local own = entry.tolerance and entry.tolerance(case, data)
  if PASSES[pass].narrow and entry.steps and entry.steps(case, data) then own = FINITE end
  if not own or pass ~= "f64" and own < usual.outputs then return usual end
  return { outputs = own, grads = own }
end

-- Errors of the exact results of moved data, the worst of a few tries; the sections that a pass in 16 bits rounds.
local function errors_of_moved(spec, entry, case, data, read)
  local worst = { outputs = {}, grads = {}, together = {} }
  local sections = spec.networks and { "inputs", "weights", "upstream" } or { "inputs", "upstream" }
  case.dtype, case.state, case.once = "f64", nil, true
  for try = 1, spec.networks and TRIES or 1 do
    local result = compute(entry, case, moved(data, sections, try), read)
    errors.each(errors.of(result, data, floors_of(spec, entry, case, "moved", data)), function(section, name, err)
      worst[section][name] = math.max(worst[section][name] or 0, err)
    end)
  end
  case.once = nil
  return worst
end

local function passes_of(spec, entry)
  local list = {}
  for _, pass in ipairs(spec.dtypes or { "f64", "f32", "moved", "bf16" }) do
    local images = not PASSES[pass].narrow or not entry.parameters
    if images and (entry.state or not PASSES[pass].state) then list[#list + 1] = pass end
  end
  return list
end

-- One pass of a case: a text about its errors, and what is wrong as lines. found: errors of all passes, by name.
local function run_pass(spec, entry, case, data, read, pass, found)
  if pass == "moved" then
    found.moved = errors_of_moved(spec, entry, case, data, read)
    return "moved " .. errors.worst(found.moved, judged(spec, pass)), {}
  end
  case.dtype, case.state = PASSES[pass].dtype, PASSES[pass].state
  local result = compute(entry, case, data, read)
  local own, wrong = errors.of(result, data, floors_of(spec, entry, case, pass, data))
  local tolerance = allowed(spec, entry, case, data, pass)
  errors.each(own, function(section, name, err)
    local limit = (tolerance[section] or tolerance.grads) + (PASSES[pass].narrow and found.moved[section][name] or 0)
    if err <= limit then return end
    wrong[#wrong + 1] = string.format("%s.%s is off by %.3g of its largest value, allowed %.3g", section, name, err,
      limit)
  end, judged(spec, pass))
  found[pass] = own
  return pass .. " " .. errors.worst(own, judged(spec, pass)), wrong, result
end

local function run_case(spec, store, name, out, log)
  local case = read_case(store, name)
  local entry = spec.ops[case.op]
  if type(entry) == "function" then entry = { run = entry } end
  local label = string.format("%s (%s)", name, tostring(case.op))
  if not entry then return t.todo("not there yet", label) end
  local data = read_data(store, name)
  read_attributes(entry, case, data)
  local function read(other) return read_case(store, other), read_data(store, other) end
  local texts, problems, found = {}, {}, {}
  for _, pass in ipairs(passes_of(spec, entry)) do
    local fine, text, wrong, result = xpcall(run_pass, function(e)
      return type(e) == "table" and e.missing and e or debug.traceback(tostring(e), 2)
    end, spec, entry, case, data, read, pass, found)
    if not fine and type(text) == "table" then return t.todo(text.missing .. " is not there yet", label) end
    if fine then
      texts[#texts + 1] = text
      for _, line in ipairs(wrong) do problems[#problems + 1] = pass .. ": " .. line end
      local apart = entry.steps and entry.steps(case, data)
      errors.note(log, pass .. (apart and " of steps" or ""), found[pass])
      if out and pass == "f64" then write_case(out, store, name, data, result, entry.attributes) end
    else
      problems[#problems + 1] = pass .. ": " .. text
    end
  end
  t.ok(#problems == 0, string.format("%s: %s", label, table.concat(texts, ", ")))
  for _, line in ipairs(problems) do t.diag("  " .. line) end
end

local function run_file(spec, folder, file, out_folder, log)
  local store = assert(engine.store_open(folder .. "/" .. file))
  if store:attr("/", "topic") ~= spec.topic then return store:close() end
  local out = out_folder and engine.store()
  if out then
    for _, key in ipairs(store:attrs "/") do out:attr("/", key, store:attr("/", key)) end
  end
  t.diag(folder .. "/" .. file)
  for _, name in ipairs(store:list "/") do
    run_case(spec, store, name, out, log)
    collectgarbage()
  end
  if out then assert(out:save(out_folder .. "/" .. file)) end
  store:close()
  return true
end

--- Runs the topic's cases and ends the program. spec: { topic, ops, tolerance = { f32 = { outputs, grads } },
--- floor = { f32 = … }, dtypes (the passes), networks = whether cases are networks }. floor: gradients smaller than
--- this part of the case's largest one are what cancellation has left; they are measured against the floor.
function golden.run(spec)
  local shared = os.getenv "HILUM_SHARED" or (os.getenv "HILUM_SOURCE" or ".") .. "/../shared"
  local folder = os.getenv "HILUM_GOLDEN" or shared .. "/golden"
  local names = engine.list_folder(folder)
  if not names then t.skip_all("no golden vectors: there is no folder " .. folder) end
  local out_folder = os.getenv "HILUM_GOLDEN_OUT"
  if out_folder then assert(engine.mkdir(out_folder)) end
  local found, log = false, {}
  for _, file in ipairs(names) do
    if file:find "%.h5$" and run_file(spec, folder, file, out_folder, log) then found = true end
  end
  if not found then t.skip_all(string.format("%s has no file of the topic '%s'", folder, spec.topic)) end
  errors.tell(log, spec.topic)
  t.done()
end

return golden
