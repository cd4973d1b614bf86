/* Joining tensors along an axis and cutting them apart: each is the other's gradient. */
#include "join.h"

#include "axis.h"
#include "logical.h"

#include <string.h>

/* Input i must be like input 0 but for its size along the axis. */
static hl_status check_alike(const hl_call *c, int i, int axis, hl_err *e) {
  hl_desc same = c->in[i];
  if (axis < same.shape.rank) same.shape.dim[axis] = c->in[0].shape.dim[axis];
  if (hl_desc_equal(&same, &c->in[0])) return HL_OK;
  return hl_fail(e, HL_ESHAPE, "x%d differs from x1 in more than the size of axis %d", i + 1,
                 axis + 1);
}

static hl_status concat_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_concat_attrs *a = c->attrs;
  int axis;
  HL_TRY(hl_rule_axis(c, &a->axis, &axis, e));
  hl_desc d = c->in[0];
  for (int i = 1; i < c->n_in; i++) {
    HL_TRY(check_alike(c, i, axis, e));
    d.shape.dim[axis] += c->in[i].shape.dim[axis];
  }
  return hl_rule_out(c, &d, e);
}

static hl_status split_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_split_attrs *a = c->attrs;
  int axis;
  HL_TRY(hl_rule_axis(c, &a->axis, &axis, e));
  hl_desc d = c->in[0];
  int64_t has = d.shape.dim[axis], left = has;
  for (int64_t i = 0; i < a->sizes.n; i++) {
    left -= a->sizes.v[i];
    if (left < 0) break;
    d.shape.dim[axis] = a->sizes.v[i];
    HL_TRY(hl_rule_out(c, &d, e));
  }
  if (left == 0 && a->sizes.n > 0) return HL_OK;
  return hl_fail(e, HL_ESHAPE, "the sizes must add up to the %lld elements of axis %d",
                 (long long)has, axis + 1);
}

/* Copies between one tensor and its parts. */
static void move(const hl_shape *whole, double *to_whole, const double *from_whole, int n,
                 const hl_desc *part, double *const *to_part, const double *const *from_part,
                 int axis) {
  hl_lines l = hl_lines_logical(whole, axis);
  int64_t first = 0;
  for (int i = 0; i < n; i++) {
    int64_t size = part[i].shape.dim[axis], row = size * l.inner;
    for (int64_t o = 0; o < l.outer; o++) {
      int64_t at = (o * l.size + first) * l.inner;
      if (to_whole != NULL)
        memcpy(to_whole + at, from_part[i] + o * row, (size_t)row * sizeof(double));
      else
        memcpy(to_part[i] + o * row, from_whole + at, (size_t)row * sizeof(double));
    }
    first += size;
  }
}

static hl_status concat_ref(const hl_call *c, const double *const *in, double *const *out,
                            hl_err *e) {
  (void)e;
  const hl_concat_attrs *a = c->attrs;
  move(&c->out[0].shape, out[0], NULL, c->n_in, c->in, NULL, in, (int)a->axis.v[0]);
  return HL_OK;
}

static hl_status split_ref(const hl_call *c, const double *const *in, double *const *out,
                           hl_err *e) {
  (void)e;
  const hl_split_attrs *a = c->attrs;
  move(&c->in[0].shape, NULL, in[0], c->n_out, c->out, out, NULL, (int)a->axis.v[0]);
  return HL_OK;
}

static hl_status concat_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  hl_split_attrs a;
  memset(&a, 0, sizeof a);
  a.axis = ((const hl_concat_attrs *)c->attrs)->axis;
  a.sizes.n = c->n_in;
  for (int i = 0; i < c->n_in; i++) a.sizes.v[i] = c->in[i].shape.dim[a.axis.v[0]];
  return hl_emit(v->program, &hl_op_split, &a, 1, v->dout, c->n_in, v->din, e);
}

/* Parts from which no gradient arrives count as zeros. */
static hl_status split_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  hl_concat_attrs a;
  memset(&a, 0, sizeof a);
  a.axis = ((const hl_split_attrs *)c->attrs)->axis;
  int some = 0;
  while (v->dout[some] == HL_NO_VAR) some++;
  hl_var part[HL_MAX_PARTS];
  for (int i = 0; i < c->n_out; i++) {
    part[i] = v->dout[i];
    if (part[i] == HL_NO_VAR)
      HL_TRY(hl_vjp_zeros(v, v->dout[some], &c->out[some], &c->out[i], &part[i], e));
  }
  return hl_emit(v->program, &hl_op_concat, &a, c->n_out, part, 1, v->din, e);
}

static const hl_attr concat_attrs[] = {
    {"axis", HL_A_AXES, "1", offsetof(hl_concat_attrs, axis), 0, 0, "the axis that grows"}, {0}};
static const hl_attr split_attrs[] = {
    {"axis", HL_A_AXES, "1", offsetof(hl_split_attrs, axis), 0, 0, "the axis that is cut"},
    {"sizes", HL_A_INTS, NULL, offsetof(hl_split_attrs, sizes), 1, 9007199254740992.0,
     "size of each part along the axis"},
    {0}};

static const hl_sample concat_samples[] = {
    {"channels", {"2x3x2x3x4 image", "2x1x2x3x4 image", "2x2x2x3x4 image"}, NULL},
    {"along z", {"2x3x2x3x4 image", "2x3x1x3x4 image"}, "axis=2"},
    {"samples", {"1x3x2x3x4 image", "2x3x2x3x4 image"}, "axis=0"},
    {"plain, last axis", {"4x3", "4x5"}, "axis=1"},
    {"plain, first axis", {"4x3", "1x3"}, "axis=0"},
    {"alone", {"4x3"}, "axis=0"},
    {"one element", {"1", "1"}, "axis=0"},
    {0}};
static const hl_sample split_samples[] = {{"channels", {"2x6x2x3x4 image"}, "sizes=3,1,2"},
                                          {"along z", {"2x3x3x3x4 image"}, "axis=2 sizes=2,1"},
                                          {"samples", {"3x3x2x3x4 image"}, "axis=0 sizes=1,2"},
                                          {"plain, last axis", {"4x8"}, "axis=1 sizes=3,5"},
                                          {"plain, first axis", {"5x3"}, "axis=0 sizes=4,1"},
                                          {"alone", {"4x3"}, "axis=0 sizes=4"},
                                          {0}};

const hl_op hl_op_concat = {.name = "concat",
                            .brief = "Joins tensors along an axis; they agree in all others.",
                            .math = "y = x1, then x2, … along the axis",
                            .args = "x…",
                            .min_in = 1,
                            .max_in = HL_MAX_PARTS,
                            .attr_size = sizeof(hl_concat_attrs),
                            .attrs = concat_attrs,
                            .samples = concat_samples,
                            .shape = concat_shape,
                            .ref = concat_ref,
                            .vjp = concat_vjp};

const hl_op hl_op_split = {.name = "split",
                           .brief = "Cuts a tensor along an axis into parts of given sizes.",
                           .math = "(y1, y2, …) with concat(y1, y2, …) = x",
                           .args = "x",
                           .min_in = 1,
                           .max_in = 1,
                           .attr_size = sizeof(hl_split_attrs),
                           .attrs = split_attrs,
                           .samples = split_samples,
                           .shape = split_shape,
                           .ref = split_ref,
                           .vjp = split_vjp};
