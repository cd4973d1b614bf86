#ifndef HILUM_OPS_GATHER_H
#define HILUM_OPS_GATHER_H

#include "axis.h"

typedef struct hl_gather_attrs {
  hl_ints axis;
} hl_gather_attrs;

typedef struct hl_gather_grad_attrs {
  hl_ints axis;
  int64_t size; /* of x along the axis */
} hl_gather_grad_attrs;

static inline bool hl_gather_reaches(double index, int64_t size) {
  return index >= 0 && index < (double)size && index == (double)(int64_t)index;
}

static inline hl_status hl_gather_refuse(double index, int64_t size, hl_err *e) {
  return hl_fail(e, HL_EINVAL, "gather: index %g is not one of 0 to %lld", index,
                 (long long)size - 1);
}

#endif
