#include "bce.h"

#include "vmath.h"

typedef struct job {
  const float *x, *t, *dy;
  float *y;
  float weight;
} job;

static void forward(int64_t begin, int64_t end, void *ctx) {
  const job j = *(const job *)ctx;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) {
    float x = j.x[i], t = j.t[i];
    float tail = hl_log1p_unit_f32(hl_exp_below_f32(-fabsf(x)));
    float present = (x < 0.0F ? -x : 0.0F) + tail, absent = (x > 0.0F ? x : 0.0F) + tail;
    j.y[i] = j.weight * t * present + (1.0F - t) * absent;
  }
}

static void backward(int64_t begin, int64_t end, void *ctx) {
  const job j = *(const job *)ctx;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) {
    float x = j.x[i], t = j.t[i];
    float z = hl_exp_below_f32(-fabsf(x));
    float near = 1.0F / (1.0F + z), far = z * near;
    float p = x < 0.0F ? far : near, q = x < 0.0F ? near : far;
    j.y[i] = j.dy[i] * ((1.0F - t) * p - j.weight * t * q);
  }
}

static hl_status bce_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_bce_attrs *a = c->attrs;
  job j = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1]), NULL, hl_tensor_f32(out[0]),
           (float)a->pos_weight};
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, forward, &j);
  return HL_OK;
}

static void bce_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  job j = {in[0], in[1], NULL, y, (float)((const hl_bce_attrs *)attrs)->pos_weight};
  forward(0, n, &j);
}

const hl_kernel hl_cpu_bce = {.run = bce_run, .stretch = bce_stretch};

static hl_status bce_grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                              void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_bce_attrs *a = c->attrs;
  job j = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1]), hl_tensor_f32(in[2]), hl_tensor_f32(out[0]),
           (float)a->pos_weight};
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, backward, &j);
  return HL_OK;
}

static void bce_grad_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  job j = {in[0], in[1], in[2], y, (float)((const hl_bce_attrs *)attrs)->pos_weight};
  backward(0, n, &j);
}

const hl_kernel hl_cpu_bce_grad = {.run = bce_grad_run, .stretch = bce_grad_stretch};
