/* Reductions over any axes, in f64 and in a fixed order. Private to the kernels of engine/ops. The
 * order and the chunks are those of hl_sum (sum.h). */
#ifndef HILUM_OPS_FOLDING_H
#define HILUM_OPS_FOLDING_H

#include "sum.h"

typedef enum hl_fold {
  HL_FOLD_SUM,
  HL_FOLD_MAX, /* NaN wins in all four */
  HL_FOLD_MIN,
  HL_FOLD_MAX_ABS,
  HL_FOLD_PRODUCT,
  HL_FOLD_SUM_ABS,
  HL_FOLD_SUM_SQUARE,
  HL_FOLD_SPREAD, /* sum of (x - shift)^2 */
  HL_FOLD_EXP     /* sum of exp(x - shift) */
} hl_fold;

/* Leaves the results in the first s->out_numel numbers of `work`, which has hl_sum_workspace(s)
 * bytes. `x` has numbers of s->type. `shift` has one number per result; NULL for the folds without
 * one. */
void hl_fold_run(const hl_sum *s, hl_fold kind, const void *x, const double *shift, double *work);

#endif
