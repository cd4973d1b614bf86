/* Comparisons of two tensors, and the larger or smaller of each pair, with numpy's broadcasting. */
#include "logical.h"

/* ---- comparisons ---- */

static const hl_sample samples[] = {
    {"equal images", {"2x3x3x4x5 image binary", "2x3x3x4x5 image binary"}, NULL},
    {"equal plain", {"7x5 distinct", "7x5 distinct"}, NULL},
    {"one number", {"2x3x3x4x5 image binary", "1 binary"}, NULL},
    {"a number per channel", {"2x3x3x4x5 image", "1x3x1x1x1 image"}, NULL},
    {"both are repeated", {"2x1x3x1x5 image", "1x4x1x2x1 image"}, NULL},
    {"an image and a plain tensor", {"2x3x2x4x5 binary", "2x3x2x4x5 image binary"}, NULL},
    {"ranks 1 and 3", {"5", "3x4x5"}, NULL},
    {"one element", {"1 binary", "1 binary"}, NULL},
    {0}};

/* Calls VALUE for every pair a, b of the output's elements. */
#define PAIRS_REF(NAME, VALUE)                                                                     \
  static hl_status NAME##_ref(const hl_call *c, const double *const *in, double *const *out,       \
                              hl_err *e) {                                                         \
    (void)e;                                                                                       \
    const hl_shape *s = &c->out[0].shape;                                                          \
    int64_t stride[2][HL_MAX_RANK], n = hl_shape_numel(s);                                         \
    for (int k = 0; k < 2; k++) hl_logical_broadcast(&c->in[k].shape, s, stride[k]);               \
    for (int64_t i = 0; i < n; i++) {                                                              \
      double a = in[0][hl_logical_offset(s, i, stride[0])];                                        \
      double b = in[1][hl_logical_offset(s, i, stride[1])];                                        \
      out[0][i] = VALUE;                                                                           \
    }                                                                                              \
    return HL_OK;                                                                                  \
  }

#define COMPARE(NAME, BRIEF, SIGN)                                                                 \
  PAIRS_REF(NAME, a SIGN b ? 1 : 0)                                                                \
  const hl_op hl_op_##NAME = {                                                                     \
      .name = #NAME,                                                                               \
      .brief = BRIEF " The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.",  \
      .math = "y = 1 if a " #SIGN " b, else 0",                                                    \
      .args = "a, b",                                                                              \
      .min_in = 2,                                                                                 \
      .max_in = 2,                                                                                 \
      .samples = samples,                                                                          \
      .inplace = 3,                                                                                \
      .constant = true,                                                                            \
      .shape = hl_rule_broadcast,                                                                  \
      .ref = NAME##_ref};

COMPARE(less, "Is a below b?", <)
COMPARE(less_equal, "Is a at most b?", <=)
COMPARE(greater, "Is a above b?", >)
COMPARE(greater_equal, "Is a at least b?", >=)
COMPARE(equal, "Are a and b the same number?", ==)
COMPARE(not_equal, "Do a and b differ?", !=)

/* ---- maximum and minimum ---- */

PAIRS_REF(precedence, a > b ? 1 : a == b ? 0.5 : 0)
PAIRS_REF(maximum, a > b || a != a ? a : b)
PAIRS_REF(minimum, a < b || a != a ? a : b)

const hl_op hl_op_precedence = {
    .name = "precedence",
    .brief = "The share of a gradient that goes to a where the larger of a and b was taken.",
    .math = "y = 1 if a > b, 1/2 if a = b, else 0",
    .args = "a, b",
    .min_in = 2,
    .max_in = 2,
    .samples = samples,
    .inplace = 3,
    .internal = true,
    .constant = true,
    .shape = hl_rule_broadcast,
    .ref = precedence_ref};

/* din[k] = dy * precedence(first, second), summed to the operand. */
static hl_status share(const hl_vjp *v, int k, hl_var first, hl_var second, hl_err *e) {
  const hl_call *c = v->call;
  hl_var part, product;
  HL_TRY(hl_vjp_emit(v, &hl_op_precedence, NULL, &part, e, first, second));
  HL_TRY(hl_vjp_emit(v, &hl_op_mul, NULL, &product, e, v->dout[0], part));
  return hl_vjp_sum_to(v, product, &c->out[0], &c->in[k], &v->din[k], e);
}

static hl_status maximum_vjp(const hl_vjp *v, hl_err *e) {
  if (v->needs[0]) HL_TRY(share(v, 0, v->in[0], v->in[1], e));
  if (v->needs[1]) HL_TRY(share(v, 1, v->in[1], v->in[0], e));
  return HL_OK;
}

static hl_status minimum_vjp(const hl_vjp *v, hl_err *e) {
  if (v->needs[0]) HL_TRY(share(v, 0, v->in[1], v->in[0], e));
  if (v->needs[1]) HL_TRY(share(v, 1, v->in[0], v->in[1], e));
  return HL_OK;
}

static const hl_sample smooth[] = {
    {"equal images", {"2x3x3x4x5 image", "2x3x3x4x5 image"}, NULL},
    {"one number", {"2x3x3x4x5 image", "1"}, NULL},
    {"a plain number per channel", {"2x3x3x4x5 image", "3x1x1x1"}, NULL},
    {"both are repeated", {"2x1x3x1x5 image", "1x4x1x2x1 image"}, NULL},
    {"ranks 1 and 3", {"5", "3x4x5"}, NULL},
    {"one element", {"1", "1"}, NULL},
    {0}};

#define EXTREME(NAME, BRIEF, MATH)                                                                 \
  const hl_op hl_op_##NAME = {                                                                     \
      .name = #NAME,                                                                               \
      .brief = BRIEF " Shapes broadcast as in numpy; NaN wins; equal numbers share the gradient.", \
      .math = MATH,                                                                                \
      .args = "a, b",                                                                              \
      .min_in = 2,                                                                                 \
      .max_in = 2,                                                                                 \
      .samples = smooth,                                                                           \
      .inplace = 3,                                                                                \
      .shape = hl_rule_broadcast,                                                                  \
      .ref = NAME##_ref,                                                                           \
      .vjp = NAME##_vjp};

EXTREME(maximum, "The larger of each pair.", "y = a if a > b, else b")
EXTREME(minimum, "The smaller of each pair.", "y = a if a < b, else b")
