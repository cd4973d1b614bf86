/* A part added into a box of a whole, in place where the whole is not needed afterwards: how a
 * value is put together, or a gradient collected, part by part without copies of the whole. */
#include "add_at.h"

#include "affine/affine.h"
#include "logical.h"
#include "slice/slice.h"

#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_add_at_attrs *a = c->attrs;
  const hl_desc *x = &c->in[0], *part = &c->in[1];
  if (part->shape.rank != x->shape.rank || part->layout != x->layout)
    return hl_fail(e, HL_ESHAPE, "part must have the axes and the layout of x");
  if (a->start.n != x->shape.rank)
    return hl_fail(e, HL_EINVAL, "start needs one number for each of the %d axes", x->shape.rank);
  for (int i = 0; i < x->shape.rank; i++)
    if (a->start.v[i] + part->shape.dim[i] > x->shape.dim[i])
      return hl_fail(e, HL_ESHAPE, "axis %d: %lld elements from %lld on do not lie within %lld",
                     i + 1, (long long)part->shape.dim[i], (long long)a->start.v[i],
                     (long long)x->shape.dim[i]);
  return hl_rule_out(c, x, e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_add_at_attrs *a = c->attrs;
  int64_t stride[HL_MAX_RANK], first = 0, n = hl_shape_numel(&c->in[1].shape);
  memcpy(out[0], in[0], (size_t)hl_shape_numel(&c->in[0].shape) * sizeof **out);
  hl_logical_strides(&c->in[0].shape, stride);
  for (int i = 0; i < c->in[0].shape.rank; i++) first += a->start.v[i] * stride[i];
  for (int64_t i = 0; i < n; i++)
    out[0][first + hl_logical_offset(&c->in[1].shape, i, stride)] += a->scale * in[1][i];
  return HL_OK;
}

/* dx = dy, dpart = scale·dy in the box. */
static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_add_at_attrs *own = v->call->attrs;
  if (v->needs[0]) v->din[0] = v->dout[0];
  if (!v->needs[1]) return HL_OK;
  hl_slice_attrs a;
  memset(&a, 0, sizeof a);
  a.start = a.stop = own->start;
  for (int i = 0; i < own->start.n; i++) a.stop.v[i] += v->call->in[1].shape.dim[i];
  HL_TRY(hl_vjp_emit(v, &hl_op_slice, &a, &v->din[1], e, v->dout[0]));
  if (own->scale == 1) return HL_OK;
  hl_affine_attrs factor = {.scale = own->scale};
  return hl_vjp_emit(v, &hl_op_affine, &factor, &v->din[1], e, v->din[1]);
}

#define MOST 9007199254740992.0
static const hl_attr attrs[] = {
    {"start", HL_A_INTS, NULL, offsetof(hl_add_at_attrs, start), 0, MOST,
     "where the part begins on each axis, counted from 0"},
    {"scale", HL_A_REAL, "1", offsetof(hl_add_at_attrs, scale), 0, 0, "factor of the part"},
    {0}};

static const hl_sample samples[] = {
    {"slab", {"2x3x4x5x6 image", "2x3x2x5x6 image"}, "start=0,0,1,0,0"},
    {"one slab", {"1x3x6x5x6 image", "1x3x2x5x6 image"}, "start=0,0,4,0,0 scale=-1"},
    {"box", {"2x3x4x5x6 image", "1x2x2x3x2 image"}, "start=1,1,2,2,3 scale=0.5"},
    {"plain", {"7x5", "3x2"}, "start=2,3"},
    {"all of it", {"3x4", "3x4"}, "start=0,0 scale=2"},
    {"one element", {"4", "1"}, "start=3"},
    {0}};

const hl_op hl_op_add_at = {.name = "add_at",
                            .brief = "Adds a part, times a factor, to a box of a tensor.",
                            .math = "y = x, but y[start + (i, j, …)] = x[start + (i, j, …)] + "
                                    "scale*part[i, j, …]",
                            .args = "x, part",
                            .min_in = 2,
                            .max_in = 2,
                            .attr_size = sizeof(hl_add_at_attrs),
                            .attrs = attrs,
                            .samples = samples,
                            .mixes_narrow = true,
                            .inplace = 1,
                            .shape = shape,
                            .ref = ref,
                            .vjp = vjp};
