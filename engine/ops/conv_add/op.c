/* The gradient of a convolution's input, added to a gradient that is there already: in place, it
 * needs no image of its own. */
#include "conv/conv.h"

#include "opkit.h"

static const hl_attr schema[] = {
    HL_CONV_ATTRS,
    {"size", HL_A_INT3, NULL, offsetof(hl_conv_grad_input_attrs, size), 1, 1 << 30,
     "of x (z, y, x)"},
    {0},
};

/* The gradient alone. */
static hl_call gradient_of(const hl_call *c) {
  hl_call g = {.op = &hl_op_conv_grad_input, .attrs = c->attrs, .n_in = 2};
  g.in[0] = c->in[1];
  g.in[1] = c->in[2];
  g.n_out = c->n_out;
  g.out[0] = c->out[0];
  return g;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  hl_call g = gradient_of(c);
  g.n_out = 0;
  HL_TRY(g.op->shape(&g, e));
  HL_TRY(hl_rule_is(c, 0, "base", &g.out[0], "the gradient", e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  hl_call g = gradient_of(c);
  HL_TRY(g.op->ref(&g, in + 1, out, e));
  for (int64_t i = 0; i < hl_shape_numel(&c->out[0].shape); i++) out[0][i] += in[0][i];
  return HL_OK;
}

static const hl_sample samples[] = {
    {"8 to 4", {"2x4x9x10x11 image", "2x8x9x10x11 image", "8x4x3x3x3"}, "padding=1 size=9,10,11"},
    {"16 channels",
     {"1x16x8x12x8 image", "1x16x8x12x8 image", "16x16x3x3x3"},
     "padding=1 size=8,12,8"},
    {"odd channels",
     {"1x3x8x9x10 image", "1x5x8x9x10 image", "5x3x3x3x3"},
     "padding=1 size=8,9,10"},
    {"small", {"2x5x3x4x5 image", "2x4x3x4x5 image", "4x5x3x3x3"}, "padding=1 size=3,4,5"},
    {"stride 2",
     {"1x2x6x7x8 image", "1x3x3x2x4 image", "3x2x3x3x3"},
     "stride=2,3,2 padding=1,0,1 size=6,7,8"},
    {0},
};

const hl_op hl_op_conv_grad_input_add = {
    .name = "conv_grad_input_add",
    .brief = "Adds the gradient of a convolution with respect to its input to another.",
    .math = "dx = base + conv_grad_input(dy, weight)",
    .args = "base, dy, weight",
    .min_in = 3,
    .max_in = 3,
    .attr_size = sizeof(hl_conv_grad_input_attrs),
    .attrs = schema,
    .samples = samples,
    .internal = true,
    .inplace = 1U << 0,
    .kept_f32 = 1U << 2,
    .shape = shape,
    .ref = ref,
};

/* ---- joining ---- */

/* conv_grad_input → add, where the gradient is used by that sum alone. */
hl_status hl_conv_grad_input_join(hl_join *j, int node, hl_err *e) {
  hl_part own, sum;
  hl_use use;
  hl_join_part(j, node, &own);
  if (hl_join_uses(j, own.out[0], 1, &use) != 1) return HL_OK;
  hl_join_part(j, use.node, &sum);
  if (sum.call.op != &hl_op_add) return HL_OK;
  const hl_var in[] = {sum.in[1 - use.input], own.in[0], own.in[1]};
  if (!hl_desc_equal(hl_join_desc(j, in[0]), hl_join_desc(j, own.out[0])) ||
      !hl_join_pays(j, &hl_op_conv_grad_input_add, own.call.attrs, 3, in))
    return HL_OK;
  HL_TRY(
      hl_join_put(j, use.node, &hl_op_conv_grad_input_add, own.call.attrs, 3, in, 1, sum.out, e));
  hl_join_drop(j, node);
  return HL_OK;
}
