#ifndef HILUM_OPS_REDUCE_H
#define HILUM_OPS_REDUCE_H

#include "opkit.h"

/* Of sum and mean; the first attributes of every reduction. */
typedef struct hl_reduce_attrs {
  hl_ints axes; /* none: all */
  bool keep;
} hl_reduce_attrs;

/* The output with the axes summed over kept as size 1. */
static inline hl_desc hl_reduce_kept(const hl_call *c) {
  const hl_reduce_attrs *a = (const hl_reduce_attrs *)c->attrs;
  hl_desc d = c->in[0];
  for (int i = 0; i < d.shape.rank && a->axes.n == 0; i++) d.shape.dim[i] = 1;
  for (int64_t i = 0; i < a->axes.n; i++) d.shape.dim[a->axes.v[i]] = 1;
  if (!a->keep) d.layout = HL_PLAIN;
  return d;
}

/* How many elements go into one result. */
static inline int64_t hl_reduce_count(const hl_call *c) {
  int64_t results = hl_shape_numel(&c->out[0].shape);
  return results == 0 ? 0 : hl_shape_numel(&c->in[0].shape) / results;
}

/* The shape rule of every reduction, and of those that need at least one element. */
HL_MUST_CHECK hl_status hl_reduce_shape(hl_call *c, hl_err *e);
HL_MUST_CHECK hl_status hl_reduce_some_shape(hl_call *c, hl_err *e);

/* The schema of hl_reduce_attrs. */
#define HL_REDUCE_SCHEMA                                                                           \
  {"axes", HL_A_AXES, "", offsetof(hl_reduce_attrs, axes), 0, 0, "axes to go over; none: all"}, {  \
    "keep", HL_A_BOOL, "0", offsetof(hl_reduce_attrs, keep), 0, 1,                                 \
        "keep them with size 1, and the layout"                                                    \
  }

#endif
