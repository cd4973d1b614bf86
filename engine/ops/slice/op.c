/* A box of a tensor, every step-th element of each axis. */
#include "slice.h"

#include "add_at/add_at.h"
#include "logical.h"

#include <string.h>

static hl_status check_axis(const hl_slice_attrs *a, int i, int64_t has, hl_err *e) {
  int64_t start = a->start.v[i], stop = a->stop.v[i], step = hl_slice_step(&a->step, i);
  if (start >= 0 && start < stop && stop <= has && step >= 1) return HL_OK;
  return hl_fail(e, HL_EINVAL,
                 "axis %d: start %lld, stop %lld, step %lld does not lie within the %lld elements "
                 "there (counted from 0, stop not included)",
                 i + 1, (long long)start, (long long)stop, (long long)step, (long long)has);
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_slice_attrs *a = c->attrs;
  hl_desc d = c->in[0];
  int rank = d.shape.rank;
  if (a->start.n != rank || a->stop.n != rank || (a->step.n != 0 && a->step.n != rank))
    return hl_fail(e, HL_EINVAL, "start, stop and step need one number for each of the %d axes",
                   rank);
  for (int i = 0; i < rank; i++) {
    HL_TRY(check_axis(a, i, d.shape.dim[i], e));
    int64_t step = hl_slice_step(&a->step, i);
    d.shape.dim[i] = (a->stop.v[i] - a->start.v[i] + step - 1) / step;
  }
  return hl_rule_out(c, &d, e);
}

/* Offset of the first element taken, and the strides to the others. */
static int64_t strides(const hl_shape *whole, const hl_ints *start, const hl_ints *step,
                       int64_t stride[HL_MAX_RANK]) {
  int64_t first = 0;
  hl_logical_strides(whole, stride);
  for (int i = 0; i < whole->rank; i++) {
    first += start->v[i] * stride[i];
    stride[i] *= hl_slice_step(step, i);
  }
  return first;
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_slice_attrs *a = c->attrs;
  int64_t stride[HL_MAX_RANK], n = hl_shape_numel(&c->out[0].shape);
  const double *x = in[0] + strides(&c->in[0].shape, &a->start, &a->step, stride);
  for (int64_t i = 0; i < n; i++) out[0][i] = x[hl_logical_offset(&c->out[0].shape, i, stride)];
  return HL_OK;
}

static bool whole_box(const hl_slice_attrs *a) {
  for (int64_t i = 0; i < a->step.n; i++)
    if (a->step.v[i] != 1) return false;
  return true;
}

/* Zeros around what arrives; or, where there is a gradient already, what arrives added to its box.
 */
static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_slice_attrs *own = v->call->attrs;
  if (v->so_far[0] != HL_NO_VAR && whole_box(own)) {
    hl_add_at_attrs part;
    memset(&part, 0, sizeof part);
    part.start = own->start;
    part.scale = 1;
    v->summed[0] = true;
    return hl_vjp_emit(v, &hl_op_add_at, &part, &v->din[0], e, v->so_far[0], v->dout[0]);
  }
  hl_slice_grad_attrs a;
  memset(&a, 0, sizeof a);
  a.shape = hl_shape_list(&v->call->in[0].shape);
  a.start = own->start;
  a.step = own->step;
  return hl_vjp_emit(v, &hl_op_slice_grad, &a, &v->din[0], e, v->dout[0]);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_slice_grad_attrs *a = c->attrs;
  hl_desc d = c->in[0];
  if (a->shape.n != d.shape.rank || a->start.n != d.shape.rank)
    return hl_fail(e, HL_EINVAL, "shape and start need one number for each of the %d axes",
                   d.shape.rank);
  HL_TRY(hl_shape_from(&a->shape, &d.shape, e));
  for (int i = 0; i < d.shape.rank; i++) {
    int64_t last = a->start.v[i] + (c->in[0].shape.dim[i] - 1) * hl_slice_step(&a->step, i);
    if (a->start.v[i] < 0 || last >= d.shape.dim[i])
      return hl_fail(e, HL_ESHAPE, "axis %d: the slice does not lie within the shape", i + 1);
  }
  return hl_rule_out(c, &d, e);
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_slice_grad_attrs *a = c->attrs;
  int64_t stride[HL_MAX_RANK], n = hl_shape_numel(&c->in[0].shape);
  double *dx = out[0] + strides(&c->out[0].shape, &a->start, &a->step, stride);
  for (int64_t i = 0; i < n; i++) dx[hl_logical_offset(&c->in[0].shape, i, stride)] = in[0][i];
  return HL_OK;
}

#define MOST 9007199254740992.0
static const hl_attr attrs[] = {
    {"start", HL_A_INTS, NULL, offsetof(hl_slice_attrs, start), 0, MOST,
     "first element of each axis, counted from 0"},
    {"stop", HL_A_INTS, NULL, offsetof(hl_slice_attrs, stop), 0, MOST,
     "end of each axis, not included"},
    {"step", HL_A_INTS, "", offsetof(hl_slice_attrs, step), 1, MOST, "steps; none: 1 each"},
    {0}};
static const hl_attr grad_attrs[] = {
    {"shape", HL_A_INTS, NULL, offsetof(hl_slice_grad_attrs, shape), 0, MOST, "shape of x"},
    {"start", HL_A_INTS, NULL, offsetof(hl_slice_grad_attrs, start), 0, MOST, "of slice"},
    {"step", HL_A_INTS, "", offsetof(hl_slice_grad_attrs, step), 1, MOST, "of slice"},
    {0}};

static const hl_sample samples[] = {
    {"box", {"2x3x4x5x6 image"}, "start=0,0,1,2,0 stop=2,3,3,5,4"},
    {"channels", {"2x5x2x3x4 image"}, "start=0,1,0,0,0 stop=2,3,2,3,4"},
    {"steps", {"2x3x4x5x6 image"}, "start=1,0,1,0,0 stop=2,3,4,5,6 step=1,2,2,3,2"},
    {"plain", {"7x5"}, "start=2,0 stop=6,5"},
    {"every other", {"9"}, "start=1 stop=9 step=2"},
    {"everything", {"3x4"}, "start=0,0 stop=3,4"},
    {"one element", {"1"}, "start=0 stop=1"},
    {0}};
static const hl_sample grad_samples[] = {
    {"box", {"2x3x2x3x4 image"}, "shape=2,3,4,5,6 start=0,0,1,2,0"},
    {"steps", {"1x2x2x2x3 image"}, "shape=2,3,4,5,6 start=1,0,1,0,0 step=1,2,2,3,2"},
    {"plain", {"4x5"}, "shape=7,5 start=2,0"},
    {0}};

const hl_op hl_op_slice = {.name = "slice",
                           .brief = "A box of a tensor, every step-th element of each axis; in Lua "
                                    "also t:at{…}, which counts from 1.",
                           .math = "y[i, j, …] = x[start + step*(i, j, …)]",
                           .args = "x",
                           .min_in = 1,
                           .max_in = 1,
                           .attr_size = sizeof(hl_slice_attrs),
                           .attrs = attrs,
                           .samples = samples,
                           .shape = shape,
                           .ref = ref,
                           .vjp = vjp};

const hl_op hl_op_slice_grad = {.name = "slice_grad",
                                .brief = "Gradient of slice: zeros around it.",
                                .math = "dx[start + step*(i, j, …)] = dy[i, j, …], else 0",
                                .args = "dy",
                                .min_in = 1,
                                .max_in = 1,
                                .attr_size = sizeof(hl_slice_grad_attrs),
                                .attrs = grad_attrs,
                                .samples = grad_samples,
                                .internal = true,
                                .shape = grad_shape,
                                .ref = grad_ref};
