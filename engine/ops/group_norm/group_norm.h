#ifndef HILUM_OPS_GROUP_NORM_H
#define HILUM_OPS_GROUP_NORM_H

#include <stdint.h>

/* Of group_norm and of its gradient. */
typedef struct hl_group_norm_attrs {
  int64_t groups;
  double eps, slope;
} hl_group_norm_attrs;

#endif
