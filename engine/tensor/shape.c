#include <hilum/tensor.h>

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  size_t size;
} dtypes[HL_DTYPES] = {
    [HL_F32] = {"f32", 4}, [HL_F64] = {"f64", 8}, [HL_BF16] = {"bf16", 2}, [HL_I32] = {"i32", 4},
    [HL_I16] = {"i16", 2}, [HL_U8] = {"u8", 1},   [HL_Q10] = {"q10", 2},   [HL_Q9] = {"q9", 2},
    [HL_Q8] = {"q8", 2},   [HL_Q7] = {"q7", 2},
};

size_t hl_dtype_size(hl_dtype t) {
  return dtypes[t].size;
}
const char *hl_dtype_name(hl_dtype t) {
  return (unsigned)t < HL_DTYPES ? dtypes[t].name : "?";
}

hl_dtype hl_dtype_by_name(const char *name) {
  int t = 0;
  while (t < HL_DTYPES && strcmp(dtypes[t].name, name) != 0) t++;
  return (hl_dtype)t;
}

hl_shape hl_shape_make(int rank, const int64_t *dim) {
  hl_shape s = {.rank = rank};
  for (int i = 0; i < rank && i < HL_MAX_RANK; i++) s.dim[i] = dim[i];
  return s;
}

bool hl_shape_equal(const hl_shape *a, const hl_shape *b) {
  return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

int64_t hl_shape_numel(const hl_shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->rank; i++) n *= s->dim[i];
  return n;
}

hl_status hl_shape_check(const hl_shape *s, hl_dtype t, hl_err *e) {
  if (s->rank < 0 || s->rank > HL_MAX_RANK)
    return hl_fail(e, HL_ESHAPE, "a tensor has 0 to %d axes, not %d", HL_MAX_RANK, s->rank);
  int64_t bytes = (int64_t)hl_dtype_size(t);
  for (int i = 0; i < s->rank; i++) {
    if (s->dim[i] < 0)
      return hl_fail(e, HL_ESHAPE, "axis %d has the negative size %lld", i + 1,
                     (long long)s->dim[i]);
    if (s->dim[i] > 0 && bytes > INT64_MAX / s->dim[i])
      return hl_fail(e, HL_ESHAPE,
                     "a tensor of this shape would not fit into any memory (axis %d: %lld)", i + 1,
                     (long long)s->dim[i]);
    bytes *= s->dim[i] > 0 ? s->dim[i] : 1;
  }
  return HL_OK;
}

bool hl_desc_equal(const hl_desc *a, const hl_desc *b) {
  return a->dtype == b->dtype && a->layout == b->layout && hl_shape_equal(&a->shape, &b->shape);
}

size_t hl_desc_bytes(const hl_desc *d) {
  return (size_t)hl_shape_numel(&d->shape) * hl_dtype_size(d->dtype);
}

const char *hl_desc_text(const hl_desc *d, char buf[HL_DESC_TEXT]) {
  static const char *const axes[] = {"n", "c", "z", "y", "x"};
  bool image = d->layout == HL_IMAGE && d->shape.rank == 5;
  size_t used = 0;
  int n = snprintf(buf, HL_DESC_TEXT, "%s%s", hl_dtype_name(d->dtype), image ? "{" : "[");
  for (int i = 0; i < d->shape.rank && n >= 0 && used + (size_t)n < HL_DESC_TEXT; i++) {
    used += (size_t)n;
    n = snprintf(buf + used, HL_DESC_TEXT - used, "%s%s%lld",
                 i == 0  ? ""
                 : image ? " "
                         : ",",
                 image ? axes[i] : "", (long long)d->shape.dim[i]);
  }
  if (n >= 0) used += (size_t)n;
  if (used < HL_DESC_TEXT) snprintf(buf + used, HL_DESC_TEXT - used, "%s", image ? "}" : "]");
  return buf;
}
