/* Repeating along axes, and summing back: each is the other's gradient. */
#include "broadcast.h"

#include "logical.h"

static hl_status target(const hl_call *c, hl_desc *d, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_broadcast_attrs *a = c->attrs;
  *d = (hl_desc){.dtype = c->in[0].dtype, .layout = HL_PLAIN};
  HL_TRY(hl_shape_from(&a->shape, &d->shape, e));
  bool five = d->shape.rank == IMAGE_AXES;
  if (a->image == 1 && !five)
    return hl_fail(e, HL_ESHAPE, "an image has 5 axes (n, c, z, y, x), but shape has %d",
                   d->shape.rank);
  if (a->image == 1 || (a->image < 0 && five && c->in[0].layout == HL_IMAGE)) d->layout = HL_IMAGE;
  return HL_OK;
}

/* `small` must broadcast to `large`, which is called `name`. */
static hl_status check(const hl_shape *small, const hl_shape *large, const char *name, hl_err *e) {
  hl_shape joined;
  HL_TRY(hl_shape_join(small, large, &joined, e));
  if (hl_shape_equal(&joined, large)) return HL_OK;
  const hl_desc need = {HL_F32, HL_PLAIN, joined}, have = {HL_F32, HL_PLAIN, *large};
  char t[HL_DESC_TEXT], u[HL_DESC_TEXT];
  return hl_fail(e, HL_ESHAPE, "%s is %s, but together with the other shape it would be %s", name,
                 hl_desc_text(&have, t) + 3, hl_desc_text(&need, u) + 3);
}

static hl_status broadcast_shape(hl_call *c, hl_err *e) {
  hl_desc d;
  HL_TRY(target(c, &d, e));
  HL_TRY(check(&c->in[0].shape, &d.shape, "shape", e));
  return hl_rule_out(c, &d, e);
}

static hl_status sum_to_shape(hl_call *c, hl_err *e) {
  hl_desc d;
  HL_TRY(target(c, &d, e));
  HL_TRY(check(&d.shape, &c->in[0].shape, "x", e));
  return hl_rule_out(c, &d, e);
}

static hl_status broadcast_ref(const hl_call *c, const double *const *in, double *const *out,
                               hl_err *e) {
  (void)e;
  const hl_shape *s = &c->out[0].shape;
  int64_t stride[HL_MAX_RANK], n = hl_shape_numel(s);
  hl_logical_broadcast(&c->in[0].shape, s, stride);
  for (int64_t i = 0; i < n; i++) out[0][i] = in[0][hl_logical_offset(s, i, stride)];
  return HL_OK;
}

static hl_status sum_to_ref(const hl_call *c, const double *const *in, double *const *out,
                            hl_err *e) {
  (void)e;
  const hl_shape *s = &c->in[0].shape;
  int64_t stride[HL_MAX_RANK], n = hl_shape_numel(s);
  hl_logical_broadcast(&c->out[0].shape, s, stride);
  for (int64_t i = 0; i < n; i++) out[0][hl_logical_offset(s, i, stride)] += in[0][i];
  return HL_OK;
}

static hl_status broadcast_vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_sum_to(v, v->dout[0], &v->call->out[0], &v->call->in[0], &v->din[0], e);
}

static hl_status sum_to_vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_broadcast(v, v->dout[0], &v->call->out[0], &v->call->in[0], &v->din[0], e);
}

static const hl_attr attrs[] = {
    {"shape", HL_A_INTS, NULL, offsetof(hl_broadcast_attrs, shape), 0, 9007199254740992.0,
     "shape of the result; none for one number without axes"},
    {"image", HL_A_INT, "-1", offsetof(hl_broadcast_attrs, image), -1, 1,
     "layout of the result: 1 image, 0 plain, -1 as x where the result has 5 axes"},
    {0}};

static const hl_sample broadcast_samples[] = {
    {"a number per channel", {"1x3x1x1x1 image"}, "shape=2,3,3,4,5"},
    {"a plain vector per channel", {"3x1x1x1"}, "shape=2,3,3,4,5 image=1"},
    {"one number", {"1"}, "shape=2,3,3,4,5 image=1"},
    {"a mask for all channels", {"2x1x3x4x5 image"}, "shape=2,3,3,4,5"},
    {"along x", {"2x3x3x4x1 image"}, "shape=2,3,3,4,300"},
    {"plain", {"4x1"}, "shape=3,4,5"},
    {"to another layout", {"2x3x3x4x5"}, "shape=2,3,3,4,5 image=1"},
    {"one element", {"1"}, "shape=1"},
    {0}};

static const hl_sample sum_to_samples[] = {
    {"a number per channel", {"2x3x3x4x5 image"}, "shape=1,3,1,1,1"},
    {"a plain vector per channel", {"2x3x3x4x5 image"}, "shape=3,1,1,1"},
    {"one number", {"2x3x3x4x5 image"}, "shape=1"},
    {"over channels", {"2x3x3x4x5 image"}, "shape=2,1,3,4,5"},
    {"along x", {"2x3x3x4x300 image"}, "shape=2,3,3,4,1 image=0"},
    {"plain", {"3x4x5"}, "shape=4,1"},
    {"to another layout", {"2x3x3x4x5 image"}, "shape=2,3,3,4,5 image=0"},
    {"from a plain tensor", {"2x3x3x4x5"}, "shape=1,3,1,4,1 image=1"},
    {"one element", {"1"}, "shape=1"},
    {0}};

const hl_op hl_op_broadcast = {
    .name = "broadcast",
    .brief = "Repeats along axes of size 1, and along new axes in front, to a given shape.",
    .math = "y[i, j, ...] = x[i or 0, j or 0, ...]",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_broadcast_attrs),
    .attrs = attrs,
    .samples = broadcast_samples,
    .shape = broadcast_shape,
    .ref = broadcast_ref,
    .vjp = broadcast_vjp};

/* Plain sums to which every slab of every sample adds. */
static bool sum_by_slabs(const hl_call *c) {
  const hl_desc *d = &c->out[0];
  int ahead = IMAGE_AXES - d->shape.rank;
  bool over_n = ahead > AXIS_N || d->shape.dim[AXIS_N - ahead] == 1;
  bool over_z = ahead > AXIS_Z || d->shape.dim[AXIS_Z - ahead] == 1;
  return d->layout == HL_PLAIN && over_n && over_z;
}

const hl_op hl_op_sum_to = {.name = "sum_to",
                            .brief = "Sums over axes until a given shape is left; that shape "
                                     "broadcasts to x's.",
                            .math = "y = sum of all elements of x that broadcasting would copy "
                                    "from one place",
                            .args = "x",
                            .min_in = 1,
                            .max_in = 1,
                            .attr_size = sizeof(hl_broadcast_attrs),
                            .attrs = attrs,
                            .samples = sum_to_samples,
                            .by_slabs = sum_by_slabs,
                            .shape = sum_to_shape,
                            .ref = sum_to_ref,
                            .vjp = sum_to_vjp};
