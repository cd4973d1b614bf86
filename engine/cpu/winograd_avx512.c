#if defined(__x86_64__)
#define LANES 16
#define BLOCK 24
#define UNITS 8
#include "wide_convolve.h"

const hl_winograd_kernels hl_winograd_avx512 = {"avx512", LANES, spread_weights, convolve,
                                                multiply};

const hl_wide_kernels hl_wide_avx512 = {LANES,       UNITS,         wide_weigh,   wide_spread,
                                        wide_expand, wide_convolve, wide_multiply};
#endif
