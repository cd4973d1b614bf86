/* Choosing between two tensors element by element. */
#include "logical.h"

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_shape *s = &c->out[0].shape;
  int64_t stride[3][HL_MAX_RANK], n = hl_shape_numel(s);
  for (int k = 0; k < 3; k++) hl_logical_broadcast(&c->in[k].shape, s, stride[k]);
  for (int64_t i = 0; i < n; i++) {
    int from = in[0][hl_logical_offset(s, i, stride[0])] != 0 ? 1 : 2;
    out[0][i] = in[from][hl_logical_offset(s, i, stride[from])];
  }
  return HL_OK;
}

/* Not a product with the condition: where the other side was taken the gradient is 0, whatever
 * arrives (NaN, infinity). */
static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  const hl_desc scalar = {.dtype = c->in[0].dtype, .layout = HL_PLAIN};
  hl_var zero, part;
  HL_TRY(hl_vjp_zeros(v, v->dout[0], &c->out[0], &scalar, &zero, e));
  if (v->needs[1]) {
    HL_TRY(hl_vjp_emit(v, &hl_op_where, NULL, &part, e, v->in[0], v->dout[0], zero));
    HL_TRY(hl_vjp_sum_to(v, part, &c->out[0], &c->in[1], &v->din[1], e));
  }
  if (!v->needs[2]) return HL_OK;
  HL_TRY(hl_vjp_emit(v, &hl_op_where, NULL, &part, e, v->in[0], zero, v->dout[0]));
  return hl_vjp_sum_to(v, part, &c->out[0], &c->in[2], &v->din[2], e);
}

static const hl_sample samples[] = {
    {"equal images", {"2x3x3x4x5 image binary", "2x3x3x4x5 image", "2x3x3x4x5 image"}, NULL},
    {"a mask for all channels", {"2x1x3x4x5 image binary", "2x3x3x4x5 image", "1"}, NULL},
    {"numbers", {"2x3x3x4x5 image binary", "1", "1"}, NULL},
    {"a choice per channel", {"3x1x1x1 binary", "2x3x3x4x5 image", "2x1x3x4x5 image"}, NULL},
    {"plain, all repeated", {"4x1x1 binary", "5x1", "6"}, NULL},
    {"long rows", {"3x1100 binary", "3x1", "1100"}, NULL},
    {"one element", {"1 binary", "1", "1"}, NULL},
    {0}};

const hl_op hl_op_where = {
    .name = "where",
    .brief = "Takes each element from a where the condition is not 0, else from b. Shapes "
             "broadcast as in numpy.",
    .math = "y = a if condition != 0, else b",
    .args = "condition, a, b",
    .min_in = 3,
    .max_in = 3,
    .samples = samples,
    .inplace = 7,
    .shape = hl_rule_broadcast,
    .ref = ref,
    .vjp = vjp};
