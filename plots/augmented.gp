# Pictures in rows: a sample as it is, and as augmentation drew it.
#   page      width, height, number of cells
#   cells     left, right, bottom, top in pixels of the page, width and height of the picture
#   imageN    grey values 0 to 255 of cell N, one line for each row of pixels
#   truthN, hatchN   x, y in pixels; an empty line ends a line
#   barN, bar_labelN   a scale bar: its ends; x, y, text
#   title, note, heads, lines, key   x, y in pixels of the page, text
#   key_truth, key_hatch   x, y
stats "page.tsv" using (N = $3, 0) nooutput

yellow = "#F0E442"

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
  truth = sprintf("truth%d.tsv", i)
  hatch = sprintf("hatch%d.tsv", i)
  bar = sprintf("bar%d.tsv", i)
  bar_label = sprintf("bar_label%d.tsv", i)
  plot picture matrix with image, \
    hatch using 1:2 with lines linewidth 1.2 linecolor rgb yellow, \
    truth using 1:2 with lines linewidth 4 linecolor rgb "black", \
    truth using 1:2 with lines linewidth 2.2 linecolor rgb sky, \
    bar using 1:2 with lines linewidth 5 linecolor rgb "black", \
    bar using 1:2 with lines linewidth 3 linecolor rgb "white", \
    for [k = 0:7] bar_label using ($1 + rim * cos(k * pi / 4)):($2 + rim * sin(k * pi / 4)):3 \
      with labels left font face(13) textcolor rgb "black", \
    bar_label using 1:2:3 with labels left font face(13) textcolor rgb "white"
}

eval text_page
plot "title.tsv" using 1:2:3 with labels left font face(20) textcolor rgb ink, \
  "note.tsv" using 1:2:3 with labels left font face(13) textcolor rgb grey, \
  "heads.tsv" using 1:2:3 with labels left font face(13) textcolor rgb ink, \
  "lines.tsv" using 1:2:3 with labels left font face(11) textcolor rgb grey, \
  "key_truth.tsv" using 1:2 with lines linewidth 4 linecolor rgb "black", \
  "key_truth.tsv" using 1:2 with lines linewidth 2.2 linecolor rgb sky, \
  "key_hatch.tsv" using 1:2 with lines linewidth 3.5 linecolor rgb ink, \
  "key_hatch.tsv" using 1:2 with lines linewidth 1.6 linecolor rgb yellow, \
  "key.tsv" using 1:2:3 with labels left font face(13) textcolor rgb ink
unset multiplot
