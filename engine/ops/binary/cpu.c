#include "strided.h"

#include <hilum/bf16.h>
#include <hilum/narrow.h>

/* ---- sums of fixed-point numbers with narrow ones, bit for bit undone by the opposite sign ----
 */

static bool same_places(const hl_call *c) {
  return c->in[0].layout == c->in[1].layout && hl_shape_equal(&c->in[0].shape, &c->in[1].shape);
}

static bool fixed_pair(const hl_call *c) {
  return hl_dtype_is_fixed(c->in[0].dtype) && same_places(c);
}

static bool never(const hl_call *c) {
  (void)c;
  return false;
}

typedef struct fixed_job {
  const hl_call *call;
  hl_tensor *const *in;
  hl_tensor *const *out;
  float sign;
} fixed_job;

static void fixed_range(int64_t begin, int64_t end, void *ctx) {
  const fixed_job *j = ctx;
  const uint16_t *part = hl_tensor_data(j->in[1]);
  hl_fixed_add(j->call->in[0].dtype, hl_tensor_fixed(j->out[0]) + begin,
               hl_tensor_fixed(j->in[0]) + begin, j->call->in[1].dtype, part + begin, j->sign,
               end - begin);
}

static void fixed_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, float sign) {
  fixed_job j = {c, in, out, sign};
  hl_parallel_for(hl_tensor_numel(out[0]), HL_GRAIN, fixed_range, &j);
}

/* ---- bf16, number by number ---- */

static bool bf16_pair(const hl_call *c) {
  return c->in[0].dtype == HL_BF16 && c->in[1].dtype == HL_BF16 && same_places(c);
}

/* y = f(a, b) over n numbers; y may be a or b. */
typedef void (*combine_bf16)(const uint16_t *a, const uint16_t *b, uint16_t *y, int64_t n);

typedef struct bf16_job {
  combine_bf16 combine;
  const uint16_t *a, *b;
  uint16_t *y;
} bf16_job;

static void bf16_range(int64_t begin, int64_t end, void *ctx) {
  const bf16_job *j = ctx;
  j->combine(j->a + begin, j->b + begin, j->y + begin, end - begin);
}

static void bf16_run(hl_tensor *const *in, hl_tensor *const *out, combine_bf16 f) {
  bf16_job j = {f, hl_tensor_data(in[0]), hl_tensor_data(in[1]), hl_tensor_data(out[0])};
  hl_parallel_for(hl_tensor_numel(out[0]), HL_GRAIN, bf16_range, &j);
}

/* ---- kernels; SUM is the sign of a sum, 0 for others ---- */

#define KERNEL(NAME, SIGN, SUM)                                                                    \
  static void NAME##_rows(const float *a, const float *b, float *y, int64_t n) {                   \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = 0; i < n; i++) y[i] = a[i] SIGN b[i];                                         \
  }                                                                                                \
  static void NAME##_bf16(const uint16_t *a, const uint16_t *b, uint16_t *y, int64_t n) {          \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = 0; i < n; i++)                                                                \
      y[i] = hl_bf16_round(hl_bf16_widen(a[i]) SIGN hl_bf16_widen(b[i]));                          \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    if (hl_dtype_is_fixed(c->in[0].dtype))                                                         \
      fixed_run(c, in, out, SUM);                                                                  \
    else if (c->in[0].dtype == HL_BF16)                                                            \
      bf16_run(in, out, NAME##_bf16);                                                              \
    else                                                                                           \
      hl_pairs_run(c, in, out, NAME##_rows);                                                       \
    return HL_OK;                                                                                  \
  }                                                                                                \
  static void NAME##_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {     \
    (void)attrs;                                                                                   \
    NAME##_rows(in[0], in[1], y, n);                                                               \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.run = NAME##_run,                                              \
                                   .stretch = NAME##_stretch,                                      \
                                   .takes_bf16 = bf16_pair,                                        \
                                   .takes_fixed = (SUM) != 0 ? fixed_pair : never};

KERNEL(add, +, 1)
KERNEL(sub, -, -1)
KERNEL(mul, *, 0)
KERNEL(div, /, 0)
