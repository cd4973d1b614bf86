#include "lift.h"

#include "lanes.h"

#include <hilum/bf16.h>
#include <hilum/narrow.h>

#include <math.h>

enum { LANES_OF_ROW = HL_LIFT_LANES, VECTORS = LANES_OF_ROW / 16 };

/* Larger factors would make the result of lifting differ from the matrix's by many steps. */
static const double LARGEST_FACTOR = 64;
/* Factors up to this are as good as any. */
static const double SMALL_FACTOR = 8;
/* Of Q Qᵀ from the identity, and of the last pivot from ±1: parametrisations in f32 give 1e-6. */
static const double TOLERANCE = 1e-4;

static size_t rounded_up(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

static size_t factor_bytes(int64_t n) {
  return rounded_up((size_t)(n * n + n) * sizeof(float));
}

/* What is kept of one matrix. */
static size_t kept_bytes(int64_t n) {
  return factor_bytes(n) + rounded_up((size_t)(2 * n) * sizeof(int32_t));
}

size_t hl_lift_bytes(int64_t count, int64_t n) {
  return rounded_up((size_t)count * sizeof(hl_lift)) + (size_t)count * kept_bytes(n) +
         rounded_up((size_t)(n * n) * sizeof(double));
}

/* ---- factors ---- */

static bool is_orthogonal(const float *q, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = i; k < n; k++) {
      double sum = i == k ? -1 : 0;
      for (int64_t j = 0; j < n; j++) sum += (double)q[i * n + j] * (double)q[k * n + j];
      if (!(fabs(sum) < TOLERANCE)) return false;
    }
  return true;
}

static void swap_rows(double *a, int64_t n, int64_t i, int64_t k, int32_t *order) {
  int32_t o = order[i];
  order[i] = order[k];
  order[k] = o;
  for (int64_t j = 0; j < n; j++) {
    double x = a[i * n + j];
    a[i * n + j] = a[k * n + j];
    a[k * n + j] = x;
  }
}

/* What column k loses of the last one so that row p's number there becomes 1. */
static double multiple(const double *a, int64_t n, int64_t k, int64_t p) {
  double off = a[p * n + k] - 1, last = a[p * n + n - 1];
  return off == 0 ? 0 : last == 0 ? INFINITY : off / last;
}

/* The row to eliminate column k with: the one that makes the largest factor smallest. */
static int64_t choose(const double *a, int64_t n, int64_t k, double *s) {
  int64_t best = k;
  double least = INFINITY;
  for (int64_t p = k; p < n; p++) {
    double by = multiple(a, n, k, p), most = fabs(by);
    for (int64_t r = k; r < n && most < least; r++)
      most = fmax(most, fabs(a[r * n + k] - by * a[r * n + n - 1]));
    if (most < least) {
      least = most;
      best = p;
      *s = by;
    }
  }
  return best;
}

/* Turns `a` into L (below the diagonal) and U (above), s into the last row of S. */
static void eliminate(double *a, int64_t n, double *s, int32_t *order) {
  for (int64_t k = 0; k + 1 < n; k++) {
    s[k] = INFINITY;
    int64_t p = choose(a, n, k, &s[k]);
    if (p != k) swap_rows(a, n, k, p, order);
    for (int64_t r = 0; r < n; r++) a[r * n + k] -= s[k] * a[r * n + n - 1];
    for (int64_t r = k + 1; r < n; r++) {
      double by = a[r * n + k]; /* the pivot is 1 */
      for (int64_t j = k + 1; j < n; j++) a[r * n + j] -= by * a[k * n + j];
    }
  }
}

static double larger(double most, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) most = fabs(x[i]) <= most ? most : fabs(x[i]);
  return most;
}

/* The largest factor; infinite if they are none. */
static double largest(const double *a, const double *s, int64_t n) {
  bool unit = fabs(fabs(a[n * n - 1]) - 1) < TOLERANCE; /* not so where something is NaN */
  return unit ? larger(larger(0, a, n * n), s, n - 1) : INFINITY;
}

typedef struct attempt {
  const float *q;
  int64_t n;
  double *a, s[HL_LIFT_MOST];
  int32_t from[HL_LIFT_MOST], to[HL_LIFT_MOST]; /* of each row: column and row of q */
} attempt;

/* Factors of q with column z in the last place. */
static double try_column(attempt *t, int64_t z) {
  int64_t n = t->n;
  for (int64_t i = 0; i < n; i++) t->from[i] = t->to[i] = (int32_t)i;
  t->from[z] = (int32_t)n - 1;
  t->from[n - 1] = (int32_t)z;
  for (int64_t i = 0; i < n * n; i++) t->a[i] = (double)t->q[i / n * n + t->from[i % n]];
  eliminate(t->a, n, t->s, t->to);
  return largest(t->a, t->s, n);
}

/* Tries columns until the factors are small; of a large matrix, whose factors take long, a few. */
static bool factorise(attempt *t) {
  int64_t n = t->n, best = n - 1, tries = hl_max_i64(1, hl_min_i64(n, 4096 / (n * n)));
  double least = INFINITY;
  if (!is_orthogonal(t->q, n)) return false;
  for (int64_t z = n - 1; z >= n - tries; z--) {
    double most = try_column(t, z);
    if (most <= SMALL_FACTOR) return true;
    if (most >= least) continue;
    least = most;
    best = z;
  }
  return least <= LARGEST_FACTOR && try_column(t, best) <= LARGEST_FACTOR;
}

static hl_lift make(const float *q, int64_t n, void *kept, double *scratch) {
  float *factors = kept;
  int32_t *from = (int32_t *)(void *)((char *)kept + factor_bytes(n)), *to = from + n;
  attempt t = {.q = q, .n = n, .a = scratch};
  hl_lift l = {.n = n, .factors = factors, .from = from, .to = to, .exact = factorise(&t)};
  for (int64_t i = 0; i < n; i++) {
    from[l.exact ? t.from[i] : i] = (int32_t)i;
    to[l.exact ? t.to[i] : i] = (int32_t)i;
  }
  if (l.exact) {
    for (int64_t i = 0; i < n * n; i++) factors[i] = (float)t.a[i];
    for (int64_t k = 0; k + 1 < n; k++) factors[n * n + k] = (float)t.s[k];
    l.negative = factors[n * n - 1] < 0;
    return l;
  }
  memcpy(factors, q, (size_t)(n * n) * sizeof *factors);
  return l;
}

const hl_lift *hl_lift_make(const float *q, int64_t count, int64_t n, void *memory) {
  hl_lift *lifts = memory;
  char *kept = (char *)memory + rounded_up((size_t)count * sizeof *lifts);
  double *scratch = (double *)(void *)(kept + (size_t)count * kept_bytes(n));
  for (int64_t i = 0; i < count; i++)
    lifts[i] = make(q + i * n * n, n, kept + (size_t)i * kept_bytes(n), scratch);
  return lifts;
}

/* ---- blocks ---- */

size_t hl_lift_block_bytes(int64_t rows) {
  return (size_t)(2 * rows * LANES_OF_ROW) * sizeof(float);
}

hl_lift_block hl_lift_block_at(void *memory, int64_t rows) {
  float *first = memory;
  return (hl_lift_block){first, (int32_t *)(void *)(first + rows * LANES_OF_ROW), VECTORS};
}

void hl_lift_block_of(hl_lift_block *b, int64_t n) {
  b->vectors = n > 32 ? VECTORS : n > 16 ? 2 : 1;
}

hl_lift_block hl_lift_block_from(const hl_lift_block *b, int64_t first) {
  int64_t at = first * LANES_OF_ROW;
  return (hl_lift_block){b->rows + at, b->steps + at, b->vectors};
}

/* 1.5 * 2^23: what is added to it is rounded to a whole number, which then stands in its low bits.
 */
#define MAGIC 12582912.0F
#define MAGIC_BITS 0x4B400000U
#define MOST_STEPS 4194303.0F

/* The nearest whole number, below 2^22. */
static inline int32_t whole(float x) {
  float low = x > -MOST_STEPS ? x : -MOST_STEPS; /* NaN too */
  hl_f32_bits bits;
  bits.f = (low < MOST_STEPS ? low : MOST_STEPS) + MAGIC;
  return (int32_t)(bits.u - MAGIC_BITS);
}

/* sums = Σ factor[j · step] · row j, j from `first` to `last` − 1. Not inlined: there and back must
 * be the same instructions. */
#define SUM_ROWS(N)                                                                                \
  __attribute__((noinline)) static void sum_rows_##N(const float *rows, int64_t first,             \
                                                     int64_t last, const float *factor,            \
                                                     int64_t step, float *sums) {                  \
    lanes16 sum[N];                                                                                \
    for (int i = 0; i < (N); i++) sum[i] = (lanes16){0};                                           \
    for (int64_t j = first; j < last; j++) {                                                       \
      float f = factor[j * step];                                                                  \
      for (int i = 0; i < (N); i++) sum[i] += f * load16(rows + j * LANES_OF_ROW + i * 16);        \
    }                                                                                              \
    for (int i = 0; i < (N); i++) store16(sums + i * 16, sum[i]);                                  \
  }
SUM_ROWS(1)
SUM_ROWS(2)
SUM_ROWS(4)

static void sum_rows(const hl_lift_block *b, int64_t first, int64_t last, const float *factor,
                     int64_t step, float *sums) {
  if (b->vectors == 1)
    sum_rows_1(b->rows, first, last, factor, step, sums);
  else if (b->vectors == 2)
    sum_rows_2(b->rows, first, last, factor, step, sums);
  else
    sum_rows_4(b->rows, first, last, factor, step, sums);
}

/* Adds to row i, or takes away, the whole number next to a sum over other rows. */
static void add_rows(const hl_lift_block *b, int64_t i, int64_t first, int64_t last,
                     const float *factor, int32_t sign) {
  float sums[LANES_OF_ROW];
  if (first >= last) return;
  sum_rows(b, first, last, factor, 1, sums);
  int32_t *restrict steps = b->steps + i * LANES_OF_ROW;
  float *restrict row = b->rows + i * LANES_OF_ROW;
  for (int from = 0; from < 16 * b->vectors; from += 16)
    for (int v = from; v < from + 16; v++) {
      uint32_t part = (uint32_t)(sign * whole(sums[v])); /* wraps round, and back */
      steps[v] = (int32_t)((uint32_t)steps[v] + part);
      row[v] = (float)steps[v];
    }
}

static void negate(const hl_lift_block *b, int64_t i) {
  for (int64_t v = i * LANES_OF_ROW; v < (i + 1) * LANES_OF_ROW; v++) {
    b->steps[v] = (int32_t)(0U - (uint32_t)b->steps[v]);
    b->rows[v] = -b->rows[v];
  }
}

/* Every row of the matrix, or of its transpose, rounded once. */
static void multiply(const hl_lift *l, const hl_lift_block *b, bool transposed) {
  int64_t n = l->n;
  float sums[LANES_OF_ROW];
  for (int64_t i = 0; i < n; i++) {
    sum_rows(b, 0, n, l->factors + (transposed ? i : i * n), transposed ? n : 1, sums);
    for (int v = 0; v < 16 * b->vectors; v++) b->steps[i * LANES_OF_ROW + v] = whole(sums[v]);
  }
}

void hl_lift_there(const hl_lift *l, const hl_lift_block *b) {
  int64_t n = l->n;
  const float *f = l->factors;
  if (!l->exact) {
    multiply(l, b, false);
    return;
  }
  add_rows(b, n - 1, 0, n - 1, f + n * n, 1);
  for (int64_t i = 0; i + 1 < n; i++) add_rows(b, i, i + 1, n, f + i * n, 1);
  if (l->negative) negate(b, n - 1);
  for (int64_t i = n - 1; i > 0; i--) add_rows(b, i, 0, i, f + i * n, 1);
}

void hl_lift_back(const hl_lift *l, const hl_lift_block *b) {
  int64_t n = l->n;
  const float *f = l->factors;
  if (!l->exact) {
    multiply(l, b, true);
    return;
  }
  for (int64_t i = 1; i < n; i++) add_rows(b, i, 0, i, f + i * n, -1);
  if (l->negative) negate(b, n - 1);
  for (int64_t i = n - 2; i >= 0; i--) add_rows(b, i, i + 1, n, f + i * n, -1);
  add_rows(b, n - 1, 0, n - 1, f + n * n, -1);
}

/* ---- between images and blocks ---- */

typedef int16_t shorts8 __attribute__((vector_size(16)));
typedef int32_t ints8 __attribute__((vector_size(32)));

enum { TILE = 8, LARGEST = 32767 };

#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* Rows of an 8x8 tile to columns: pairs of numbers, of two, of four. */
HL_INLINE void transpose8(shorts8 x[TILE]) {
  shorts8 y[TILE], z[TILE];
  for (int i = 0; i < TILE; i += 2) {
    y[i] = PICK(x[i], x[i + 1], 0, 8, 1, 9, 2, 10, 3, 11);
    y[i + 1] = PICK(x[i], x[i + 1], 4, 12, 5, 13, 6, 14, 7, 15);
  }
  for (int i = 0; i < TILE; i += 4)
    for (int k = 0; k < 2; k++) {
      z[i + 2 * k] = PICK(y[i + k], y[i + k + 2], 0, 1, 8, 9, 2, 3, 10, 11);
      z[i + 2 * k + 1] = PICK(y[i + k], y[i + k + 2], 4, 5, 12, 13, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    x[2 * i] = PICK(z[i], z[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    x[2 * i + 1] = PICK(z[i], z[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/* `count` channels of eight voxels to lanes v … v + 7 of their rows. */
HL_INLINE void load_tile(const int count, const hl_lift_block *b, const int32_t *row,
                         const int16_t *from, int64_t step, int64_t v) {
  shorts8 x[TILE] = {{0}};
  for (int i = 0; i < TILE; i++) memcpy(&x[i], from + (v + i) * step, (size_t)count * 2);
  transpose8(x);
  for (int c = 0; c < count; c++) {
    int64_t at = row[c] * (int64_t)LANES_OF_ROW + v;
    ints8 wide = __builtin_convertvector(x[c], ints8);
    memcpy(b->steps + at, &wide, sizeof wide);
    store8(b->rows + at, __builtin_convertvector(wide, lanes8));
  }
}

HL_INLINE void store_tile(const int count, const hl_lift_block *b, const int32_t *row, int16_t *to,
                          int64_t step, int64_t v, ints8 *off) {
  shorts8 x[TILE] = {{0}};
  for (int c = 0; c < count; c++) {
    ints8 all;
    memcpy(&all, b->steps + row[c] * (int64_t)LANES_OF_ROW + v, sizeof all);
    ints8 above = all > LARGEST, below = all < -LARGEST;
    *off += above + below; /* -1 where true */
    all = (all & ~(above | below)) | (above & LARGEST) | (below & -LARGEST);
    x[c] = __builtin_convertvector(all, shorts8);
  }
  transpose8(x);
  for (int i = 0; i < TILE; i++) memcpy(to + (v + i) * step, &x[i], (size_t)count * 2);
}

static void load_one(const hl_lift_block *b, int32_t row, const int16_t *from, int64_t step,
                     int64_t first, int64_t n) {
  for (int64_t v = first; v < n; v++) {
    int64_t at = row * (int64_t)LANES_OF_ROW + v;
    b->steps[at] = from[v * step];
    b->rows[at] = (float)b->steps[at];
  }
}

static int32_t store_one(const hl_lift_block *b, int32_t row, int16_t *to, int64_t step,
                         int64_t first, int64_t n) {
  int32_t off = 0;
  for (int64_t v = first; v < n; v++) {
    int32_t x = b->steps[row * (int64_t)LANES_OF_ROW + v];
    int32_t kept = x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
    off += kept != x;
    to[v * step] = (int16_t)kept;
  }
  return off;
}

void hl_lift_load(const hl_lift_block *b, const int32_t *row, const int16_t *from, int64_t step,
                  int64_t channels, int64_t n) {
  int64_t c = 0, tiled = n / TILE * TILE, lanes = 16 * b->vectors;
  for (; channels - c >= TILE; c += TILE)
    for (int64_t v = 0; v < tiled; v += TILE) load_tile(TILE, b, row + c, from + c, step, v);
  for (; channels - c >= TILE / 2; c += TILE / 2)
    for (int64_t v = 0; v < tiled; v += TILE) load_tile(TILE / 2, b, row + c, from + c, step, v);
  int64_t done = c;
  for (c = 0; c < channels; c++) {
    load_one(b, row[c], from + c, step, c < done ? tiled : 0, n);
    size_t idle = (size_t)(lanes - n) * sizeof(float);
    memset(b->steps + row[c] * (int64_t)LANES_OF_ROW + n, 0, idle);
    memset(b->rows + row[c] * (int64_t)LANES_OF_ROW + n, 0, idle);
  }
}

void hl_lift_store(const hl_lift_block *b, const int32_t *row, int16_t *to, int64_t step,
                   int64_t channels, int64_t n) {
  ints8 off = {0};
  int64_t c = 0, tiled = n / TILE * TILE, cut = 0;
  for (; channels - c >= TILE; c += TILE)
    for (int64_t v = 0; v < tiled; v += TILE) store_tile(TILE, b, row + c, to + c, step, v, &off);
  for (; channels - c >= TILE / 2; c += TILE / 2)
    for (int64_t v = 0; v < tiled; v += TILE)
      store_tile(TILE / 2, b, row + c, to + c, step, v, &off);
  int64_t done = c;
  for (c = 0; c < channels; c++) cut += store_one(b, row[c], to + c, step, c < done ? tiled : 0, n);
  for (int i = 0; i < 8; i++) cut -= off[i];
  hl_fixed_note_clipped(cut);
}
