# What memory a training step holds while it runs.
#   page     width, height, left, right, bottom, top edge of the axes in pixels, seconds of the step, their tics, end of the
#            memory axis, its tics, seconds when the forward pass ends
#   kept, data, forward, backward   seconds, lower, upper edge of an area
#   ledger, resident, first, planned   seconds, height of a line
#   key_NAME   the ends of the key's line or box in pixels            and the texts of page.gp
stats "page.tsv" using (L = $3, R = $4, B = $5, T = $6, X = $7, DX = $8, Y = $9, DY = $10, TURN = $11, 0) nooutput

set multiplot
eval axes(L, R, B, T)
unset key
set xrange [0:X]
set yrange [0:Y]
set xtics DX
set ytics DY
set style fill solid 1 noborder
set arrow 1 from TURN, 0 to TURN, Y nohead linewidth 1 dashtype (2, 5) linecolor rgb ink front
plot "kept.tsv" using 1:2:3 with filledcurves linecolor rgb grey, \
  "data.tsv" using 1:2:3 with filledcurves linecolor rgb pale, \
  "forward.tsv" using 1:2:3 with filledcurves linecolor rgb sky, \
  "backward.tsv" using 1:2:3 with filledcurves linecolor rgb orange, \
  "ledger.tsv" using 1:2 with lines linewidth 2 linecolor rgb ink, \
  "first.tsv" using 1:2 with lines linewidth 2 dashtype (3, 5) linecolor rgb vermillion, \
  "resident.tsv" using 1:2 with lines linewidth 3 linecolor rgb vermillion, \
  "planned.tsv" using 1:2 with lines linewidth 2.5 dashtype (10, 8) linecolor rgb blue
unset arrow 1
eval text_page
box = "every ::1::1 using ($1 - 21):2:($1 - 42):1:($2 - 6):($2 + 6) with boxxyerror linecolor rgb"
line = "using 1:2 with lines"
eval "plot " . texts . ", 'key_forward.tsv' " . box . " sky, 'key_backward.tsv' " . box . " orange, \
  'key_data.tsv' " . box . " pale, 'key_kept.tsv' " . box . " grey, \
  'key_ledger.tsv' " . line . " linewidth 2 linecolor rgb ink, \
  'key_planned.tsv' " . line . " linewidth 2.5 dashtype (10, 8) linecolor rgb blue, \
  'key_first.tsv' " . line . " linewidth 2 dashtype (3, 5) linecolor rgb vermillion, \
  'key_resident.tsv' " . line . " linewidth 3 linecolor rgb vermillion"
unset multiplot
