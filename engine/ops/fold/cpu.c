#include "fold/fold.h"

#include "folding.h"
#include "vmath.h"

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

/* Results to f32: r is the fold's, `first` has those of an earlier fold. */
typedef struct finish {
  const double *result, *first;
  float *y;
  double n;
} finish;

#define FINISH(NAME, VALUE)                                                                        \
  static void NAME##_finish(int64_t begin, int64_t end, void *ctx) {                               \
    const finish *j = ctx;                                                                         \
    for (int64_t i = begin; i < end; i++) {                                                        \
      double r = j->result[i];                                                                     \
      j->y[i] = (float)(VALUE);                                                                    \
    }                                                                                              \
  }

#define KERNEL(NAME, KIND, VALUE)                                                                  \
  FINISH(NAME, VALUE)                                                                              \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)e;                                                                                       \
    hl_sum s;                                                                                      \
    plan(c, &s);                                                                                   \
    finish j = {.result = workspace, .y = hl_tensor_f32(out[0])};                                  \
    hl_fold_run(&s, KIND, hl_tensor_f32(in[0]), NULL, workspace);                                  \
    hl_parallel_for(s.out_numel, HL_GRAIN, NAME##_finish, &j);                                     \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.workspace = once, .run = NAME##_run};

KERNEL(max, HL_FOLD_MAX, r)
KERNEL(min, HL_FOLD_MIN, r)
KERNEL(prod, HL_FOLD_PRODUCT, r)
KERNEL(norm1, HL_FOLD_SUM_ABS, r)
KERNEL(norm2, HL_FOLD_SUM_SQUARE, sqrt(r))
KERNEL(norm_inf, HL_FOLD_MAX_ABS, r)

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

#define SPREAD_KERNEL(NAME, VALUE)                                                                 \
  FINISH(NAME, VALUE)                                                                              \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)e;                                                                                       \
    finish j = {.y = hl_tensor_f32(out[0]), .n = divisor(c)};                                      \
    j.result = deviations(c, hl_tensor_f32(in[0]), workspace);                                     \
    hl_parallel_for(hl_tensor_numel(out[0]), HL_GRAIN, NAME##_finish, &j);                         \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.workspace = twice, .run = NAME##_run};

SPREAD_KERNEL(var, r / j->n)
SPREAD_KERNEL(std, sqrt(r / j->n))

FINISH(logsumexp, j->first[i] + (double)hl_log_f32((float)r))

static hl_status logsumexp_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                               void *workspace, hl_err *e) {
  (void)e;
  hl_sum s;
  plan(c, &s);
  double *max = workspace, *sums = max + s.out_numel;
  const float *x = hl_tensor_f32(in[0]);
  finish j = {.result = sums, .first = max, .y = hl_tensor_f32(out[0])};
  hl_fold_run(&s, HL_FOLD_MAX, x, NULL, sums);
  for (int64_t i = 0; i < s.out_numel; i++) max[i] = isinf(sums[i]) ? 0 : sums[i];
  hl_fold_run(&s, HL_FOLD_EXP, x, max, sums);
  hl_parallel_for(s.out_numel, HL_GRAIN, logsumexp_finish, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_logsumexp = {.workspace = twice, .run = logsumexp_run};
