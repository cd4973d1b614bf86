#ifndef HILUM_OPS_POOL_H
#define HILUM_OPS_POOL_H

#include <stdint.h>

/* Vectors are (z, y, x). */
typedef struct hl_pool_attrs {
  int64_t kernel[3], stride[3], padding[3];
} hl_pool_attrs;
/* avg_pool_grad: begins like hl_pool_attrs. */
typedef struct hl_pool_grad_attrs {
  int64_t kernel[3], stride[3], padding[3], size[3];
} hl_pool_grad_attrs;

#endif
