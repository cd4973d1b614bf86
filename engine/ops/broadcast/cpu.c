#include "strided.h"
#include "sum.h"

#include <string.h>

typedef struct job {
  hl_walk walk;
  const float *x;
  float *y;
} job;

static void repeat(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_walk *w = &j->walk;
  if (w->block % w->period[0] != 0) {
    hl_walk_fill(w, 0, j->x, begin, end - begin, j->y + begin);
    return;
  }
  hl_reader r;
  hl_reader_open(&r, w, 0, j->x);
  for (int64_t i = begin; i < end; i += w->block) {
    int64_t n = hl_min_i64(w->block, end - i);
    memcpy(j->y + i, hl_reader_get(&r, i, n), (size_t)n * sizeof(float));
  }
}

static hl_status broadcast_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                               void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  job j = {.x = hl_tensor_f32(in[0]), .y = hl_tensor_f32(out[0])};
  const hl_desc *const operand[] = {&c->in[0]};
  hl_walk_make(&j.walk, &c->out[0], 1, operand);
  hl_parallel_for(j.walk.numel, HL_GRAIN / j.walk.block * j.walk.block, repeat, &j);
  return HL_OK;
}

static void broadcast_stretch(const void *attrs, const float *const *in, float *y, int64_t n) {
  (void)attrs;
  memmove(y, in[0], (size_t)n * sizeof *y);
}

static hl_status sum_to_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_sum s;
  hl_sum_plan(&s, &c->in[0], &c->out[0]);
  *bytes = hl_sum_workspace(&s);
  return HL_OK;
}

static hl_status sum_to_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *workspace, hl_err *e) {
  (void)e;
  hl_sum s;
  hl_sum_plan(&s, &c->in[0], &c->out[0]);
  hl_sum_run(&s, in[0], out[0], 1, workspace);
  return HL_OK;
}

const hl_kernel hl_cpu_broadcast = {.run = broadcast_run, .stretch = broadcast_stretch};
const hl_kernel hl_cpu_sum_to = {.workspace = sum_to_workspace,
                                 .run = sum_to_run,
                                 .takes_bf16 = hl_always_bf16,
                                 .takes_fixed = hl_always_bf16};
