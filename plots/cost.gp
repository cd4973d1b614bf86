# Memory (left) and time (right) of several methods, a row each.
#   page     width, height, number of rows, left, right edge of the two axes, bottom, top in pixels, end of the memory
#            axis (MiB), its tics, end of the time axis (s), its tics
#   planned, measured, resident (MiB), seconds   value, row from below
#   right_small   x, y in pixels, text     key_measured, key_planned, key_resident   the ends of the key's lines
#   and the texts of page.gp
stats "page.tsv" using (N = $3, L = $4, R = $5, L2 = $6, R2 = $7, B = $8, T = $9, X = $10, DX = $11, X2 = $12, DX2 = $13, 0) nooutput

set multiplot
eval axes(L, R, B, T)
set yrange [0.5:N + 0.5]
unset ytics
unset grid
set grid xtics linetype 1 linecolor rgb pale linewidth 1
set xrange [0:X]
set xtics DX
set style fill solid 1 noborder
unset key
plot "measured.tsv" using (0):2:(0):1:($2 - 0.22):($2 + 0.22) with boxxyerror linecolor rgb sky, \
  "planned.tsv" using 1:2 with lines linewidth 4 linecolor rgb ink, \
  "resident.tsv" using 1:2 with points pointtype 6 pointsize 1.6 * P linewidth 2.5 linecolor rgb vermillion
eval axes(L2, R2, B, T)
unset ytics
unset grid
set grid xtics linetype 1 linecolor rgb pale linewidth 1
set xrange [0:X2]
set xtics DX2
plot "seconds.tsv" using (0):2:(0):1:($2 - 0.22):($2 + 0.22) with boxxyerror linecolor rgb orange
eval text_page
eval "plot " . texts . ", 'right_small.tsv' using 1:2:3 with labels right font face(13) textcolor rgb grey, \
  'key_measured.tsv' every ::1::1 using ($1 - 21):2:($1 - 42):1:($2 - 6):($2 + 6) with boxxyerror linecolor rgb sky, \
  'key_planned.tsv' every ::1::1 using ($1 - 21):($2 - 9):(0):(18) with vectors nohead linewidth 4 linecolor rgb ink, \
  'key_resident.tsv' every ::1::1 using ($1 - 21):2 with points pointtype 6 pointsize 1.6 * P linewidth 2.5 \
    linecolor rgb vermillion"
unset multiplot
