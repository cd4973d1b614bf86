#include "fold/fold.h"

#include "folding.h"

#include <math.h>

static void plan(const hl_call *c, hl_sum *s) {
  hl_desc kept = hl_reduce_kept(c);
  hl_sum_plan(s, &c->in[0], &kept);
}

static hl_status once(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_sum s;
  plan(c, &s);
  *bytes = hl_sum_workspace(&s);
  return HL_OK;
}

/* Room for the first fold's results beside the second fold. */
static hl_status twice(const hl_call *c, size_t *bytes, hl_err *e) {
  HL_TRY(once(c, bytes, e));
  *bytes += (size_t)hl_shape_numel(&c->out[0].shape) * sizeof(double);
  return HL_OK;
}

#define KERNEL(NAME, KIND, FINISH)                                                                 \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)e;                                                                                       \
    hl_sum s;                                                                                      \
    plan(c, &s);                                                                                   \
    double *r = workspace;                                                                         \
    hl_fold_run(&s, KIND, hl_tensor_f32(in[0]), NULL, r);                                          \
    for (int64_t i = 0; i < s.out_numel; i++) hl_tensor_f32(out[0])[i] = (float)FINISH;            \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.workspace = once, .run = NAME##_run};

KERNEL(max, HL_FOLD_MAX, r[i])
KERNEL(min, HL_FOLD_MIN, r[i])
KERNEL(prod, HL_FOLD_PRODUCT, r[i])
KERNEL(norm1, HL_FOLD_SUM_ABS, r[i])
KERNEL(norm2, HL_FOLD_SUM_SQUARE, sqrt(r[i]))
KERNEL(norm_inf, HL_FOLD_MAX_ABS, r[i])

/* Squared deviations from the mean, summed; the results lie behind the means. */
static const double *deviations(const hl_call *c, const float *x, double *work) {
  hl_sum s;
  plan(c, &s);
  double *mean = work, *sums = work + s.out_numel, n = (double)hl_reduce_count(c);
  hl_fold_run(&s, HL_FOLD_SUM, x, NULL, sums);
  for (int64_t i = 0; i < s.out_numel; i++) mean[i] = sums[i] / n;
  hl_fold_run(&s, HL_FOLD_SPREAD, x, mean, sums);
  return sums;
}

static double divisor(const hl_call *c) {
  const hl_spread_attrs *a = c->attrs;
  return (double)(hl_reduce_count(c) - (a->biased ? 0 : 1));
}

static hl_status var_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)e;
  const double *sums = deviations(c, hl_tensor_f32(in[0]), workspace);
  float *y = hl_tensor_f32(out[0]);
  for (int64_t i = 0; i < hl_tensor_numel(out[0]); i++) y[i] = (float)(sums[i] / divisor(c));
  return HL_OK;
}

static hl_status std_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)e;
  const double *sums = deviations(c, hl_tensor_f32(in[0]), workspace);
  float *y = hl_tensor_f32(out[0]);
  for (int64_t i = 0; i < hl_tensor_numel(out[0]); i++) y[i] = (float)sqrt(sums[i] / divisor(c));
  return HL_OK;
}

static hl_status logsumexp_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                               void *workspace, hl_err *e) {
  (void)e;
  hl_sum s;
  plan(c, &s);
  double *max = workspace, *sums = max + s.out_numel;
  const float *x = hl_tensor_f32(in[0]);
  hl_fold_run(&s, HL_FOLD_MAX, x, NULL, sums);
  for (int64_t i = 0; i < s.out_numel; i++) max[i] = isinf(sums[i]) ? 0 : sums[i];
  hl_fold_run(&s, HL_FOLD_EXP, x, max, sums);
  for (int64_t i = 0; i < s.out_numel; i++)
    hl_tensor_f32(out[0])[i] = (float)(max[i] + log(sums[i]));
  return HL_OK;
}

const hl_kernel hl_cpu_var = {.workspace = twice, .run = var_run};
const hl_kernel hl_cpu_std = {.workspace = twice, .run = std_run};
const hl_kernel hl_cpu_logsumexp = {.workspace = twice, .run = logsumexp_run};
