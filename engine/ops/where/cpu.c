#include "strided.h"

typedef struct job {
  hl_walk walk;
  const float *in[3];
  float *out;
} job;

static void choose(const float *condition, const float *a, const float *b, float *y, int64_t n) {
  HL_INDEPENDENT
  for (int64_t i = 0; i < n; i++) {
    float first = a[i], second = b[i];
    y[i] = condition[i] != 0 ? first : second;
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  hl_reader r[3];
  for (int k = 0; k < 3; k++) hl_reader_open(&r[k], &j->walk, k, j->in[k]);
  for (int64_t i = begin; i < end; i += j->walk.block) {
    int64_t n = hl_min_i64(j->walk.block, end - i);
    const float *condition = hl_reader_get(&r[0], i, n), *a = hl_reader_get(&r[1], i, n);
    choose(condition, a, hl_reader_get(&r[2], i, n), j->out + i, n);
  }
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  job j = {.in = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1]), hl_tensor_f32(in[2])},
           .out = hl_tensor_f32(out[0])};
  const hl_desc *const operands[] = {&c->in[0], &c->in[1], &c->in[2]};
  hl_walk_make(&j.walk, &c->out[0], 3, operands);
  hl_parallel_for(j.walk.numel, HL_GRAIN / j.walk.block * j.walk.block, range, &j);
  return HL_OK;
}

static void stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  (void)attrs;
  choose(in[0], in[1], in[2], y, n);
}

const hl_kernel hl_cpu_where = {.run = run, .stretch = stretch};
