/* Reflections applied to vectors, in f64: k of them to a matrix cost k n² operations. */
#include "householder.h"

#include "kernel.h"

#include <math.h>
#include <string.h>

enum { MOST_CHUNKS = 16 };

/* Unit columns as rows u[i][·], and their norms. */
static void columns(const float *v, int64_t n, int64_t k, double eps, double *u, double *norm) {
  for (int64_t c = 0; c < k; c++) {
    double sum = eps;
    for (int64_t i = 0; i < n; i++) sum += (double)v[i * k + c] * (double)v[i * k + c];
    norm[c] = sqrt(sum);
    for (int64_t i = 0; i < n; i++) u[c * n + i] = (double)v[i * k + c] / norm[c];
  }
}

static double dot(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* x := H x */
static void reflect(const double *u, int64_t n, double *x) {
  double f = 2 * dot(u, x, n);
  for (int64_t i = 0; i < n; i++) x[i] -= f * u[i];
}

/* Rows of Q = I H_0 H_1 …: every row is a vector of its own, and H its own transpose. */
static void forward(const double *u, int64_t n, int64_t k, double *row, float *q) {
  for (int64_t r = 0; r < n; r++) {
    for (int64_t i = 0; i < n; i++) row[i] = i == r ? 1 : 0;
    for (int64_t c = 0; c < k; c++) reflect(u + c * n, n, row);
    for (int64_t i = 0; i < n; i++) q[r * n + i] = (float)row[i];
  }
}

/* du = -2 (transpose(P) G transpose(S) u + S transpose(G) P u), G with n rows of n numbers. */
static void gradient_of(const double *u, const float *g, int64_t n, int64_t k, int64_t c, double *x,
                        double *du) {
  double *y = x + n;
  memcpy(x, u + c * n, (size_t)n * sizeof *x);
  for (int64_t i = c + 1; i < k; i++) reflect(u + i * n, n, x); /* transpose(S) u */
  for (int64_t i = 0; i < n; i++) {
    y[i] = 0;
    for (int64_t l = 0; l < n; l++) y[i] += (double)g[i * n + l] * x[l];
  }
  for (int64_t i = 0; i < c; i++) reflect(u + i * n, n, y); /* transpose(P) … */
  memcpy(du, y, (size_t)n * sizeof *du);
  memcpy(x, u + c * n, (size_t)n * sizeof *x);
  for (int64_t i = c - 1; i >= 0; i--) reflect(u + i * n, n, x); /* P u */
  memset(y, 0, (size_t)n * sizeof *y);
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < n; l++) y[l] += (double)g[i * n + l] * x[i];
  for (int64_t i = k - 1; i > c; i--) reflect(u + i * n, n, y); /* S … */
  for (int64_t i = 0; i < n; i++) du[i] = -2 * (du[i] + y[i]);
}

static void backward(const double *u, const double *norm, const float *g, int64_t n, int64_t k,
                     double *scratch, float *dv) {
  double *du = scratch, *x = scratch + n;
  for (int64_t c = 0; c < k; c++) {
    gradient_of(u, g, n, k, c, x, du);
    double along = dot(u + c * n, du, n);
    for (int64_t i = 0; i < n; i++)
      dv[i * k + c] = (float)((du[i] - u[c * n + i] * along) / norm[c]);
  }
}

typedef struct job {
  const float *v, *dq; /* dq NULL: forward */
  float *out;
  int64_t n, k, grain;
  double eps;
  double *scratch;
} job;

/* Per chunk: unit columns, norms, three vectors. */
static int64_t scratch_size(int64_t n, int64_t k) {
  return n * k + k + 3 * n;
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->n, k = j->k;
  double *u = j->scratch + begin / j->grain * scratch_size(n, k);
  double *norm = u + n * k, *rest = norm + k;
  for (int64_t m = begin; m < end; m++) {
    columns(j->v + m * n * k, n, k, j->eps, u, norm);
    if (j->dq == NULL)
      forward(u, n, k, rest, j->out + m * n * n);
    else
      backward(u, norm, j->dq + m * n * n, n, k, rest, j->out + m * n * k);
  }
}

static void plan(const hl_call *c, int64_t *n, int64_t *k, int64_t *count, int64_t *grain) {
  const hl_shape *s = &c->in[0].shape;
  *n = s->dim[s->rank - 2];
  *k = s->dim[s->rank - 1];
  *count = hl_shape_numel(s) / (*n * *k);
  *grain = hl_ceil_div(*count, MOST_CHUNKS);
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t n, k, count, grain;
  plan(c, &n, &k, &count, &grain);
  *bytes = (size_t)(hl_ceil_div(count, grain) * scratch_size(n, k)) * sizeof(double);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *scratch,
                     hl_err *e) {
  (void)e;
  const hl_householder_attrs *a = c->attrs;
  job j = {.v = hl_tensor_f32(in[0]),
           .dq = c->n_in == 2 ? hl_tensor_f32(in[1]) : NULL,
           .out = hl_tensor_f32(out[0]),
           .eps = a->eps,
           .scratch = scratch};
  int64_t count;
  plan(c, &j.n, &j.k, &count, &j.grain);
  hl_parallel_for(count, j.grain, range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_householder = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_householder_grad = {.workspace = workspace, .run = run};
