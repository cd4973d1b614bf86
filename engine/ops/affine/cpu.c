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

static job job_of(const hl_affine_attrs *a, const float *x, float *y) {
  return (job){x, y, (float)a->scale, (float)a->shift};
}

static hl_range_body body_of(const hl_affine_attrs *a) {
  return a->scale == 0 ? constant : range;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  job j = job_of(c->attrs, hl_tensor_f32(in[0]), hl_tensor_f32(out[0]));
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, body_of(c->attrs), &j);
  return HL_OK;
}

static void stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  job j = job_of(attrs, in[0], y);
  body_of(attrs)(0, n, &j);
}

const hl_kernel hl_cpu_affine = {.run = run, .stretch = stretch};
