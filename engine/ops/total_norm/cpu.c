#include "total_norm.h"

#include "kernel.h"

#include <math.h>

#define GRAIN (4 * (int64_t)HL_GRAIN)
enum { LANES = 16 };

typedef struct job {
  const float *x;
  double *part; /* one per chunk */
} job;

static void squares(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const float *restrict x = j->x;
  double lane[LANES] = {0}, sum = 0;
  int64_t i = begin;
  for (; i + LANES <= end; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += (double)x[i + k] * (double)x[i + k];
  for (; i < end; i++) sum += (double)x[i] * (double)x[i];
  for (int k = 0; k < LANES; k++) sum += lane[k];
  j->part[begin / GRAIN] = sum;
}

static void sizes(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const float *restrict x = j->x;
  double lane[LANES] = {0}, sum = 0;
  int64_t i = begin;
  for (; i + LANES <= end; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += (double)fabsf(x[i + k]);
  for (; i < end; i++) sum += (double)fabsf(x[i]);
  for (int k = 0; k < LANES; k++) sum += lane[k];
  j->part[begin / GRAIN] = sum;
}

/* The larger one; NaN is larger than anything. */
HL_INLINE double larger(double a, double b) {
  return b > a || b != b ? b : a;
}

static void largest(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  double most = 0;
  for (int64_t i = begin; i < end; i++) most = larger(most, (double)fabsf(j->x[i]));
  j->part[begin / GRAIN] = most;
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t most = 0;
  for (int i = 0; i < c->n_in; i++) most = hl_max_i64(most, hl_shape_numel(&c->in[i].shape));
  *bytes = (size_t)hl_ceil_div(most, GRAIN) * sizeof(double);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *scratch,
                     hl_err *e) {
  (void)e;
  const hl_total_norm_attrs *a = c->attrs;
  double total = 0;
  for (int i = 0; i < c->n_in; i++) {
    job j = {hl_tensor_f32(in[i]), scratch};
    int64_t n = hl_tensor_numel(in[i]);
    hl_parallel_for(n, GRAIN,
                    a->order == NORM_2   ? squares
                    : a->order == NORM_1 ? sizes
                                         : largest,
                    &j);
    for (int64_t k = 0; k < hl_ceil_div(n, GRAIN); k++)
      total = a->order == NORM_INF ? larger(total, j.part[k]) : total + j.part[k];
  }
  *hl_tensor_f64(out[0]) = a->order == NORM_2 ? sqrt(total) : total;
  return HL_OK;
}

const hl_kernel hl_cpu_total_norm = {.workspace = workspace, .run = run};
