/* Scaling and squaring in f64. The derivative is carried along as the second half of a pair: with
 * (X, E) (Y, F) = (X Y, X F + E Y), the exponential of the pair (A, E) is (exp(A), L(A, E)). */
#include "kernel.h"

#include <math.h>
#include <string.h>

enum {
  MOST_CHUNKS = 16,
  TERMS = 13,          /* at a norm of 1/4 the next term is below 2^-60 */
  MOST_HALVINGS = 1100 /* more than the exponent of any double */
};

/* y += a b */
static void add_product(const double *restrict a, const double *restrict b, int64_t n,
                        double *restrict y) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < n; l++) {
      double f = a[i * n + l];
      for (int64_t k = 0; k < n; k++) y[i * n + k] += f * b[l * n + k];
    }
}

/* A matrix and, after it in memory, its derivative. */
typedef struct pair {
  double *value, *slope; /* slope NULL: values only */
} pair;

static pair pair_at(double *at, int64_t square, bool both) {
  return (pair){at, both ? at + square : NULL};
}

static void multiply(pair x, pair y, int64_t n, pair out) {
  size_t bytes = (size_t)(n * n) * sizeof(double);
  memset(out.value, 0, bytes);
  add_product(x.value, y.value, n, out.value);
  if (out.slope == NULL) return;
  memset(out.slope, 0, bytes);
  add_product(x.value, y.slope, n, out.slope);
  add_product(x.slope, y.value, n, out.slope);
}

static int halvings(const double *x, int64_t n) {
  double norm = 0;
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += fabs(x[i * n + k]);
    norm = sum > norm ? sum : norm;
  }
  int count = 0;
  for (; norm > 0.25 && count < MOST_HALVINGS; norm /= 2) count++;
  return count;
}

/* Horner's scheme: P = I + X/1 (I + X/2 (… (I + X/TERMS))), then squares. Returns the pair that
 * holds the result; x is scaled, a and b are scratch. */
static pair exponential(pair x, int64_t n, pair a, pair b) {
  int64_t square = n * n;
  int count = halvings(x.value, n);
  double scale = ldexp(1, -count);
  for (int64_t i = 0; i < square; i++) x.value[i] *= scale;
  for (int64_t i = 0; i < square && x.slope != NULL; i++) x.slope[i] *= scale;
  for (int64_t i = 0; i < square; i++) a.value[i] = i % (n + 1) == 0 ? 1 : 0;
  if (a.slope != NULL) memset(a.slope, 0, (size_t)square * sizeof(double));
  for (int k = TERMS; k >= 1; k--) {
    multiply(x, a, n, b);
    for (int64_t i = 0; i < square; i++) b.value[i] = b.value[i] / k + (i % (n + 1) == 0 ? 1 : 0);
    for (int64_t i = 0; i < square && b.slope != NULL; i++) b.slope[i] /= k;
    pair swap = a;
    a = b;
    b = swap;
  }
  for (int s = 0; s < count; s++) {
    multiply(a, a, n, b);
    pair swap = a;
    a = b;
    b = swap;
  }
  return a;
}

typedef struct job {
  const float *w, *dq; /* dq NULL: forward */
  float *out;
  int64_t n, grain;
  double *scratch; /* per chunk three pairs */
} job;

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->n, square = n * n;
  bool both = j->dq != NULL;
  double *at = j->scratch + begin / j->grain * (both ? 6 : 3) * square;
  pair x = pair_at(at, square, both), a = pair_at(at + (both ? 2 : 1) * square, square, both),
       b = pair_at(at + (both ? 4 : 2) * square, square, both);
  for (int64_t m = begin; m < end; m++) {
    const float *w = j->w + m * square;
    double sign = both ? -1 : 1;
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < n; k++)
        x.value[i * n + k] = sign * ((double)w[i * n + k] - (double)w[k * n + i]);
    for (int64_t i = 0; i < square && both; i++) x.slope[i] = (double)j->dq[m * square + i];
    pair y = exponential(x, n, a, b);
    float *out = j->out + m * square;
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < n; k++)
        out[i * n + k] =
            (float)(both ? y.slope[i * n + k] - y.slope[k * n + i] : y.value[i * n + k]);
  }
}

static void plan(const hl_call *c, int64_t *n, int64_t *count, int64_t *grain) {
  const hl_shape *s = &c->in[0].shape;
  *n = s->dim[s->rank - 1];
  *count = hl_shape_numel(s) / (*n * *n);
  *grain = hl_ceil_div(*count, MOST_CHUNKS);
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t n, count, grain;
  plan(c, &n, &count, &grain);
  *bytes = (size_t)(hl_ceil_div(count, grain) * 3 * c->n_in * n * n) * sizeof(double);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *scratch,
                     hl_err *e) {
  (void)e;
  job j = {.w = hl_tensor_f32(in[0]),
           .dq = c->n_in == 2 ? hl_tensor_f32(in[1]) : NULL,
           .out = hl_tensor_f32(out[0]),
           .scratch = scratch};
  int64_t count;
  plan(c, &j.n, &count, &j.grain);
  hl_parallel_for(count, j.grain, range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_matrix_exp = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_matrix_exp_grad = {.workspace = workspace, .run = run};
