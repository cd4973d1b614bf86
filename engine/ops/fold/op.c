/* Reductions beside sum and mean: extremes, product, spread, norms, logarithm of a sum of
 * exponentials. All are built on the axes and the shape rule of reduce. */
#include "fold/fold.h"

#include "affine/affine.h"
#include "logical.h"
#include "unary/unary.h"

#include <math.h>
#include <string.h>

/* ---- references ---- */

/* result[o] = next(result[o], x, shift[o]) over all elements; shift may be NULL. */
typedef double (*step)(double result, double x, double shift);

static void fold_all(const hl_call *c, const double *x, double *result, double start,
                     const double *shift, step next) {
  const hl_shape *s = &c->in[0].shape;
  hl_desc kept = hl_reduce_kept(c);
  int64_t stride[HL_MAX_RANK], n = hl_shape_numel(s), results = hl_shape_numel(&kept.shape);
  hl_logical_broadcast(&kept.shape, s, stride);
  for (int64_t i = 0; i < results; i++) result[i] = start;
  for (int64_t i = 0; i < n; i++) {
    int64_t o = hl_logical_offset(s, i, stride);
    result[o] = next(result[o], x[i], shift == NULL ? 0 : shift[o]);
  }
}

static double next_max(double r, double x, double s) {
  (void)s;
  return x > r || isnan(x) ? x : r;
}
static double next_min(double r, double x, double s) {
  (void)s;
  return x < r || isnan(x) ? x : r;
}
static double next_max_abs(double r, double x, double s) {
  return next_max(r, fabs(x), s);
}
static double next_product(double r, double x, double s) {
  (void)s;
  return r * x;
}
static double next_sum(double r, double x, double s) {
  (void)s;
  return r + x;
}
static double next_abs(double r, double x, double s) {
  (void)s;
  return r + fabs(x);
}
static double next_square(double r, double x, double s) {
  return r + (x - s) * (x - s);
}
static double next_exp(double r, double x, double s) {
  return r + exp(x - s);
}

#define SIMPLE_REF(NAME, START, NEXT, FINISH)                                                      \
  static hl_status NAME##_ref(const hl_call *c, const double *const *in, double *const *out,       \
                              hl_err *e) {                                                         \
    (void)e;                                                                                       \
    double *y = out[0];                                                                            \
    fold_all(c, in[0], y, START, NULL, NEXT);                                                      \
    int64_t n = hl_shape_numel(&c->out[0].shape);                                                  \
    for (int64_t i = 0; i < n; i++) y[i] = FINISH;                                                 \
    return HL_OK;                                                                                  \
  }
SIMPLE_REF(max, -INFINITY, next_max, y[i])
SIMPLE_REF(min, INFINITY, next_min, y[i])
SIMPLE_REF(prod, 1, next_product, y[i])
SIMPLE_REF(norm1, 0, next_abs, y[i])
SIMPLE_REF(norm2, 0, next_square, sqrt(y[i]))
SIMPLE_REF(norm_inf, 0, next_max_abs, y[i])

/* Folds once more around the results of a first fold. */
static hl_status second_fold(const hl_call *c, const double *x, double *y, step next,
                             double **first, hl_err *e) {
  int64_t n = hl_shape_numel(&c->out[0].shape);
  *first = hl_host_calloc((size_t)n + 1, sizeof **first);
  if (*first == NULL)
    return hl_fail(e, HL_ENOMEM, "no memory for the reference of %s", c->op->name);
  memcpy(*first, y, (size_t)n * sizeof *y);
  fold_all(c, x, y, 0, *first, next);
  return HL_OK;
}

static double divisor(const hl_call *c) {
  const hl_spread_attrs *a = c->attrs;
  return (double)(hl_reduce_count(c) - (a->biased ? 0 : 1));
}

static hl_status var_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  double *y = out[0], *mean, count = (double)hl_reduce_count(c);
  int64_t n = hl_shape_numel(&c->out[0].shape);
  fold_all(c, in[0], y, 0, NULL, next_sum);
  for (int64_t i = 0; i < n; i++) y[i] /= count;
  HL_TRY(second_fold(c, in[0], y, next_square, &mean, e));
  for (int64_t i = 0; i < n; i++) y[i] /= divisor(c);
  hl_host_free(mean);
  return HL_OK;
}

static hl_status std_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  HL_TRY(var_ref(c, in, out, e));
  int64_t n = hl_shape_numel(&c->out[0].shape);
  for (int64_t i = 0; i < n; i++) out[0][i] = sqrt(out[0][i]);
  return HL_OK;
}

static hl_status logsumexp_ref(const hl_call *c, const double *const *in, double *const *out,
                               hl_err *e) {
  double *y = out[0], *max;
  int64_t n = hl_shape_numel(&c->out[0].shape);
  fold_all(c, in[0], y, -INFINITY, NULL, next_max);
  for (int64_t i = 0; i < n; i++) y[i] = isinf(y[i]) ? 0 : y[i];
  HL_TRY(second_fold(c, in[0], y, next_exp, &max, e));
  for (int64_t i = 0; i < n; i++) y[i] = max[i] + log(y[i]);
  hl_host_free(max);
  return HL_OK;
}

/* ---- gradients ---- */

/* A result-like value with the axes gone over as size 1, so that it broadcasts to x. */
static hl_status kept(const hl_vjp *v, hl_var value, hl_var *out, hl_err *e) {
  hl_desc d = hl_reduce_kept(v->call);
  return hl_vjp_reshape(v, value, &v->call->out[0].shape, &d.shape, out, e);
}

/* `op`, a reduction without attributes of its own, over the same axes, which are kept. */
static hl_status reduce_again(const hl_vjp *v, const hl_op *op, hl_var x, hl_var *out, hl_err *e) {
  hl_reduce_attrs a;
  memset(&a, 0, sizeof a);
  a.axes = ((const hl_reduce_attrs *)v->call->attrs)->axes;
  a.keep = true;
  return hl_vjp_emit(v, op, &a, out, e, x);
}

static hl_status scale(const hl_vjp *v, hl_var x, double factor, hl_var *out, hl_err *e) {
  hl_affine_attrs a;
  memset(&a, 0, sizeof a);
  a.scale = factor;
  return hl_vjp_emit(v, &hl_op_affine, &a, out, e, x);
}

static hl_status zero(const hl_vjp *v, hl_var *out, hl_err *e) {
  const hl_desc *dy = &v->call->out[0];
  const hl_desc scalar = {.dtype = dy->dtype, .layout = HL_PLAIN};
  return hl_vjp_zeros(v, v->dout[0], dy, &scalar, out, e);
}

/* a / y, and 0 / 1 where y is 0: there the derivative is taken to be 0. */
static hl_status over_result(const hl_vjp *v, hl_var a, hl_var *out, hl_err *e) {
  hl_var nought, none, y;
  HL_TRY(zero(v, &nought, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_equal, NULL, &none, e, v->out[0], nought));
  HL_TRY(hl_vjp_emit(v, &hl_op_add, NULL, &y, e, v->out[0], none));
  return hl_vjp_emit(v, &hl_op_div, NULL, out, e, a, y);
}

/* The gradient of an extreme is shared evenly among the elements of `of` that reach it. */
static hl_status share(const hl_vjp *v, hl_var of, hl_var *out, hl_err *e) {
  hl_var y, dy, mask, count, each;
  HL_TRY(kept(v, v->out[0], &y, e));
  HL_TRY(kept(v, v->dout[0], &dy, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_equal, NULL, &mask, e, of, y));
  HL_TRY(reduce_again(v, &hl_op_sum, mask, &count, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_div, NULL, &each, e, dy, count));
  return hl_vjp_emit(v, &hl_op_mul, NULL, out, e, mask, each);
}

static hl_status max_vjp(const hl_vjp *v, hl_err *e) {
  return share(v, v->in[0], &v->din[0], e);
}

static hl_status min_vjp(const hl_vjp *v, hl_err *e) {
  return share(v, v->in[0], &v->din[0], e);
}

/* dx = g · sign(x) */
static hl_status times_sign(const hl_vjp *v, hl_var g, hl_err *e) {
  hl_unary_grad_attrs a;
  memset(&a, 0, sizeof a);
  a.function = HL_UNARY_ABS;
  return hl_vjp_emit(v, &hl_op_unary_grad, &a, &v->din[0], e, v->in[0], g);
}

static hl_status norm_inf_vjp(const hl_vjp *v, hl_err *e) {
  hl_var size, g;
  HL_TRY(hl_vjp_emit(v, &hl_op_abs, NULL, &size, e, v->in[0]));
  HL_TRY(share(v, size, &g, e));
  return times_sign(v, g, e);
}

static hl_status norm1_vjp(const hl_vjp *v, hl_err *e) {
  hl_desc d = hl_reduce_kept(v->call);
  hl_var dy, g;
  HL_TRY(kept(v, v->dout[0], &dy, e));
  HL_TRY(hl_vjp_broadcast(v, dy, &d, &v->call->in[0], &g, e));
  return times_sign(v, g, e);
}

static hl_status norm2_vjp(const hl_vjp *v, hl_err *e) {
  hl_var g, factor;
  HL_TRY(over_result(v, v->dout[0], &g, e));
  HL_TRY(kept(v, g, &factor, e));
  return hl_vjp_emit(v, &hl_op_mul, NULL, &v->din[0], e, v->in[0], factor);
}

static hl_status logsumexp_vjp(const hl_vjp *v, hl_err *e) {
  hl_var y, dy, below, part;
  HL_TRY(kept(v, v->out[0], &y, e));
  HL_TRY(kept(v, v->dout[0], &dy, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_sub, NULL, &below, e, v->in[0], y));
  HL_TRY(hl_vjp_emit(v, &hl_op_exp, NULL, &part, e, below));
  return hl_vjp_emit(v, &hl_op_mul, NULL, &v->din[0], e, part, dy);
}

/* dx = factor · g · (x - mean) */
static hl_status times_deviation(const hl_vjp *v, hl_var g, double factor, hl_err *e) {
  hl_var mean, deviation, dy, scaled;
  HL_TRY(reduce_again(v, &hl_op_mean, v->in[0], &mean, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_sub, NULL, &deviation, e, v->in[0], mean));
  HL_TRY(kept(v, g, &dy, e));
  HL_TRY(scale(v, dy, factor, &scaled, e));
  return hl_vjp_emit(v, &hl_op_mul, NULL, &v->din[0], e, deviation, scaled);
}

static hl_status var_vjp(const hl_vjp *v, hl_err *e) {
  return times_deviation(v, v->dout[0], 2 / divisor(v->call), e);
}

static hl_status std_vjp(const hl_vjp *v, hl_err *e) {
  hl_var g;
  HL_TRY(over_result(v, v->dout[0], &g, e));
  return times_deviation(v, g, 1 / divisor(v->call), e);
}

/* The product of the others: with P the product of all elements but zeros, it is P / x where no
 * element is 0, P at the zero where one is, and 0 otherwise. */
static hl_status prod_vjp(const hl_vjp *v, hl_err *e) {
  hl_var nought, one, is_zero, filled, product, zeros, others, none, single, factor, dy, g;
  HL_TRY(zero(v, &nought, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_exp, NULL, &one, e, nought));
  HL_TRY(hl_vjp_emit(v, &hl_op_equal, NULL, &is_zero, e, v->in[0], nought));
  HL_TRY(hl_vjp_emit(v, &hl_op_add, NULL, &filled, e, v->in[0], is_zero));
  HL_TRY(reduce_again(v, &hl_op_prod, filled, &product, e));
  HL_TRY(reduce_again(v, &hl_op_sum, is_zero, &zeros, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_div, NULL, &others, e, product, filled));
  HL_TRY(hl_vjp_emit(v, &hl_op_equal, NULL, &none, e, zeros, nought));
  HL_TRY(hl_vjp_emit(v, &hl_op_equal, NULL, &single, e, zeros, one));
  HL_TRY(hl_vjp_emit(v, &hl_op_where, NULL, &factor, e, is_zero, single, none));
  HL_TRY(hl_vjp_emit(v, &hl_op_mul, NULL, &g, e, others, factor));
  HL_TRY(kept(v, v->dout[0], &dy, e));
  return hl_vjp_emit(v, &hl_op_mul, NULL, &v->din[0], e, g, dy);
}

/* ---- definitions ---- */

static hl_status spread_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_reduce_some_shape(c, e));
  if (divisor(c) <= 0)
    return hl_fail(e, HL_ESHAPE, "of one element there is only the biased form (biased=1)");
  return HL_OK;
}

static const hl_attr attrs[] = {HL_REDUCE_SCHEMA, {0}};
static const hl_attr spread_attrs[] = {HL_REDUCE_SCHEMA,
                                       {"biased", HL_A_BOOL, "0", offsetof(hl_spread_attrs, biased),
                                        0, 1, "divide by the number of elements n, not by n - 1"},
                                       {0}};

#define SAMPLES(DOMAIN)                                                                            \
  {                                                                                                \
    {"everything", {"2x3x3x4x5 image " DOMAIN}, NULL},                                             \
        {"everything, kept", {"2x3x1x4x2 image " DOMAIN}, "keep=1"},                               \
        {"per sample and channel", {"2x3x3x4x5 image " DOMAIN}, "axes=2,3,4"},                     \
        {"per channel", {"2x3x3x4x5 image " DOMAIN}, "axes=0,2,3,4 keep=1"},                       \
        {"over channels", {"2x3x3x4x5 image " DOMAIN}, "axes=1"},                                  \
        {"over x, kept", {"2x3x3x4x5 image " DOMAIN}, "axes=4 keep=1"},                            \
        {"over samples", {"3x5x3x4x5 image " DOMAIN}, "axes=0"},                                   \
        {"plain, first axis", {"7x5 " DOMAIN}, "axes=0"},                                          \
        {"plain, middle axis", {"3x4x300 " DOMAIN}, "axes=1 keep=1"}, {                            \
      0                                                                                            \
    }                                                                                              \
  }
static const hl_sample distinct[] = SAMPLES("distinct");
static const hl_sample any[] = SAMPLES("");
static const hl_sample positive[] = SAMPLES("positive");
static const hl_sample spread[] = {{"everything", {"2x3x3x4x5 image"}, NULL},
                                   {"biased", {"2x3x3x4x5 image"}, "axes=2,3,4 biased=1"},
                                   {"per channel", {"2x3x3x4x5 image"}, "axes=0,2,3,4 keep=1"},
                                   {"many voxels", {"1x5x9x41x43 image"}, "axes=0,2,3,4"},
                                   {"over channels", {"2x3x3x4x5 image"}, "axes=1"},
                                   {"over samples", {"3x5x3x4x5 image"}, "axes=0"},
                                   {"plain, last axis", {"7x50"}, "axes=1"},
                                   {0}};

#define FOLD(NAME, ATTRS, SCHEMA, SAMPLES, SHAPE, BRIEF, MATH)                                     \
  const hl_op hl_op_##NAME = {.name = #NAME,                                                       \
                              .brief = BRIEF " The result is plain unless the axes are kept.",     \
                              .math = MATH,                                                        \
                              .args = "x",                                                         \
                              .min_in = 1,                                                         \
                              .max_in = 1,                                                         \
                              .attr_size = sizeof(ATTRS),                                          \
                              .attrs = SCHEMA,                                                     \
                              .samples = SAMPLES,                                                  \
                              .shape = SHAPE,                                                      \
                              .ref = NAME##_ref,                                                   \
                              .vjp = NAME##_vjp};

FOLD(max, hl_reduce_attrs, attrs, distinct, hl_reduce_some_shape,
     "Largest element along axes; equal ones share the gradient, NaN wins.", "y = max of x")
FOLD(min, hl_reduce_attrs, attrs, distinct, hl_reduce_some_shape,
     "Smallest element along axes; equal ones share the gradient, NaN wins.", "y = min of x")
FOLD(prod, hl_reduce_attrs, attrs, positive, hl_reduce_shape, "Product of elements along axes.",
     "y = product of x")
FOLD(norm1, hl_reduce_attrs, attrs, any, hl_reduce_shape, "Sum of absolute values along axes.",
     "y = sum of |x|")
FOLD(norm2, hl_reduce_attrs, attrs, any, hl_reduce_shape,
     "Euclidean norm along axes; derivative 0 where it is 0.", "y = sqrt(sum of x*x)")
FOLD(norm_inf, hl_reduce_attrs, attrs, distinct, hl_reduce_some_shape,
     "Largest absolute value along axes; equal ones share the gradient.", "y = max of |x|")
FOLD(logsumexp, hl_reduce_attrs, attrs, any, hl_reduce_some_shape,
     "Logarithm of a sum of exponentials along axes, without overflow.", "y = ln(sum of exp(x))")
FOLD(var, hl_spread_attrs, spread_attrs, spread, spread_shape,
     "Variance along axes, unbiased unless asked otherwise.",
     "y = sum of (x - mean)^2 / (n - 1), or / n")
FOLD(std, hl_spread_attrs, spread_attrs, spread, spread_shape,
     "Standard deviation along axes, unbiased unless asked otherwise; derivative 0 where it is 0.",
     "y = sqrt(var(x))")
