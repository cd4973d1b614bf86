-- Training that cannot go on because a number is not finite: which sample, which layer, and what to try.
--
-- Found out after the fact, by running the passes once more with a look at the result of every op (finite.search).

local finite = require "hilum.finite"
local problem = require "hilum.problem"

local trouble = {}

local LISTED = 4 -- samples and weights that a message names
local PARTS = { "image", "truth", "valid" } -- of a batch

-- The first few of a list, and how many more there are.
local function some(list)
  local text = table.concat(list, ", ", 1, math.min(#list, LISTED))
  return #list > LISTED and string.format("%s and %d more", text, #list - LISTED) or text
end

local function ids_of(s, cases, rows)
  local ids = {}
  for i, row in ipairs(rows) do ids[i] = s.set.cases[cases[row]].id end
  return ids
end

local function count(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

-- ---- where it is ----

-- Weights that hold such numbers: names, and the largest size among the others with its name.
local function bad_weights(net)
  local names, largest, of = {}, 0, nil
  for name, tensor in pairs(net:weights()) do
    local bad, s = finite.count(tensor)
    if bad > 0 then
      names[#names + 1] = name
    elseif math.max(-s.min, s.max) > largest then
      largest, of = math.max(-s.min, s.max), name
    end
  end
  table.sort(names)
  return names, largest, of
end

-- Samples that came with such numbers: rows, and a line that says in what.
local function bad_samples(s, cases, batch)
  local rows, texts = {}, {}
  for i, case in ipairs(cases) do
    for _, name in ipairs(PARTS) do
      local one <close> = batch[name]:slice(1, i)
      local bad = finite.count(one)
      if bad > 0 and rows[#rows] ~= i then
        rows[#rows + 1] = i
        texts[#texts + 1] = string.format("%s (%d voxel%s of its %s %s not finite)", s.set.cases[case].id, bad,
          bad == 1 and "" or "s", name, bad == 1 and "is" or "are")
      end
    end
  end
  return rows, texts
end

-- A batch of one sample, over and over.
local function repeated(batch, row)
  local alone = {}
  for name, whole in pairs(batch) do
    alone[name] = whole:clone()
    local sample <close> = whole:slice(1, row)
    for i = 1, whole.shape[1] do
      local place <close> = alone[name]:slice(1, i)
      place:copy_(sample)
    end
  end
  return alone
end

-- The samples that are to blame, as rows: those that the op's result tells apart, or those that fail alone.
local function guilty(search, n, batch, found)
  if n == 1 then return { 1 } end
  if found.images == n and #found.rows < n then return found.rows end
  local rows = {}
  for i = 1, n do
    local alone = repeated(batch, i)
    if search(alone) then rows[#rows + 1] = i end
    for _, tensor in pairs(alone) do tensor:free() end
  end
  return rows
end

-- ---- what is said ----

local function layer_text(found)
  local what = found.backward and "backward pass, the gradient of " or ""
  return string.format("%s%s: %d of %d numbers are not finite after %s", what,
    found.place == "" and "the step" or found.place, found.bad, found.numbers, found.op)
end

local function advice_of(found, rate)
  if not found then return "a smaller rate" end
  local now = rate and string.format(" (it is %g)", rate) or ""
  local clip = found.backward and "" or ", optim.clip_norm"
  return "a smaller rate" .. now .. clip .. ", a warm-up (hl.schedule.warmup), normalisation in the network"
end

local function assembled(head, lines)
  local text = { head }
  for _, line in ipairs(lines) do
    if line[2] then text[#text + 1] = string.format("  %-8s %s", line[1], line[2]) end
  end
  return problem.new("nan", table.concat(text, "\n"))
end

local function cases_text(s, cases)
  return table.concat(ids_of(s, cases, count(#cases)), ", ")
end

local function scales_text(result)
  local scales = {}
  for _, one in ipairs(result and result.scales or {}) do
    scales[#scales + 1] = string.format("scale %d: %s", one.scale, finite.text(one.loss))
  end
  return #scales > 0 and "; " .. table.concat(scales, ", ") or ""
end

local function sample_text(texts, n)
  if n > 1 and #texts == n then return "all of them" end
  return #texts > 0 and some(texts) or "none alone: only together"
end

-- The weights are no numbers any more: the update before was too much for them.
local function of_weights(head, names, rate)
  return assembled(head, {
    { "layer", string.format("the weights %s are not finite since the last update", some(names)) },
    { "try", advice_of({}, rate) },
  })
end

--- What to say where `what` ("the loss is nan") went wrong. o: { what, epoch, step (nil: after the steps), cases,
--- batch, result (of the run, if there is one), rate, search = function(batch) that runs the passes again }.
function trouble.of_batch(s, o)
  local at = o.step and string.format("epoch %d, step %d", o.epoch, o.step) or "epoch " .. o.epoch
  local head = string.format("%s in %s (cases %s%s)", o.what, at, cases_text(s, o.cases), scales_text(o.result))
  local names, largest, of = bad_weights(s.net)
  if #names > 0 then return of_weights(head, names, o.rate) end
  local found, err = o.search(o.batch)
  if err then return err end -- interrupted
  local rows, texts = bad_samples(s, o.cases, o.batch)
  local given = #rows > 0
  if not given and found then
    rows = guilty(o.search, #o.cases, o.batch, found)
    texts = ids_of(s, o.cases, rows)
  end
  return assembled(head, {
    { "sample", sample_text(texts, #o.cases) },
    { "layer", found and layer_text(found) or "none: with the same weights and samples all is finite" },
    { "weights", not given and of and string.format("the largest is %.3g, in %s", largest, of) or nil },
    { "try", given and "hilum data check on the data, or leave these samples out" or advice_of(found, o.rate) },
  })
end

--- A problem if a weight is not finite, after the steps of an epoch; nil if all are.
function trouble.of_weights(s, epoch, rate)
  local names = bad_weights(s.net)
  if #names == 0 then return nil end
  return of_weights(string.format("weights are not finite after epoch %d", epoch), names, rate)
end

return trouble
