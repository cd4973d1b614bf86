#include "logical.h"

#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_desc *x = &c->in[0];
  if (x->layout != HL_PLAIN) return hl_fail(e, HL_ETYPE, "x must be in plain layout, not an image");
  hl_desc d = {.dtype = x->dtype, .layout = HL_PLAIN};
  HL_TRY(hl_shape_from(c->attrs, &d.shape, e));
  HL_TRY(hl_shape_check(&d.shape, d.dtype, e));
  int64_t has = hl_shape_numel(&x->shape), wants = hl_shape_numel(&d.shape);
  if (has != wants) {
    char t[HL_DESC_TEXT];
    return hl_fail(e, HL_ESHAPE, "x has %lld elements, but shape %s has %lld", (long long)has,
                   hl_desc_text(&d, t) + strlen(hl_dtype_name(d.dtype)), (long long)wants);
  }
  return hl_rule_out(c, &d, e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  memcpy(out[0], in[0], (size_t)hl_shape_numel(&c->in[0].shape) * sizeof **in);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  hl_ints list = hl_shape_list(&v->call->in[0].shape);
  return hl_vjp_emit(v, &hl_op_reshape, &list, &v->din[0], e, v->dout[0]);
}

static const hl_attr attrs[] = {
    {"shape", HL_A_INTS, NULL, 0, 0, 9007199254740992.0, "shape of the result"}, {0}};

static const hl_sample samples[] = {{"flat", {"2x3x4"}, "shape=24"},
                                    {"new axes", {"7x5"}, "shape=7,1,5,1"},
                                    {"one element", {"1"}, "shape=1,1,1"},
                                    {0}};

const hl_op hl_op_reshape = {.name = "reshape",
                             .brief = "The same elements in row-major order under another shape; "
                                      "plain tensors only.",
                             .math = "y = x",
                             .args = "x",
                             .min_in = 1,
                             .max_in = 1,
                             .attr_size = sizeof(hl_ints),
                             .attrs = attrs,
                             .samples = samples,
                             .inplace = 1,
                             .shape = shape,
                             .ref = ref,
                             .vjp = vjp};
