/* Dense solves in f64 by elimination with partial pivoting. I + A is never singular for a skew A;
 * what is not a number in W is not a number in Q. */
#include "kernel.h"

#include <math.h>

enum { MOST_CHUNKS = 16 };

/* Solves M X = B in place: both have n rows of n numbers; B becomes X. */
static void solve(double *m, double *b, int64_t n) {
  for (int64_t col = 0; col < n; col++) {
    int64_t best = col;
    for (int64_t r = col + 1; r < n; r++)
      if (fabs(m[r * n + col]) > fabs(m[best * n + col])) best = r;
    for (int64_t k = 0; k < n && best != col; k++) {
      double x = m[col * n + k], y = b[col * n + k];
      m[col * n + k] = m[best * n + k];
      b[col * n + k] = b[best * n + k];
      m[best * n + k] = x;
      b[best * n + k] = y;
    }
    for (int64_t r = col + 1; r < n; r++) {
      double f = m[r * n + col] / m[col * n + col];
      double *restrict to = m + r * n, *restrict to_b = b + r * n;
      const double *restrict from = m + col * n, *restrict from_b = b + col * n;
      for (int64_t k = col + 1; k < n; k++) to[k] -= f * from[k];
      for (int64_t k = 0; k < n; k++) to_b[k] -= f * from_b[k];
    }
  }
  for (int64_t row = n - 1; row >= 0; row--) {
    double *restrict x = b + row * n;
    for (int64_t r = row + 1; r < n; r++) {
      const double *restrict known = b + r * n;
      double f = m[row * n + r];
      for (int64_t k = 0; k < n; k++) x[k] -= f * known[k];
    }
    for (int64_t k = 0; k < n; k++) x[k] /= m[row * n + row];
  }
}

/* y = I + sign (W - transpose(W)) */
static void skew(const float *w, double sign, int64_t n, double *y) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++)
      y[i * n + k] = (i == k ? 1 : 0) + sign * ((double)w[i * n + k] - (double)w[k * n + i]);
}

static void transpose(double *m, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < i; k++) {
      double x = m[i * n + k];
      m[i * n + k] = m[k * n + i];
      m[k * n + i] = x;
    }
}

typedef struct job {
  const float *w, *dq;
  float *out;
  int64_t n, grain;
  double *scratch; /* per chunk two matrices */
} job;

/* (I + A) Q = I - A */
static void forward(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t square = j->n * j->n;
  double *m = j->scratch + begin / j->grain * 2 * square, *q = m + square;
  for (int64_t i = begin; i < end; i++) {
    skew(j->w + i * square, 1, j->n, m);
    skew(j->w + i * square, -1, j->n, q);
    solve(m, q, j->n);
    for (int64_t k = 0; k < square; k++) j->out[i * square + k] = (float)q[k];
  }
}

/* X = inverse(I-A) G, then Y = X inverse(I-A), that is transpose(Y) = inverse(I+A) transpose(X);
 * dA = -2 Y. */
static void backward(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->n, square = n * n;
  double *m = j->scratch + begin / j->grain * 2 * square, *y = m + square;
  for (int64_t i = begin; i < end; i++) {
    for (int64_t k = 0; k < square; k++) y[k] = (double)j->dq[i * square + k];
    skew(j->w + i * square, -1, n, m);
    solve(m, y, n);
    transpose(y, n);
    skew(j->w + i * square, 1, n, m);
    solve(m, y, n); /* transpose(Y) */
    for (int64_t r = 0; r < n; r++)
      for (int64_t k = 0; k < n; k++)
        j->out[i * square + r * n + k] = (float)(2 * (y[r * n + k] - y[k * n + r]));
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
  *bytes = (size_t)(hl_ceil_div(count, grain) * 2 * n * n) * sizeof(double);
  return HL_OK;
}

static void run(const hl_call *c, job *j, hl_range_body body) {
  int64_t count;
  plan(c, &j->n, &count, &j->grain);
  hl_parallel_for(count, j->grain, body, j);
}

static hl_status cayley_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *scratch, hl_err *e) {
  (void)e;
  job j = {.w = hl_tensor_f32(in[0]), .out = hl_tensor_f32(out[0]), .scratch = scratch};
  run(c, &j, forward);
  return HL_OK;
}

static hl_status cayley_grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                                 void *scratch, hl_err *e) {
  (void)e;
  job j = {.w = hl_tensor_f32(in[0]),
           .dq = hl_tensor_f32(in[1]),
           .out = hl_tensor_f32(out[0]),
           .scratch = scratch};
  run(c, &j, backward);
  return HL_OK;
}

const hl_kernel hl_cpu_cayley = {.workspace = workspace, .run = cayley_run};
const hl_kernel hl_cpu_cayley_grad = {.workspace = workspace, .run = cayley_grad_run};
