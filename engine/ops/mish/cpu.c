/* With z = exp(x) and n = z·(z + 2): tanh(ln(1 + z)) = n / (n + 2), without cancellation; its
 * derivative is 4·z·(1 + z) / (n + 2)². Above 20 it is 1 in f32, and z would overflow. */
#include "vmath.h"

typedef struct job {
  const float *x, *dy;
  float *y;
} job;

HL_INLINE float power(float x) {
  return hl_exp_f32(x < 20.0F ? x : 20.0F);
}

static void forward(int64_t begin, int64_t end, void *ctx) {
  const job j = *(const job *)ctx;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) {
    float x = j.x[i], z = power(x), n = z * (z + 2.0F);
    j.y[i] = x * (n / (n + 2.0F));
  }
}

static void backward(int64_t begin, int64_t end, void *ctx) {
  const job j = *(const job *)ctx;
  HL_INDEPENDENT
  for (int64_t i = begin; i < end; i++) {
    float x = j.x[i], z = power(x), n = z * (z + 2.0F), near = 1.0F / (n + 2.0F);
    float slope = x < 20.0F ? 4.0F * x * z * (1.0F + z) * near * near : 0.0F;
    j.y[i] = j.dy[i] * (n * near + slope);
  }
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  bool back = c->n_in > 1;
  job j = {hl_tensor_f32(in[0]), back ? hl_tensor_f32(in[1]) : NULL, hl_tensor_f32(out[0])};
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, back ? backward : forward, &j);
  return HL_OK;
}

static void stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  (void)attrs;
  forward(0, n, &(job){in[0], NULL, y});
}

static void grad_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  (void)attrs;
  backward(0, n, &(job){in[0], in[1], y});
}

const hl_kernel hl_cpu_mish = {.run = run, .stretch = stretch};
const hl_kernel hl_cpu_mish_grad = {.run = run, .stretch = grad_stretch};
