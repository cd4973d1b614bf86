#include "deal.h"

/* The attributes are the sizes alone. */
static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  int64_t channels;
  HL_TRY(hl_deal_take(c, 0, c->n_in, "x", &channels, e));
  return hl_deal_out(c, c->attrs, channels, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  int64_t channels = 0, voxels = hl_image_voxels(&c->in[0]);
  for (int i = 0; i < c->n_in; i++) channels += c->in[i].shape.dim[AXIS_C];
  for (int64_t n = 0; n < c->in[0].shape.dim[AXIS_N]; n++)
    for (int64_t k = 0; k < channels; k++)
      memcpy(hl_deal_plane_out(c->out, out, n, k), hl_deal_plane(c->in, in, n, k),
             (size_t)voxels * sizeof(double));
  return HL_OK;
}

/* A gradient that does arrive serves as the value from which zeros are made. */
static int arriving(const hl_vjp *v) {
  int i = 0;
  while (v->dout[i] == HL_NO_VAR) i++;
  return i;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  hl_var dout[DEAL_MOST];
  int first = arriving(v);
  HL_TRY(hl_deal_arriving(v, v->dout[first], &c->out[first], dout, e));
  hl_ints sizes = hl_deal_sizes(c, 0, c->n_in);
  return hl_emit(v->program, &hl_op_regroup, &sizes, c->n_out, dout, c->n_in, v->din, e);
}

static const hl_attr attrs[] = {{"sizes", HL_A_INTS, "", 0, 1, 9007199254740992.0,
                                 "channels of each output; none: one output with all channels"},
                                {0}};

static const hl_sample samples[] = {
    {"join", {"2x3x2x3x5 image", "2x2x2x3x5 image"}, NULL},
    {"split", {"2x7x2x3x5 image"}, "sizes=4,1,2"},
    {"deal again", {"1x8x3x3x3 image", "1x24x3x3x3 image", "1x5x3x3x3 image"}, "sizes=20,17"},
    {"halves", {"1x16x2x5x3 image"}, "sizes=8,8"},
    {"wide", {"1x65x1x3x3 image", "1x3x1x3x3 image"}, "sizes=1,67"},
    {"one voxel", {"1x1x1x1x1 image", "1x2x1x1x1 image"}, "sizes=2,1"},
    {0}};

const hl_op hl_op_regroup = {
    .name = "regroup",
    .brief = "Joins images by channels and deals the channels out again: concatenation, splitting, "
             "or both at once.",
    .math = "(y1, y2, ...) = split(concat(x1, x2, ...), sizes)",
    .args = "x…",
    .min_in = 1,
    .max_in = DEAL_MOST,
    .attr_size = sizeof(hl_ints),
    .attrs = attrs,
    .samples = samples,
    .by_slabs = hl_call_by_slabs,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};
