#define LANES 4
#define BLOCK 8
#include "winograd_kernel.h"

const hl_winograd_kernels hl_winograd_portable = {"portable", LANES, convolve};
