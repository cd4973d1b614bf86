#include "adam.h"

#include "kernel.h"

typedef struct job {
  float *p, *m, *v;
  const float *g;
  float beta1, gain1, beta2, gain2, eps, rate, root, add, keep;
} job;

static void range(int64_t begin, int64_t end, void *ctx) {
  const job j = *(const job *)ctx;
  float *restrict p = j.p, *restrict m = j.m, *restrict v = j.v;
  const float *restrict g = j.g;
  for (int64_t i = begin; i < end; i++) {
    float d = g[i] + j.add * p[i];
    float mean = j.beta1 * m[i] + j.gain1 * d;
    float square = j.beta2 * v[i] + j.gain2 * d * d;
    m[i] = mean;
    v[i] = square;
    p[i] = j.keep * p[i] - j.rate * mean / (sqrtf(square) * j.root + j.eps);
  }
}

/* Rate and step, which must be numbers to compute with. */
static hl_status read_clock(const hl_tensor *t, double clock[2], hl_err *e) {
  for (int64_t i = 0; i < 2; i++) HL_TRY(hl_tensor_get(t, &i, &clock[i], e));
  if (!isfinite(clock[0]) || !isfinite(clock[1]))
    return hl_fail(e, HL_ENONFINITE, "adam: rate %g and step %g must be finite", clock[0],
                   clock[1]);
  if (clock[1] <= 0)
    return hl_fail(e, HL_EINVAL, "adam: step is counted from 1, but is %g", clock[1]);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)out;
  (void)workspace;
  double clock[2];
  HL_TRY(read_clock(in[ADAM_CLOCK], clock, e));
  const hl_adam_attrs *a = c->attrs;
  hl_adam_step s = hl_adam_at(a, clock[0], clock[1]);
  job j = {.p = hl_tensor_f32(in[ADAM_PARAM]),
           .m = hl_tensor_f32(in[ADAM_M]),
           .v = hl_tensor_f32(in[ADAM_V]),
           .g = hl_tensor_f32(in[ADAM_GRAD]),
           .beta1 = (float)a->beta1,
           .gain1 = (float)(1 - a->beta1),
           .beta2 = (float)a->beta2,
           .gain2 = (float)(1 - a->beta2),
           .eps = (float)a->eps,
           .rate = (float)s.rate,
           .root = (float)s.root,
           .add = (float)s.add,
           .keep = (float)s.keep};
  hl_parallel_for(hl_tensor_numel(in[ADAM_PARAM]), HL_GRAIN, range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_adam = {.run = run};
