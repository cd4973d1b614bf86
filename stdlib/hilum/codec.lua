-- An invertible network on its own: image features to codes, codes to output, output back to the features.

local engine = require "hilum.engine"
local builder = require "hilum.nn.builder"

local codec = {}
codec.__index = codec

-- The invertible network of a model and the places around it.
local function find(spec)
  if spec.encode then return spec, { "model" } end
  for i, layer in ipairs(spec) do
    if layer.encode then return layer, { "model", string.format("[%d]", i) } end
  end
  error("the model holds no invertible network, such as hl.nn.iunet, that could be inverted", 0)
end

-- Runs f(b) with the builder at the network's place.
local function within(b, places, f, i)
  i = i or 1
  if not places[i] then return f(b) end
  return b:scope(places[i], within, b, places, f, i + 1)
end

local function program_of(self, shapes, f)
  local p = engine.program()
  local b, inputs = builder.new(p, self.store), {}
  b.padded = self.padded
  for i, shape in ipairs(shapes) do
    inputs[i] = p:input("x" .. i, shape, { dtype = self.store.dtype, layout = "image" })
  end
  local out = within(b, self.places, function() return f(b, inputs) end)
  local list = type(out) == "table" and out or { out }
  for _, v in ipairs(list) do p:output(v) end
  p:finish()
  local shapes_out = {}
  for i, v in ipairs(list) do shapes_out[i] = v.shape end
  return p, shapes_out, b
end

--- o: { batch, size = { z, y, x } } of the network's own input, which has net.channels[1] channels.
function codec.new(spec, store, o)
  local net, places = find(spec)
  local shape = { o.batch, net.channels[1], o.size[1], o.size[2], o.size[3] }
  local self = setmetatable({ net = net, store = store, places = places, shape = shape }, codec)
  local _, b
  self.encoder, self.code_shapes, b = program_of(self, { shape }, function(inner, inputs)
    return net:encode(inner, inputs[1])
  end)
  self.padded = b.padded
  self.decoder, self.out_shapes = program_of(self, self.code_shapes, function(inner, inputs)
    return net:decode(inner, inputs)
  end)
  self.inverter, _ = program_of(self, self.out_shapes, function(inner, inputs)
    inner.padded = nil
    local like = inner.program:bind("shape of x", engine.zeros(shape, { dtype = store.dtype, layout = "image" }), false)
    return net:inverse(inner, inputs[1], like)
  end)
  return self
end

local function run(program, inputs)
  local out, err = program:run(inputs)
  if not out then return nil, err end
  return out
end

--- x -> list of codes, the deepest state last; nil and an error where the user stopped it (as in all of these).
function codec:encode(x)
  return run(self.encoder, { x })
end

--- codes -> y
function codec:decode(codes)
  local out, err = run(self.decoder, codes)
  return out and out[1], err
end

--- y -> x
function codec:inverse(y)
  local out, err = run(self.inverter, { y })
  return out and out[1], err
end

return codec
