/* The Cayley transform of a free square matrix: with A = W - transpose(W), which is skew,
 * Q = inverse(I + A) (I - A) is orthogonal and has no eigenvalue -1.
 *
 * Gradient: d(inverse(I+A)) = -inverse(I+A) dA inverse(I+A) and Q + I = 2 inverse(I+A) give
 * dQ = -2 inverse(I+A) dA inverse(I+A); hence, for the upstream gradient G and because A is skew,
 * G_A = -2 inverse(I-A) G inverse(I-A), and G_W = G_A - transpose(G_A). */
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

/* ---- reference: inverses by Gauss and Jordan, with the largest pivot of the column ---- */

static void swap_rows(double *m, int64_t width, int64_t a, int64_t b) {
  for (int64_t k = 0; k < width && a != b; k++) {
    double x = m[a * width + k];
    m[a * width + k] = m[b * width + k];
    m[b * width + k] = x;
  }
}

/* m: n rows of 2n numbers, [M | I] before and [I | inverse(M)] after. */
static void invert(double *m, int64_t n) {
  int64_t width = 2 * n;
  for (int64_t col = 0; col < n; col++) {
    int64_t best = col;
    for (int64_t r = col + 1; r < n; r++)
      if (fabs(m[r * width + col]) > fabs(m[best * width + col])) best = r;
    swap_rows(m, width, col, best);
    double pivot = m[col * width + col];
    for (int64_t k = 0; k < width; k++) m[col * width + k] /= pivot;
    for (int64_t r = 0; r < n; r++) {
      double f = m[r * width + col];
      for (int64_t k = col; k < width && r != col; k++) m[r * width + k] -= f * m[col * width + k];
    }
  }
}

/* [I + sign·A | I] */
static void set_up(const double *w, double sign, int64_t n, double *m) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) {
      double one = i == k ? 1 : 0;
      m[i * 2 * n + k] = one + sign * (w[i * n + k] - w[k * n + i]);
      m[i * 2 * n + n + k] = one;
    }
}

/* y += f · a b, where a and b may be parts of wider rows. */
static void product(const double *a, int64_t a_step, const double *b, int64_t b_step, double f,
                    int64_t n, double *y) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t l = 0; l < n; l++)
      for (int64_t k = 0; k < n; k++) y[i * n + k] += f * a[i * a_step + l] * b[l * b_step + k];
}

/* Q = inverse(I+A) (I-A) */
static void transform(const double *w, int64_t n, double *scratch, double *q) {
  double *minus = scratch + 2 * n * n;
  set_up(w, 1, n, scratch);
  invert(scratch, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++)
      minus[i * n + k] = (i == k ? 1 : 0) - (w[i * n + k] - w[k * n + i]);
  product(scratch + n, 2 * n, minus, n, 1, n, q);
}

/* dW = G_A - transpose(G_A) */
static void gradient(const double *w, const double *g, int64_t n, double *scratch, double *dw) {
  double *first = scratch + 2 * n * n, *da = first + n * n;
  memset(first, 0, (size_t)(2 * n * n) * sizeof *first);
  set_up(w, -1, n, scratch);
  invert(scratch, n);
  product(scratch + n, 2 * n, g, n, -2, n, first);
  product(first, n, scratch + n, 2 * n, 1, n, da);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) dw[i * n + k] = da[i * n + k] - da[k * n + i];
}

static hl_status each(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  const hl_shape *s = &c->in[0].shape;
  int64_t n = s->dim[s->rank - 1], square = n * n, count = hl_shape_numel(s) / square;
  double *scratch = hl_host_calloc((size_t)(4 * square), sizeof *scratch);
  if (scratch == NULL)
    return hl_fail(e, HL_ENOMEM, "no memory to invert %lld x %lld numbers", (long long)n,
                   (long long)n);
  for (int64_t i = 0; i < count; i++)
    if (c->n_in == 1)
      transform(in[0] + i * square, n, scratch, out[0] + i * square);
    else
      gradient(in[0] + i * square, in[1] + i * square, n, scratch, out[0] + i * square);
  hl_host_free(scratch);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_emit(v, &hl_op_cayley_grad, NULL, &v->din[0], e, v->in[0], v->dout[0]);
}

static const hl_sample samples[] = {{"one matrix", {"5x5"}, NULL}, {"stack", {"3x8x8"}, NULL},
                                    {"pairs", {"4x2x2"}, NULL},    {"larger", {"33x33"}, NULL},
                                    {"one number", {"1x1"}, NULL}, {0}};

static const hl_sample grad_samples[] = {{"one matrix", {"5x5", "5x5"}, NULL},
                                         {"stack", {"3x8x8", "3x8x8"}, NULL},
                                         {"larger", {"33x33", "33x33"}, NULL},
                                         {"one number", {"1x1", "1x1"}, NULL},
                                         {0}};

const hl_op hl_op_cayley = {.name = "cayley",
                            .brief = "Orthogonal matrices from free ones, computed in f64.",
                            .math = "Q = inverse(I + A) (I - A), A = W - transpose(W)",
                            .args = "W",
                            .min_in = 1,
                            .max_in = 1,
                            .samples = samples,
                            .shape = shape,
                            .ref = each,
                            .vjp = vjp};

const hl_op hl_op_cayley_grad = {
    .name = "cayley_grad",
    .brief = "Gradient of cayley.",
    .math = "dA = -2 inverse(I - A) dQ inverse(I - A), dW = dA - transpose(dA)",
    .args = "W, dQ",
    .min_in = 2,
    .max_in = 2,
    .samples = grad_samples,
    .internal = true,
    .shape = grad_shape,
    .ref = each};
