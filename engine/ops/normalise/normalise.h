#ifndef HILUM_OPS_NORMALISE_H
#define HILUM_OPS_NORMALISE_H

#include <hilum/op.h>

/* Statistics of image x: [n,c,2], mean and 1 / sqrt(variance + eps). */
hl_desc hl_instance_stats_of(const hl_desc *x);

typedef struct hl_instance_stats_attrs {
  double eps;
} hl_instance_stats_attrs;

typedef struct hl_normalise_attrs {
  double slope;
} hl_normalise_attrs;

typedef struct hl_normalise_add_attrs {
  double slope, sign;
} hl_normalise_add_attrs;

#endif
