# Dice curves of several methods, one panel each, on the same axes.
#   page     width, height, number of panels, first and last epoch, distance of its tics, lowest and highest Dice
#   panels   number, left, right, bottom, top edge in pixels
#   trainN, validationN   epoch, Dice           readersN, beginsN   two points of a line across, and of one down
#   key_validation, key_train, key_readers, key_begins   the ends of the key's lines in pixels
#   and the texts of page.gp
stats "page.tsv" using (N = $3, X0 = $4, X1 = $5, DX = $6, Y0 = $7, Y1 = $8, 0) nooutput

# The four curves of one panel or, named key_…, of the key.
curves(before, after) = sprintf(" \
  '%sbegins%s.tsv' using 1:2 with lines linewidth 2 dashtype (2, 4) linecolor rgb vermillion, \
  '%sreaders%s.tsv' using 1:2 with lines linewidth 2 dashtype (10, 8) linecolor rgb grey, \
  '%strain%s.tsv' using 1:2 with lines linewidth 2.5 dashtype (14, 6) linecolor rgb orange, \
  '%svalidation%s.tsv' using 1:2 with lines linewidth 3.5 linecolor rgb blue", \
  before, after, before, after, before, after, before, after)

set multiplot
unset key
do for [i = 1:N] {
  stats "panels.tsv" every ::i-1::i-1 using (L = $2, R = $3, B = $4, T = $5, 0) nooutput
  eval axes(L, R, B, T)
  set xrange [X0:X1]
  set yrange [Y0:Y1]
  set xtics DX
  set ytics 0.1 format "%.1f"
  eval "plot " . curves("", sprintf("%d", i))
}
eval text_page
eval "plot " . texts . "," . curves("key_", "")
unset multiplot
