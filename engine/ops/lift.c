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
  int32_t *from, *to;
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
  attempt t = {.q = q, .n = n, .a = scratch, .from = from, .to = to};
  hl_lift l = {.n = n, .factors = factors, .from = from, .to = to, .exact = factorise(&t)};
  if (l.exact) {
    for (int64_t i = 0; i < n * n; i++) factors[i] = (float)t.a[i];
    for (int64_t k = 0; k + 1 < n; k++) factors[n * n + k] = (float)t.s[k];
    l.negative = factors[n * n - 1] < 0;
    return l;
  }
  for (int64_t i = 0; i < n; i++) from[i] = to[i] = (int32_t)i;
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

size_t hl_lift_block_bytes(int64_t n) {
  return (size_t)(2 * n * LANES_OF_ROW) * sizeof(float);
}

hl_lift_block hl_lift_block_at(void *memory, int64_t n) {
  float *rows = memory;
  return (hl_lift_block){rows, (int32_t *)(void *)(rows + n * LANES_OF_ROW)};
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
__attribute__((noinline)) static void sum_rows(const float *rows, int64_t first, int64_t last,
                                               const float *factor, int64_t step, float *sums) {
  lanes16 sum[VECTORS];
  for (int i = 0; i < VECTORS; i++) sum[i] = (lanes16){0};
  for (int64_t j = first; j < last; j++) {
    float f = factor[j * step];
    for (int i = 0; i < VECTORS; i++) sum[i] += f * load16(rows + j * LANES_OF_ROW + i * 16);
  }
  for (int i = 0; i < VECTORS; i++) store16(sums + i * 16, sum[i]);
}

/* Adds to row i, or takes away, the whole number next to a sum over other rows. */
static void add_rows(const hl_lift_block *b, int64_t i, int64_t first, int64_t last,
                     const float *factor, int32_t sign) {
  float sums[LANES_OF_ROW];
  if (first >= last) return;
  sum_rows(b->rows, first, last, factor, 1, sums);
  int32_t *restrict steps = b->steps + i * LANES_OF_ROW;
  float *restrict row = b->rows + i * LANES_OF_ROW;
  for (int v = 0; v < LANES_OF_ROW; v++) {
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
    sum_rows(b->rows, 0, n, l->factors + (transposed ? i : i * n), transposed ? n : 1, sums);
    for (int v = 0; v < LANES_OF_ROW; v++) b->steps[i * LANES_OF_ROW + v] = whole(sums[v]);
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

void hl_lift_load(const hl_lift_block *b, int64_t row, const int16_t *from, int64_t step,
                  int64_t n) {
  int32_t *restrict steps = b->steps + row * LANES_OF_ROW;
  float *restrict wide = b->rows + row * LANES_OF_ROW;
  for (int64_t v = 0; v < n; v++) steps[v] = from[v * step];
  for (int64_t v = n; v < LANES_OF_ROW; v++) steps[v] = 0;
  for (int v = 0; v < LANES_OF_ROW; v++) wide[v] = (float)steps[v];
}

void hl_lift_store(const hl_lift_block *b, int64_t row, int16_t *to, int64_t step, int64_t n) {
  enum { LARGEST = 32767 };
  const int32_t *steps = b->steps + row * LANES_OF_ROW;
  int32_t kept[LANES_OF_ROW], off = 0;
  for (int v = 0; v < LANES_OF_ROW; v++) {
    kept[v] = steps[v] > LARGEST ? LARGEST : steps[v] < -LARGEST ? -LARGEST : steps[v];
    off += kept[v] != steps[v];
  }
  for (int64_t v = 0; v < n; v++) to[v * step] = (int16_t)kept[v];
  hl_fixed_note_clipped(off); /* lanes that are not used are 0 */
}
