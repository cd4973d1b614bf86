#define LANES 4
#define BLOCK 8
#define UNITS 4
#include "winograd_convolve.h"
#include "winograd_products.h"

const hl_winograd_kernels hl_winograd_portable = {"portable", LANES, convolve, multiply};
