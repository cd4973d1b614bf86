/* Functions of one number, applied to each element, and the one op of their gradients.
 *
 * A rule uses the output where the derivative can be had from it: the input's storage may then be
 * taken over. */
#include "unary.h"

#include "opkit.h"

#include <math.h>
#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  return hl_rule_out(c, &c->in[0], e);
}

static double slope_of(const hl_call *c) {
  return ((const hl_leaky_relu_attrs *)c->attrs)->slope;
}

static hl_status emit_gradient(const hl_vjp *v, hl_unary function, double slope, hl_var argument,
                               hl_err *e) {
  hl_unary_grad_attrs a;
  memset(&a, 0, sizeof a);
  a.function = function;
  a.slope = slope;
  return hl_vjp_emit(v, &hl_op_unary_grad, &a, &v->din[0], e, argument, v->dout[0]);
}

static const hl_sample any[] = {{"image", {"2x3x3x4x5 image"}, NULL},
                                {"plain", {"7x5"}, NULL},
                                {"one element", {"1"}, NULL},
                                {0}};
static const hl_sample positive[] = {{"image", {"2x3x3x4x5 image positive"}, NULL},
                                     {"plain", {"7x5 positive"}, NULL},
                                     {"one element", {"1 positive"}, NULL},
                                     {0}};
static const hl_sample with_slope[] = {{"image", {"2x3x3x4x5 image"}, NULL},
                                       {"plain", {"7x5"}, "slope=0.3"},
                                       {"relu", {"33"}, "slope=0"},
                                       {"one element", {"1"}, NULL},
                                       {0}};
static const hl_attr slope_schema[] = {
    {"slope", HL_A_REAL, "0.01", offsetof(hl_leaky_relu_attrs, slope), 0, 1,
     "factor for values below zero; also the derivative at zero"},
    {0}};

/* name, what it does, formula, value for double x, samples, derivative from v->in or v->out */
#define UNARY(NAME, BRIEF, MATH, VALUE, SAMPLES, GRADIENT, ...)                                    \
  static hl_status NAME##_ref(const hl_call *c, const double *const *in, double *const *out,       \
                              hl_err *e) {                                                         \
    (void)e;                                                                                       \
    int64_t n = hl_shape_numel(&c->in[0].shape);                                                   \
    for (int64_t i = 0; i < n; i++) {                                                              \
      double x = in[0][i];                                                                         \
      out[0][i] = VALUE;                                                                           \
    }                                                                                              \
    return HL_OK;                                                                                  \
  }                                                                                                \
  static hl_status NAME##_vjp(const hl_vjp *v, hl_err *e) {                                        \
    return GRADIENT;                                                                               \
  }                                                                                                \
  const hl_op hl_op_##NAME = {.name = #NAME,                                                       \
                              .brief = BRIEF,                                                      \
                              .math = MATH,                                                        \
                              .args = "x",                                                         \
                              .min_in = 1,                                                         \
                              .max_in = 1,                                                         \
                              .samples = SAMPLES,                                                  \
                              .inplace = 1,                                                        \
                              .shape = shape,                                                      \
                              .ref = NAME##_ref,                                                   \
                              .vjp = NAME##_vjp,                                                   \
                              __VA_ARGS__};

/* Stable for large |x|: never exp of a positive number. */
static double sigmoid_f64(double x) {
  double z = exp(-fabs(x));
  return x < 0 ? z / (1 + z) : 1 / (1 + z);
}

static double softplus_f64(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

UNARY(neg, "Changes the sign of each element.", "y = -x", -x, any,
      hl_vjp_emit(v, &hl_op_neg, NULL, &v->din[0], e, v->dout[0]), .attrs = NULL)
UNARY(exp, "Exponential function.", "y = exp(x)", exp(x), any,
      emit_gradient(v, HL_UNARY_EXP, 0, v->out[0], e), .attrs = NULL)
UNARY(log, "Natural logarithm; -infinity at 0, NaN below.", "y = ln(x)", log(x), positive,
      emit_gradient(v, HL_UNARY_LOG, 0, v->in[0], e), .attrs = NULL)
UNARY(sqrt, "Square root; NaN below 0.", "y = sqrt(x)", sqrt(x), positive,
      emit_gradient(v, HL_UNARY_SQRT, 0, v->out[0], e), .attrs = NULL)
UNARY(square, "Square of each element.", "y = x*x", x *x, any,
      emit_gradient(v, HL_UNARY_SQUARE, 0, v->in[0], e), .attrs = NULL)
UNARY(abs, "Absolute value; derivative 0 at 0.", "y = |x|", fabs(x), any,
      emit_gradient(v, HL_UNARY_ABS, 0, v->in[0], e), .attrs = NULL)
UNARY(sigmoid, "Logistic function.", "y = 1 / (1 + exp(-x))", sigmoid_f64(x), any,
      emit_gradient(v, HL_UNARY_SIGMOID, 0, v->out[0], e), .attrs = NULL)
UNARY(softplus, "Smooth positive part, without overflow for large x.", "y = ln(1 + exp(x))",
      softplus_f64(x), any, emit_gradient(v, HL_UNARY_SOFTPLUS, 0, v->in[0], e), .attrs = NULL)
UNARY(tanh, "Hyperbolic tangent.", "y = tanh(x)", tanh(x), any,
      emit_gradient(v, HL_UNARY_TANH, 0, v->out[0], e), .attrs = NULL)
UNARY(relu, "Positive part; derivative 0 at 0.", "y = max(x, 0)", x < 0 ? 0 : x, any,
      emit_gradient(v, HL_UNARY_RELU, 0, v->out[0], e), .attrs = NULL)
UNARY(leaky_relu, "Positive part plus a small multiple of the negative part.",
      "y = x if x > 0, slope*x otherwise", x > 0 ? x : slope_of(c) * x, with_slope,
      emit_gradient(v, HL_UNARY_LEAKY_RELU, slope_of(v->call), v->out[0], e),
      .attr_size = sizeof(hl_leaky_relu_attrs), .attrs = slope_schema)

/* ---- their derivatives ---- */

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_is(c, 1, "dy", &c->in[0], "the argument", e));
  return hl_rule_out(c, &c->in[0], e);
}

/* dy times the derivative at x, or expressed by y, as hl_unary says: here both are called a. */
static double derivative(const hl_unary_grad_attrs *at, double a) {
  switch ((hl_unary)at->function) {
  case HL_UNARY_EXP:
    return a;
  case HL_UNARY_LOG:
    return 1 / a;
  case HL_UNARY_SQRT:
    return 0.5 / a;
  case HL_UNARY_SQUARE:
    return 2 * a;
  case HL_UNARY_ABS:
    return a > 0 ? 1 : a < 0 ? -1 : 0;
  case HL_UNARY_SIGMOID:
    return a * (1 - a);
  case HL_UNARY_SOFTPLUS:
    return sigmoid_f64(a);
  case HL_UNARY_TANH:
    return 1 - a * a;
  case HL_UNARY_RELU:
    return a > 0 ? 1 : 0;
  case HL_UNARY_LEAKY_RELU:
    return a > 0 ? 1 : at->slope;
  case HL_UNARY_FUNCTIONS:
    break;
  }
  return NAN;
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  int64_t n = hl_shape_numel(&c->in[0].shape);
  for (int64_t i = 0; i < n; i++) out[0][i] = in[1][i] * derivative(c->attrs, in[0][i]);
  return HL_OK;
}

static const hl_attr grad_schema[] = {
    {"function", HL_A_INT, NULL, offsetof(hl_unary_grad_attrs, function), 0, HL_UNARY_FUNCTIONS - 1,
     "number of the function in unary.h"},
    {"slope", HL_A_REAL, "0.01", offsetof(hl_unary_grad_attrs, slope), 0, 1, "of leaky_relu"},
    {0}};

#define CASE(NAME, DOMAIN, NUMBER)                                                                 \
  { NAME, {"2x3x1x4x5 image" DOMAIN, "2x3x1x4x5 image"}, "function=" #NUMBER }
static const hl_sample grad_samples[] = {CASE("exp", " positive", 0),
                                         CASE("log", " positive", 1),
                                         CASE("sqrt", " positive", 2),
                                         CASE("square", "", 3),
                                         CASE("abs", "", 4),
                                         CASE("sigmoid", " unit", 5),
                                         CASE("softplus", "", 6),
                                         CASE("tanh", " unit", 7),
                                         CASE("relu", "", 8),
                                         CASE("leaky_relu", "", 9),
                                         {"one element", {"1", "1"}, "function=4"},
                                         {0}};

const hl_op hl_op_unary_grad = {.name = "unary_grad",
                                .brief = "Gradient of a function of one number.",
                                .math = "dx = dy * f'(x), from x or from y = f(x)",
                                .args = "argument, dy",
                                .min_in = 2,
                                .max_in = 2,
                                .attr_size = sizeof(hl_unary_grad_attrs),
                                .attrs = grad_schema,
                                .samples = grad_samples,
                                .inplace = 3,
                                .internal = true,
                                .shape = grad_shape,
                                .ref = grad_ref};
