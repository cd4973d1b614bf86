#include "logical.h"

#include "affine/affine.h"
#include "broadcast/broadcast.h"

#include <string.h>

void hl_logical_strides(const hl_shape *s, int64_t stride[HL_MAX_RANK]) {
  int64_t step = 1;
  for (int i = s->rank - 1; i >= 0; i--) {
    stride[i] = step;
    step *= s->dim[i];
  }
}

void hl_logical_broadcast(const hl_shape *from, const hl_shape *to, int64_t stride[HL_MAX_RANK]) {
  int64_t own[HL_MAX_RANK];
  hl_logical_strides(from, own);
  int ahead = to->rank - from->rank;
  for (int i = 0; i < to->rank; i++)
    stride[i] = i < ahead || from->dim[i - ahead] == 1 ? 0 : own[i - ahead];
}

int64_t hl_logical_offset(const hl_shape *s, int64_t index, const int64_t stride[HL_MAX_RANK]) {
  int64_t offset = 0;
  for (int i = s->rank - 1; i >= 0; i--) {
    offset += index % s->dim[i] * stride[i];
    index /= s->dim[i];
  }
  return offset;
}

hl_status hl_shape_join(const hl_shape *a, const hl_shape *b, hl_shape *out, hl_err *e) {
  *out = (hl_shape){.rank = a->rank > b->rank ? a->rank : b->rank};
  for (int i = 1; i <= out->rank; i++) { /* from the last axis */
    int64_t p = i <= a->rank ? a->dim[a->rank - i] : 1;
    int64_t q = i <= b->rank ? b->dim[b->rank - i] : 1;
    if (p != q && p != 1 && q != 1)
      return hl_fail(e, HL_ESHAPE,
                     "the shapes do not broadcast: axis %d has size %lld on one side and %lld on "
                     "the other (axes are matched from the last one; sizes must be equal or 1)",
                     out->rank - i + 1, (long long)p, (long long)q);
    out->dim[out->rank - i] = p == 1 ? q : p;
  }
  return HL_OK;
}

hl_status hl_rule_broadcast(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  hl_desc d = {.dtype = c->in[0].dtype, .layout = c->in[0].layout, .shape = c->in[0].shape};
  for (int i = 1; i < c->n_in; i++) {
    const hl_shape so_far = d.shape;
    HL_TRY(hl_shape_join(&so_far, &c->in[i].shape, &d.shape, e));
    if (c->in[i].layout == HL_IMAGE) d.layout = HL_IMAGE;
  }
  if (d.layout == HL_IMAGE && d.shape.rank != IMAGE_AXES)
    return hl_fail(e, HL_ESHAPE, "with an image the other side has at most 5 axes, not %d",
                   d.shape.rank);
  return hl_rule_out(c, &d, e);
}

hl_status hl_shape_from(const hl_ints *list, hl_shape *out, hl_err *e) {
  if (list->n > HL_MAX_RANK)
    return hl_fail(e, HL_ESHAPE, "a shape has at most %d axes, not %lld", HL_MAX_RANK,
                   (long long)list->n);
  *out = hl_shape_make((int)list->n, list->v);
  return HL_OK;
}

hl_ints hl_shape_list(const hl_shape *s) {
  hl_ints list = {.n = s->rank};
  for (int i = 0; i < s->rank; i++) list.v[i] = s->dim[i];
  return list;
}

static bool alike(const hl_desc *a, const hl_desc *b) {
  return a->layout == b->layout && hl_shape_equal(&a->shape, &b->shape);
}

static hl_status emit_to_shape(const hl_vjp *v, const hl_op *op, hl_var x, const hl_desc *from,
                               const hl_desc *like, hl_var *out, hl_err *e) {
  *out = x;
  if (alike(from, like)) return HL_OK;
  hl_broadcast_attrs a;
  memset(&a, 0, sizeof a);
  a.shape = hl_shape_list(&like->shape);
  a.image = like->layout == HL_IMAGE;
  return hl_vjp_emit(v, op, &a, out, e, x);
}

hl_status hl_vjp_sum_to(const hl_vjp *v, hl_var x, const hl_desc *from, const hl_desc *like,
                        hl_var *out, hl_err *e) {
  return emit_to_shape(v, &hl_op_sum_to, x, from, like, out, e);
}

hl_status hl_vjp_broadcast(const hl_vjp *v, hl_var x, const hl_desc *from, const hl_desc *like,
                           hl_var *out, hl_err *e) {
  return emit_to_shape(v, &hl_op_broadcast, x, from, like, out, e);
}

hl_status hl_vjp_reshape(const hl_vjp *v, hl_var x, const hl_shape *from, const hl_shape *to,
                         hl_var *out, hl_err *e) {
  *out = x;
  if (hl_shape_equal(from, to)) return HL_OK;
  hl_ints list = hl_shape_list(to);
  return hl_vjp_emit(v, &hl_op_reshape, &list, out, e, x);
}

hl_status hl_vjp_zeros(const hl_vjp *v, hl_var any, const hl_desc *from, const hl_desc *like,
                       hl_var *out, hl_err *e) {
  const hl_desc scalar = {.dtype = from->dtype, .layout = HL_PLAIN};
  hl_affine_attrs zero;
  memset(&zero, 0, sizeof zero);
  hl_var sum, nought;
  HL_TRY(hl_vjp_sum_to(v, any, from, &scalar, &sum, e));
  HL_TRY(hl_vjp_emit(v, &hl_op_affine, &zero, &nought, e, sum));
  HL_TRY(hl_vjp_cast(v, nought, from->dtype, like->dtype, &nought, e));
  return hl_vjp_broadcast(v, nought, &scalar, like, out, e);
}
