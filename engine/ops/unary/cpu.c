#include "unary.h"

#include "vmath.h"

#include <math.h>

typedef struct job {
  const float *x, *dy;
  float *y;
  float slope;
} job;

/* 0 for all functions but leaky_relu, the only one with attributes. */
static float slope_of(const hl_call *c) {
  return c->op->attr_size == 0 ? 0 : (float)((const hl_leaky_relu_attrs *)c->attrs)->slope;
}

#define KERNEL(NAME, VALUE)                                                                        \
  static void NAME##_range(int64_t begin, int64_t end, void *ctx) {                                \
    const job *j = ctx;                                                                            \
    const float *in = j->x;                                                                        \
    float *out = j->y;                                                                             \
    float slope = j->slope;                                                                        \
    (void)slope;                                                                                   \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = begin; i < end; i++) {                                                        \
      float x = in[i];                                                                             \
      out[i] = VALUE;                                                                              \
    }                                                                                              \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    job j = {.x = hl_tensor_f32(in[0]), .y = hl_tensor_f32(out[0]), .slope = slope_of(c)};         \
    hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, NAME##_range, &j);                           \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.run = NAME##_run};

KERNEL(neg, -x)
KERNEL(exp, hl_exp_f32(x))
KERNEL(log, hl_log_f32(x))
KERNEL(sqrt, sqrtf(x))
KERNEL(square, x *x)
KERNEL(abs, fabsf(x))
KERNEL(sigmoid, hl_sigmoid_f32(x))
KERNEL(softplus, hl_softplus_f32(x))
KERNEL(tanh, hl_tanh_f32(x))
KERNEL(relu, x < 0 ? 0 : x)
KERNEL(leaky_relu, x > 0 ? x : slope * x)

/* ---- derivatives ---- */

#define DERIVATIVE(NAME, VALUE)                                                                    \
  static void NAME(int64_t begin, int64_t end, void *ctx) {                                        \
    const job *j = ctx;                                                                            \
    const float *in = j->x, *dy = j->dy;                                                           \
    float *dx = j->y;                                                                              \
    float slope = j->slope;                                                                        \
    (void)slope;                                                                                   \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = begin; i < end; i++) {                                                        \
      float a = in[i], d = dy[i];                                                                  \
      dx[i] = VALUE;                                                                               \
    }                                                                                              \
  }

DERIVATIVE(d_exp, d *a)
DERIVATIVE(d_log, d / a)
DERIVATIVE(d_sqrt, d * 0.5F / a)
DERIVATIVE(d_square, d * 2.0F * a)
DERIVATIVE(d_abs, d *(a > 0 ? 1.0F : a < 0 ? -1.0F : 0.0F))
DERIVATIVE(d_sigmoid, d *(a *(1.0F - a)))
DERIVATIVE(d_softplus, d *hl_sigmoid_f32(a))
DERIVATIVE(d_tanh, d *(1.0F - a * a))
DERIVATIVE(d_relu, a > 0 ? d : 0.0F)
DERIVATIVE(d_leaky_relu, a > 0 ? d : d * slope)

static const hl_range_body derivatives[HL_UNARY_FUNCTIONS] = {
    [HL_UNARY_EXP] = d_exp,           [HL_UNARY_LOG] = d_log,
    [HL_UNARY_SQRT] = d_sqrt,         [HL_UNARY_SQUARE] = d_square,
    [HL_UNARY_ABS] = d_abs,           [HL_UNARY_SIGMOID] = d_sigmoid,
    [HL_UNARY_SOFTPLUS] = d_softplus, [HL_UNARY_TANH] = d_tanh,
    [HL_UNARY_RELU] = d_relu,         [HL_UNARY_LEAKY_RELU] = d_leaky_relu};

static hl_status grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_unary_grad_attrs *a = c->attrs;
  job j = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1]), hl_tensor_f32(out[0]), (float)a->slope};
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, derivatives[a->function], &j);
  return HL_OK;
}

const hl_kernel hl_cpu_unary_grad = {.run = grad_run};
