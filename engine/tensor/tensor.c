#include "internal.h"

#include <hilum/narrow.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Bytes that several tensors (views) may share. */
typedef struct storage {
  atomic_int refs;
  atomic_uint_fast64_t version; /* counts changes in place */
  hl_ledger *ledger;            /* NULL: the memory is somebody else's */
  hl_category category;
  bool shared; /* with forked processes */
  size_t bytes;
  void *data; /* NULL on a counting ledger */
} storage;

struct hl_tensor {
  atomic_int refs;
  storage *store;
  int64_t offset; /* of the first element, in elements */
  hl_desc desc;
  int64_t stride[HL_MAX_RANK];
};

void hl_dense_strides(const hl_desc *d, int64_t stride[HL_MAX_RANK]) {
  static const int image_order[] = {0, 2, 3, 4, 1}; /* n, z, y, x, c: slowest first */
  int64_t step = 1;
  for (int i = d->shape.rank - 1; i >= 0; i--) {
    int axis = d->layout == HL_IMAGE ? image_order[i] : i;
    stride[axis] = step;
    step *= d->shape.dim[axis] > 0 ? d->shape.dim[axis] : 1;
  }
}

/* A tensor without storage, and the storage's reference handed in. Takes over `store` on success.
 */
static hl_status wrap(hl_tensor **out, storage *store, const hl_desc *d, hl_err *e) {
  *out = hl_host_calloc(1, sizeof **out);
  if (*out == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a tensor's description");
  atomic_init(&(*out)->refs, 1);
  (*out)->store = store;
  (*out)->desc = *d;
  hl_dense_strides(d, (*out)->stride);
  return HL_OK;
}

static void storage_unref(storage *s) {
  if (atomic_fetch_sub(&s->refs, 1) != 1) return;
  if (s->shared)
    hl_mem_unshare(s->ledger, s->data, s->bytes, s->category);
  else if (s->ledger != NULL)
    hl_mem_free(s->ledger, s->data, s->bytes, s->category);
  hl_host_free(s);
}

static hl_status storage_new(storage **out, size_t bytes, hl_ledger *l, hl_category c, bool shared,
                             const char *label, hl_err *e) {
  *out = NULL;
  storage *s = hl_host_calloc(1, sizeof *s);
  if (s == NULL) return hl_fail(e, HL_ENOMEM, "no memory for %s", label);
  hl_status status = shared ? hl_mem_share(l, &s->data, bytes, c, label, e)
                            : hl_mem_alloc(l, &s->data, bytes, c, label, e);
  if (status != HL_OK) {
    hl_host_free(s);
    return status;
  }
  atomic_init(&s->refs, 1);
  s->ledger = l;
  s->category = c;
  s->shared = shared;
  s->bytes = bytes;
  *out = s;
  return HL_OK;
}

static hl_status new_tensor(hl_tensor **out, const hl_desc *d, hl_ledger *l, hl_category c,
                            bool shared, const char *label, hl_err *e) {
  *out = NULL;
  if ((unsigned)d->dtype >= HL_DTYPES) return hl_fail(e, HL_ETYPE, "no such element type");
  HL_TRY(hl_shape_check(&d->shape, d->dtype, e));
  if (d->layout == HL_IMAGE && d->shape.rank != 5)
    return hl_fail(e, HL_ESHAPE, "an image tensor has the 5 axes n, c, z, y, x, not %d",
                   d->shape.rank);
  storage *s;
  HL_TRY(storage_new(&s, hl_desc_bytes(d), l, c, shared, label, e));
  hl_status status = wrap(out, s, d, e);
  if (status != HL_OK) storage_unref(s);
  return status;
}

hl_status hl_tensor_new(hl_tensor **out, const hl_desc *d, hl_ledger *l, hl_category c,
                        const char *label, hl_err *e) {
  return new_tensor(out, d, l, c, false, label, e);
}

hl_status hl_tensor_zeros(hl_tensor **out, const hl_desc *d, hl_category c, const char *label,
                          hl_err *e) {
  HL_TRY(hl_tensor_new(out, d, hl_ledger_main(), c, label, e));
  memset((*out)->store->data, 0, (*out)->store->bytes);
  return HL_OK;
}

hl_status hl_tensor_shared(hl_tensor **out, const hl_desc *d, hl_category c, const char *label,
                           hl_err *e) {
  return new_tensor(out, d, hl_ledger_main(), c, true, label, e);
}

hl_status hl_tensor_borrow(hl_tensor **out, const hl_desc *d, void *data, hl_err *e) {
  *out = NULL;
  storage *s = hl_host_calloc(1, sizeof *s);
  if (s == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a tensor's description");
  atomic_init(&s->refs, 1);
  s->bytes = hl_desc_bytes(d);
  s->data = data;
  hl_status status = wrap(out, s, d, e);
  if (status != HL_OK) storage_unref(s);
  return status;
}

hl_tensor *hl_tensor_ref(hl_tensor *t) {
  atomic_fetch_add(&t->refs, 1);
  return t;
}

void hl_tensor_unref(hl_tensor *t) {
  if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1) return;
  storage_unref(t->store);
  hl_host_free(t);
}

void hl_tensor_rest(hl_tensor *t) {
  storage *s = t->store;
  hl_mem_free(s->ledger, s->data, s->bytes, s->category);
  s->data = NULL;
}

hl_status hl_tensor_wake(hl_tensor *t, const char *label, hl_err *e) {
  storage *s = t->store;
  return hl_mem_alloc(s->ledger, &s->data, s->bytes, s->category, label, e);
}

const hl_desc *hl_tensor_desc(const hl_tensor *t) {
  return &t->desc;
}
hl_dtype hl_tensor_dtype(const hl_tensor *t) {
  return t->desc.dtype;
}
hl_layout hl_tensor_layout(const hl_tensor *t) {
  return t->desc.layout;
}
const hl_shape *hl_tensor_shape(const hl_tensor *t) {
  return &t->desc.shape;
}
const int64_t *hl_tensor_strides(const hl_tensor *t) {
  return t->stride;
}
int64_t hl_tensor_numel(const hl_tensor *t) {
  return hl_shape_numel(&t->desc.shape);
}
size_t hl_tensor_bytes(const hl_tensor *t) {
  return hl_desc_bytes(&t->desc);
}

bool hl_tensor_is_dense(const hl_tensor *t) {
  int64_t dense[HL_MAX_RANK];
  hl_dense_strides(&t->desc, dense);
  for (int i = 0; i < t->desc.shape.rank; i++)
    if (t->desc.shape.dim[i] > 1 && t->stride[i] != dense[i]) return false;
  return true;
}

bool hl_tensor_is_sole(const hl_tensor *t) {
  return atomic_load(&t->refs) == 1 && atomic_load(&t->store->refs) == 1;
}

uint64_t hl_tensor_version(const hl_tensor *t) {
  return atomic_load_explicit(&t->store->version, memory_order_relaxed);
}

void hl_tensor_touch(hl_tensor *t) {
  atomic_fetch_add_explicit(&t->store->version, 1, memory_order_relaxed);
}

void *hl_tensor_data(const hl_tensor *t) {
  if (t->store->data == NULL) return NULL;
  return (char *)t->store->data + t->offset * (int64_t)hl_dtype_size(t->desc.dtype);
}

static void *typed(const hl_tensor *t, hl_dtype want) {
  return t->desc.dtype == want ? hl_tensor_data(t) : NULL;
}
float *hl_tensor_f32(const hl_tensor *t) {
  return typed(t, HL_F32);
}
double *hl_tensor_f64(const hl_tensor *t) {
  return typed(t, HL_F64);
}
uint16_t *hl_tensor_bf16(const hl_tensor *t) {
  return typed(t, HL_BF16);
}
int32_t *hl_tensor_i32(const hl_tensor *t) {
  return typed(t, HL_I32);
}
int16_t *hl_tensor_i16(const hl_tensor *t) {
  return typed(t, HL_I16);
}
int16_t *hl_tensor_fixed(const hl_tensor *t) {
  return hl_dtype_is_fixed(t->desc.dtype) ? hl_tensor_data(t) : NULL;
}
uint8_t *hl_tensor_u8(const hl_tensor *t) {
  return typed(t, HL_U8);
}

/* A view on t's storage under description d, dense strides; the caller adjusts offset and strides.
 */
static hl_status view(hl_tensor **out, hl_tensor *t, const hl_desc *d, hl_err *e) {
  HL_TRY(wrap(out, t->store, d, e));
  atomic_fetch_add(&t->store->refs, 1);
  (*out)->offset = t->offset;
  return HL_OK;
}

hl_status hl_tensor_slice(hl_tensor **out, hl_tensor *t, int axis, int64_t start, int64_t stop,
                          int64_t step, hl_err *e) {
  *out = NULL;
  const hl_shape *s = &t->desc.shape;
  if (axis < 0 || axis >= s->rank)
    return hl_fail(e, HL_EINVAL, "slice: no axis %d in a tensor of %d axes", axis + 1, s->rank);
  if (step < 1 || start < 0 || stop < start || stop > s->dim[axis])
    return hl_fail(e, HL_EINVAL, "slice: %lld to %lld in steps of %lld does not lie in 0 to %lld",
                   (long long)start, (long long)stop, (long long)step, (long long)s->dim[axis]);
  hl_desc d = t->desc;
  d.shape.dim[axis] = (stop - start + step - 1) / step;
  HL_TRY(view(out, t, &d, e));
  memcpy((*out)->stride, t->stride, sizeof t->stride);
  if (d.shape.dim[axis] > 0) (*out)->offset += start * t->stride[axis];
  (*out)->stride[axis] = t->stride[axis] * step;
  return HL_OK;
}

hl_status hl_tensor_select(hl_tensor **out, hl_tensor *t, int axis, int64_t index, hl_err *e) {
  *out = NULL;
  const hl_shape *s = &t->desc.shape;
  if (axis < 0 || axis >= s->rank)
    return hl_fail(e, HL_EINVAL, "select: no axis %d in a tensor of %d axes", axis + 1, s->rank);
  if (index < 0 || index >= s->dim[axis])
    return hl_fail(e, HL_EINVAL, "select: element %lld of axis %d does not lie in 0 to %lld",
                   (long long)index, axis + 1, (long long)s->dim[axis] - 1);
  hl_desc d = {.dtype = t->desc.dtype, .layout = HL_PLAIN, .shape = {.rank = s->rank - 1}};
  for (int i = 0; i < d.shape.rank; i++) d.shape.dim[i] = s->dim[i + (i >= axis)];
  HL_TRY(view(out, t, &d, e));
  for (int i = 0; i < d.shape.rank; i++) (*out)->stride[i] = t->stride[i + (i >= axis)];
  (*out)->offset += index * t->stride[axis];
  return HL_OK;
}

hl_status hl_tensor_permute(hl_tensor **out, hl_tensor *t, const int *order, hl_err *e) {
  *out = NULL;
  int rank = t->desc.shape.rank;
  unsigned seen = 0;
  for (int i = 0; i < rank; i++) {
    if (order[i] < 0 || order[i] >= rank || (seen >> order[i] & 1U) != 0)
      return hl_fail(e, HL_EINVAL, "permute: the order must name each of the %d axes once", rank);
    seen |= 1U << order[i];
  }
  hl_desc d = t->desc;
  d.layout = HL_PLAIN;
  for (int i = 0; i < rank; i++) d.shape.dim[i] = t->desc.shape.dim[order[i]];
  HL_TRY(view(out, t, &d, e));
  for (int i = 0; i < rank; i++) (*out)->stride[i] = t->stride[order[i]];
  return HL_OK;
}

hl_status hl_tensor_reshape(hl_tensor **out, hl_tensor *t, const hl_shape *s, hl_err *e) {
  *out = NULL;
  hl_desc d = {t->desc.dtype, HL_PLAIN, *s};
  HL_TRY(hl_shape_check(s, d.dtype, e));
  if (t->desc.layout != HL_PLAIN || !hl_tensor_is_dense(t))
    return hl_fail(e, HL_ETYPE, "reshape: the tensor must be dense and plain");
  if (hl_shape_numel(s) != hl_tensor_numel(t)) {
    char was[HL_DESC_TEXT], wanted[HL_DESC_TEXT];
    return hl_fail(e, HL_ESHAPE, "reshape: %s has %lld elements, %s needs %lld",
                   hl_desc_text(&t->desc, was), (long long)hl_tensor_numel(t),
                   hl_desc_text(&d, wanted), (long long)hl_shape_numel(s));
  }
  return view(out, t, &d, e);
}

hl_status hl_tensor_recast(hl_tensor **out, hl_tensor *t, const hl_desc *d, hl_err *e) {
  *out = NULL;
  if (hl_desc_bytes(d) != hl_tensor_bytes(t) || d->dtype != t->desc.dtype || !hl_tensor_is_dense(t))
    return hl_fail(e, HL_EINTERNAL, "recast: the descriptions do not fill the same storage");
  return view(out, t, d, e);
}

hl_status hl_tensor_within(hl_tensor **out, hl_tensor *base, size_t offset, const hl_desc *d,
                           hl_err *e) {
  *out = NULL;
  size_t bytes = hl_desc_bytes(d);
  if (offset % 64 != 0 || offset > base->store->bytes || bytes > base->store->bytes - offset)
    return hl_fail(e, HL_EINTERNAL, "a tensor of %zu bytes at %zu does not lie in a block of %zu",
                   bytes, offset, base->store->bytes);
  HL_TRY(view(out, base, d, e));
  (*out)->offset = (int64_t)(offset / hl_dtype_size(d->dtype));
  return HL_OK;
}
