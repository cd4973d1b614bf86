/* Resampling between a fine grid and a coarse one with σ = stride z · y · x times the channels. */
#ifndef HILUM_OPS_RESAMPLE_H
#define HILUM_OPS_RESAMPLE_H

#include "deal.h"

enum { RESAMPLE_STRIDE = 8 }; /* the largest, per axis */

/* Of resample_down and resample_up. */
typedef struct hl_resample_attrs {
  int64_t stride[3];
  hl_ints sizes;
} hl_resample_attrs;

typedef struct hl_resample_grad_attrs {
  int64_t stride[3];
  int64_t parts; /* how many of the inputs are coarse; the others are fine */
} hl_resample_grad_attrs;

static inline int64_t hl_resample_window(const int64_t stride[3]) {
  return stride[0] * stride[1] * stride[2];
}

/* Voxel k of a window, in row-major order, as (z, y, x) from its first voxel. */
static inline void hl_resample_place(const int64_t stride[3], int64_t k, int64_t zyx[3]) {
  zyx[2] = k % stride[2];
  zyx[1] = k / stride[2] % stride[1];
  zyx[0] = k / (stride[2] * stride[1]);
}

/* ---- kernels (cpu.c, lifted.c) ---- */

/* Fixed-point images, so that the other direction gives back the very bits (lift.h): whether a call
 * is one of these, its scratch, and the run of either direction. */
bool hl_resample_is_lifted(const hl_call *c);
size_t hl_resample_lifted_workspace(const hl_call *c, bool down);
void hl_resample_lifted_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *workspace, bool down);

#endif
