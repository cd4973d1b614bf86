# Peak memory of a training step against depth (left) and against the side of the image (right).
#   page       width, height in pixels, highest MiB on the left, lowest and highest on the right
#   depth_CURVE, size_CURVE   x, MiB promised, by the ledger, resident, of activations; CURVE is own_ or peer_ and rebuilt, stored, unet
#   title, note, axes, unit   x, y in pixels, text
stats "page.tsv" using (Y = $3, LOW = $4, HIGH = $5, 0) nooutput

promised = "using 1:2 with lines linewidth 3 dashtype %s linecolor rgb"
ledger = "using 1:3 with points pointtype 6 linewidth 2 linecolor rgb"
resident = "using 1:4 with points pointtype 7 linecolor rgb"
peer = "using 1:4 with linespoints linewidth 2.5 dashtype (10, 6) pointtype 5 linecolor rgb"
own(t, c, dash) = sprintf("'%s.tsv' " . promised . " '%s' notitle, '' %s '%s' pointsize %g notitle, '' %s '%s' pointsize %g notitle", \
  t, dash, c, ledger, c, 1.9 * P, resident, c, 0.9 * P)
other(t, c) = sprintf("'%s.tsv' %s '%s' pointsize %g notitle", t, peer, c, 1.3 * P)
all(p) = sprintf("plot %s, %s, %s, %s, %s, %s", other(p . "_peer_stored", orange), other(p . "_peer_rebuilt", vermillion), \
  other(p . "_peer_unet", grey), own(p . "_own_stored", sky, "1"), own(p . "_own_unet", ink, "(6, 10)"), \
  own(p . "_own_rebuilt", blue, "1"))

set multiplot
set border 3 linecolor rgb grey linewidth 1.5
set tics nomirror out scale 0.6 textcolor rgb ink
set grid ytics linetype 1 linecolor rgb pale linewidth 1
set bmargin at screen 92 / H
set tmargin at screen 575 / H
set lmargin at screen 100.0 / W
set rmargin at screen 640.0 / W
set xrange [0:21]
set yrange [0:Y]
set xtics (1, 2, 5, 10, 20) offset 0, O
set ytics 500
eval all("depth") . ", 'depth_own_rebuilt.tsv' using 1:5 with lines linewidth 2 dashtype (2, 5) linecolor rgb blue notitle"

set lmargin at screen 740.0 / W
set rmargin at screen 1130.0 / W
set logscale xy
set xrange [29:140]
set yrange [LOW:HIGH]
set xtics (32, 48, 64, 96, 128) offset 0, O
set ytics (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
set mytics 1
eval all("size")
unset logscale

eval text_page
key_font = face(15)
set key at screen 1160.0 / W, 575.0 / H left top vertical Left reverse samplen 2.2 spacing 1.5 font key_font textcolor rgb ink
plot "title.tsv" using 1:2:3 with labels left font face(22) textcolor rgb ink notitle, \
  "note.tsv" using 1:2:3 with labels left font face(15) textcolor rgb grey notitle, \
  "axes.tsv" using 1:2:3 with labels font face(17) textcolor rgb ink notitle, \
  "unit.tsv" using 1:2:3 with labels left font face(17) textcolor rgb ink notitle, \
  NaN with linespoints linewidth 2.5 dashtype (10, 6) pointtype 5 pointsize 1.3 * P linecolor rgb orange title "iunets, stored", \
  NaN with linespoints linewidth 2.5 dashtype (10, 6) pointtype 5 pointsize 1.3 * P linecolor rgb vermillion title "iunets, rebuilt", \
  NaN with linespoints linewidth 2.5 dashtype (10, 6) pointtype 5 pointsize 1.3 * P linecolor rgb grey title "PyTorch UNet", \
  NaN with lines linewidth 3 linecolor rgb sky title "hilum iUNet, stored", \
  NaN with lines linewidth 3 dashtype (6, 10) linecolor rgb ink title "hilum UNet", \
  NaN with lines linewidth 3 linecolor rgb blue title "hilum iUNet, rebuilt", \
  NaN with lines linewidth 2 dashtype (2, 5) linecolor rgb blue title "  its activations", \
  NaN with lines linewidth 3 linecolor rgb pale title "line: promised", \
  NaN with points pointtype 6 pointsize 1.9 * P linewidth 2 linecolor rgb ink title "ring: ledger", \
  NaN with points pointtype 7 pointsize 0.9 * P linecolor rgb ink title "dot, square: resident"
unset multiplot
