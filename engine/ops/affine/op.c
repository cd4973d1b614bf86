#include "affine.h"

#include "opkit.h"

#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_affine_attrs *a = c->attrs;
  int64_t n = hl_shape_numel(&c->in[0].shape);
  for (int64_t i = 0; i < n; i++)
    out[0][i] = a->scale == 0 ? a->shift : a->scale * in[0][i] + a->shift;
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_affine_attrs *own = v->call->attrs;
  if (own->scale == 1) {
    v->din[0] = v->dout[0];
    return HL_OK;
  }
  hl_affine_attrs a;
  memset(&a, 0, sizeof a);
  a.scale = own->scale;
  return hl_vjp_emit(v, &hl_op_affine, &a, &v->din[0], e, v->dout[0]);
}

static const hl_attr attrs[] = {
    {"scale", HL_A_REAL, "1", offsetof(hl_affine_attrs, scale), 0, 0,
     "factor; 0 gives the constant shift, "
     "whatever x holds"},
    {"shift", HL_A_REAL, "0", offsetof(hl_affine_attrs, shift), 0, 0, "what is added"},
    {0}};

static const hl_sample samples[] = {{"image", {"2x3x3x4x5 image"}, "scale=-2.5 shift=0.75"},
                                    {"plain", {"7x5"}, "scale=3"},
                                    {"shift alone", {"7x5"}, "shift=-1"},
                                    {"constant", {"3x2"}, "scale=0 shift=2"},
                                    {"one element", {"1"}, "scale=2 shift=1"},
                                    {0}};

const hl_op hl_op_affine = {.name = "affine",
                            .brief = "Multiplies by one number and adds another.",
                            .math = "y = scale*x + shift",
                            .args = "x",
                            .min_in = 1,
                            .max_in = 1,
                            .attr_size = sizeof(hl_affine_attrs),
                            .attrs = attrs,
                            .samples = samples,
                            .inplace = 1,
                            .shape = shape,
                            .ref = ref,
                            .vjp = vjp};
