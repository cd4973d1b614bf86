#include "lift.h"

#include <math.h>
#include <string.h>

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

/* In several sums that do not wait for each other. */
static double product(const float *a, const float *b, int64_t n) {
  enum { SUMS = 16 };
  double sum[SUMS] = {0}, all = 0;
  int64_t j = 0;
  for (; j + SUMS <= n; j += SUMS)
    for (int l = 0; l < SUMS; l++) sum[l] += (double)a[j + l] * (double)b[j + l];
  for (int l = 0; l < SUMS; l++) all += sum[l];
  for (; j < n; j++) all += (double)a[j] * (double)b[j];
  return all;
}

static bool is_orthogonal(const float *q, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = i; k < n; k++)
      if (!(fabs(product(q + i * n, q + k * n, n) - (i == k)) < TOLERANCE)) return false;
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
