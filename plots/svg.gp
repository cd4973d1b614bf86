# Sizes of text (face) and points (P), and the place of numbers below an axis (O), that look as in PNG.
face(size) = sprintf("DejaVu Sans,%.4g", size * 4.0 / 3)
P = 0.5
O = 0.35
set terminal svg size W, H font face(18) noenhanced background "white" linewidth 1
set output "figure.svg"
