/* Tensors: a counted reference to storage, an element type, a shape and strides.
 *
 * Two dense layouts. HL_PLAIN: row-major, any rank. HL_IMAGE: rank 5, logical axes (n, c, z, y, x),
 * in memory n, z, y, x, c (channels last). A 2-D image has z = 1, a 1-D image z = y = 1. Kernels
 * take dense tensors only; views (slices, permutations) may be strided and are made dense by
 * hl_tensor_dense. */
#ifndef HILUM_TENSOR_H
#define HILUM_TENSOR_H

#include <hilum/ledger.h>
#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HL_MAX_RANK 8

typedef enum hl_dtype {
  HL_F32,
  HL_F64,
  HL_BF16,
  HL_I32,
  HL_I16,
  HL_U8,
  HL_Q10, /* fixed point: hilum/narrow.h */
  HL_Q9,
  HL_Q8,
  HL_Q7,
  HL_DTYPES
} hl_dtype;
typedef enum hl_layout { HL_PLAIN, HL_IMAGE } hl_layout;

typedef struct hl_shape {
  int rank;
  int64_t dim[HL_MAX_RANK];
} hl_shape;

/* What a tensor is, without its values: all that shape rules and plans need. */
typedef struct hl_desc {
  hl_dtype dtype;
  hl_layout layout;
  hl_shape shape;
} hl_desc;

typedef struct hl_tensor hl_tensor;

size_t hl_dtype_size(hl_dtype t);
const char *hl_dtype_name(hl_dtype t); /* "f32", "bf16", "q10", … */
/* HL_DTYPES if there is no such type. */
hl_dtype hl_dtype_by_name(const char *name);

hl_shape hl_shape_make(int rank, const int64_t *dim);
bool hl_shape_equal(const hl_shape *a, const hl_shape *b);
int64_t hl_shape_numel(const hl_shape *s);
/* Rank in range, no negative dimension, number of bytes fits: otherwise HL_ESHAPE. */
HL_MUST_CHECK hl_status hl_shape_check(const hl_shape *s, hl_dtype t, hl_err *e);
bool hl_desc_equal(const hl_desc *a, const hl_desc *b);
size_t hl_desc_bytes(const hl_desc *d);

#define HL_DESC_TEXT 160
/* "f32[2,64,48,96,96]"; image layout is shown as "f32{n2 c64 z48 y96 x96}". Returns buf. */
const char *hl_desc_text(const hl_desc *d, char buf[HL_DESC_TEXT]);

/* A new dense tensor, values not initialised. `label` names it in the ledger's messages. */
HL_MUST_CHECK hl_status hl_tensor_new(hl_tensor **out, const hl_desc *d, hl_ledger *l,
                                      hl_category c, const char *label, hl_err *e);
/* The same on the main ledger, filled with zeros. */
HL_MUST_CHECK hl_status hl_tensor_zeros(hl_tensor **out, const hl_desc *d, hl_category c,
                                        const char *label, hl_err *e);
/* The same in memory that is shared with processes forked from now on (hilum/ledger.h). */
HL_MUST_CHECK hl_status hl_tensor_shared(hl_tensor **out, const hl_desc *d, hl_category c,
                                         const char *label, hl_err *e);
/* A dense tensor over memory that somebody else owns and that outlives it: scratch. */
HL_MUST_CHECK hl_status hl_tensor_borrow(hl_tensor **out, const hl_desc *d, void *data, hl_err *e);
hl_tensor *hl_tensor_ref(hl_tensor *t); /* returns t */
void hl_tensor_unref(hl_tensor *t);     /* NULL is allowed */

const hl_desc *hl_tensor_desc(const hl_tensor *t);
hl_dtype hl_tensor_dtype(const hl_tensor *t);
hl_layout hl_tensor_layout(const hl_tensor *t);
const hl_shape *hl_tensor_shape(const hl_tensor *t);
/* Strides in elements, in logical axis order. */
const int64_t *hl_tensor_strides(const hl_tensor *t);
int64_t hl_tensor_numel(const hl_tensor *t);
/* Bytes of the elements (not of a shared storage). */
size_t hl_tensor_bytes(const hl_tensor *t);
/* True if elements lie without gaps in the order of the tensor's layout. */
bool hl_tensor_is_dense(const hl_tensor *t);
/* True if nobody else refers to the tensor or its storage. */
bool hl_tensor_is_sole(const hl_tensor *t);
/* First element; NULL on a counting ledger. The typed forms return NULL if the type differs. */
void *hl_tensor_data(const hl_tensor *t);
float *hl_tensor_f32(const hl_tensor *t);
double *hl_tensor_f64(const hl_tensor *t);
uint16_t *hl_tensor_bf16(const hl_tensor *t); /* bits: hilum/bf16.h */
int32_t *hl_tensor_i32(const hl_tensor *t);
int16_t *hl_tensor_i16(const hl_tensor *t);
int16_t *hl_tensor_fixed(const hl_tensor *t); /* of any fixed-point type: hilum/narrow.h */
uint8_t *hl_tensor_u8(const hl_tensor *t);

/* Views share storage with `t`. */
HL_MUST_CHECK hl_status hl_tensor_slice(hl_tensor **out, hl_tensor *t, int axis, int64_t start,
                                        int64_t stop, int64_t step, hl_err *e);
HL_MUST_CHECK hl_status hl_tensor_permute(hl_tensor **out, hl_tensor *t, const int *order,
                                          hl_err *e);
/* Element `index` of an axis, which leaves the shape; the result is plain. */
HL_MUST_CHECK hl_status hl_tensor_select(hl_tensor **out, hl_tensor *t, int axis, int64_t index,
                                         hl_err *e);
/* Same elements in row-major order under another shape; `t` must be dense and plain. */
HL_MUST_CHECK hl_status hl_tensor_reshape(hl_tensor **out, hl_tensor *t, const hl_shape *s,
                                          hl_err *e);
/* The same storage described by `d` (equal bytes, dense): what an in-place op returns. */
HL_MUST_CHECK hl_status hl_tensor_recast(hl_tensor **out, hl_tensor *t, const hl_desc *d,
                                         hl_err *e);

/* A dense tensor inside the storage of `base`, from byte `offset` on (a multiple of 64): how a
 * program deals out one block to many values. */
HL_MUST_CHECK hl_status hl_tensor_within(hl_tensor **out, hl_tensor *base, size_t offset,
                                         const hl_desc *d, hl_err *e);

/* Gives the memory behind t back to the ledger, and takes as much anew, not initialised. Between
 * the two, t and all views of its storage describe what has no data: so a program keeps the
 * description of its values from run to run, but not their bytes. */
void hl_tensor_rest(hl_tensor *t);
HL_MUST_CHECK hl_status hl_tensor_wake(hl_tensor *t, const char *label, hl_err *e);

/* A number that grows whenever elements of the tensor's storage are changed in place by
 * hl_tensor_set, fill, copy or an updating op; whoever changes them through a pointer says so by
 * hl_tensor_touch. Tapes notice by it that a value they need is gone. */
uint64_t hl_tensor_version(const hl_tensor *t);
void hl_tensor_touch(hl_tensor *t);

/* Copies values between tensors of one shape, converting type and layout: to integers by rounding
 * to nearest, ties to even, saturating. Any strides; the two may be views of one storage. */
HL_MUST_CHECK hl_status hl_tensor_copy(hl_tensor *dst, const hl_tensor *src, hl_err *e);
/* A dense tensor with the given type and layout: `t` itself (referenced) if it already is one. */
HL_MUST_CHECK hl_status hl_tensor_dense(hl_tensor **out, hl_tensor *t, hl_dtype dtype,
                                        hl_layout layout, hl_err *e);

/* One element by logical index, converted to or from f64. Slow; for the prompt and for tests. */
HL_MUST_CHECK hl_status hl_tensor_get(const hl_tensor *t, const int64_t *index, double *out,
                                      hl_err *e);
HL_MUST_CHECK hl_status hl_tensor_set(hl_tensor *t, const int64_t *index, double value, hl_err *e);
HL_MUST_CHECK hl_status hl_tensor_fill(hl_tensor *t, double value, hl_err *e);

typedef struct hl_stats {
  double min, max, mean;
  int64_t nan, infinite; /* neither counts into min, max, mean */
} hl_stats;
HL_MUST_CHECK hl_status hl_tensor_stats(const hl_tensor *t, hl_stats *out, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
