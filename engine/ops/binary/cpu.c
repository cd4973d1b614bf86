#include "strided.h"

#define KERNEL(NAME, SIGN)                                                                         \
  static void NAME##_rows(const float *a, const float *b, float *y, int64_t n) {                   \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = 0; i < n; i++) y[i] = a[i] SIGN b[i];                                         \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    hl_pairs_run(c, in, out, NAME##_rows);                                                         \
    return HL_OK;                                                                                  \
  }                                                                                                \
  static void NAME##_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {     \
    (void)attrs;                                                                                   \
    NAME##_rows(in[0], in[1], y, n);                                                               \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.run = NAME##_run, .stretch = NAME##_stretch};

KERNEL(add, +)
KERNEL(sub, -)
KERNEL(mul, *)
KERNEL(div, /)
