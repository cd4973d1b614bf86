#include "one_hot.h"

#include "axis.h"
#include "kernel.h"

typedef struct job {
  hl_lines lines;
  const float *x;
  float *y;
} job;

/* Rows (o, i) of the result. */
static void rows(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_lines *l = &j->lines;
  for (int64_t r = begin; r < end; r++) {
    const float *restrict x = j->x + r / l->size * l->inner;
    float *restrict y = j->y + r * l->inner, class = (float)(r % l->size);
    for (int64_t k = 0; k < l->inner; k++) y[k] = x[k] == class ? 1.0F : 0.0F;
  }
}

/* Classes side by side: one row of them for each number of x. */
static void columns(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->lines.size;
  for (int64_t o = begin; o < end; o++) {
    float x = j->x[o], *restrict y = j->y + o * n;
    for (int64_t i = 0; i < n; i++) y[i] = x == (float)i ? 1.0F : 0.0F;
  }
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_one_hot_attrs *a = c->attrs;
  job j = {hl_lines_memory(&c->out[0], (int)a->axis.v[0]), hl_tensor_f32(in[0]),
           hl_tensor_f32(out[0])};
  const hl_lines *l = &j.lines;
  if (l->inner == 1)
    hl_parallel_for(l->outer, hl_max_i64(1, HL_GRAIN / l->size), columns, &j);
  else
    hl_parallel_for(l->outer * l->size, hl_max_i64(1, HL_GRAIN / hl_max_i64(1, l->inner)), rows,
                    &j);
  return HL_OK;
}

const hl_kernel hl_cpu_one_hot = {.run = run};
