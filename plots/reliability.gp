# How often what is predicted with a probability is nodule (above), and for how many voxels it is predicted (below).
#   page     width, height, left, right edge in pixels, bottom, top of the upper and of the lower axes, number of bins,
#            end of the counts' axis
#   curve    mean probability of a bin, share of truth
#   counts   middle of a bin, voxels in it
#   and the texts of page.gp
stats "page.tsv" using (L = $3, R = $4, B = $5, T = $6, B2 = $7, T2 = $8, N = $9, Y = $10, 0) nooutput

set multiplot
eval axes(L, R, B, T)
set xrange [0:1]
set yrange [0:1]
set xtics 0.2 format "%.1f"
set ytics 0.2 format "%.1f"
unset key
plot x with lines linewidth 2 dashtype (10, 8) linecolor rgb grey, \
  "curve.tsv" using 1:2 with lines linewidth 3.5 linecolor rgb blue, \
  "curve.tsv" using 1:2 with points pointtype 7 pointsize 1.7 * P linecolor rgb blue

eval axes(L, R, B2, T2)
set logscale y
set yrange [0.5:Y]
set ytics ("1" 1, "100" 100, "10⁴" 10000, "10⁶" 1000000, "10⁸" 100000000)
set style fill solid 1 noborder
plot "counts.tsv" using 1:2:(0.9 / N) with boxes linecolor rgb sky
unset logscale
eval text_page
eval "plot " . texts
unset multiplot
