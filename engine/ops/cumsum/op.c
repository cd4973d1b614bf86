/* Running sums; the gradient runs the other way. */
#include "cumsum.h"

#include "axis.h"

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  int axis;
  HL_TRY(hl_rule_axis(c, &((const hl_cumsum_attrs *)c->attrs)->axis, &axis, e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_cumsum_attrs *a = c->attrs;
  hl_lines l = hl_lines_logical(&c->in[0].shape, (int)a->axis.v[0]);
  for (int64_t line = 0; line < l.outer * l.inner; line++) {
    int64_t first = line / l.inner * l.size * l.inner + line % l.inner;
    double sum = 0;
    for (int64_t i = 0; i < l.size; i++) {
      int64_t at = first + (a->reverse ? l.size - 1 - i : i) * l.inner;
      out[0][at] = sum += in[0][at];
    }
  }
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  hl_cumsum_attrs a = *(const hl_cumsum_attrs *)v->call->attrs;
  a.reverse = !a.reverse;
  return hl_vjp_emit(v, &hl_op_cumsum, &a, &v->din[0], e, v->dout[0]);
}

static const hl_attr attrs[] = {
    {"axis", HL_A_AXES, NULL, offsetof(hl_cumsum_attrs, axis), 0, 0, "the axis to sum along"},
    {"reverse", HL_A_BOOL, "0", offsetof(hl_cumsum_attrs, reverse), 0, 1, "begin at the end"},
    {0}};

static const hl_sample samples[] = {
    {"channels", {"2x3x3x4x5 image"}, "axis=1"},
    {"along z", {"2x3x4x5x6 image"}, "axis=2 reverse=1"},
    {"long lines of channels", {"2x70x2x3x5 image"}, "axis=1 reverse=1"},
    {"plain", {"7x100"}, "axis=1"},
    {"plain, first axis", {"70x100"}, "axis=0"},
    {"one element", {"1"}, "axis=0"},
    {0}};

const hl_op hl_op_cumsum = {.name = "cumsum",
                            .brief = "Running sum along an axis.",
                            .math = "y[i] = x[1] + … + x[i]",
                            .args = "x",
                            .min_in = 1,
                            .max_in = 1,
                            .attr_size = sizeof(hl_cumsum_attrs),
                            .attrs = attrs,
                            .samples = samples,
                            .inplace = 1,
                            .shape = shape,
                            .ref = ref,
                            .vjp = vjp};
