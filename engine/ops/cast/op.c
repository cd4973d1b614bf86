/* Another element type. */
#include "opkit.h"

#include <string.h>

static hl_dtype target(const hl_call *c) {
  return (hl_dtype) * (const int64_t *)c->attrs;
}

static hl_status shape(hl_call *c, hl_err *e) {
  hl_desc d = c->in[0];
  d.dtype = target(c);
  return hl_rule_out(c, &d, e);
}

/* The result is converted where it is stored. */
static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  memcpy(out[0], in[0], (size_t)hl_shape_numel(&c->in[0].shape) * sizeof **in);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  hl_dtype from = v->call->in[0].dtype;
  if (from == HL_I32 || from == HL_I16 || from == HL_U8)
    return hl_fail(e, HL_ETYPE, "cast: whole numbers (%s) have no gradient", hl_dtype_name(from));
  return hl_vjp_cast(v, v->dout[0], hl_dtype_of_gradient(v->call->out[0].dtype),
                     hl_dtype_of_gradient(from), &v->din[0], e);
}

static const hl_attr attrs[] = {
    {"to", HL_A_CHOICE, NULL, 0, 0, 0,
     "f32|f64|bf16|i32|i16|u8|q10|q9|q8|q7: element type of the result"},
    {0}};

/* Constant: a test's loss is made in one type. */
static const hl_sample samples[] = {
    {"image", {"2x3x3x4x5 image constant"}, "to=f64"}, {"plain", {"7x5 constant"}, "to=f64"}, {0}};

const hl_op hl_op_cast = {
    .name = "cast",
    .brief = "Converts to another element type: to whole numbers by rounding to nearest, ties to "
             "even, limited to the type's range, NaN becoming 0. The gradient passes between the "
             "types with a fraction.",
    .math = "y = x",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(int64_t),
    .attrs = attrs,
    .samples = samples,
    .any_type = true,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};
