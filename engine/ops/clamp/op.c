/* Limits; the gradient passes where x lies between them, both included, as in PyTorch. */
#include "clamp.h"

#include "opkit.h"

static hl_status check_limits(const hl_call *c, hl_err *e) {
  const hl_clamp_attrs *a = c->attrs;
  if (a->low <= a->high) return HL_OK;
  return hl_fail(e, HL_EINVAL, "low (%g) must not be above high (%g)", a->low, a->high);
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(check_limits(c, e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_clamp_attrs *a = c->attrs;
  int64_t n = hl_shape_numel(&c->in[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double x = in[0][i];
    out[0][i] = x < a->low ? a->low : x > a->high ? a->high : x;
  }
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_emit(v, &hl_op_clamp_grad, v->call->attrs, &v->din[0], e, v->in[0], v->dout[0]);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(check_limits(c, e));
  HL_TRY(hl_rule_is(c, 1, "dy", &c->in[0], "x", e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_clamp_attrs *a = c->attrs;
  int64_t n = hl_shape_numel(&c->in[0].shape);
  for (int64_t i = 0; i < n; i++)
    out[0][i] = in[0][i] >= a->low && in[0][i] <= a->high ? in[1][i] : 0;
  return HL_OK;
}

static const hl_attr attrs[] = {
    {"low", HL_A_REAL, NULL, offsetof(hl_clamp_attrs, low), 0, 0, "smallest value of the result"},
    {"high", HL_A_REAL, NULL, offsetof(hl_clamp_attrs, high), 0, 0, "largest value of the result"},
    {0}};

static const hl_sample samples[] = {{"image", {"2x3x3x4x5 image"}, "low=-0.5 high=0.75"},
                                    {"plain", {"7x5"}, "low=0 high=1"},
                                    {"a constant", {"9"}, "low=2 high=2"},
                                    {"one element", {"1"}, "low=-3 high=3"},
                                    {0}};
static const hl_sample grad_samples[] = {
    {"image", {"2x3x3x4x5 image", "2x3x3x4x5 image"}, "low=-0.5 high=0.75"},
    {"plain", {"7x5", "7x5"}, "low=0 high=1"},
    {"one element", {"1", "1"}, "low=-3 high=3"},
    {0}};

const hl_op hl_op_clamp = {.name = "clamp",
                           .brief = "Limits values to a range. NaN stays NaN.",
                           .math = "y = min(max(x, low), high)",
                           .args = "x",
                           .min_in = 1,
                           .max_in = 1,
                           .attr_size = sizeof(hl_clamp_attrs),
                           .attrs = attrs,
                           .samples = samples,
                           .inplace = 1,
                           .shape = shape,
                           .ref = ref,
                           .vjp = vjp};

const hl_op hl_op_clamp_grad = {.name = "clamp_grad",
                                .brief = "Gradient of clamp.",
                                .math = "dx = dy where low <= x <= high, else 0",
                                .args = "x, dy",
                                .min_in = 2,
                                .max_in = 2,
                                .attr_size = sizeof(hl_clamp_attrs),
                                .attrs = attrs,
                                .samples = grad_samples,
                                .inplace = 3,
                                .internal = true,
                                .shape = grad_shape,
                                .ref = grad_ref};
