/* Picking elements along an axis by their number. */
#include "gather.h"

#include <string.h>

/* Inputs `a` and `b` agree in all axes but one. */
static hl_status check_alike(const hl_call *c, const char *name, int axis, hl_err *e) {
  hl_desc same = c->in[1];
  same.dtype = c->in[0].dtype;
  if (axis < same.shape.rank) same.shape.dim[axis] = c->in[0].shape.dim[axis];
  if (hl_desc_equal(&same, &c->in[0])) return HL_OK;
  return hl_fail(e, HL_ESHAPE, "%s differs from x in more than the size of axis %d", name,
                 axis + 1);
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  int axis;
  HL_TRY(hl_rule_axis(c, &((const hl_gather_attrs *)c->attrs)->axis, &axis, e));
  HL_TRY(check_alike(c, "the index", axis, e));
  hl_desc d = c->in[1];
  d.dtype = c->in[0].dtype;
  return hl_rule_out(c, &d, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_gather_grad_attrs *a = c->attrs;
  int axis;
  HL_TRY(hl_rule_axis(c, &a->axis, &axis, e));
  hl_desc d = c->in[0];
  d.dtype = c->in[1].dtype;
  HL_TRY(hl_rule_is(c, 1, "dy", &d, "the index", e));
  d.shape.dim[axis] = a->size;
  return hl_rule_out(c, &d, e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  int axis = (int)((const hl_gather_attrs *)c->attrs)->axis.v[0];
  hl_lines x = hl_lines_logical(&c->in[0].shape, axis);
  hl_lines y = hl_lines_logical(&c->in[1].shape, axis);
  for (int64_t i = 0; i < y.outer * y.size * y.inner; i++) {
    double index = in[1][i];
    if (!hl_gather_reaches(index, x.size)) return hl_gather_refuse(index, x.size, e);
    int64_t o = i / (y.size * y.inner), k = i % y.inner;
    out[0][i] = in[0][(o * x.size + (int64_t)index) * x.inner + k];
  }
  return HL_OK;
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  int axis = (int)((const hl_gather_grad_attrs *)c->attrs)->axis.v[0];
  hl_lines x = hl_lines_logical(&c->out[0].shape, axis);
  hl_lines y = hl_lines_logical(&c->in[0].shape, axis);
  for (int64_t i = 0; i < y.outer * y.size * y.inner; i++) {
    double index = in[0][i];
    if (!hl_gather_reaches(index, x.size)) return hl_gather_refuse(index, x.size, e);
    int64_t o = i / (y.size * y.inner), k = i % y.inner;
    out[0][(o * x.size + (int64_t)index) * x.inner + k] += in[1][i];
  }
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  hl_gather_grad_attrs a;
  memset(&a, 0, sizeof a);
  a.axis = ((const hl_gather_attrs *)v->call->attrs)->axis;
  a.size = v->call->in[0].shape.dim[a.axis.v[0]];
  if (!v->needs[0]) return HL_OK;
  return hl_vjp_emit(v, &hl_op_gather_grad, &a, &v->din[0], e, v->in[1], v->dout[0]);
}

static const hl_attr attrs[] = {
    {"axis", HL_A_AXES, "1", offsetof(hl_gather_attrs, axis), 0, 0, "the axis picked from"}, {0}};
static const hl_attr grad_attrs[] = {
    {"axis", HL_A_AXES, NULL, offsetof(hl_gather_grad_attrs, axis), 0, 0, "of gather"},
    {"size", HL_A_INT, NULL, offsetof(hl_gather_grad_attrs, size), 0, 9007199254740992.0,
     "elements of x along the axis"},
    {0}};

static const hl_sample samples[] = {
    {"a class per voxel", {"2x3x2x3x4 image", "2x1x2x3x4 image binary"}, NULL},
    {"along z", {"2x3x2x3x4 image", "2x3x5x3x4 image binary"}, "axis=2"},
    {"plain", {"7x5", "7x9 binary"}, NULL},
    {"plain, first axis", {"7x5", "3x5 binary"}, "axis=0"},
    {"two of two", {"2", "2 binary"}, "axis=0"},
    {0}};
static const hl_sample grad_samples[] = {
    {"a class per voxel", {"2x1x2x3x4 image binary", "2x1x2x3x4 image"}, "axis=1 size=3"},
    {"plain", {"7x9 binary", "7x9"}, "axis=1 size=5"},
    {0}};

const hl_op hl_op_gather = {
    .name = "gather",
    .brief = "Picks elements along an axis by their number, counted from 0, as numpy's "
             "take_along_axis does.",
    .math = "y[…, i, …] = x[…, index[…, i, …], …]",
    .args = "x, index",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_gather_attrs),
    .attrs = attrs,
    .samples = samples,
    .kept_f32 = 1U << 1,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};

const hl_op hl_op_gather_grad = {.name = "gather_grad",
                                 .brief = "Gradient of gather: adds where elements were picked.",
                                 .math = "dx[…, index[…, i, …], …] += dy[…, i, …]",
                                 .args = "index, dy",
                                 .min_in = 2,
                                 .max_in = 2,
                                 .attr_size = sizeof(hl_gather_grad_attrs),
                                 .attrs = grad_attrs,
                                 .samples = grad_samples,
                                 .kept_f32 = 1U << 0,
                                 .internal = true,
                                 .shape = grad_shape,
                                 .ref = grad_ref};
