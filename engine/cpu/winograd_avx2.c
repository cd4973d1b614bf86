#if defined(__x86_64__)
#define LANES 8
#define BLOCK 8
#define UNITS 4
#include "winograd_convolve.h"
#include "winograd_products.h"

const hl_winograd_kernels hl_winograd_avx2 = {"avx2", LANES, convolve, multiply};
#endif
