#if defined(__x86_64__)
#define LANES 16
#define BLOCK 24
#define UNITS 8
#include "winograd_convolve.h"
#include "winograd_products.h"
#include "winograd_weights.h"

const hl_winograd_kernels hl_winograd_avx512 = {"avx512", LANES, spread_weights, convolve,
                                                multiply};
#endif
