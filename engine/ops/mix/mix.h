#ifndef HILUM_OPS_MIX_H
#define HILUM_OPS_MIX_H

#include <hilum/op.h>

typedef struct hl_mix_attrs {
  hl_ints sizes;
  bool transpose;
} hl_mix_attrs;

typedef struct hl_mix_grad_attrs {
  int64_t parts; /* how many of the inputs are x; the others are dy */
} hl_mix_grad_attrs;

#endif
