#include "clamp.h"

#include "kernel.h"

#include <float.h>
#include <math.h>

typedef struct job {
  const float *x, *dy;
  float *y;
  float low, high;
} job;

static void forward(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const float *x = j->x;
  float *y = j->y, low = j->low, high = j->high;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) {
    float raised = x[i] < low ? low : x[i];
    y[i] = raised > high ? high : raised;
  }
}

static void backward(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const float *x = j->x, *dy = j->dy;
  float *dx = j->y, low = j->low, high = j->high;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) {
    float d = dy[i];
    d = x[i] >= low ? d : 0;
    dx[i] = x[i] <= high ? d : 0;
  }
}

/* A limit beyond f32 is no limit. */
static float limit(double x) {
  return x > FLT_MAX ? INFINITY : x < -FLT_MAX ? -INFINITY : (float)x;
}

static job job_of(const hl_clamp_attrs *a, const float *x, const float *dy, float *y) {
  return (job){x, dy, y, limit(a->low), limit(a->high)};
}

static hl_status clamp_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  job j = job_of(c->attrs, hl_tensor_f32(in[0]), NULL, hl_tensor_f32(out[0]));
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, forward, &j);
  return HL_OK;
}

static hl_status clamp_grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                                void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  job j = job_of(c->attrs, hl_tensor_f32(in[0]), hl_tensor_f32(in[1]), hl_tensor_f32(out[0]));
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, backward, &j);
  return HL_OK;
}

static void clamp_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  job j = job_of(attrs, in[0], NULL, y);
  forward(0, n, &j);
}

static void clamp_grad_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  job j = job_of(attrs, in[0], in[1], y);
  backward(0, n, &j);
}

const hl_kernel hl_cpu_clamp = {.run = clamp_run, .stretch = clamp_stretch};
const hl_kernel hl_cpu_clamp_grad = {.run = clamp_grad_run, .stretch = clamp_grad_stretch};
