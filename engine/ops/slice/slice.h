#ifndef HILUM_OPS_SLICE_H
#define HILUM_OPS_SLICE_H

#include <hilum/op.h>

typedef struct hl_slice_attrs {
  hl_ints start, stop, step; /* per axis; no steps: 1 each */
} hl_slice_attrs;

typedef struct hl_slice_grad_attrs {
  hl_ints shape, start, step;
} hl_slice_grad_attrs;

static inline int64_t hl_slice_step(const hl_ints *step, int axis) {
  return step->n == 0 ? 1 : step->v[axis];
}

#endif
