/* What op definitions share: checks for shape rules, descriptions of outputs, emission of gradient
 * rules. Private to engine/ops. Messages name the input; hl_call_shape puts the op's name before
 * them and all input shapes behind. */
#ifndef HILUM_OPKIT_H
#define HILUM_OPKIT_H

#include <hilum/narrow.h>
#include <hilum/op.h>

/* Every op of the table by its name: hl_op_conv, hl_op_sum, … */
#define X(name, folder) extern const hl_op hl_op_##name;
#include "ops.def"
#undef X

/* Logical axes of an image. */
enum { AXIS_N, AXIS_C, AXIS_Z, AXIS_Y, AXIS_X, IMAGE_AXES };

/* ---- checks: input i, called `name` in messages ---- */

/* All inputs have one element type, f32, f64, bf16 or fixed point; beside narrow ones those that
 * the op keeps in f32 are f32. */
HL_MUST_CHECK hl_status hl_rule_types(const hl_call *c, hl_err *e);
/* An image (rank 5, image layout) that is not empty. */
HL_MUST_CHECK hl_status hl_rule_image(const hl_call *c, int i, const char *name, hl_err *e);
/* Plain layout with `rank` axes, not empty. `axes` spells them out in the message: "[O,I,z,y,x]".
 */
HL_MUST_CHECK hl_status hl_rule_plain(const hl_call *c, int i, const char *name, int rank,
                                      const char *axes, hl_err *e);
/* A plain vector of n numbers; `of` says whose: "channels of x". */
HL_MUST_CHECK hl_status hl_rule_vector(const hl_call *c, int i, const char *name, int64_t n,
                                       const char *of, hl_err *e);
/* Exactly the description `want`, which is that of `of`: "the output". */
HL_MUST_CHECK hl_status hl_rule_is(const hl_call *c, int i, const char *name, const hl_desc *want,
                                   const char *of, hl_err *e);

/* ---- descriptions ---- */

/* What is kept beside tensors of type t: f32 beside narrow ones, else t. */
static inline hl_dtype hl_kept_dtype(hl_dtype t) {
  return hl_dtype_is_narrow(t) ? HL_F32 : t;
}
/* The element type of a call: that of its first input that is not kept in f32. */
hl_dtype hl_call_dtype(const hl_call *c);

hl_desc hl_desc_image(hl_dtype t, int64_t n, int64_t c, const int64_t zyx[3]);
hl_desc hl_desc_plain(hl_dtype t, int rank, const int64_t *dim);
/* Appends an output. */
HL_MUST_CHECK hl_status hl_rule_out(hl_call *c, const hl_desc *d, hl_err *e);

static inline int64_t hl_image_voxels(const hl_desc *d) {
  return d->shape.dim[AXIS_Z] * d->shape.dim[AXIS_Y] * d->shape.dim[AXIS_X];
}

/* Positions of a window that slides over one axis: (size + 2·padding − kernel) / stride + 1,
 * rounded down; at most 0 if the window does not fit. */
static inline int64_t hl_window_count(int64_t size, int64_t kernel, int64_t stride,
                                      int64_t padding) {
  int64_t room = size + 2 * padding - kernel;
  return room < 0 ? 0 : room / stride + 1;
}

/* For hl_op.by_slabs: every call may be cut. */
bool hl_call_by_slabs(const hl_call *c);

/* ---- gradient rules ---- */

/* Emits an op with one output: hl_vjp_emit(v, &hl_op_mul, NULL, &out, e, a, b). `attrs` points to
 * the op's attribute struct or is NULL for the defaults. */
#define hl_vjp_emit(v, op, attrs, out, e, ...)                                                     \
  hl_emit((v)->program, (op), (attrs), (int)(sizeof((hl_var[]){__VA_ARGS__}) / sizeof(hl_var)),    \
          (hl_var[]){__VA_ARGS__}, 1, (out), (e))
/* The same for an op of another folder, whose attributes are given as text: "axes=0,2,3,4". */
#define hl_vjp_emit_text(v, op, text, out, e, ...)                                                 \
  hl_vjp_emit_text_((v), (op), (text), (int)(sizeof((hl_var[]){__VA_ARGS__}) / sizeof(hl_var)),    \
                    (hl_var[]){__VA_ARGS__}, (out), (e))
/* x as element type `to`, which it may already have. */
HL_MUST_CHECK hl_status hl_vjp_cast(const hl_vjp *v, hl_var x, hl_dtype from, hl_dtype to,
                                    hl_var *out, hl_err *e);
HL_MUST_CHECK hl_status hl_vjp_emit_text_(const hl_vjp *v, const hl_op *op, const char *text,
                                          int n_in, const hl_var *in, hl_var *out, hl_err *e);

#endif
