#define LANES 4
#define BLOCK 8
#define UNITS 4
#include "winograd_convolve.h"
#include "winograd_products.h"
#include "winograd_weights.h"

const hl_winograd_kernels hl_winograd_portable = {"portable", LANES, spread_weights, convolve,
                                                  multiply};
