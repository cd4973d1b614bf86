#if defined(__x86_64__)
#define LANES 16
#define BLOCK 24
#include "winograd_kernel.h"

const hl_winograd_kernels hl_winograd_avx512 = {"avx512", LANES, convolve};
#endif
