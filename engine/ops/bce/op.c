/* Binary cross entropy of logits, element by element: one pass over memory instead of seven, and
 * nothing but the logits is kept for the gradient. With L = log(1 + exp(-|x|)), -log p = max(-x, 0)
 * + L and -log(1-p) = max(x, 0) + L do not overflow and are exact where the answer is clear. */
#include "bce.h"

#include "affine/affine.h"
#include "opkit.h"

#include <math.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_is(c, 1, "truth", &c->in[0], "x", e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_bce_attrs *a = c->attrs;
  int64_t n = hl_shape_numel(&c->in[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double x = in[0][i], t = in[1][i], tail = log1p(exp(-fabs(x)));
    out[0][i] = a->pos_weight * t * (fmax(-x, 0) + tail) + (1 - t) * (fmax(x, 0) + tail);
  }
  return HL_OK;
}

/* dtruth = dy * (pos_weight * softplus(-x) - softplus(x)) */
static hl_status truth_vjp(const hl_vjp *v, hl_err *e) {
  const hl_bce_attrs *a = v->call->attrs;
  hl_var minus, present, weighted, absent, slope;
  HL_TRY(hl_vjp_emit(v, &hl_op_neg, NULL, &minus, e, v->in[0]));
  HL_TRY(hl_vjp_emit(v, &hl_op_softplus, NULL, &present, e, minus));
  HL_TRY(hl_vjp_emit(v, &hl_op_affine, &(hl_affine_attrs){.scale = a->pos_weight}, &weighted, e,
                     present));
  HL_TRY(hl_vjp_emit(v, &hl_op_softplus, NULL, &absent, e, v->in[0]));
  HL_TRY(hl_vjp_emit(v, &hl_op_sub, NULL, &slope, e, weighted, absent));
  return hl_vjp_emit(v, &hl_op_mul, NULL, &v->din[1], e, v->dout[0], slope);
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  if (v->needs[0])
    HL_TRY(hl_vjp_emit(v, &hl_op_bce_grad, v->call->attrs, &v->din[0], e, v->in[0], v->in[1],
                       v->dout[0]));
  return v->needs[1] ? truth_vjp(v, e) : HL_OK;
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_is(c, 1, "truth", &c->in[0], "x", e));
  HL_TRY(hl_rule_is(c, 2, "dy", &c->in[0], "x", e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_bce_attrs *a = c->attrs;
  int64_t n = hl_shape_numel(&c->in[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double x = in[0][i], t = in[1][i], z = exp(-fabs(x));
    double p = (x < 0 ? z : 1) / (1 + z), q = (x < 0 ? 1 : z) / (1 + z);
    out[0][i] = in[2][i] * ((1 - t) * p - a->pos_weight * t * q);
  }
  return HL_OK;
}

static const hl_attr attrs[] = {
    {"pos_weight", HL_A_REAL, "1", offsetof(hl_bce_attrs, pos_weight), 0, 1e30, "factor of -log p"},
    {0}};

static const hl_sample samples[] = {
    {"image", {"2x3x3x4x5 image", "2x3x3x4x5 image unit"}, NULL},
    {"weighted", {"7x5", "7x5 unit"}, "pos_weight=3"},
    {"hard truth", {"2x3x3x4x5 image", "2x3x3x4x5 image binary"}, "pos_weight=0.25"},
    {"one element", {"1", "1 unit"}, NULL},
    {0}};
static const hl_sample grad_samples[] = {
    {"image", {"2x3x3x4x5 image", "2x3x3x4x5 image unit", "2x3x3x4x5 image"}, NULL},
    {"weighted", {"7x5", "7x5 unit", "7x5"}, "pos_weight=3"},
    {"one element", {"1", "1 unit", "1"}, NULL},
    {0}};

const hl_op hl_op_bce = {
    .name = "bce",
    .brief = "Binary cross entropy of logits with a truth in [0, 1], element by element.",
    .math = "y = -pos_weight*truth*log p - (1-truth)*log(1-p), p = sigmoid(x)",
    .args = "x, truth",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_bce_attrs),
    .attrs = attrs,
    .samples = samples,
    .inplace = 3,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};

const hl_op hl_op_bce_grad = {
    .name = "bce_grad",
    .brief = "Gradient of bce with respect to x.",
    .math = "dx = dy * ((1-truth)*p - pos_weight*truth*(1-p)), p = sigmoid(x)",
    .args = "x, truth, dy",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(hl_bce_attrs),
    .attrs = attrs,
    .samples = grad_samples,
    .inplace = 7,
    .internal = true,
    .shape = grad_shape,
    .ref = grad_ref};
