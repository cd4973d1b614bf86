#ifndef HILUM_OPS_INSTANCE_NORM_H
#define HILUM_OPS_INSTANCE_NORM_H

/* Of instance_norm and of its gradient. */
typedef struct hl_instance_norm_attrs {
  double eps, slope;
} hl_instance_norm_attrs;

#endif
