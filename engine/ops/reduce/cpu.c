#include "reduce.h"

#include "sum.h"

static void plan(const hl_call *c, hl_sum *s) {
  hl_desc kept = hl_reduce_kept(c);
  hl_sum_plan(s, &c->in[0], &kept);
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_sum s;
  plan(c, &s);
  *bytes = hl_sum_workspace(&s);
  return HL_OK;
}

#define KERNEL(NAME, FACTOR)                                                                       \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *scratch, hl_err *e) {                                          \
    (void)e;                                                                                       \
    hl_sum s;                                                                                      \
    plan(c, &s);                                                                                   \
    hl_sum_run(&s, in[0], out[0], FACTOR, scratch);                                                \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.workspace = workspace,                                         \
                                   .run = NAME##_run,                                              \
                                   .takes_bf16 = hl_always_bf16,                                   \
                                   .takes_fixed = hl_always_bf16};

KERNEL(sum, 1)
KERNEL(mean, 1 / (double)hl_reduce_count(c))
