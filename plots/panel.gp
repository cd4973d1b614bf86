# Columns of nodules: the image; the annotation's contour over it; the prediction's over both.
#   page      width, height, number of columns
#   cells     column, row (1 image, 2 annotation, 3 prediction), left, right, bottom, top in pixels of the page,
#             width and height of the image
#   imageC    grey values 0 to 255, one line for each row of pixels of column C
#   truthC, predictionC   x, y in pixels of the image; an empty line ends a contour
#   barC, bar_labelC      a scale bar: its ends; x, y, text
#   ids, sizes, dices, rows, key   x, y in pixels of the page, text
#   key_truth, key_prediction      x, y
stats "cells.tsv" using (N = $0 + 1, 0) nooutput

set multiplot
set palette gray
unset colorbox
unset key
unset tics
set cbrange [0:255]
set border 15 linewidth 1 linecolor rgb ink
do for [i = 0:N - 1] {
  stats "cells.tsv" every ::i::i using (C = $1, R = $2, X0 = $3, X1 = $4, Y0 = $5, Y1 = $6, NX = $7, NY = $8, 0) nooutput
  set lmargin at screen X0 / W
  set rmargin at screen X1 / W
  set bmargin at screen Y0 / H
  set tmargin at screen Y1 / H
  set xrange [-0.5:NX - 0.5]
  set yrange [NY - 0.5:-0.5]
  rim = 1.5 * NX / (X1 - X0) # around white text, so that it shows on white too
  picture = sprintf("image%d.tsv", C)
  truth = sprintf("truth%d.tsv", C)
  prediction = sprintf("prediction%d.tsv", C)
  bar = sprintf("bar%d.tsv", C)
  bar_label = sprintf("bar_label%d.tsv", C)
  if (R == 1) {
    plot picture matrix with image, \
      bar using 1:2 with lines linewidth 5 linecolor rgb "black", \
      bar using 1:2 with lines linewidth 3 linecolor rgb "white", \
      for [k = 0:7] bar_label using ($1 + rim * cos(k * pi / 4)):($2 + rim * sin(k * pi / 4)):3 \
        with labels left font face(13) textcolor rgb "black", \
      bar_label using 1:2:3 with labels left font face(13) textcolor rgb "white"
  }
  if (R == 2) {
    plot picture matrix with image, \
      truth using 1:2 with lines linewidth 4.5 linecolor rgb "black", \
      truth using 1:2 with lines linewidth 2.5 linecolor rgb sky
  }
  if (R == 3) {
    plot picture matrix with image, \
      truth using 1:2 with lines linewidth 2 linecolor rgb sky, \
      prediction using 1:2 with lines linewidth 4.5 linecolor rgb "black", \
      prediction using 1:2 with lines linewidth 2.5 linecolor rgb orange
  }
}

eval text_page
plot "ids.tsv" using 1:2:3 with labels font face(14) textcolor rgb ink, \
  "sizes.tsv" using 1:2:3 with labels font face(14) textcolor rgb grey, \
  "dices.tsv" using 1:2:3 with labels font face(18) textcolor rgb ink, \
  "rows.tsv" using 1:2:3 with labels rotate by 90 font face(18) textcolor rgb ink, \
  "key_truth.tsv" using 1:2 with lines linewidth 4.5 linecolor rgb "black", \
  "key_truth.tsv" using 1:2 with lines linewidth 2.5 linecolor rgb sky, \
  "key_prediction.tsv" using 1:2 with lines linewidth 4.5 linecolor rgb "black", \
  "key_prediction.tsv" using 1:2 with lines linewidth 2.5 linecolor rgb orange, \
  "key.tsv" using 1:2:3 with labels left font face(15) textcolor rgb ink
unset multiplot
