# Loss (left) and weight (right) of each scale over the epochs.
#   page     width, height, number of scales, first and last epoch, distance of its tics, highest loss, its tics,
#            highest weight, its tics
#   lossK, weightK   epoch, mean over its steps
#   train, validation   epoch, loss over all scales
#   keyK, key_train, key_validation   the ends of the key's lines in pixels
#   and the texts of page.gp
stats "page.tsv" using (N = $3, X0 = $4, X1 = $5, DX = $6, Y = $7, DY = $8, V = $9, DV = $10, 0) nooutput

array colour[6] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
array dash[6] = ["1", "(14, 5)", "(4, 5)", "(14, 5, 3, 5)", "(20, 8)", "(2, 3)"]
curve(t, k) = sprintf("'%s%d.tsv' using 1:2 with lines linewidth 3 dashtype %s linecolor rgb '%s' notitle", t, k, dash[k], colour[k])

set multiplot
eval axes(90, 560, 84, 470)
set xrange [X0:X1]
set xtics DX
set yrange [0:Y]
set ytics DY
unset key
command = "plot 'train.tsv' using 1:2 with lines linewidth 2 dashtype (2, 4) linecolor rgb ink, 'validation.tsv' using 1:2 with lines linewidth 2 linecolor rgb ink"
do for [k = 1:N] { command = command . ", " . curve("loss", k) }
eval command

eval axes(690, 1040, 84, 470)
set yrange [0:V]
set ytics DV
command = "plot " . curve("weight", 1)
do for [k = 2:N] { command = command . ", " . curve("weight", k) }
eval command

eval text_page
command = "plot " . texts . ", 'key_train.tsv' using 1:2 with lines linewidth 2 dashtype (2, 4) linecolor rgb ink, 'key_validation.tsv' using 1:2 with lines linewidth 2 linecolor rgb ink"
do for [k = 1:N] { command = command . ", " . curve("key", k) }
eval command
unset multiplot
