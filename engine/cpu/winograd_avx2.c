#if defined(__x86_64__)
#define LANES 8
#define BLOCK 8
#define UNITS 4
#include "wide_convolve.h"

const hl_winograd_kernels hl_winograd_avx2 = {"avx2", LANES, spread_weights, convolve, multiply};

const hl_wide_kernels hl_wide_avx2 = {LANES,       UNITS,         wide_weigh,   wide_spread,
                                      wide_expand, wide_convolve, wide_multiply};
#endif
