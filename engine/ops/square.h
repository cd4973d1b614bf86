/* Stacks of free square matrices. Private to engine/ops. */
#ifndef HILUM_OPS_SQUARE_H
#define HILUM_OPS_SQUARE_H

#include "opkit.h"

/* Input 0 is plain and holds square matrices: [n,n] or [M,n,n]. */
static inline hl_status hl_rule_square(const hl_call *c, hl_err *e) {
  const hl_desc *w = &c->in[0];
  if (w->layout != HL_PLAIN) return hl_fail(e, HL_ETYPE, "W must be in plain layout, not an image");
  int rank = w->shape.rank;
  if (rank < 2 || rank > 3)
    return hl_fail(e, HL_ESHAPE, "W must have 2 or 3 axes [n,n] or [M,n,n], but has %d", rank);
  HL_TRY(hl_rule_plain(c, 0, "W", rank, "[M,n,n]", e));
  int64_t rows = w->shape.dim[rank - 2], columns = w->shape.dim[rank - 1];
  if (rows != columns)
    return hl_fail(e, HL_ESHAPE, "W must hold square matrices, not %lld x %lld", (long long)rows,
                   (long long)columns);
  return HL_OK;
}

static inline int64_t hl_square_side(const hl_desc *d) {
  return d->shape.dim[d->shape.rank - 1];
}

#endif
