/* Shapes seen logically (row-major, whatever lies in memory): numpy's broadcasting, and the helpers
 * of shape rules, references and gradient rules that follow from it. Private to engine/ops. */
#ifndef HILUM_OPS_LOGICAL_H
#define HILUM_OPS_LOGICAL_H

#include "opkit.h"

/* Row-major strides of a shape, in elements. */
void hl_logical_strides(const hl_shape *s, int64_t stride[HL_MAX_RANK]);

/* Strides with which `from`, aligned at its last axis, is read under the axes of `to`: 0 where it
 * is repeated. `from` broadcasts to `to`. */
void hl_logical_broadcast(const hl_shape *from, const hl_shape *to, int64_t stride[HL_MAX_RANK]);

/* Element `index` of a walk through `s` in row-major order, found again under other strides. */
int64_t hl_logical_offset(const hl_shape *s, int64_t index, const int64_t stride[HL_MAX_RANK]);

/* The common shape of two under numpy's rules; HL_ESHAPE names the axis that does not fit. */
HL_MUST_CHECK hl_status hl_shape_join(const hl_shape *a, const hl_shape *b, hl_shape *out,
                                      hl_err *e);

/* The result of broadcasting all inputs: an image if one of them is. Appends it as an output. */
HL_MUST_CHECK hl_status hl_rule_broadcast(hl_call *c, hl_err *e);

/* A shape given as an attribute. */
HL_MUST_CHECK hl_status hl_shape_from(const hl_ints *list, hl_shape *out, hl_err *e);
hl_ints hl_shape_list(const hl_shape *s);

/* x, described by `from`, summed or repeated to the shape and layout of `like`; x itself if it is
 * so already. */
HL_MUST_CHECK hl_status hl_vjp_sum_to(const hl_vjp *v, hl_var x, const hl_desc *from,
                                      const hl_desc *like, hl_var *out, hl_err *e);
HL_MUST_CHECK hl_status hl_vjp_broadcast(const hl_vjp *v, hl_var x, const hl_desc *from,
                                         const hl_desc *like, hl_var *out, hl_err *e);

/* The plain value x under another shape; x itself if it has that shape. */
HL_MUST_CHECK hl_status hl_vjp_reshape(const hl_vjp *v, hl_var x, const hl_shape *from,
                                       const hl_shape *to, hl_var *out, hl_err *e);

/* Zeros described by `like`. `any` is an existing value of the same element type, described by
 * `from` and read in full: a small one is cheapest. */
HL_MUST_CHECK hl_status hl_vjp_zeros(const hl_vjp *v, hl_var any, const hl_desc *from,
                                     const hl_desc *like, hl_var *out, hl_err *e);

#endif
