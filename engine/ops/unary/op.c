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

static double parameter_of(const hl_call *c) {
  return ((const hl_unary_attrs *)c->attrs)->parameter;
}

static hl_status emit_gradient(const hl_vjp *v, hl_unary function, double parameter,
                               hl_var argument, hl_err *e) {
  hl_unary_grad_attrs a;
  memset(&a, 0, sizeof a);
  a.function = function;
  a.parameter = parameter;
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
    {"slope", HL_A_REAL, "0.01", offsetof(hl_unary_attrs, parameter), 0, 1,
     "factor for values below zero; also the derivative at zero"},
    {0}};

static const hl_sample with_exponent[] = {{"image", {"2x3x3x4x5 image positive"}, "exponent=2.5"},
                                          {"whole", {"7x5"}, "exponent=3"},
                                          {"zeroth", {"7x5"}, "exponent=0"},
                                          {"inverse", {"7x5 positive"}, "exponent=-1.5"},
                                          {"any", {"7x5 positive"}, "exponent=0.3"},
                                          {"long", {"3000 positive"}, "exponent=2"},
                                          {"one element", {"1"}, "exponent=2"},
                                          {0}};
static const hl_attr exponent_schema[] = {
    {"exponent", HL_A_REAL, NULL, offsetof(hl_unary_attrs, parameter), 0, 0, "the power"}, {0}};
static const hl_sample with_alpha[] = {{"image", {"2x3x3x4x5 image"}, NULL},
                                       {"plain", {"7x5"}, "alpha=0.3"},
                                       {"one element", {"1"}, NULL},
                                       {0}};
static const hl_attr alpha_schema[] = {{"alpha", HL_A_REAL, "1",
                                        offsetof(hl_unary_attrs, parameter), 0, 1e6,
                                        "factor of the exponential part"},
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

/* Distribution function and density of the normal distribution. */
static double normal_f64(double x) {
  return 0.5 * erfc(-x * 0.70710678118654752440);
}

static double density_f64(double x) {
  return 0.39894228040143267794 * exp(-0.5 * x * x);
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
      "y = x if x > 0, slope*x otherwise", x > 0 ? x : parameter_of(c) * x, with_slope,
      emit_gradient(v, HL_UNARY_LEAKY_RELU, parameter_of(v->call), v->out[0], e),
      .attr_size = sizeof(hl_unary_attrs), .attrs = slope_schema)
UNARY(rsqrt, "Reciprocal of the square root; infinity at 0, NaN below.", "y = 1 / sqrt(x)",
      1 / sqrt(x), positive, emit_gradient(v, HL_UNARY_RSQRT, 0, v->out[0], e), .attrs = NULL)
UNARY(reciprocal, "Reciprocal of each element.", "y = 1 / x", 1 / x, positive,
      emit_gradient(v, HL_UNARY_RECIPROCAL, 0, v->out[0], e), .attrs = NULL)
UNARY(pow, "Constant power; NaN where x < 0 and the exponent is not whole.", "y = x^exponent",
      pow(x, parameter_of(c)), with_exponent,
      emit_gradient(v, HL_UNARY_POW, parameter_of(v->call), v->in[0], e),
      .attr_size = sizeof(hl_unary_attrs), .attrs = exponent_schema)
UNARY(elu, "Exponential linear unit.", "y = x if x > 0, alpha*(exp(x) - 1) otherwise",
      x > 0 ? x : parameter_of(c) * expm1(x), with_alpha,
      emit_gradient(v, HL_UNARY_ELU, parameter_of(v->call), v->out[0], e),
      .attr_size = sizeof(hl_unary_attrs), .attrs = alpha_schema)
UNARY(silu, "Sigmoid linear unit, also called swish.", "y = x * sigmoid(x)", x *sigmoid_f64(x), any,
      emit_gradient(v, HL_UNARY_SILU, 0, v->in[0], e), .attrs = NULL)
UNARY(gelu, "Gaussian error linear unit, exact.", "y = x * (1 + erf(x / sqrt(2))) / 2",
      x *normal_f64(x), any, emit_gradient(v, HL_UNARY_GELU, 0, v->in[0], e), .attrs = NULL)
UNARY(gelu_tanh, "Gaussian error linear unit by way of tanh.",
      "y = x * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x^3))) / 2",
      x *sigmoid_f64(2 * HL_GELU_C1 * (x + HL_GELU_C3 * x * x * x)), any,
      emit_gradient(v, HL_UNARY_GELU_TANH, 0, v->in[0], e), .attrs = NULL)
UNARY(logsigmoid, "Logarithm of the logistic function, exact for large |x|.",
      "y = -ln(1 + exp(-x))", -softplus_f64(-x), any,
      emit_gradient(v, HL_UNARY_LOGSIGMOID, 0, v->in[0], e), .attrs = NULL)

/* ---- their derivatives ---- */

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_is(c, 1, "dy", &c->in[0], "the argument", e));
  return hl_rule_out(c, &c->in[0], e);
}

static double gelu_tanh_derivative(double x) {
  double s = sigmoid_f64(2 * HL_GELU_C1 * (x + HL_GELU_C3 * x * x * x));
  return s + x * s * (1 - s) * 2 * HL_GELU_C1 * (1 + 3 * HL_GELU_C3 * x * x);
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
    return a > 0 ? 1 : at->parameter;
  case HL_UNARY_RSQRT:
    return -0.5 * a * a * a;
  case HL_UNARY_RECIPROCAL:
    return -a * a;
  case HL_UNARY_POW:
    return at->parameter == 0 ? 0 : at->parameter * pow(a, at->parameter - 1);
  case HL_UNARY_ELU:
    return a > 0 ? 1 : a + at->parameter;
  case HL_UNARY_SILU:
    return sigmoid_f64(a) * (1 + a * sigmoid_f64(-a));
  case HL_UNARY_GELU:
    return normal_f64(a) + a * density_f64(a);
  case HL_UNARY_GELU_TANH:
    return gelu_tanh_derivative(a);
  case HL_UNARY_LOGSIGMOID:
    return sigmoid_f64(-a);
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
    {"parameter", HL_A_REAL, "0", offsetof(hl_unary_grad_attrs, parameter), 0, 0,
     "of leaky_relu, elu and pow"},
    {0}};

#define CASE(NAME, DOMAIN, FUNCTION)                                                               \
  { NAME, {"2x3x1x4x5 image" DOMAIN, "2x3x1x4x5 image"}, "function=" FUNCTION }
static const hl_sample grad_samples[] = {CASE("exp", " positive", "0"),
                                         CASE("log", " positive", "1"),
                                         CASE("sqrt", " positive", "2"),
                                         CASE("square", "", "3"),
                                         CASE("abs", "", "4"),
                                         CASE("sigmoid", " unit", "5"),
                                         CASE("softplus", "", "6"),
                                         CASE("tanh", " unit", "7"),
                                         CASE("relu", "", "8"),
                                         CASE("leaky_relu", "", "9"),
                                         CASE("rsqrt", " positive", "10"),
                                         CASE("reciprocal", " positive", "11"),
                                         CASE("pow", " positive", "12 parameter=2.5"),
                                         CASE("pow, whole", "", "12 parameter=3"),
                                         CASE("pow, any", " positive", "12 parameter=-0.3"),
                                         CASE("elu", "", "13 parameter=1.5"),
                                         CASE("silu", "", "14"),
                                         CASE("gelu", "", "15"),
                                         CASE("gelu_tanh", "", "16"),
                                         CASE("logsigmoid", "", "17"),
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
