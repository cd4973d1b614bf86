/* Sums and means over axes. */
#include "reduce.h"

#include "affine/affine.h"
#include "logical.h"

#include <string.h>

static hl_status check_axes(const hl_ints *axes, int rank, hl_err *e) {
  for (int64_t i = 0; i < axes->n; i++) {
    if (axes->v[i] < 0 || axes->v[i] >= rank)
      return hl_fail(e, HL_EINVAL, "x has %d axes: there is no axis %lld", rank,
                     (long long)axes->v[i] + 1);
    if (i > 0 && axes->v[i] <= axes->v[i - 1])
      return hl_fail(e, HL_EINVAL, "axes must be given once each and in ascending order");
  }
  return HL_OK;
}

static bool summed(const hl_ints *axes, int axis) {
  for (int64_t i = 0; i < axes->n; i++)
    if (axes->v[i] == axis) return true;
  return axes->n == 0;
}

hl_status hl_reduce_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_reduce_attrs *a = c->attrs;
  const hl_shape *x = &c->in[0].shape;
  HL_TRY(check_axes(&a->axes, x->rank, e));
  hl_desc d = hl_reduce_kept(c);
  if (!a->keep) {
    d.shape.rank = 0;
    for (int i = 0; i < x->rank; i++)
      if (!summed(&a->axes, i)) d.shape.dim[d.shape.rank++] = x->dim[i];
    for (int i = d.shape.rank; i < HL_MAX_RANK; i++) d.shape.dim[i] = 0;
  }
  return hl_rule_out(c, &d, e);
}

hl_status hl_reduce_some_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_reduce_shape(c, e));
  if (hl_shape_numel(&c->in[0].shape) == 0)
    return hl_fail(e, HL_ESHAPE, "there is no %s of no elements", c->op->name);
  return HL_OK;
}

static void add_up(const hl_call *c, const double *x, double *y) {
  const hl_shape *s = &c->in[0].shape;
  hl_desc kept = hl_reduce_kept(c);
  int64_t stride[HL_MAX_RANK], n = hl_shape_numel(s);
  hl_logical_broadcast(&kept.shape, s, stride);
  for (int64_t i = 0; i < n; i++) y[hl_logical_offset(s, i, stride)] += x[i];
}

static hl_status sum_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  add_up(c, in[0], out[0]);
  return HL_OK;
}

static hl_status mean_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  add_up(c, in[0], out[0]);
  int64_t n = hl_shape_numel(&c->out[0].shape);
  for (int64_t i = 0; i < n; i++) out[0][i] /= (double)hl_reduce_count(c);
  return HL_OK;
}

/* dx = dy, repeated along the axes summed over. */
static hl_status spread(const hl_vjp *v, hl_var dy, hl_err *e) {
  const hl_call *c = v->call;
  hl_desc kept = hl_reduce_kept(c);
  const hl_reduce_attrs *a = c->attrs;
  if (!a->keep) {
    hl_ints list = hl_shape_list(&kept.shape);
    hl_var flat = dy;
    HL_TRY(hl_vjp_emit(v, &hl_op_reshape, &list, &dy, e, flat));
  }
  return hl_vjp_broadcast(v, dy, &kept, &c->in[0], &v->din[0], e);
}

static hl_status sum_vjp(const hl_vjp *v, hl_err *e) {
  return spread(v, v->dout[0], e);
}

static hl_status mean_vjp(const hl_vjp *v, hl_err *e) {
  hl_affine_attrs a;
  memset(&a, 0, sizeof a);
  a.scale = 1 / (double)hl_reduce_count(v->call);
  hl_var dy;
  HL_TRY(hl_vjp_emit(v, &hl_op_affine, &a, &dy, e, v->dout[0]));
  return spread(v, dy, e);
}

static const hl_attr attrs[] = {HL_REDUCE_SCHEMA, {0}};

static const hl_sample samples[] = {{"everything", {"2x3x3x4x5 image"}, NULL},
                                    {"everything, kept", {"2x3x3x4x5 image"}, "keep=1"},
                                    {"per sample and channel", {"2x3x3x4x5 image"}, "axes=2,3,4"},
                                    {"per channel", {"2x3x3x4x5 image"}, "axes=0,2,3,4 keep=1"},
                                    {"over channels", {"2x3x3x4x5 image"}, "axes=1"},
                                    {"over x", {"2x3x3x4x5 image"}, "axes=4"},
                                    {"over samples", {"3x5x3x4x5 image"}, "axes=0 keep=1"},
                                    {"long rows", {"1x1x2x3x700 image"}, "axes=4"},
                                    {"many voxels", {"1x5x9x41x43 image"}, "axes=0,2,3,4"},
                                    {"plain, first axis", {"7x5"}, "axes=0"},
                                    {"plain, last axis", {"7x5"}, "axes=1"},
                                    {"plain, middle axis", {"3x4x300"}, "axes=1 keep=1"},
                                    {"one element", {"1"}, NULL},
                                    {0}};

/* Sums to which every slab of every sample adds. */
static bool sum_by_slabs(const hl_call *c) {
  const hl_reduce_attrs *a = c->attrs;
  return !a->keep && summed(&a->axes, AXIS_N) && summed(&a->axes, AXIS_Z);
}

#define REDUCE(NAME, BRIEF, MATH, SHAPE, BY_SLABS)                                                 \
  const hl_op hl_op_##NAME = {.name = #NAME,                                                       \
                              .brief = BRIEF,                                                      \
                              .math = MATH,                                                        \
                              .args = "x",                                                         \
                              .min_in = 1,                                                         \
                              .max_in = 1,                                                         \
                              .attr_size = sizeof(hl_reduce_attrs),                                \
                              .attrs = attrs,                                                      \
                              .samples = samples,                                                  \
                              .by_slabs = BY_SLABS,                                                \
                              .shape = SHAPE,                                                      \
                              .ref = NAME##_ref,                                                   \
                              .vjp = NAME##_vjp};

REDUCE(sum, "Sum over axes. The result is plain unless the axes are kept.",
       "y = sum of x over the axes", hl_reduce_shape, sum_by_slabs)
REDUCE(mean, "Mean over axes. The result is plain unless the axes are kept.",
       "y = sum of x over the axes / number of elements", hl_reduce_some_shape, NULL)
