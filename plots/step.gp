# Where the time of a training step goes, a row for each kind of op.
#   page     width, height, left, right, bottom, top edge of the bars in pixels, number of rows, largest share
#   forward, backward, others   share (%), row from below      key_forward, key_backward   the ends of the key's bars in pixels
#   and the texts of page.gp
stats "page.tsv" using (L = $3, R = $4, B = $5, T = $6, N = $7, X = $8, 0) nooutput

set multiplot
eval axes(L, R, B, T)
set border 2
unset tics
unset grid
unset key
set xrange [0:100 * X]
set yrange [0.5:N + 0.5]
set style fill solid 1 noborder
plot "forward.tsv" using (0):2:(0):1:($2 - 0.36):($2 + 0.36) with boxxyerror linecolor rgb sky, \
  "backward.tsv" using (0):2:(0):1:($2 - 0.36):($2 + 0.36) with boxxyerror linecolor rgb orange, \
  "others.tsv" using (0):2:(0):1:($2 - 0.36):($2 + 0.36) with boxxyerror linecolor rgb pale
eval text_page
bar = "every ::1::1 using ($1 - 21):2:($1 - 42):1:($2 - 6):($2 + 6) with boxxyerror linecolor rgb"
eval "plot " . texts . ", 'key_forward.tsv' " . bar . " sky, 'key_backward.tsv' " . bar . " orange"
unset multiplot
