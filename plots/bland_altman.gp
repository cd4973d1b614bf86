# Volumes: difference of predicted and true over their mean, with the limits of agreement.
#   page     width, height, left, right, bottom, top edge of the axes in pixels, smallest and largest volume, lowest and
#            highest difference (%), distance of its tics
#   points   mean volume, difference of a case
#   limits   lines across: mean, mean -+ 1.96 standard deviations
#   and the texts of page.gp
stats "page.tsv" using (L = $3, R = $4, B = $5, T = $6, X0 = $7, X1 = $8, Y0 = $9, Y1 = $10, DY = $11, 0) nooutput

set multiplot
eval axes(L, R, B, T)
set logscale x
set xrange [X0:X1]
set yrange [Y0:Y1]
set ytics DY
unset key
plot 0 with lines linewidth 1.5 linecolor rgb ink, \
  "limits.tsv" using 1:2 with lines linewidth 2.5 dashtype (10, 8) linecolor rgb vermillion, \
  "points.tsv" using 1:2 with points pointtype 7 pointsize 1.4 * P linecolor rgb "#700072B2"
unset logscale
eval text_page
eval "plot " . texts
unset multiplot
