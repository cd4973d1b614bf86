#include "affine.h"

#include "kernel.h"

typedef struct job {
  const float *x;
  float *y;
  float scale, shift;
} job;

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const float *x = j->x;
  float *y = j->y, scale = j->scale, shift = j->shift;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) y[i] = scale * x[i] + shift;
}

/* Scale 0: also where x is not a number. */
static void constant(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i++) j->y[i] = j->shift;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_affine_attrs *a = c->attrs;
  job j = {hl_tensor_f32(in[0]), hl_tensor_f32(out[0]), (float)a->scale, (float)a->shift};
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, a->scale == 0 ? constant : range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_affine = {.run = run};
