/* Products of Householder reflections: the columns of V, divided by their norms, are u_0 … u_{k-1};
 * Q = H_0 H_1 … H_{k-1} with H_i = I - 2 u_i transpose(u_i). The norm is sqrt(sum of squares +
 * eps), so that a column of zeros means no reflection; with eps > 0, Q is orthogonal to about eps.
 *
 * Gradient, for the upstream G: with P = H_0 … H_{i-1} and S = H_{i+1} … H_{k-1} (each H is its own
 * transpose), G_H = transpose(P) G transpose(S), du = -2 (G_H + transpose(G_H)) u, and
 * dv = (du - u (u·du)) / norm. */
#include "householder.h"

#include "opkit.h"

#include <math.h>
#include <string.h>

static hl_status check(const hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_desc *v = &c->in[0];
  if (v->layout != HL_PLAIN) return hl_fail(e, HL_ETYPE, "V must be in plain layout, not an image");
  int rank = v->shape.rank;
  if (rank < 2 || rank > 3)
    return hl_fail(e, HL_ESHAPE, "V must have 2 or 3 axes [n,k] or [M,n,k], but has %d", rank);
  return hl_rule_plain(c, 0, "V", rank, "[M,n,k]", e);
}

static hl_desc square_of(const hl_desc *v) {
  hl_desc q = *v;
  q.shape.dim[q.shape.rank - 1] = q.shape.dim[q.shape.rank - 2];
  return q;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(check(c, e));
  hl_desc q = square_of(&c->in[0]);
  return hl_rule_out(c, &q, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(check(c, e));
  hl_desc q = square_of(&c->in[0]);
  HL_TRY(hl_rule_is(c, 1, "dQ", &q, "Q", e));
  return hl_rule_out(c, &c->in[0], e);
}

/* ---- reference: every reflection as a matrix ---- */

static void product(const double *a, const double *b, int64_t n, double *y) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < n; k++) {
      double sum = 0;
      for (int64_t l = 0; l < n; l++) sum += a[i * n + l] * b[l * n + k];
      y[i * n + k] = sum;
    }
}

static double norm_of(const double *v, int64_t n, int64_t k, int64_t column, double eps) {
  double sum = eps;
  for (int64_t i = 0; i < n; i++) sum += v[i * k + column] * v[i * k + column];
  return sqrt(sum);
}

/* m := m H_i for columns first <= i < last, starting from I. scratch: two matrices. */
static void reflections(const double *v, int64_t n, int64_t k, int64_t first, int64_t last,
                        double eps, double *scratch, double *m) {
  double *h = scratch, *next = scratch + n * n;
  for (int64_t i = 0; i < n * n; i++) m[i] = i % (n + 1) == 0 ? 1 : 0;
  for (int64_t column = first; column < last; column++) {
    double norm = norm_of(v, n, k, column, eps);
    for (int64_t i = 0; i < n; i++)
      for (int64_t l = 0; l < n; l++)
        h[i * n + l] =
            (i == l ? 1 : 0) - 2 * (v[i * k + column] / norm) * (v[l * k + column] / norm);
    product(m, h, n, next);
    memcpy(m, next, (size_t)(n * n) * sizeof *m);
  }
}

static void transpose(double *m, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < i; k++) {
      double x = m[i * n + k];
      m[i * n + k] = m[k * n + i];
      m[k * n + i] = x;
    }
}

/* Column `column` of dV; scratch: five matrices. */
static void column_gradient(const double *v, const double *g, int64_t n, int64_t k, int64_t column,
                            double eps, double *scratch, double *dv) {
  int64_t square = n * n;
  double *before = scratch + 2 * square, *after = before + square, *gh = after + square;
  reflections(v, n, k, 0, column, eps, scratch, before);
  reflections(v, n, k, column + 1, k, eps, scratch, after);
  transpose(before, n);
  transpose(after, n);
  product(before, g, n, scratch);
  product(scratch, after, n, gh);
  double norm = norm_of(v, n, k, column, eps), *du = scratch, along = 0;
  for (int64_t i = 0; i < n; i++) {
    du[i] = 0;
    for (int64_t l = 0; l < n; l++)
      du[i] -= 2 * (gh[i * n + l] + gh[l * n + i]) * v[l * k + column] / norm;
    along += du[i] * v[i * k + column] / norm;
  }
  for (int64_t i = 0; i < n; i++)
    dv[i * k + column] = (du[i] - v[i * k + column] / norm * along) / norm;
}

static hl_status each(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  const hl_shape *s = &c->in[0].shape;
  const hl_householder_attrs *a = c->attrs;
  int64_t n = s->dim[s->rank - 2], k = s->dim[s->rank - 1], count = hl_shape_numel(s) / (n * k);
  double *scratch = hl_host_calloc((size_t)(5 * n * n), sizeof *scratch);
  if (scratch == NULL)
    return hl_fail(e, HL_ENOMEM, "no memory for reflections of %lld numbers", (long long)n);
  for (int64_t m = 0; m < count; m++) {
    const double *v = in[0] + m * n * k;
    if (c->n_in == 1) reflections(v, n, k, 0, k, a->eps, scratch, out[0] + m * n * n);
    for (int64_t i = 0; i < k && c->n_in == 2; i++)
      column_gradient(v, in[1] + m * n * n, n, k, i, a->eps, scratch, out[0] + m * n * k);
  }
  hl_host_free(scratch);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_emit(v, &hl_op_householder_grad, v->call->attrs, &v->din[0], e, v->in[0],
                     v->dout[0]);
}

static const hl_attr attrs[] = {{"eps", HL_A_REAL, "1e-5", offsetof(hl_householder_attrs, eps), 0,
                                 1, "added to the sum of squares of a column"},
                                {0}};

static const hl_sample samples[] = {{"square", {"4x4"}, NULL},
                                    {"three reflections", {"5x3"}, "eps=0"},
                                    {"one reflection", {"8x1"}, "eps=0.01"},
                                    {"stack", {"3x6x2"}, NULL},
                                    {"more than rows", {"3x5"}, NULL},
                                    {"larger", {"2x33x33"}, NULL},
                                    {"one number", {"1x1"}, "eps=0.1"},
                                    {0}};

static const hl_sample grad_samples[] = {{"square", {"4x4", "4x4"}, NULL},
                                         {"three reflections", {"5x3", "5x5"}, "eps=0"},
                                         {"one reflection", {"8x1", "8x8"}, "eps=0.01"},
                                         {"stack", {"3x6x2", "3x6x6"}, NULL},
                                         {"larger", {"2x33x33", "2x33x33"}, NULL},
                                         {0}};

const hl_op hl_op_householder = {
    .name = "householder",
    .brief = "Orthogonal matrices as products of reflections, computed in f64.",
    .math =
        "Q = H_0 H_1 ..., H_i = I - 2 u_i transpose(u_i), u_i = V[:,i] / sqrt(|V[:,i]|^2 + eps)",
    .args = "V",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_householder_attrs),
    .attrs = attrs,
    .samples = samples,
    .shape = shape,
    .ref = each,
    .vjp = vjp};

const hl_op hl_op_householder_grad = {
    .name = "householder_grad",
    .brief = "Gradient of householder.",
    .math = "du_i = -2 (G_i + transpose(G_i)) u_i, G_i = H_{i-1} ... H_0 dQ H_{k-1} ... H_{i+1}",
    .args = "V, dQ",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_householder_attrs),
    .attrs = attrs,
    .samples = grad_samples,
    .internal = true,
    .shape = grad_shape,
    .ref = each};
