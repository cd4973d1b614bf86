# Dice of training and validation over the epochs, the best epoch, and how much readers agree.
#   page       width, height, left, right, bottom, top edge of the axes in pixels, first and last epoch, distance
#              of its tics, lowest and highest Dice shown
#   train, validation   epoch, Dice
#   train_mark the same where there is one epoch only, which no line shows
#   best       epoch, Dice; then down to the axis
#   readers    first epoch, Dice; last epoch, Dice: a line across
#   title, note, x_label, y_label, best_left, best_right, readers_label   x, y in pixels, text
stats "page.tsv" using (L = $3, R = $4, B = $5, T = $6, X0 = $7, X1 = $8, DX = $9, Y0 = $10, Y1 = $11, 0) nooutput

set multiplot
set lmargin at screen L / W
set rmargin at screen R / W
set bmargin at screen B / H
set tmargin at screen T / H
set xrange [X0:X1]
set yrange [Y0:Y1]
set border 3 linecolor rgb grey linewidth 1.5
set tics nomirror out scale 0.6 textcolor rgb ink
set xtics DX offset 0, O
if (X0 == floor(X0)) { set xtics add (X0) }
set ytics 0.1 format "%.1f"
set grid ytics linetype 1 linecolor rgb pale linewidth 1
set key at screen L / W, (T + 30) / H left center horizontal Left reverse samplen 3 width 2 textcolor rgb ink
plot "readers.tsv" using 1:2 with lines linewidth 2 dashtype (10, 8) linecolor rgb grey notitle, \
  "best.tsv" using 1:2 with lines linewidth 1.5 dashtype (2, 5) linecolor rgb ink notitle, \
  "train.tsv" using 1:2 with lines linewidth 2.5 dashtype (14, 6) linecolor rgb orange title "training", \
  "validation.tsv" using 1:2 with lines linewidth 4 linecolor rgb blue title "validation", \
  "train_mark.tsv" using 1:2 with points pointtype 5 pointsize 1.4 * P linecolor rgb orange notitle, \
  "best.tsv" every ::0::0 using 1:2 with points pointtype 7 pointsize 1.9 * P linecolor rgb blue notitle, \
  "best.tsv" every ::0::0 using 1:2 with points pointtype 7 pointsize 1.0 * P linecolor rgb "white" notitle

eval text_page
plot "title.tsv" using 1:2:3 with labels left font face(22) textcolor rgb ink, \
  "x_label.tsv" using 1:2:3 with labels font face(18) textcolor rgb ink, \
  "y_label.tsv" using 1:2:3 with labels rotate by 90 font face(18) textcolor rgb ink, \
  "note.tsv" using 1:2:3 with labels left font face(15) textcolor rgb grey, \
  "readers_label.tsv" using 1:2:3 with labels left font face(16) textcolor rgb grey, \
  "best_right.tsv" using 1:2:3 with labels left font face(17) textcolor rgb ink, \
  "best_left.tsv" using 1:2:3 with labels right font face(17) textcolor rgb ink
unset multiplot
