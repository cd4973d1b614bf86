#include "cumsum.h"

#include "axis.h"
#include "turn.h"

/* Lines are summed WIDTH at a time, neighbours in vector lanes. Where the axis is the innermost one
 * they are first turned, PIECE elements of each. */
enum { WIDTH = 64, PIECE = 32 };

typedef struct job {
  hl_lines lines;
  bool reverse;
  const float *x;
  float *y;
} job;

/* n elements of w neighbouring lines, `step` apart, added in f64 to what came before; y may be x.
 */
HL_INLINE void tile(const float *x, float *y, int64_t n, int64_t step, int64_t w, bool reverse,
                    double *sum) {
  for (int64_t i = 0; i < n; i++) {
    int64_t at = (reverse ? n - 1 - i : i) * step;
    HL_INDEPENDENT
    for (int64_t k = 0; k < w; k++) {
      sum[k] += (double)x[at + k];
      y[at + k] = (float)sum[k];
    }
  }
}

static void outer_lines(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_lines *l = &j->lines;
  int64_t tiles = hl_ceil_div(l->inner, WIDTH);
  for (int64_t t = begin; t < end; t++) {
    int64_t column = t % tiles * WIDTH, at = t / tiles * l->size * l->inner + column;
    double sum[WIDTH] = {0};
    tile(j->x + at, j->y + at, l->size, l->inner, hl_min_i64(WIDTH, l->inner - column), j->reverse,
         sum);
  }
}

static void inner_lines(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->lines.size, pieces = hl_ceil_div(n, PIECE);
  float turned[PIECE * WIDTH];
  for (int64_t t = begin; t < end; t++) {
    int64_t first = t * WIDTH, count = hl_min_i64(WIDTH, j->lines.outer - first);
    double sum[WIDTH] = {0};
    for (int64_t p = 0; p < pieces; p++) {
      int64_t from = (j->reverse ? pieces - 1 - p : p) * PIECE, size = hl_min_i64(PIECE, n - from);
      int64_t at = first * n + from;
      hl_turn(j->x + at, n, turned, WIDTH, count, size);
      tile(turned, turned, size, WIDTH, count, j->reverse, sum);
      hl_turn(turned, WIDTH, j->y + at, n, size, count);
    }
  }
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_cumsum_attrs *a = c->attrs;
  job j = {hl_lines_memory(&c->in[0], (int)a->axis.v[0]), a->reverse, hl_tensor_f32(in[0]),
           hl_tensor_f32(out[0])};
  const hl_lines *l = &j.lines;
  int64_t width = hl_min_i64(WIDTH, l->inner == 1 ? l->outer : l->inner);
  int64_t grain = hl_max_i64(1, HL_GRAIN / hl_max_i64(1, width * l->size));
  if (l->inner == 1)
    hl_parallel_for(hl_ceil_div(l->outer, WIDTH), grain, inner_lines, &j);
  else
    hl_parallel_for(l->outer * hl_ceil_div(l->inner, WIDTH), grain, outer_lines, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_cumsum = {.run = run};
