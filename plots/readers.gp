# Rows of slices, with the outlines that readers drew.
#   page      width, height, number of cells, most readers
#   cells     left, right, bottom, top in pixels of the page, width and height of the picture
#   imageN    grey values 0 to 255 of cell N, one line for each row of pixels
#   lineN_K, holeN_K   outlines of reader K and what he cut out of them, x, y in pixels; an empty line ends one
#   barN, bar_labelN   a scale bar: its ends; x, y, text
#   title, note, titles, places, key   x, y in pixels of the page, text
#   keyK      a line in the colour of reader K
stats "page.tsv" using (N = $3, K = $4, 0) nooutput

# Okabe and Ito, the purple made brighter: told apart with any colour vision, and seen on grey.
array colour[6] = ["#56B4E9", "#D55E00", "#F0E442", "#F7A8DA", "#009E73", "#E69F00"]

# Where readers drew the same line, each shows beside the next, which is thinner.
width(k) = k > 3 ? 1.5 : 3.9 - 0.6 * k

set multiplot
set palette gray
unset colorbox
unset key
unset tics
set cbrange [0:255]
set border 15 linewidth 1 linecolor rgb ink
do for [i = 1:N] {
  stats "cells.tsv" every ::i-1::i-1 using (X0 = $1, X1 = $2, Y0 = $3, Y1 = $4, NX = $5, NY = $6, 0) nooutput
  set lmargin at screen X0 / W
  set rmargin at screen X1 / W
  set bmargin at screen Y0 / H
  set tmargin at screen Y1 / H
  set xrange [-0.5:NX - 0.5]
  set yrange [NY - 0.5:-0.5]
  rim = 1.5 * NX / (X1 - X0) # around white text, so that it shows on white too
  picture = sprintf("image%d.tsv", i)
  bar = sprintf("bar%d.tsv", i)
  bar_label = sprintf("bar_label%d.tsv", i)
  plot picture matrix with image, \
    for [k = 1:K] sprintf("line%d_%d.tsv", i, k) using 1:2 with lines linewidth width(k) + 1 linecolor rgb "black", \
    for [k = 1:K] sprintf("hole%d_%d.tsv", i, k) using 1:2 with lines linewidth width(k) + 1 linecolor rgb "black", \
    for [k = 1:K] sprintf("line%d_%d.tsv", i, k) using 1:2 with lines linewidth width(k) linecolor rgb colour[k], \
    for [k = 1:K] sprintf("hole%d_%d.tsv", i, k) using 1:2 with lines linewidth width(k) dashtype 2 \
      linecolor rgb colour[k], \
    bar using 1:2 with lines linewidth 5 linecolor rgb "black", \
    bar using 1:2 with lines linewidth 3 linecolor rgb "white", \
    for [k = 0:7] bar_label using ($1 + rim * cos(k * pi / 4)):($2 + rim * sin(k * pi / 4)):3 \
      with labels left font face(13) textcolor rgb "black", \
    bar_label using 1:2:3 with labels left font face(13) textcolor rgb "white"
}

eval text_page
plot "title.tsv" using 1:2:3 with labels left font face(20) textcolor rgb ink, \
  "note.tsv" using 1:2:3 with labels left font face(13) textcolor rgb grey, \
  "titles.tsv" using 1:2:3 with labels left font face(15) textcolor rgb ink, \
  "places.tsv" using 1:2:3 with labels font face(12) textcolor rgb grey, \
  for [k = 1:K] sprintf("key%d.tsv", k) using 1:2 with lines linewidth 4.5 linecolor rgb "black", \
  for [k = 1:K] sprintf("key%d.tsv", k) using 1:2 with lines linewidth 2.5 linecolor rgb colour[k], \
  "key.tsv" using 1:2:3 with labels left font face(14) textcolor rgb ink
unset multiplot
