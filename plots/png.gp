face(size) = sprintf("DejaVu Sans,%.4g", size)
P = 1
O = 0
set terminal pngcairo size W, H font face(18) noenhanced background "white" linewidth 1
set output "figure.png"
