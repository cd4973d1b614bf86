-- Numbers as people read them in tables.

local numbers = {}

--- Three digits behind the point; "–" for nothing.
function numbers.value(x)
  if type(x) ~= "number" or x ~= x then return "–" end
  if math.type(x) == "integer" then return string.format("%d", x) end
  if math.abs(x) >= 1000 then return string.format("%.0f", x) end
  return string.format("%.3f", x)
end

--- With its sign.
function numbers.signed(x)
  local text = numbers.value(x)
  return type(x) == "number" and x > 0 and "+" .. text or text
end

--- "0.790 to 0.831".
function numbers.interval(i)
  return type(i) == "table" and numbers.value(i.low) .. " to " .. numbers.value(i.high) or "–"
end

--- "0.031", "< 0.001".
function numbers.p(x)
  if type(x) ~= "number" or x ~= x then return "–" end
  return x < 0.001 and "< 0.001" or string.format("%.3f", x)
end

return numbers
