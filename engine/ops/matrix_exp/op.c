/* The exponential of a skew matrix, which is orthogonal: Q = exp(A), A = W - transpose(W).
 *
 * Gradient: the derivative of the exponential at X in the direction E, L(X, E), stands in a block
 * of exp([[X, E], [0, X]]) = [[exp(X), L(X, E)], [0, exp(X)]] (Mathias 1996; Higham, Functions of
 * Matrices, section 3). Its adjoint is L(transpose(X), .), and transpose(A) = -A: hence, for the
 * upstream gradient G, G_A = L(-A, G) and G_W = G_A - transpose(G_A). */
#include "square.h"

#include <math.h>
#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_square(c, e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_square(c, e));
  HL_TRY(hl_rule_is(c, 1, "dQ", &c->in[0], "W", e));
  return hl_rule_out(c, &c->in[0], e);
}

/* ---- reference: Taylor's series of X / 2^s, squared s times ---- */

enum { TERMS = 24, MOST_HALVINGS = 1100 };

static void product(const double *a, const double *b, int64_t n, double *y) {
  memset(y, 0, (size_t)(n * n) * sizeof *y);
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < n; l++)
      for (int64_t k = 0; k < n; k++) y[i * n + k] += a[i * n + l] * b[l * n + k];
}

static double largest_row_sum(const double *x, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += fabs(x[i * n + k]);
    if (!(sum <= most)) most = sum; /* a NaN is kept */
  }
  return most;
}

/* y = exp(x). x is changed; scratch: one matrix. */
static void exponential(double *x, int64_t n, double *scratch, double *y) {
  int64_t square = n * n;
  int halvings = 0;
  for (double norm = largest_row_sum(x, n); norm > 0.5 && halvings < MOST_HALVINGS; norm /= 2)
    halvings++;
  for (int64_t i = 0; i < square; i++) x[i] = ldexp(x[i], -halvings);
  double *term = scratch;
  for (int64_t i = 0; i < square; i++) term[i] = y[i] = i % (n + 1) == 0 ? 1 : 0;
  double *next = scratch + square;
  for (int k = 1; k <= TERMS; k++) {
    product(term, x, n, next);
    for (int64_t i = 0; i < square; i++) y[i] += term[i] = next[i] / k;
  }
  for (int s = 0; s < halvings; s++) {
    product(y, y, n, next);
    memcpy(y, next, (size_t)square * sizeof *y);
  }
}

static double skew(const double *w, int64_t n, int64_t i, int64_t k) {
  return w[i * n + k] - w[k * n + i];
}

/* scratch: four matrices of 2n x 2n, of which the forward pass uses a quarter. */
static void transform(const double *w, int64_t n, double *scratch, double *q) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) scratch[i * n + k] = skew(w, n, i, k);
  exponential(scratch, n, scratch + n * n, q);
}

static void gradient(const double *w, const double *g, int64_t n, double *scratch, double *dw) {
  int64_t wide = 2 * n, square = wide * wide;
  double *x = scratch, *y = scratch + square;
  memset(x, 0, (size_t)square * sizeof *x);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) {
      x[i * wide + k] = x[(n + i) * wide + n + k] = -skew(w, n, i, k);
      x[i * wide + n + k] = g[i * n + k];
    }
  exponential(x, wide, scratch + 2 * square, y);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) dw[i * n + k] = y[i * wide + n + k] - y[k * wide + n + i];
}

static hl_status each(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  int64_t n = hl_square_side(&c->in[0]), square = n * n;
  int64_t count = hl_shape_numel(&c->in[0].shape) / square;
  double *scratch = hl_host_calloc((size_t)(16 * square), sizeof *scratch);
  if (scratch == NULL)
    return hl_fail(e, HL_ENOMEM, "no memory for the exponential of %lld x %lld numbers",
                   (long long)n, (long long)n);
  for (int64_t i = 0; i < count; i++)
    if (c->n_in == 1)
      transform(in[0] + i * square, n, scratch, out[0] + i * square);
    else
      gradient(in[0] + i * square, in[1] + i * square, n, scratch, out[0] + i * square);
  hl_host_free(scratch);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_emit(v, &hl_op_matrix_exp_grad, NULL, &v->din[0], e, v->in[0], v->dout[0]);
}

static const hl_sample samples[] = {{"one matrix", {"5x5"}, NULL}, {"stack", {"3x8x8"}, NULL},
                                    {"pairs", {"4x2x2"}, NULL},    {"larger", {"33x33"}, NULL},
                                    {"one number", {"1x1"}, NULL}, {0}};

static const hl_sample grad_samples[] = {{"one matrix", {"5x5", "5x5"}, NULL},
                                         {"stack", {"3x8x8", "3x8x8"}, NULL},
                                         {"larger", {"33x33", "33x33"}, NULL},
                                         {"one number", {"1x1", "1x1"}, NULL},
                                         {0}};

const hl_op hl_op_matrix_exp = {
    .name = "matrix_exp",
    .brief = "Orthogonal matrices from free ones by the matrix exponential, computed in f64.",
    .math = "Q = exp(A), A = W - transpose(W)",
    .args = "W",
    .min_in = 1,
    .max_in = 1,
    .samples = samples,
    .shape = shape,
    .ref = each,
    .vjp = vjp};

const hl_op hl_op_matrix_exp_grad = {
    .name = "matrix_exp_grad",
    .brief = "Gradient of matrix_exp.",
    .math = "dA = derivative of exp at -A in the direction dQ, dW = dA - transpose(dA)",
    .args = "W, dQ",
    .min_in = 2,
    .max_in = 2,
    .samples = grad_samples,
    .internal = true,
    .shape = grad_shape,
    .ref = each};
