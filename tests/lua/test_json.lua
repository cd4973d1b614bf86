-- JSON: what is written reads back, and what is no JSON is refused with its place.
local t = require "tap"
local json = require "hilum.json"

local value = { text = 'a "b" \\ \n\t\1 é 😀', whole = 3, real = 3.0, small = -1.5e-300, most = math.maxinteger,
  yes = true, no = false, list = { 1, 2.5, "x", { deep = { {} } } }, empty = {}, [""] = "a key without text" }
t.same(json.decode(json.encode(value)), value, "values come back")
t.is(math.type(json.decode(json.encode { 3.0 })[1]), "float", "reals as reals")
t.is(json.encode(json.decode(json.encode(value))), json.encode(value), "and give the same text")
t.is(json.encode(json.decode '{"list": []}'), json.encode { list = json.list {} }, "an empty list stays one")
t.same(json.decode ' [ 1 , -0.5e+3 , null , "\\u00e9\\ud83d\\ude00\\/" ] ', { 1, -500.0, nil, "é😀/" },
  "blanks, exponents, null, escapes")

for text, pattern in pairs {
  [""] = "byte 1: expected a value", ["{"] = "byte 2: expected a key", ["[1"] = "expected , or ]",
  ["[1,]"] = "byte 4: expected a value", ['{"a" 1}'] = "expected :", ["{a:1}"] = "expected a key",
  ["01"] = "expected a value", ["+1"] = "expected a value", ["nul"] = "expected a value",
  ["truee"] = "expected a value",
  ['"a'] = "a text does not end", ['"\1"'] = "a control character", ['"\\x"'] = "an unknown escape",
  ['"\\u12"'] = "four digits", ['"\\ud800"'] = "half a character", ['"\\ude00"'] = "half a character",
  ["1 2"] = "byte 3: something follows", [("["):rep(200)] = "no end", ["-"] = "expected a value",
} do
  local found, why = json.decode(text)
  t.is(found, nil, text:sub(1, 10) .. " is none")
  t.like(why, pattern, "and says why")
end
t.done()
