#ifndef HILUM_OPS_INSTANCE_NORM_H
#define HILUM_OPS_INSTANCE_NORM_H

#include <hilum/op.h>

/* Of instance_norm and of its gradient. */
typedef struct hl_instance_norm_attrs {
  double eps, slope;
} hl_instance_norm_attrs;

/* hl_op.join of instance_norm. */
hl_status hl_instance_norm_join(hl_join *j, int node, hl_err *e);

#endif
