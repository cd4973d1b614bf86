/* Axes in another order. */
#include "logical.h"

#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_ints *order = c->attrs;
  const hl_shape *x = &c->in[0].shape;
  hl_desc d = {.dtype = c->in[0].dtype, .layout = HL_PLAIN, .shape = {.rank = x->rank}};
  unsigned seen = 0;
  for (int64_t i = 0; i < order->n && i < x->rank; i++) {
    if (order->v[i] < 0 || order->v[i] >= x->rank) break;
    seen |= 1U << order->v[i];
    d.shape.dim[i] = x->dim[order->v[i]];
  }
  if (order->n != x->rank || seen != (1U << x->rank) - 1)
    return hl_fail(e, HL_EINVAL, "the order must name each of the %d axes once", x->rank);
  return hl_rule_out(c, &d, e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_ints *order = c->attrs;
  const hl_shape *y = &c->out[0].shape;
  int64_t own[HL_MAX_RANK], stride[HL_MAX_RANK], n = hl_shape_numel(y);
  hl_logical_strides(&c->in[0].shape, own);
  for (int i = 0; i < y->rank; i++) stride[i] = own[order->v[i]];
  for (int64_t i = 0; i < n; i++) out[0][i] = in[0][hl_logical_offset(y, i, stride)];
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_ints *order = v->call->attrs;
  const hl_desc *x = &v->call->in[0];
  hl_ints inverse;
  memset(&inverse, 0, sizeof inverse);
  inverse.n = order->n;
  for (int64_t i = 0; i < order->n; i++) inverse.v[order->v[i]] = i;
  hl_desc plain = *x;
  plain.layout = HL_PLAIN;
  hl_var back;
  HL_TRY(hl_vjp_emit(v, &hl_op_permute, &inverse, &back, e, v->dout[0]));
  return hl_vjp_broadcast(v, back, &plain, x, &v->din[0], e);
}

static const hl_attr attrs[] = {
    {"order", HL_A_ORDER, NULL, 0, 0, 0, "the axes of x in the order they take in the result"},
    {0}};

static const hl_sample samples[] = {{"turn", {"7x5"}, "order=1,0"},
                                    {"three axes", {"3x4x5"}, "order=2,0,1"},
                                    {"image", {"2x3x3x4x5 image"}, "order=0,2,3,4,1"},
                                    {"image, backwards", {"2x3x3x4x5 image"}, "order=4,3,2,1,0"},
                                    {"as it was", {"3x4"}, "order=0,1"},
                                    {"one element", {"1"}, "order=0"},
                                    {0}};

const hl_op hl_op_permute = {.name = "permute",
                             .brief = "Puts the axes in another order; the result is plain.",
                             .math = "axis k of y is axis order[k] of x",
                             .args = "x",
                             .min_in = 1,
                             .max_in = 1,
                             .attr_size = sizeof(hl_ints),
                             .attrs = attrs,
                             .samples = samples,
                             .shape = shape,
                             .ref = ref,
                             .vjp = vjp};
