#include "strided.h"

#include <hilum/narrow.h>

/* ---- sums of fixed-point numbers with narrow ones, bit for bit undone by the opposite sign ----
 */

static bool fixed_pair(const hl_call *c) {
  return hl_dtype_is_fixed(c->in[0].dtype) && c->in[0].layout == c->in[1].layout &&
         hl_shape_equal(&c->in[0].shape, &c->in[1].shape);
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

/* ---- kernels; SUM is the sign of a sum, 0 for others ---- */

#define KERNEL(NAME, SIGN, SUM)                                                                    \
  static void NAME##_rows(const float *a, const float *b, float *y, int64_t n) {                   \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = 0; i < n; i++) y[i] = a[i] SIGN b[i];                                         \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    if (hl_dtype_is_fixed(c->in[0].dtype))                                                         \
      fixed_run(c, in, out, SUM);                                                                  \
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
                                   .takes_fixed = (SUM) != 0 ? fixed_pair : never};

KERNEL(add, +, 1)
KERNEL(sub, -, -1)
KERNEL(mul, *, 0)
KERNEL(div, /, 0)
