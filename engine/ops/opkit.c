#include "opkit.h"

#include <string.h>

static bool is_kept(const hl_op *op, int i, int n_in) {
  bool last = (op->kept_f32 & HL_KEEP_LAST) != 0 && i == n_in - 1;
  return last || (i < 31 && (op->kept_f32 >> i & 1U) != 0);
}

hl_dtype hl_op_dtype(const hl_op *op, int i, int n_in, hl_dtype first) {
  return is_kept(op, i, n_in) ? hl_kept_dtype(first) : first;
}

static int leading_input(const hl_call *c) {
  int i = 0;
  while (i < c->n_in - 1 && is_kept(c->op, i, c->n_in)) i++;
  return i;
}

hl_dtype hl_call_dtype(const hl_call *c) {
  return c->in[leading_input(c)].dtype;
}

hl_status hl_rule_types(const hl_call *c, hl_err *e) {
  int lead = leading_input(c);
  hl_dtype first = c->in[lead].dtype;
  if (first != HL_F32 && first != HL_F64 && !hl_dtype_is_narrow(first))
    return hl_fail(e, HL_ETYPE, "takes f32, f64 or bf16, not %s", hl_dtype_name(first));
  for (int i = 0; i < c->n_in; i++) {
    hl_dtype has = c->in[i].dtype, want = hl_op_dtype(c->op, i, c->n_in, first);
    if (has == want) continue;
    if (c->op->mixes_narrow && hl_dtype_is_narrow(has) && hl_dtype_is_narrow(want)) continue;
    if (want == first)
      return hl_fail(e, HL_ETYPE,
                     "all inputs must have one element type, but input %d is %s and input %d is %s",
                     lead + 1, hl_dtype_name(first), i + 1, hl_dtype_name(has));
    return hl_fail(e, HL_ETYPE,
                   "input %d must be %s where input %d is %s (parameters and statistics keep their "
                   "precision), not %s",
                   i + 1, hl_dtype_name(want), lead + 1, hl_dtype_name(first), hl_dtype_name(has));
  }
  return HL_OK;
}

bool hl_call_by_slabs(const hl_call *c) {
  (void)c;
  return true;
}

static hl_status not_empty(const hl_call *c, int i, const char *name, hl_err *e) {
  const hl_shape *s = &c->in[i].shape;
  for (int k = 0; k < s->rank; k++)
    if (s->dim[k] < 1) return hl_fail(e, HL_ESHAPE, "%s is empty (axis %d)", name, k + 1);
  return HL_OK;
}

hl_status hl_rule_image(const hl_call *c, int i, const char *name, hl_err *e) {
  const hl_desc *d = &c->in[i];
  if (d->shape.rank != IMAGE_AXES)
    return hl_fail(e, HL_ESHAPE, "%s must be an image (n, c, z, y, x), but has %d axes", name,
                   d->shape.rank);
  if (d->layout != HL_IMAGE)
    return hl_fail(e, HL_ETYPE, "%s must be in image layout, not plain", name);
  return not_empty(c, i, name, e);
}

hl_status hl_rule_plain(const hl_call *c, int i, const char *name, int rank, const char *axes,
                        hl_err *e) {
  const hl_desc *d = &c->in[i];
  if (d->shape.rank != rank)
    return hl_fail(e, HL_ESHAPE, "%s must have %d %s %s, but has %d", name, rank,
                   rank == 1 ? "axis" : "axes", axes, d->shape.rank);
  if (d->layout != HL_PLAIN)
    return hl_fail(e, HL_ETYPE, "%s must be in plain layout, not an image", name);
  return not_empty(c, i, name, e);
}

hl_status hl_rule_vector(const hl_call *c, int i, const char *name, int64_t n, const char *of,
                         hl_err *e) {
  HL_TRY(hl_rule_plain(c, i, name, 1, "[C]", e));
  int64_t has = c->in[i].shape.dim[0];
  if (has != n)
    return hl_fail(e, HL_ESHAPE, "%s has %lld elements, but there are %lld %s", name,
                   (long long)has, (long long)n, of);
  return HL_OK;
}

hl_status hl_rule_is(const hl_call *c, int i, const char *name, const hl_desc *want, const char *of,
                     hl_err *e) {
  if (hl_desc_equal(&c->in[i], want)) return HL_OK;
  char has[HL_DESC_TEXT], wanted[HL_DESC_TEXT];
  return hl_fail(e, HL_ESHAPE, "%s is %s, but %s is %s", name, hl_desc_text(&c->in[i], has), of,
                 hl_desc_text(want, wanted));
}

hl_desc hl_desc_image(hl_dtype t, int64_t n, int64_t c, const int64_t zyx[3]) {
  return (hl_desc){t, HL_IMAGE, {IMAGE_AXES, {n, c, zyx[0], zyx[1], zyx[2]}}};
}

hl_desc hl_desc_plain(hl_dtype t, int rank, const int64_t *dim) {
  return (hl_desc){t, HL_PLAIN, hl_shape_make(rank, dim)};
}

hl_status hl_rule_out(hl_call *c, const hl_desc *d, hl_err *e) {
  if (c->n_out == HL_MAX_ARGS)
    return hl_fail(e, HL_EINVAL, "at most %d outputs are possible", HL_MAX_ARGS);
  c->out[c->n_out++] = *d;
  return HL_OK;
}

hl_status hl_vjp_cast(const hl_vjp *v, hl_var x, hl_dtype from, hl_dtype to, hl_var *out,
                      hl_err *e) {
  *out = x;
  if (from == to) return HL_OK;
  int64_t type = to;
  return hl_vjp_emit(v, &hl_op_cast, &type, out, e, x);
}

hl_status hl_vjp_emit_text_(const hl_vjp *v, const hl_op *op, const char *text, int n_in,
                            const hl_var *in, hl_var *out, hl_err *e) {
  union {
    max_align_t align;
    unsigned char bytes[512];
  } attrs;
  if (op->attr_size > sizeof attrs)
    return hl_fail(e, HL_EINTERNAL, "%s: attributes of %zu bytes", op->name, op->attr_size);
  memset(&attrs, 0, sizeof attrs);
  HL_TRY(hl_attrs_parse(op, text, &attrs, e));
  return hl_emit(v->program, op, &attrs, n_in, in, 1, out, e);
}
