/* Arithmetic of two tensors with numpy's broadcasting over logical axes. */
#include "logical.h"

/* Where the operands of each element of the output lie, row-major. */
typedef struct pairing {
  int64_t stride[2][HL_MAX_RANK];
} pairing;

static pairing pair(const hl_call *c) {
  pairing p;
  for (int k = 0; k < 2; k++) hl_logical_broadcast(&c->in[k].shape, &c->out[0].shape, p.stride[k]);
  return p;
}

static hl_status add_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  for (int k = 0; k < 2; k++)
    if (v->needs[k]) HL_TRY(hl_vjp_sum_to(v, v->dout[0], &c->out[0], &c->in[k], &v->din[k], e));
  return HL_OK;
}

static hl_status sub_vjp(const hl_vjp *v, hl_err *e) {
  HL_TRY(add_vjp(v, e));
  if (!v->needs[1]) return HL_OK;
  hl_var summed = v->din[1];
  return hl_vjp_emit(v, &hl_op_neg, NULL, &v->din[1], e, summed);
}

/* din[k] = dy * factor, summed to the operand. */
static hl_status times(const hl_vjp *v, int k, hl_var factor, hl_err *e) {
  const hl_call *c = v->call;
  hl_var product;
  HL_TRY(hl_vjp_emit(v, &hl_op_mul, NULL, &product, e, v->dout[0], factor));
  return hl_vjp_sum_to(v, product, &c->out[0], &c->in[k], &v->din[k], e);
}

static hl_status mul_vjp(const hl_vjp *v, hl_err *e) {
  if (v->needs[0]) HL_TRY(times(v, 0, v->in[1], e));
  if (v->needs[1]) HL_TRY(times(v, 1, v->in[0], e));
  return HL_OK;
}

/* da = dy / b; db = -(dy / b) * y */
static hl_status div_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  hl_var da, product, summed;
  HL_TRY(hl_vjp_emit(v, &hl_op_div, NULL, &da, e, v->dout[0], v->in[1]));
  if (v->needs[0]) HL_TRY(hl_vjp_sum_to(v, da, &c->out[0], &c->in[0], &v->din[0], e));
  if (!v->needs[1]) return HL_OK;
  HL_TRY(hl_vjp_emit(v, &hl_op_mul, NULL, &product, e, da, v->out[0]));
  HL_TRY(hl_vjp_sum_to(v, product, &c->out[0], &c->in[1], &summed, e));
  return hl_vjp_emit(v, &hl_op_neg, NULL, &v->din[1], e, summed);
}

static const hl_sample samples[] = {
    {"equal images", {"2x3x3x4x5 image", "2x3x3x4x5 image positive"}, NULL},
    {"equal plain", {"7x5", "7x5 positive"}, NULL},
    {"one number", {"2x3x3x4x5 image", "1 positive"}, NULL},
    {"one number first", {"1", "2x3x3x4x5 image positive"}, NULL},
    {"a number per channel", {"2x3x3x4x5 image", "1x3x1x1x1 image positive"}, NULL},
    {"a plain number per channel", {"2x3x3x4x5 image", "3x1x1x1 positive"}, NULL},
    {"a number per sample and channel", {"2x3x3x4x5 image", "2x3x1x1x1 image positive"}, NULL},
    {"a mask for all channels", {"2x3x3x4x5 image", "2x1x3x4x5 image positive"}, NULL},
    {"both are repeated", {"2x1x3x1x5 image", "1x4x1x2x1 image positive"}, NULL},
    {"an image and a plain tensor", {"2x3x2x4x5", "2x3x2x4x5 image positive"}, NULL},
    {"ranks 1 and 3", {"5", "3x4x5 positive"}, NULL},
    {"long rows", {"3x1100", "3x1 positive"}, NULL},
    {"many short rows", {"1x7x9x10x11 image", "7x1x1x1 positive"}, NULL},
    {"one element", {"1", "1 positive"}, NULL},
    {0}};

#define BINARY(NAME, BRIEF, SIGN, MIXES)                                                           \
  static hl_status NAME##_ref(const hl_call *c, const double *const *in, double *const *out,       \
                              hl_err *e) {                                                         \
    (void)e;                                                                                       \
    const hl_shape *s = &c->out[0].shape;                                                          \
    pairing p = pair(c);                                                                           \
    int64_t n = hl_shape_numel(s);                                                                 \
    for (int64_t i = 0; i < n; i++)                                                                \
      out[0][i] = in[0][hl_logical_offset(s, i, p.stride[0])] SIGN                                 \
          in[1][hl_logical_offset(s, i, p.stride[1])];                                             \
    return HL_OK;                                                                                  \
  }                                                                                                \
  const hl_op hl_op_##NAME = {                                                                     \
      .name = #NAME,                                                                               \
      .brief = BRIEF " Shapes broadcast as in numpy; the result is an image if one side is.",      \
      .math = "y = a " #SIGN " b",                                                                 \
      .args = "a, b",                                                                              \
      .min_in = 2,                                                                                 \
      .max_in = 2,                                                                                 \
      .samples = samples,                                                                          \
      .mixes_narrow = MIXES,                                                                       \
      .inplace = 3,                                                                                \
      .shape = hl_rule_broadcast,                                                                  \
      .ref = NAME##_ref,                                                                           \
      .vjp = NAME##_vjp};

BINARY(add, "Sum.", +, true)
BINARY(sub, "Difference.", -, true)
BINARY(mul, "Product, element by element.", *, false)
BINARY(div, "Quotient, element by element.", /, false)
