#include "internal.h"

#include <hilum/bf16.h>
#include <hilum/narrow.h>
#include <hilum/parallel.h>

#include <math.h>
#include <string.h>

static double saturated(double value, double low, double high) {
  if (isnan(value)) return 0;
  value = nearbyint(value);
  return value < low ? low : value > high ? high : value;
}

static double load(const char *data, hl_dtype t, int64_t i) {
  switch (t) {
  case HL_F32:
    return ((const float *)data)[i];
  case HL_F64:
    return ((const double *)data)[i];
  case HL_BF16:
    return (double)hl_bf16_widen(((const uint16_t *)data)[i]);
  case HL_I32:
    return ((const int32_t *)data)[i];
  case HL_I16:
    return ((const int16_t *)data)[i];
  case HL_U8:
    return ((const uint8_t *)data)[i];
  case HL_Q10:
  case HL_Q9:
  case HL_Q8:
  case HL_Q7:
    return ldexp(((const int16_t *)data)[i], -hl_dtype_fraction(t));
  case HL_DTYPES:
    break;
  }
  return NAN;
}

static void save(char *data, hl_dtype t, int64_t i, double v) {
  switch (t) {
  case HL_F32:
    ((float *)data)[i] = (float)v;
    break;
  case HL_F64:
    ((double *)data)[i] = v;
    break;
  case HL_BF16:
    ((uint16_t *)data)[i] = hl_bf16_round((float)v);
    break;
  case HL_I32:
    ((int32_t *)data)[i] = (int32_t)saturated(v, INT32_MIN, INT32_MAX);
    break;
  case HL_I16:
    ((int16_t *)data)[i] = (int16_t)saturated(v, INT16_MIN, INT16_MAX);
    break;
  case HL_U8:
    ((uint8_t *)data)[i] = (uint8_t)saturated(v, 0, UINT8_MAX);
    break;
  case HL_Q10:
  case HL_Q9:
  case HL_Q8:
  case HL_Q7:
    hl_narrow_round(t, (int16_t *)data + i, &(float){(float)v}, 1);
    break;
  case HL_DTYPES:
    break;
  }
}

typedef struct copy_job copy_job;

/* n elements that lie `ds` and `ss` apart. */
typedef void (*row_body)(const copy_job *j, char *dst, int64_t ds, const char *src, int64_t ss,
                         int64_t n);

#define ROW(NAME, TO, FROM, CONVERT)                                                               \
  static void NAME(const copy_job *j, char *dst, int64_t ds, const char *src, int64_t ss,          \
                   int64_t n) {                                                                    \
    (void)j;                                                                                       \
    TO *to = (TO *)(void *)dst;                                                                    \
    const FROM *from = (const FROM *)(const void *)src;                                            \
    if (ds == 1 && ss == 1)                                                                        \
      for (int64_t i = 0; i < n; i++) to[i] = CONVERT(from[i]);                                    \
    else                                                                                           \
      for (int64_t i = 0; i < n; i++) to[i * ds] = CONVERT(from[i * ss]);                          \
  }
ROW(row_f32, float, float, )
ROW(row_half, uint16_t, uint16_t, )
ROW(row_widen, float, uint16_t, hl_bf16_widen)
ROW(row_round, uint16_t, float, hl_bf16_round)
ROW(row_mask, float, uint8_t, )

struct copy_job {
  char *dst;
  const char *src;
  hl_dtype dst_type, src_type;
  row_body row; /* NULL: element by element through f64 */
  hl_shape shape;
  int64_t dst_stride[HL_MAX_RANK], src_stride[HL_MAX_RANK];
};

/* Where fixed point is involved: through f32, a block at a time. */
static void row_fixed(const copy_job *j, char *dst, int64_t ds, const char *src, int64_t ss,
                      int64_t n) {
  enum { BLOCK = 1024 };
  float wide[BLOCK];
  uint16_t half[BLOCK];
  for (int64_t at = 0; at < n; at += BLOCK) {
    int64_t m = n - at < BLOCK ? n - at : BLOCK;
    const char *from = src + at * ss * (int64_t)hl_dtype_size(j->src_type);
    char *to = dst + at * ds * (int64_t)hl_dtype_size(j->dst_type);
    if (j->src_type == HL_F32) {
      row_f32(j, (char *)wide, 1, from, ss, m);
    } else {
      if (ss != 1) row_half(j, (char *)half, 1, from, ss, m);
      hl_narrow_widen(j->src_type, wide, ss == 1 ? (const void *)from : half, m);
    }
    if (j->dst_type == HL_F32) {
      row_f32(j, to, ds, (const char *)wide, 1, m);
    } else {
      hl_narrow_round(j->dst_type, ds == 1 ? (void *)to : half, wide, m);
      if (ds != 1) row_half(j, to, ds, (const char *)half, 1, m);
    }
  }
}

static bool in_networks(hl_dtype t) {
  return t == HL_F32 || hl_dtype_is_narrow(t);
}

/* The loop of two types that networks compute in, and of masks on their way there; NULL for others.
 */
static row_body row_of(hl_dtype to, hl_dtype from) {
  if (to == HL_F32 && from == HL_U8) return row_mask;
  if (!in_networks(to) || !in_networks(from)) return NULL;
  if (to == from) return to == HL_F32 ? row_f32 : row_half;
  if (hl_dtype_is_fixed(to) || hl_dtype_is_fixed(from)) return row_fixed;
  return to == HL_F32 ? row_widen : row_round;
}

/* Puts the axes in the order of the target's memory, so that rows are long where it is written. */
static void sort_axes(copy_job *j) {
  for (int i = 1; i < j->shape.rank; i++)
    for (int k = i; k > 0 && j->dst_stride[k] > j->dst_stride[k - 1]; k--) {
      int64_t size = j->shape.dim[k], to = j->dst_stride[k], from = j->src_stride[k];
      j->shape.dim[k] = j->shape.dim[k - 1];
      j->dst_stride[k] = j->dst_stride[k - 1];
      j->src_stride[k] = j->src_stride[k - 1];
      j->shape.dim[k - 1] = size;
      j->dst_stride[k - 1] = to;
      j->src_stride[k - 1] = from;
    }
}

/* Element offsets of row number `row`, a row being all of the last axis. */
static void row_start(const copy_job *j, int64_t row, int64_t *dst, int64_t *src) {
  *dst = *src = 0;
  for (int axis = j->shape.rank - 2; axis >= 0; axis--) {
    int64_t i = row % j->shape.dim[axis];
    row /= j->shape.dim[axis];
    *dst += i * j->dst_stride[axis];
    *src += i * j->src_stride[axis];
  }
}

static void copy_rows(int64_t begin, int64_t end, void *ctx) {
  const copy_job *j = ctx;
  int last = j->shape.rank - 1;
  int64_t n = j->shape.dim[last], ds = j->dst_stride[last], ss = j->src_stride[last];
  int64_t dst_size = (int64_t)hl_dtype_size(j->dst_type);
  int64_t src_size = (int64_t)hl_dtype_size(j->src_type);
  for (int64_t row = begin; row < end; row++) {
    int64_t d, s;
    row_start(j, row, &d, &s);
    if (j->row != NULL)
      j->row(j, j->dst + d * dst_size, ds, j->src + s * src_size, ss, n);
    else
      for (int64_t i = 0; i < n; i++)
        save(j->dst, j->dst_type, d + i * ds, load(j->src, j->src_type, s + i * ss));
  }
}

/* Elements in the order of both memories. */
static void copy_stretch(int64_t begin, int64_t end, void *ctx) {
  const copy_job *j = ctx;
  j->row(j, j->dst + begin * (int64_t)hl_dtype_size(j->dst_type), 1,
         j->src + begin * (int64_t)hl_dtype_size(j->src_type), 1, end - begin);
}

/* The address behind the last element of a tensor that is not empty. */
static const char *end_of(const hl_tensor *t) {
  const hl_shape *s = hl_tensor_shape(t);
  int64_t last = 0;
  for (int i = 0; i < s->rank; i++) last += (s->dim[i] - 1) * hl_tensor_strides(t)[i];
  return (const char *)hl_tensor_data(t) + (last + 1) * (int64_t)hl_dtype_size(hl_tensor_dtype(t));
}

static bool may_overlap(const hl_tensor *a, const hl_tensor *b) {
  return (const char *)hl_tensor_data(a) < end_of(b) && (const char *)hl_tensor_data(b) < end_of(a);
}

/* The source may overlap the target: it is copied aside first. */
static hl_status copy_aside(hl_tensor *dst, const hl_tensor *src, hl_err *e) {
  hl_tensor *aside;
  HL_TRY(hl_tensor_new(&aside, hl_tensor_desc(src), hl_ledger_main(), HL_MEM_WORKSPACE,
                       "a copy of overlapping values", e));
  hl_status s = hl_tensor_copy(aside, src, e);
  if (s == HL_OK) s = hl_tensor_copy(dst, aside, e);
  hl_tensor_unref(aside);
  return s;
}

hl_status hl_tensor_copy(hl_tensor *dst, const hl_tensor *src, hl_err *e) {
  enum { GRAIN = 65536 };
  const hl_desc *a = hl_tensor_desc(dst), *b = hl_tensor_desc(src);
  if (!hl_shape_equal(&a->shape, &b->shape)) {
    char ta[HL_DESC_TEXT], tb[HL_DESC_TEXT];
    return hl_fail(e, HL_ESHAPE, "copy: %s does not fit into %s", hl_desc_text(b, tb),
                   hl_desc_text(a, ta));
  }
  char *to = hl_tensor_data(dst);
  const char *from = hl_tensor_data(src);
  int64_t n = hl_tensor_numel(dst);
  if (to == NULL || from == NULL || n == 0) return HL_OK;
  hl_tensor_touch(dst);
  if (a->shape.rank == 0) {
    save(to, a->dtype, 0, load(from, b->dtype, 0));
    return HL_OK;
  }
  if (hl_desc_equal(a, b) && hl_tensor_is_dense(dst) && hl_tensor_is_dense(src)) {
    memmove(to, from, hl_tensor_bytes(dst));
    return HL_OK;
  }
  if (may_overlap(dst, src)) return copy_aside(dst, src, e);
  copy_job j = {.dst = to,
                .src = from,
                .dst_type = a->dtype,
                .src_type = b->dtype,
                .row = row_of(a->dtype, b->dtype),
                .shape = a->shape};
  if (j.row != NULL && a->layout == b->layout && hl_tensor_is_dense(dst) &&
      hl_tensor_is_dense(src)) {
    hl_parallel_for(n, GRAIN, copy_stretch, &j);
    return HL_OK;
  }
  memcpy(j.dst_stride, hl_tensor_strides(dst), sizeof j.dst_stride);
  memcpy(j.src_stride, hl_tensor_strides(src), sizeof j.src_stride);
  sort_axes(&j);
  int64_t width = j.shape.dim[j.shape.rank - 1];
  hl_parallel_for(n / width, 1 + GRAIN / width, copy_rows, &j);
  return HL_OK;
}

hl_status hl_tensor_dense(hl_tensor **out, hl_tensor *t, hl_dtype dtype, hl_layout layout,
                          hl_err *e) {
  *out = NULL;
  hl_desc d = *hl_tensor_desc(t);
  d.dtype = dtype;
  d.layout = layout;
  if (hl_desc_equal(&d, hl_tensor_desc(t)) && hl_tensor_is_dense(t)) {
    *out = hl_tensor_ref(t);
    return HL_OK;
  }
  hl_tensor *copy;
  HL_TRY(hl_tensor_new(&copy, &d, hl_ledger_main(), HL_MEM_DATA, "a copy of a tensor", e));
  hl_status s = hl_tensor_copy(copy, t, e);
  if (s == HL_OK)
    *out = copy;
  else
    hl_tensor_unref(copy);
  return s;
}

static hl_status element(const hl_tensor *t, const int64_t *index, int64_t *offset, hl_err *e) {
  const hl_shape *s = hl_tensor_shape(t);
  const int64_t *stride = hl_tensor_strides(t);
  *offset = 0;
  for (int i = 0; i < s->rank; i++) {
    if (index[i] < 0 || index[i] >= s->dim[i])
      return hl_fail(e, HL_EINVAL, "index %lld of axis %d lies outside 0 to %lld",
                     (long long)index[i], i + 1, (long long)s->dim[i] - 1);
    *offset += index[i] * stride[i];
  }
  return HL_OK;
}

hl_status hl_tensor_get(const hl_tensor *t, const int64_t *index, double *out, hl_err *e) {
  int64_t offset;
  HL_TRY(element(t, index, &offset, e));
  *out = load(hl_tensor_data(t), hl_tensor_dtype(t), offset);
  return HL_OK;
}

hl_status hl_tensor_set(hl_tensor *t, const int64_t *index, double value, hl_err *e) {
  int64_t offset;
  HL_TRY(element(t, index, &offset, e));
  save(hl_tensor_data(t), hl_tensor_dtype(t), offset, value);
  hl_tensor_touch(t);
  return HL_OK;
}

/* Calls visit(data, type, offset, ctx) for every element, whatever the strides. */
static void each_element(const hl_tensor *t,
                         void (*visit)(char *data, hl_dtype type, int64_t offset, void *ctx),
                         void *ctx) {
  const hl_shape *s = hl_tensor_shape(t);
  const int64_t *stride = hl_tensor_strides(t);
  int64_t index[HL_MAX_RANK] = {0}, offset = 0, n = hl_tensor_numel(t);
  for (int64_t i = 0; i < n; i++) {
    visit(hl_tensor_data(t), hl_tensor_dtype(t), offset, ctx);
    for (int axis = s->rank - 1; axis >= 0; axis--) {
      offset += stride[axis];
      if (++index[axis] < s->dim[axis]) break;
      offset -= index[axis] * stride[axis];
      index[axis] = 0;
    }
  }
}

static void fill_one(char *data, hl_dtype type, int64_t offset, void *ctx) {
  save(data, type, offset, *(const double *)ctx);
}

hl_status hl_tensor_fill(hl_tensor *t, double value, hl_err *e) {
  (void)e;
  each_element(t, fill_one, &value);
  hl_tensor_touch(t);
  return HL_OK;
}

typedef struct stats_sum {
  hl_stats stats;
  double sum;
  int64_t n;
} stats_sum;

static void stats_one(char *data, hl_dtype type, int64_t offset, void *ctx) {
  stats_sum *s = ctx;
  double v = load(data, type, offset);
  if (isnan(v)) {
    s->stats.nan++;
  } else if (isinf(v)) {
    s->stats.infinite++;
  } else {
    if (s->n == 0 || v < s->stats.min) s->stats.min = v;
    if (s->n == 0 || v > s->stats.max) s->stats.max = v;
    s->sum += v;
    s->n++;
  }
}

hl_status hl_tensor_stats(const hl_tensor *t, hl_stats *out, hl_err *e) {
  (void)e;
  stats_sum s = {.stats = {NAN, NAN, NAN, 0, 0}};
  each_element(t, stats_one, &s);
  *out = s.stats;
  if (s.n > 0) out->mean = s.sum / (double)s.n;
  return HL_OK;
}
