#ifndef HILUM_OPS_MIX_H
#define HILUM_OPS_MIX_H

#include "deal.h"

typedef struct hl_mix_attrs {
  hl_ints sizes;
  bool transpose;
} hl_mix_attrs;

typedef struct hl_mix_grad_attrs {
  int64_t parts; /* how many of the inputs are x; the others are dy */
} hl_mix_grad_attrs;

static inline int64_t hl_mix_voxels(const hl_call *c) {
  return c->in[0].shape.dim[AXIS_N] * hl_image_voxels(&c->in[0]);
}

/* Voxels of a chunk: several whole blocks, so that of a small image the chunks' scratch, a block
 * each, stays smaller than the image. */
static inline int64_t hl_mix_grain(int64_t voxels, int64_t block) {
  enum { MOST_CHUNKS = 64, FEWEST_BLOCKS = 4 };
  int64_t blocks = hl_ceil_div(hl_ceil_div(voxels, MOST_CHUNKS), block);
  return hl_max_i64(FEWEST_BLOCKS, blocks) * block;
}

/* Fixed-point images, so that the transpose gives back the very bits (lift.h): whether a call is
 * computed so, and how. */
bool hl_mix_is_lifted(const hl_call *c);
size_t hl_mix_lifted_workspace(const hl_call *c);
void hl_mix_lifted_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                       void *workspace);

#endif
