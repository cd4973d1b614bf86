#include "gather.h"

#include "kernel.h"

typedef struct job {
  hl_lines x, y;
  const float *from, *index;
  float *to;
} job;

/* The index is checked before anything is read by it. */
static hl_status check(const float *index, int64_t n, int64_t size, hl_err *e) {
  for (int64_t i = 0; i < n; i++)
    if (!hl_gather_reaches((double)index[i], size))
      return hl_gather_refuse((double)index[i], size, e);
  return HL_OK;
}

static void pick(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_lines *x = &j->x, *y = &j->y;
  for (int64_t row = begin; row < end; row++) { /* (o, i) */
    const float *from = j->from + row / y->size * x->size * x->inner;
    int64_t at = row * y->inner;
    for (int64_t k = 0; k < y->inner; k++)
      j->to[at + k] = from[(int64_t)j->index[at + k] * x->inner + k];
  }
}

/* One outer index: zeros first, then sums in the order of the index. */
static void add(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_lines *x = &j->x, *y = &j->y;
  for (int64_t o = begin; o < end; o++) {
    float *to = j->to + o * x->size * x->inner;
    for (int64_t i = 0; i < x->size * x->inner; i++) to[i] = 0;
    for (int64_t i = 0; i < y->size; i++) {
      int64_t at = (o * y->size + i) * y->inner;
      for (int64_t k = 0; k < y->inner; k++)
        to[(int64_t)j->index[at + k] * x->inner + k] += j->from[at + k];
    }
  }
}

static hl_status gather_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *workspace, hl_err *e) {
  (void)workspace;
  int axis = (int)((const hl_gather_attrs *)c->attrs)->axis.v[0];
  job j = {hl_lines_memory(&c->in[0], axis), hl_lines_memory(&c->in[1], axis), hl_tensor_f32(in[0]),
           hl_tensor_f32(in[1]), hl_tensor_f32(out[0])};
  HL_TRY(check(j.index, hl_tensor_numel(in[1]), j.x.size, e));
  hl_parallel_for(j.y.outer * j.y.size, hl_max_i64(1, HL_GRAIN / hl_max_i64(1, j.y.inner)), pick,
                  &j);
  return HL_OK;
}

static hl_status gather_grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                                 void *workspace, hl_err *e) {
  (void)workspace;
  int axis = (int)((const hl_gather_grad_attrs *)c->attrs)->axis.v[0];
  job j = {hl_lines_memory(&c->out[0], axis), hl_lines_memory(&c->in[0], axis),
           hl_tensor_f32(in[1]), hl_tensor_f32(in[0]), hl_tensor_f32(out[0])};
  HL_TRY(check(j.index, hl_tensor_numel(in[0]), j.x.size, e));
  hl_parallel_for(j.x.outer, hl_max_i64(1, HL_GRAIN / hl_max_i64(1, j.x.size * j.x.inner)), add,
                  &j);
  return HL_OK;
}

const hl_kernel hl_cpu_gather = {.run = gather_run};
const hl_kernel hl_cpu_gather_grad = {.run = gather_grad_run};
