#ifndef HILUM_OPS_POOL_H
#define HILUM_OPS_POOL_H

#include "taps.h"

/* Vectors are (z, y, x). The first four members are the same in every op of the folder. */
typedef struct hl_pool_attrs {
  int64_t kernel[3], stride[3], padding[3];
  bool ceil_mode;
} hl_pool_attrs;
typedef struct hl_avg_pool_attrs {
  int64_t kernel[3], stride[3], padding[3];
  bool ceil_mode, count_include_pad;
} hl_avg_pool_attrs;
/* avg_pool_grad: begins like hl_avg_pool_attrs. */
typedef struct hl_avg_pool_grad_attrs {
  int64_t kernel[3], stride[3], padding[3];
  bool ceil_mode, count_include_pad;
  int64_t size[3];
} hl_avg_pool_grad_attrs;

/* The means of the windows as taps of the image, and their transpose. */
hl_taps hl_avg_pool_taps(const hl_call *c);
hl_taps hl_avg_pool_grad_taps(const hl_call *c);

#endif
