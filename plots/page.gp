# What all figures share. The table "page" has one row: width, height, then numbers of the figure's own, which
# its script reads. Everything a person wrote comes as data of labels; see stdlib/hilum/gnuplot.lua.
set encoding utf8
set datafile separator "\t"
set datafile commentschars ""
set datafile missing "NaN"
stats "page.tsv" using (W = $1, H = $2, 0) nooutput

# Okabe and Ito's colours (2008): told apart with any colour vision, and, light against dark, in grey.
blue = "#0072B2"
orange = "#E69F00"
vermillion = "#D55E00"
sky = "#56B4E9"
ink = "#222222"
grey = "#777777"
pale = "#DDDDDD"

# Room for text in pixels of the page: nothing but labels.
text_page = "unset border; unset tics; unset key; unset grid; unset title; unset xlabel; unset ylabel; \
  set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0; set tmargin at screen 1; \
  set xrange [0:W]; set yrange [0:H]"

# Texts as most figures have them, each table x, y in pixels of the page and the text; to be plotted on a text page.
texts = "'title.tsv' using 1:2:3 with labels left font face(22) textcolor rgb ink notitle, \
  'note.tsv' using 1:2:3 with labels left font face(14) textcolor rgb grey notitle, \
  'heads.tsv' using 1:2:3 with labels left font face(17) textcolor rgb ink notitle, \
  'x_axes.tsv' using 1:2:3 with labels font face(16) textcolor rgb ink notitle, \
  'y_axes.tsv' using 1:2:3 with labels rotate by 90 font face(16) textcolor rgb ink notitle, \
  'small.tsv' using 1:2:3 with labels left font face(14) textcolor rgb grey notitle, \
  'middle.tsv' using 1:2:3 with labels font face(14) textcolor rgb grey notitle, \
  'right.tsv' using 1:2:3 with labels right font face(15) textcolor rgb ink notitle"

# Axes as most figures have them: their edges in pixels of the page.
axes(l, r, b, t) = sprintf("set lmargin at screen %g; set rmargin at screen %g; set bmargin at screen %g; \
  set tmargin at screen %g; set border 3 linecolor rgb grey linewidth 1.5; \
  set tics nomirror out scale 0.6 font '%s' textcolor rgb ink; set xtics offset 0, %g; \
  set grid ytics linetype 1 linecolor rgb pale linewidth 1", 1.0 * l / W, 1.0 * r / W, 1.0 * b / H, 1.0 * t / H, face(15), O)
