#if defined(__x86_64__)
#define LANES 8
#define BLOCK 8
#include "winograd_kernel.h"

const hl_winograd_kernels hl_winograd_avx2 = {"avx2", LANES, convolve};
#endif
