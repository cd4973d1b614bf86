#include "strided.h"

/* y = a op b over n contiguous elements; y may be a or b. */
typedef void (*combine)(const float *a, const float *b, float *y, int64_t n);

typedef struct job {
  hl_walk walk;
  const float *in[2];
  float *out;
  combine op;
} job;

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  hl_reader a, b;
  hl_reader_open(&a, &j->walk, 0, j->in[0]);
  hl_reader_open(&b, &j->walk, 1, j->in[1]);
  if (a.dense && b.dense) {
    j->op(j->in[0] + begin, j->in[1] + begin, j->out + begin, end - begin);
    return;
  }
  for (int64_t i = begin; i < end; i += j->walk.block) {
    int64_t n = hl_min_i64(j->walk.block, end - i);
    j->op(hl_reader_get(&a, i, n), hl_reader_get(&b, i, n), j->out + i, n);
  }
}

static void run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, combine op) {
  job j = {
      .in = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1])}, .out = hl_tensor_f32(out[0]), .op = op};
  const hl_desc *const operands[] = {&c->in[0], &c->in[1]};
  hl_walk_make(&j.walk, &c->out[0], 2, operands);
  int64_t grain = HL_GRAIN / j.walk.block * j.walk.block; /* chunks begin with a block */
  hl_parallel_for(j.walk.numel, grain, range, &j);
}

#define KERNEL(NAME, SIGN)                                                                         \
  static void NAME##_rows(const float *a, const float *b, float *y, int64_t n) {                   \
    HL_INDEPENDENT                                                                                 \
    for (int64_t i = 0; i < n; i++) y[i] = a[i] SIGN b[i];                                         \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    run(c, in, out, NAME##_rows);                                                                  \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.run = NAME##_run};

KERNEL(add, +)
KERNEL(sub, -)
KERNEL(mul, *)
KERNEL(div, /)
