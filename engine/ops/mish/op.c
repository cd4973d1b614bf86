/* Mish, a smooth activation: D. Misra, Mish: a self regularized non-monotonic activation function,
 * 2019. With s the sigmoid and t = tanh(softplus(x)): dy/dx = t + x·s·(1 − t²). */
#include "opkit.h"

#include <math.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  return hl_rule_out(c, &c->in[0], e);
}

static double gate(double x) {
  return tanh(fmax(x, 0) + log1p(exp(-fabs(x))));
}

static double sigmoid(double x) {
  double z = exp(-fabs(x));
  return (x < 0 ? z : 1) / (1 + z);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  for (int64_t i = 0; i < hl_shape_numel(&c->in[0].shape); i++)
    out[0][i] = in[0][i] * gate(in[0][i]);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_emit(v, &hl_op_mish_grad, NULL, &v->din[0], e, v->in[0], v->dout[0]);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_is(c, 1, "dy", &c->in[0], "x", e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  for (int64_t i = 0; i < hl_shape_numel(&c->in[0].shape); i++) {
    double x = in[0][i], t = gate(x);
    out[0][i] = in[1][i] * (t + x * sigmoid(x) * (1 - t * t));
  }
  return HL_OK;
}

static const hl_sample samples[] = {{"image", {"2x3x3x4x5 image"}, NULL},
                                    {"plain", {"7x5"}, NULL},
                                    {"one element", {"1"}, NULL},
                                    {0}};
static const hl_sample grad_samples[] = {{"image", {"2x3x3x4x5 image", "2x3x3x4x5 image"}, NULL},
                                         {"plain", {"7x5", "7x5"}, NULL},
                                         {"one element", {"1", "1"}, NULL},
                                         {0}};

const hl_op hl_op_mish = {.name = "mish",
                          .brief = "Mish: smooth, close to x above 0 and to 0 far below.",
                          .math = "y = x * tanh(ln(1 + exp(x)))",
                          .args = "x",
                          .min_in = 1,
                          .max_in = 1,
                          .samples = samples,
                          .inplace = 1,
                          .shape = shape,
                          .ref = ref,
                          .vjp = vjp};

const hl_op hl_op_mish_grad = {.name = "mish_grad",
                               .brief = "Gradient of mish.",
                               .math = "dx = dy * (t + x*sigmoid(x)*(1 - t*t)), t = tanh(ln(1 + "
                                       "exp(x)))",
                               .args = "x, dy",
                               .min_in = 2,
                               .max_in = 2,
                               .samples = grad_samples,
                               .inplace = 3,
                               .internal = true,
                               .shape = grad_shape,
                               .ref = grad_ref};
