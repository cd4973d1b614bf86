/* Blocks of the result are computed one by one, each by one thread and along k in order, so that
 * bits do not depend on the number of threads. Operands are packed per block into panels of ROWS
 * rows and COLUMNS columns, whatever their strides. */
#include "matmul.h"

#include "lanes.h"
#include "logical.h"

#include <string.h>

#ifdef __AVX512F__
enum { ROWS = 12 };
#else
enum { ROWS = 6 };
#endif
enum { COLUMNS = 16, BLOCK_ROWS = 192, BLOCK_COLUMNS = 256, DEPTH = 256 };

typedef struct job {
  hl_product p;
  const float *a, *b;
  float *y;
  int64_t down, across; /* blocks of one product */
} job;

/* `count` lines of depth k, `line` apart and with elements `step` apart, as panels of `width`
 * lines; what is missing in the last one is 0. */
HL_INLINE void pack(const float *from, int64_t line, int64_t step, int64_t count, int64_t k,
                    const int64_t width, float *restrict to) {
  for (int64_t first = 0; first < count; first += width, to += width * k) {
    const float *panel = from + first * line;
    int64_t lines = hl_min_i64(width, count - first);
    if (lines < width) memset(to, 0, (size_t)(width * k) * sizeof *to);
    if (lines == width && line == 1)
      for (int64_t l = 0; l < k; l++) memcpy(to + l * width, panel + l * step, (size_t)width * 4);
    else if (step == 1)
      for (int64_t r = 0; r < lines; r++)
        for (int64_t l = 0; l < k; l++) to[l * width + r] = panel[r * line + l];
    else
      for (int64_t l = 0; l < k; l++)
        for (int64_t r = 0; r < lines; r++) to[l * width + r] = panel[r * line + l * step];
  }
}

/* sum[r] = products of one panel of each. */
HL_INLINE void panel(const float *restrict a, const float *restrict b, int64_t k,
                     lanes16 sum[ROWS]) {
  for (int r = 0; r < ROWS; r++) sum[r] = (lanes16){0};
  for (int64_t l = 0; l < k; l++) {
    lanes16 row = load16(b + l * COLUMNS);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) sum[r] += a[l * ROWS + r] * row;
  }
}

/* Adds the first `rows` rows and `columns` columns to y. */
static void add_panel(const lanes16 sum[ROWS], float *y, int64_t step, int64_t rows,
                      int64_t columns) {
  for (int64_t r = 0; r < rows; r++) {
    float each[COLUMNS];
    store16(each, sum[r]);
    for (int64_t c = 0; c < columns; c++) y[r * step + c] += each[c];
  }
}

/* y += a·b for a block, its depth at most DEPTH. */
static void multiply(const job *j, const float *a, const float *b, int64_t rows, int64_t columns,
                     int64_t k, float *y) {
  float packed_a[BLOCK_ROWS * DEPTH] __attribute__((aligned(64)));
  float packed_b[BLOCK_COLUMNS * DEPTH] __attribute__((aligned(64)));
  pack(a, j->p.a_row, j->p.a_column, rows, k, ROWS, packed_a);
  pack(b, j->p.b_column, j->p.b_row, columns, k, COLUMNS, packed_b);
  for (int64_t c = 0; c < columns; c += COLUMNS)
    for (int64_t r = 0; r < rows; r += ROWS) {
      lanes16 sum[ROWS];
      panel(packed_a + r * k, packed_b + c * k, k, sum);
      add_panel(sum, y + r * j->p.n + c, j->p.n, hl_min_i64(ROWS, rows - r),
                hl_min_i64(COLUMNS, columns - c));
    }
}

static void block(const job *j, int64_t number) {
  const hl_product *p = &j->p;
  int64_t batch = number / (j->down * j->across);
  int64_t r = number / j->across % j->down * BLOCK_ROWS, c = number % j->across * BLOCK_COLUMNS;
  int64_t rows = hl_min_i64(BLOCK_ROWS, p->m - r), columns = hl_min_i64(BLOCK_COLUMNS, p->n - c);
  const float *a = j->a + hl_logical_offset(&p->batch, batch, p->a_batch) + r * p->a_row;
  const float *b = j->b + hl_logical_offset(&p->batch, batch, p->b_batch) + c * p->b_column;
  float *y = j->y + batch * p->m * p->n + r * p->n + c;
  for (int64_t i = 0; i < rows; i++) memset(y + i * p->n, 0, (size_t)columns * sizeof *y);
  for (int64_t l = 0; l < p->k; l += DEPTH)
    multiply(j, a + l * p->a_column, b + l * p->b_row, rows, columns, hl_min_i64(DEPTH, p->k - l),
             y);
}

static void range(int64_t begin, int64_t end, void *ctx) {
  for (int64_t i = begin; i < end; i++) block(ctx, i);
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  job j = {.a = hl_tensor_f32(in[0]), .b = hl_tensor_f32(in[1]), .y = hl_tensor_f32(out[0])};
  hl_product_of(c, &j.p);
  j.down = hl_ceil_div(j.p.m, BLOCK_ROWS);
  j.across = hl_ceil_div(j.p.n, BLOCK_COLUMNS);
  int64_t work = hl_min_i64(j.p.m, BLOCK_ROWS) * hl_min_i64(j.p.n, BLOCK_COLUMNS) * j.p.k;
  hl_parallel_for(hl_shape_numel(&j.p.batch) * j.down * j.across,
                  hl_max_i64(1, 100000 / hl_max_i64(1, work)), range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_matmul = {.run = run};
