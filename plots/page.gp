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
