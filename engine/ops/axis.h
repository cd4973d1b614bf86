/* Tensors seen along one axis. Private to engine/ops. */
#ifndef HILUM_OPS_AXIS_H
#define HILUM_OPS_AXIS_H

#include "opkit.h"

/* Element i of line (o, k), o < outer, k < inner, lies at (o*size + i)*inner + k. */
typedef struct hl_lines {
  int64_t outer, size, inner;
} hl_lines;

/* Of a row-major array, and of a dense tensor in its memory. */
hl_lines hl_lines_logical(const hl_shape *s, int axis);
hl_lines hl_lines_memory(const hl_desc *d, int axis);

/* The one axis that an attribute names; input 0 must have it. */
HL_MUST_CHECK hl_status hl_rule_axis(const hl_call *c, const hl_ints *list, int *axis, hl_err *e);

/* For hl_op.by_slabs of an op whose attributes begin with its axis: along the channels. */
bool hl_axis_is_channels(const hl_call *c);

#endif
