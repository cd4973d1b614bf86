#include "strided.h"

#define KERNEL(NAME, VALUE)                                                                        \
  static void NAME##_rows(const float *first, const float *second, float *y, int64_t n) {          \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                              \
      float a = first[i], b = second[i];                                                           \
      y[i] = VALUE;                                                                                \
    }                                                                                              \
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

KERNEL(less, a < b ? 1.0F : 0.0F)
KERNEL(less_equal, a <= b ? 1.0F : 0.0F)
KERNEL(greater, a > b ? 1.0F : 0.0F)
KERNEL(greater_equal, a >= b ? 1.0F : 0.0F)
KERNEL(equal, a == b ? 1.0F : 0.0F)
KERNEL(not_equal, a != b ? 1.0F : 0.0F)
KERNEL(precedence, (a > b ? 0.5F : 0.0F) + (a >= b ? 0.5F : 0.0F))
KERNEL(maximum, (a > b) | (a != a) ? a : b)
KERNEL(minimum, (a < b) | (a != a) ? a : b)
