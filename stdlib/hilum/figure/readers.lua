-- What readers drew: a row of slices for each nodule, every reader's outlines in a colour of his own.

local gnuplot = require "hilum.gnuplot"
local problem = require "hilum.problem"
local scale = require "hilum.figure.scale"

local readers = {}

readers.most_rows, readers.most_columns, readers.most_readers = 8, 6, 6

local CELL, GAP, HEAD, LINE, FOOT, LEFT = 196, 8, 92, 62, 66, 24 -- pixels

-- Pixels of the page, rows from the top; x, y: the lower left corner of a cell.
local function page_of(rows)
  local columns = 1
  for _, row in ipairs(rows) do columns = math.max(columns, #row.slices) end
  local page = { width = math.max(LEFT * 2 + columns * (CELL + GAP) - GAP, 900),
    height = HEAD + #rows * (CELL + LINE) + FOOT }
  function page.x(column) return LEFT + (column - 1) * (CELL + GAP) end
  function page.top(row) return page.height - HEAD - (row - 1) * (CELL + LINE) end
  function page.y(row) return page.top(row) - 30 - CELL end
  return page
end

-- A table's lines: points x, y, an empty row after each line.
local function line_rows(lines)
  local rows = {}
  for _, line in ipairs(lines or {}) do
    for _, point in ipairs(line) do rows[#rows + 1] = point end
    rows[#rows + 1] = {}
  end
  return rows
end

local function add_cell(tables, page, r, c, row, slice)
  local n = #tables.cells + 1
  tables.cells[n] = { page.x(c), page.x(c) + CELL, page.y(r), page.y(r) + CELL, row.width, row.height }
  tables["image" .. n] = slice.grey
  for k = 1, readers.most_readers do
    tables[string.format("line%d_%d", n, k)] = line_rows(slice.lines[k])
    tables[string.format("hole%d_%d", n, k)] = line_rows(slice.holes[k])
  end
  tables["bar" .. n], tables["bar_label" .. n] = {}, {}
  if c == 1 then tables["bar" .. n], tables["bar_label" .. n] = scale.bar(row.pixel_mm, row.width, row.height) end
  tables.places[n] = { page.x(c) + CELL / 2, page.y(r) - 12, slice.text }
end

local function add_key(tables, page, names)
  tables.key, tables.key_lines = {}, {}
  local x, y = page.x(1), 26
  for k = 1, readers.most_readers do tables["key" .. k] = {} end
  for k, name in ipairs(names) do
    tables["key" .. k] = { { x, y }, { x + 36, y } }
    tables.key[#tables.key + 1] = { x + 46, y, name }
    x = x + 160
  end
end

--- Draws o = { title, note, readers = names by number, rows = list of { title, pixel_mm, width, height (of the pictures
--- in pixels), slices = list of { text, grey = rows of 0 … 255, lines, holes = by reader a list of lines of { x, y } in
--- pixels from 0 } } } to BASENAME.svg and BASENAME.png. Returns the list of files, or nil, err.
function readers.draw(o, basename)
  if #o.rows == 0 then return nil, problem.new("data", "there is no outlined nodule to be drawn") end
  local page = page_of(o.rows)
  local tables = { cells = {}, places = {}, titles = {},
    title = { { page.x(1), page.height - 34, gnuplot.shortened(o.title, page.width // 12) } },
    note = { { page.x(1), page.height - 62, gnuplot.shortened(o.note, page.width // 8) } } }
  for r, row in ipairs(o.rows) do
    tables.titles[r] = { page.x(1), page.top(r) - 12, row.title }
    for c, slice in ipairs(row.slices) do add_cell(tables, page, r, c, row, slice) end
  end
  add_key(tables, page, o.readers)
  tables.page = { { page.width, page.height, #tables.cells, readers.most_readers } }
  return gnuplot.draw("readers", tables, basename)
end

return readers
