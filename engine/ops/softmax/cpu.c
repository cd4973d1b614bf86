#include "axis.h"
#include "turn.h"
#include "vmath.h"

/* Lines are handled WIDTH at a time, neighbours in vector lanes. Where the axis is the innermost
 * one, short lines are first turned so that neighbours lie side by side; long lines are handled one
 * by one, with lanes along the line. */
enum { WIDTH = 64, SHORT = 32 };

/* w ≤ WIDTH neighbouring lines of n elements, `step` apart; y may be a or b. */
typedef void (*tile_body)(const float *a, const float *b, float *y, int64_t n, int64_t step,
                          int64_t w);
/* One line without gaps. */
typedef void (*row_body)(const float *a, const float *b, float *y, int64_t n);

typedef struct job {
  hl_lines lines;
  const float *a, *b;
  float *y;
  tile_body tile;
  row_body row;
} job;

/* ---- tiles: w is known to the compiler where they are full ---- */

HL_INLINE void tile_max(const float *a, float *max, int64_t n, int64_t step, int64_t w) {
  for (int64_t k = 0; k < w; k++) max[k] = a[k];
  for (int64_t i = 1; i < n; i++)
    for (int64_t k = 0; k < w; k++) max[k] = a[i * step + k] > max[k] ? a[i * step + k] : max[k];
}

HL_INLINE void softmax_tile(const float *a, const float *b, float *y, int64_t n, int64_t step,
                            int64_t w) {
  (void)b;
  float max[WIDTH], factor[WIDTH];
  double sum[WIDTH] = {0};
  tile_max(a, max, n, step, w);
  for (int64_t i = 0; i < n; i++) {
    HL_INDEPENDENT
    for (int64_t k = 0; k < w; k++) y[i * step + k] = hl_exp_below_f32(a[i * step + k] - max[k]);
    for (int64_t k = 0; k < w; k++) sum[k] += (double)y[i * step + k];
  }
  for (int64_t k = 0; k < w; k++) factor[k] = 1.0F / (float)sum[k];
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < w; k++) y[i * step + k] *= factor[k];
}

HL_INLINE void log_softmax_tile(const float *a, const float *b, float *y, int64_t n, int64_t step,
                                int64_t w) {
  (void)b;
  float max[WIDTH], term[WIDTH];
  double sum[WIDTH] = {0};
  tile_max(a, max, n, step, w);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t k = 0; k < w; k++) term[k] = hl_exp_below_f32(a[i * step + k] - max[k]);
    for (int64_t k = 0; k < w; k++) sum[k] += (double)term[k];
  }
  for (int64_t k = 0; k < w; k++) term[k] = hl_log_f32((float)sum[k]);
  for (int64_t i = 0; i < n; i++) {
    HL_INDEPENDENT
    for (int64_t k = 0; k < w; k++) y[i * step + k] = a[i * step + k] - max[k] - term[k];
  }
}

HL_INLINE void softmax_grad_tile(const float *a, const float *b, float *y, int64_t n, int64_t step,
                                 int64_t w) {
  float dot[WIDTH];
  double sum[WIDTH] = {0};
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < w; k++) sum[k] += (double)a[i * step + k] * (double)b[i * step + k];
  for (int64_t k = 0; k < w; k++) dot[k] = (float)sum[k];
  for (int64_t i = 0; i < n; i++) {
    HL_INDEPENDENT
    for (int64_t k = 0; k < w; k++) y[i * step + k] = a[i * step + k] * (b[i * step + k] - dot[k]);
  }
}

HL_INLINE void log_softmax_grad_tile(const float *a, const float *b, float *y, int64_t n,
                                     int64_t step, int64_t w) {
  float total[WIDTH];
  double sum[WIDTH] = {0};
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < w; k++) sum[k] += (double)b[i * step + k];
  for (int64_t k = 0; k < w; k++) total[k] = (float)sum[k];
  for (int64_t i = 0; i < n; i++) {
    HL_INDEPENDENT
    for (int64_t k = 0; k < w; k++)
      y[i * step + k] = b[i * step + k] - hl_exp_f32(a[i * step + k]) * total[k];
  }
}

/* ---- rows: sums in LANES parts, put together in order ---- */

enum { LANES = 16 };

static float row_max(const float *a, int64_t n) {
  float max[LANES];
  int64_t i = 0;
  for (int k = 0; k < LANES; k++) max[k] = a[0];
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) max[k] = a[i + k] > max[k] ? a[i + k] : max[k];
  for (; i < n; i++) max[0] = a[i] > max[0] ? a[i] : max[0];
  for (int k = 1; k < LANES; k++) max[0] = max[k] > max[0] ? max[k] : max[0];
  return max[0];
}

#define ROW_SUM(NAME, VALUE)                                                                       \
  static double NAME(const float *a, const float *b, float max, int64_t n) {                       \
    (void)a;                                                                                       \
    (void)b;                                                                                       \
    (void)max;                                                                                     \
    double sum[LANES] = {0};                                                                       \
    int64_t i = 0;                                                                                 \
    for (; i + LANES <= n; i += LANES)                                                             \
      for (int64_t k = i; k < i + LANES; k++) sum[k - i] += (double)(VALUE);                       \
    for (int64_t k = i; k < n; k++) sum[k - i] += (double)(VALUE);                                 \
    for (int k = 1; k < LANES; k++) sum[0] += sum[k];                                              \
    return sum[0];                                                                                 \
  }
ROW_SUM(sum_exp, hl_exp_below_f32(a[k] - max))
ROW_SUM(sum_product, a[k] * b[k])
ROW_SUM(sum_second, b[k])

static void softmax_row(const float *a, const float *b, float *y, int64_t n) {
  float max = row_max(a, n), factor = (float)(1 / sum_exp(a, b, max, n));
  HL_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] = hl_exp_below_f32(a[i] - max) * factor;
}

static void log_softmax_row(const float *a, const float *b, float *y, int64_t n) {
  float max = row_max(a, n), log_sum = hl_log_f32((float)sum_exp(a, b, max, n));
  HL_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] = a[i] - max - log_sum;
}

static void softmax_grad_row(const float *a, const float *b, float *y, int64_t n) {
  float dot = (float)sum_product(a, b, 0, n);
  HL_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] = a[i] * (b[i] - dot);
}

static void log_softmax_grad_row(const float *a, const float *b, float *y, int64_t n) {
  float total = (float)sum_second(a, b, 0, n);
  HL_INDEPENDENT
  for (int64_t i = 0; i < n; i++) y[i] = b[i] - hl_exp_f32(a[i]) * total;
}

/* ---- all lines ---- */

static void short_lines(const job *j, int64_t first, int64_t count) {
  float a[SHORT * WIDTH], b[SHORT * WIDTH];
  int64_t n = j->lines.size, at = first * n;
  hl_turn(j->a + at, n, a, WIDTH, count, n);
  if (j->b != NULL) hl_turn(j->b + at, n, b, WIDTH, count, n);
  j->tile(a, j->b == NULL ? NULL : b, a, n, WIDTH, count);
  hl_turn(a, WIDTH, j->y + at, n, n, count);
}

static int64_t tiles_per_outer(const hl_lines *l) {
  return hl_ceil_div(l->inner, WIDTH);
}

static void inner_lines(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t outer = j->lines.outer, n = j->lines.size;
  for (int64_t t = begin; t < end; t++) {
    int64_t first = t * WIDTH, count = hl_min_i64(WIDTH, outer - first);
    if (n <= SHORT) {
      short_lines(j, first, count);
      continue;
    }
    for (int64_t i = first * n; i < (first + count) * n; i += n)
      j->row(j->a + i, j->b == NULL ? NULL : j->b + i, j->y + i, n);
  }
}

static void outer_lines(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_lines *l = &j->lines;
  int64_t tiles = tiles_per_outer(l);
  for (int64_t t = begin; t < end; t++) {
    int64_t column = t % tiles * WIDTH, at = t / tiles * l->size * l->inner + column;
    j->tile(j->a + at, j->b == NULL ? NULL : j->b + at, j->y + at, l->size, l->inner,
            hl_min_i64(WIDTH, l->inner - column));
  }
}

static void run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, tile_body tile,
                row_body row) {
  const hl_ints *axis = c->attrs;
  job j = {.lines = hl_lines_memory(&c->in[0], (int)axis->v[0]),
           .a = hl_tensor_f32(in[0]),
           .b = c->n_in > 1 ? hl_tensor_f32(in[1]) : NULL,
           .y = hl_tensor_f32(out[0]),
           .tile = tile,
           .row = row};
  int64_t grain = hl_max_i64(1, HL_GRAIN / (WIDTH * j.lines.size));
  if (j.lines.inner == 1)
    hl_parallel_for(hl_ceil_div(j.lines.outer, WIDTH), grain, inner_lines, &j);
  else
    hl_parallel_for(j.lines.outer * tiles_per_outer(&j.lines), grain, outer_lines, &j);
}

#define KERNEL(NAME)                                                                               \
  static void NAME##_tiles(const float *a, const float *b, float *y, int64_t n, int64_t step,      \
                           int64_t w) {                                                            \
    if (w == WIDTH && step == WIDTH)                                                               \
      NAME##_tile(a, b, y, n, WIDTH, WIDTH);                                                       \
    else                                                                                           \
      NAME##_tile(a, b, y, n, step, w);                                                            \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *workspace, hl_err *e) {                                        \
    (void)workspace;                                                                               \
    (void)e;                                                                                       \
    run(c, in, out, NAME##_tiles, NAME##_row);                                                     \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.run = NAME##_run};

KERNEL(softmax)
KERNEL(log_softmax)
KERNEL(softmax_grad)
KERNEL(log_softmax_grad)
