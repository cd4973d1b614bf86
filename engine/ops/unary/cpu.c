#include "unary.h"

#include "vmath.h"

#include <math.h>

typedef struct job {
  const float *x, *dy;
  float *y;
  float parameter;
} job;

/* 0 for the functions without one. */
static float parameter_in(const hl_unary_attrs *a) {
  return a == NULL ? 0 : (float)a->parameter;
}

static float parameter_of(const hl_call *c) {
  return c->op->attr_size == 0 ? 0 : parameter_in(c->attrs);
}

/* ---- powers ---- */

enum { BLOCK = 256 };

/* x^p for |p| = whole + half/2 by products and a square root. */
static void power_by_products(const float *x, float *y, int64_t n, unsigned whole, bool half,
                              bool inverse) {
  float base[BLOCK], root[BLOCK];
  for (int64_t i = 0; i < n; i++) {
    base[i] = inverse ? 1.0F / x[i] : x[i];
    root[i] = half ? sqrtf(base[i]) : 1.0F;
  }
  for (; whole > 0; whole >>= 1) {
    if ((whole & 1U) != 0)
      for (int64_t i = 0; i < n; i++) root[i] *= base[i];
    for (int64_t i = 0; i < n; i++) base[i] *= base[i];
  }
  for (int64_t i = 0; i < n; i++) y[i] = root[i];
}

/* y = x^p for n ≤ BLOCK numbers; y may be x. */
static void power(const float *x, float *y, int64_t n, float p) {
  float size = fabsf(p), whole = floorf(size), rest = size - whole;
  if (size <= 16 && (rest == 0 || rest == 0.5F))
    power_by_products(x, y, n, (unsigned)whole, rest != 0, p < 0);
  else
    for (int64_t i = 0; i < n; i++) y[i] = powf(x[i], p);
}

static void pow_range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i += BLOCK)
    power(j->x + i, j->y + i, hl_min_i64(BLOCK, end - i), j->parameter);
}

static void d_pow(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  float p[BLOCK];
  for (int64_t i = begin; i < end; i += BLOCK) {
    int64_t n = hl_min_i64(BLOCK, end - i);
    power(j->x + i, p, n, j->parameter - 1);
    HL_INDEPENDENT
    for (int64_t k = 0; k < n; k++) {
      float d = j->dy[i + k] * j->parameter;
      j->y[i + k] = j->parameter == 0 ? 0 : d * p[k];
    }
  }
}

/* ---- values ---- */

#define KERNEL(NAME)                                                                               \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    job j = {.x = hl_tensor_f32(in[0]), .y = hl_tensor_f32(out[0]), .parameter = parameter_of(c)}; \
    hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, NAME##_range, &j);                           \
    return HL_OK;                                                                                  \
  }                                                                                                \
  static void NAME##_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {     \
    job j = {.x = in[0], .y = y, .parameter = parameter_in(attrs)};                                \
    NAME##_range(0, n, &j);                                                                        \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.run = NAME##_run, .stretch = NAME##_stretch};

KERNEL(pow)

#define VALUE_KERNEL(NAME, VALUE)                                                                  \
  static void NAME##_range(int64_t begin, int64_t end, void *ctx) {                                \
    const job *j = ctx;                                                                            \
    const float *in = j->x;                                                                        \
    float *out = j->y;                                                                             \
    float parameter = j->parameter;                                                                \
    (void)parameter;                                                                               \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = begin; i < end; i++) {                                                        \
      float x = in[i];                                                                             \
      out[i] = VALUE;                                                                              \
    }                                                                                              \
  }                                                                                                \
  KERNEL(NAME)

/* 2u, with u the argument of gelu_tanh's tanh: (1 + tanh(u)) / 2 = sigmoid(2u). */
HL_INLINE float gelu_argument(float x) {
  return 2 * (float)HL_GELU_C1 * hl_madd((float)HL_GELU_C3 * x * x, x, x);
}

HL_INLINE float elu(float x, float alpha) {
  float below = alpha * hl_expm1_below_f32(x);
  return x > 0 ? x : below;
}

VALUE_KERNEL(neg, -x)
VALUE_KERNEL(exp, hl_exp_f32(x))
VALUE_KERNEL(log, hl_log_f32(x))
VALUE_KERNEL(sqrt, sqrtf(x))
VALUE_KERNEL(square, x *x)
VALUE_KERNEL(abs, fabsf(x))
VALUE_KERNEL(sigmoid, hl_sigmoid_f32(x))
VALUE_KERNEL(softplus, hl_softplus_f32(x))
VALUE_KERNEL(tanh, hl_tanh_f32(x))
VALUE_KERNEL(relu, x < 0 ? 0 : x)
VALUE_KERNEL(leaky_relu, x > 0 ? x : parameter * x)

VALUE_KERNEL(rsqrt, 1.0F / sqrtf(x))
VALUE_KERNEL(reciprocal, 1.0F / x)
VALUE_KERNEL(elu, elu(x, parameter))
VALUE_KERNEL(silu, x *hl_sigmoid_f32(x))
VALUE_KERNEL(gelu, x *hl_normal_f32(x))
VALUE_KERNEL(gelu_tanh, x *hl_sigmoid_f32(gelu_argument(x)))
VALUE_KERNEL(logsigmoid, -hl_softplus_f32(-x))

/* ---- derivatives ---- */

#define DERIVATIVE(NAME, VALUE)                                                                    \
  static void NAME(int64_t begin, int64_t end, void *ctx) {                                        \
    const job *j = ctx;                                                                            \
    const float *in = j->x, *dy = j->dy;                                                           \
    float *dx = j->y;                                                                              \
    float parameter = j->parameter;                                                                \
    (void)parameter;                                                                               \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = begin; i < end; i++) {                                                        \
      float a = in[i], d = dy[i];                                                                  \
      dx[i] = VALUE;                                                                               \
    }                                                                                              \
  }

HL_INLINE float silu_slope(float x) {
  float s = hl_sigmoid_f32(x);
  return hl_madd(s * (1.0F - s), x, s);
}

/* Beyond |x| = 16 the second terms are far below the last place, and their factors may overflow. */
HL_INLINE float gelu_slope(float x) {
  float bell, y = hl_normal_bell_f32(x, &bell);
  return hl_madd(hl_within_f32(x, 16.0F), 0.398942280F * bell, y);
}

HL_INLINE float gelu_tanh_slope(float x) {
  float near = hl_within_f32(x, 16.0F);
  float s = hl_sigmoid_f32(gelu_argument(near));
  float inner = hl_madd(3 * (float)HL_GELU_C3 * near, near, 1.0F);
  float y = hl_madd(near * s * (1.0F - s), 2 * (float)HL_GELU_C1 * inner, s);
  return x != x ? x : y;
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
DERIVATIVE(d_rsqrt, d * -0.5F * (a * a * a))
DERIVATIVE(d_reciprocal, d * -(a * a))
DERIVATIVE(d_elu, a > 0 ? d : d * (a + parameter))
DERIVATIVE(d_silu, d *silu_slope(a))
DERIVATIVE(d_gelu, d *gelu_slope(a))
DERIVATIVE(d_gelu_tanh, d *gelu_tanh_slope(a))
DERIVATIVE(d_logsigmoid, d *hl_sigmoid_f32(-a))
DERIVATIVE(d_leaky_relu, a > 0 ? d : d * parameter)

static const hl_range_body derivatives[HL_UNARY_FUNCTIONS] = {[HL_UNARY_EXP] = d_exp,
                                                              [HL_UNARY_LOG] = d_log,
                                                              [HL_UNARY_SQRT] = d_sqrt,
                                                              [HL_UNARY_SQUARE] = d_square,
                                                              [HL_UNARY_ABS] = d_abs,
                                                              [HL_UNARY_SIGMOID] = d_sigmoid,
                                                              [HL_UNARY_SOFTPLUS] = d_softplus,
                                                              [HL_UNARY_TANH] = d_tanh,
                                                              [HL_UNARY_RELU] = d_relu,
                                                              [HL_UNARY_LEAKY_RELU] = d_leaky_relu,
                                                              [HL_UNARY_RSQRT] = d_rsqrt,
                                                              [HL_UNARY_RECIPROCAL] = d_reciprocal,
                                                              [HL_UNARY_POW] = d_pow,
                                                              [HL_UNARY_ELU] = d_elu,
                                                              [HL_UNARY_SILU] = d_silu,
                                                              [HL_UNARY_GELU] = d_gelu,
                                                              [HL_UNARY_GELU_TANH] = d_gelu_tanh,
                                                              [HL_UNARY_LOGSIGMOID] = d_logsigmoid};

static hl_status grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_unary_grad_attrs *a = c->attrs;
  job j = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1]), hl_tensor_f32(out[0]), (float)a->parameter};
  hl_parallel_for(hl_tensor_numel(in[0]), HL_GRAIN, derivatives[a->function], &j);
  return HL_OK;
}

static void grad_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  const hl_unary_grad_attrs *a = attrs;
  job j = {in[0], in[1], y, (float)a->parameter};
  derivatives[a->function](0, n, &j);
}

const hl_kernel hl_cpu_unary_grad = {.run = grad_run, .stretch = grad_stretch};
