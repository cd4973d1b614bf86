# Dice of each case over the nodule's diameter; bands of size with their means.
#   page     width, height, left, right, bottom, top edge of the axes in pixels, smallest and largest diameter (mm)
#   points   diameter, Dice of a case
#   means, ceilings   lines across the bands: mean Dice, and that of the readers; edges: between the bands
#   key_case, key_mean, key_ceiling   the ends of the key's lines in pixels
#   and the texts of page.gp
stats "page.tsv" using (L = $3, R = $4, B = $5, T = $6, X0 = $7, X1 = $8, 0) nooutput

set multiplot
eval axes(L, R, B, T)
set logscale x
set xrange [X0:X1]
set yrange [0:1]
set xtics (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 80)
set ytics 0.2 format "%.1f"
unset key
plot "edges.tsv" using 1:2 with lines linewidth 1.5 dashtype (3, 5) linecolor rgb grey, \
  "points.tsv" using 1:2 with points pointtype 7 pointsize 1.3 * P linecolor rgb "#900072B2", \
  "ceilings.tsv" using 1:2 with lines linewidth 2.5 dashtype (10, 8) linecolor rgb grey, \
  "means.tsv" using 1:2 with lines linewidth 4 linecolor rgb vermillion
unset logscale
eval text_page
eval "plot " . texts . ", \
  'key_case.tsv' every ::1::1 using ($1 - 21):2 with points pointtype 7 pointsize 1.3 * P linecolor rgb '#900072B2', \
  'key_ceiling.tsv' using 1:2 with lines linewidth 2.5 dashtype (10, 8) linecolor rgb grey, \
  'key_mean.tsv' using 1:2 with lines linewidth 4 linecolor rgb vermillion"
unset multiplot
