#if defined(__x86_64__)
#define LANES 8
#define BLOCK 8
#define UNITS 4
#include "winograd_convolve.h"
#include "winograd_products.h"
#include "winograd_weights.h"

const hl_winograd_kernels hl_winograd_avx2 = {"avx2", LANES, spread_weights, convolve, multiply};
#endif
