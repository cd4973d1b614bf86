/* Sums over any axes, accumulated in f64 in a fixed order. Private to the kernels of engine/ops. */
#ifndef HILUM_OPS_SUM_H
#define HILUM_OPS_SUM_H

#include "kernel.h"

typedef struct hl_sum {
  hl_dtype type; /* of the input: f32 or narrow */
  int rank;      /* axes in the order of the input's memory, merged where possible */
  int64_t size[HL_MAX_RANK];
  int64_t step[HL_MAX_RANK]; /* stride in the output; 0: summed over */
  int64_t out_numel;
  int split; /* axis that is cut into chunks */
  int64_t grain, chunks;
  bool copies; /* the chunks overlap in the output: each has sums of its own */
} hl_sum;

/* `out` broadcasts to `x`. */
void hl_sum_plan(hl_sum *s, const hl_desc *x, const hl_desc *out);
size_t hl_sum_workspace(const hl_sum *s);
/* out, f32 or narrow, = factor * sums of x. */
void hl_sum_run(const hl_sum *s, const hl_tensor *x, hl_tensor *out, double factor,
                void *workspace);

#endif
