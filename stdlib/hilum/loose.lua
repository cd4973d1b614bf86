-- Values from archives, which may hold anything.

local loose = {}

--- The value if it is a table, an empty one if not.
function loose.fields(value)
  return type(value) == "table" and value or {}
end

--- Whether x is a number, neither NaN nor infinite.
function loose.finite(x)
  return type(x) == "number" and x == x and x ~= math.huge and x ~= -math.huge
end

return loose
