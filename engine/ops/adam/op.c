/* Adam and AdamW as one fused update, in PyTorch's conventions: eps stands outside the root and
 * the root is corrected first. D. P. Kingma, J. Ba, Adam, 2015; I. Loshchilov, F. Hutter, Decoupled
 * weight decay regularization, 2019. */
#include "adam.h"

#include "opkit.h"

#include <math.h>

static hl_status check_clock(const hl_call *c, hl_err *e) {
  const hl_desc *d = &c->in[ADAM_CLOCK];
  if (d->shape.rank == 1 && d->shape.dim[0] == 2 && d->layout == HL_PLAIN && d->dtype == HL_F64)
    return HL_OK;
  char t[HL_DESC_TEXT];
  return hl_fail(e, HL_ESHAPE, "clock must be f64[2] = {rate, step}, not %s", hl_desc_text(d, t));
}

static hl_status shape(hl_call *c, hl_err *e) {
  static const char *const names[] = {"param", "grad", "m", "v"};
  const hl_desc *param = &c->in[ADAM_PARAM];
  if (param->dtype != HL_F32 && param->dtype != HL_F64)
    return hl_fail(e, HL_ETYPE, "param must be f32 or f64, not %s", hl_dtype_name(param->dtype));
  for (int i = ADAM_GRAD; i <= ADAM_V; i++) HL_TRY(hl_rule_is(c, i, names[i], param, "param", e));
  return check_clock(c, e);
}

/* The reference of an update changes its inputs, as its kernels do: hl_op.mutates says so. */
static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)out;
  (void)e;
  const hl_adam_attrs *a = c->attrs;
  double *p = (double *)in[ADAM_PARAM], *m = (double *)in[ADAM_M], *v = (double *)in[ADAM_V];
  double rate = in[ADAM_CLOCK][0], step = in[ADAM_CLOCK][1];
  int64_t n = hl_shape_numel(&c->in[ADAM_PARAM].shape);
  for (int64_t i = 0; i < n; i++) {
    double g = in[ADAM_GRAD][i];
    if (a->decoupled)
      p[i] -= rate * a->decay * p[i];
    else
      g += a->decay * p[i];
    m[i] = a->beta1 * m[i] + (1 - a->beta1) * g;
    v[i] = a->beta2 * v[i] + (1 - a->beta2) * g * g;
    double first = m[i] / (1 - pow(a->beta1, step));
    double second = v[i] / (1 - pow(a->beta2, step));
    p[i] -= rate * first / (sqrt(second) + a->eps);
  }
  return HL_OK;
}

static const hl_attr attrs[] = {
    {"beta1", HL_A_REAL, "0.9", offsetof(hl_adam_attrs, beta1), 0, 1 - 1e-12,
     "share of the old mean kept in each step"},
    {"beta2", HL_A_REAL, "0.999", offsetof(hl_adam_attrs, beta2), 0, 1 - 1e-12,
     "share of the old mean of squares kept in each step"},
    {"eps", HL_A_REAL, "1e-8", offsetof(hl_adam_attrs, eps), 0, 1, "added to the root"},
    {"decay", HL_A_REAL, "0", offsetof(hl_adam_attrs, decay), 0, 1e6, "weight decay"},
    {"decoupled", HL_A_BOOL, "0", offsetof(hl_adam_attrs, decoupled), 0, 1,
     "1: decay shrinks the parameter (AdamW); 0: it is added to the gradient (Adam)"},
    {0}};

static const hl_sample samples[] = {
    {"adam", {"5x3x3x3x3", "5x3x3x3x3", "5x3x3x3x3", "5x3x3x3x3 positive", "2 positive f64"}, NULL},
    {"decay", {"37", "37", "37", "37 positive", "2 positive f64"}, "decay=0.1 beta1=0.8"},
    {"adamw",
     {"37", "37", "37", "37 positive", "2 positive f64"},
     "decay=0.1 decoupled=1 eps=0.001"},
    {"one element", {"1", "1", "1", "1 positive", "2 positive f64"}, NULL},
    {0}};

const hl_op hl_op_adam = {
    .name = "adam",
    .brief = "One step of Adam or AdamW: changes param, m and v. clock holds {rate, step}, the "
             "first step being 1.",
    .math = "m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g; "
            "param -= rate * m/(1-beta1^step) / (sqrt(v/(1-beta2^step)) + eps)",
    .args = "param, grad, m, v, clock",
    .min_in = 5,
    .max_in = 5,
    .attr_size = sizeof(hl_adam_attrs),
    .attrs = attrs,
    .samples = samples,
    .mutates = 1U << ADAM_PARAM | 1U << ADAM_M | 1U << ADAM_V,
    .constant = true,
    .shape = shape,
    .ref = ref};
