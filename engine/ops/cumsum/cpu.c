#include "cumsum.h"

#include "axis.h"
#include "kernel.h"

enum { WIDTH = 64 };

typedef struct job {
  hl_lines lines;
  bool reverse;
  const float *x;
  float *y;
} job;

/* w neighbouring lines, summed in f64. */
static void tile(const job *j, int64_t first, int64_t w) {
  double sum[WIDTH] = {0};
  int64_t n = j->lines.size, step = j->lines.inner;
  for (int64_t i = 0; i < n; i++) {
    int64_t at = first + (j->reverse ? n - 1 - i : i) * step;
    HL_INDEPENDENT
    for (int64_t k = 0; k < w; k++) {
      sum[k] += (double)j->x[at + k];
      j->y[at + k] = (float)sum[k];
    }
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_lines *l = &j->lines;
  int64_t tiles = hl_ceil_div(l->inner, WIDTH);
  for (int64_t t = begin; t < end; t++) {
    int64_t column = t % tiles * WIDTH;
    tile(j, t / tiles * l->size * l->inner + column, hl_min_i64(WIDTH, l->inner - column));
  }
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_cumsum_attrs *a = c->attrs;
  job j = {hl_lines_memory(&c->in[0], (int)a->axis.v[0]), a->reverse, hl_tensor_f32(in[0]),
           hl_tensor_f32(out[0])};
  int64_t width = hl_min_i64(WIDTH, j.lines.inner);
  int64_t grain = hl_max_i64(1, HL_GRAIN / hl_max_i64(1, width * j.lines.size));
  hl_parallel_for(j.lines.outer * hl_ceil_div(j.lines.inner, WIDTH), grain, range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_cumsum = {.run = run};
