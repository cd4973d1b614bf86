# A page of W × H points of 1/96 inch: sizes look as in PNG.
face(size) = sprintf("DejaVu Sans,%.4g", size * 0.75)
P = 0.6
O = 0
set terminal pdfcairo size W / 96.0, H / 96.0 font face(18) noenhanced background "white" linewidth 1
set output "figure.pdf"
