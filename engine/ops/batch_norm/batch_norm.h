#ifndef HILUM_OPS_BATCH_NORM_H
#define HILUM_OPS_BATCH_NORM_H

/* Of all four ops of the folder. */
typedef struct hl_batch_norm_attrs {
  double eps, slope;
} hl_batch_norm_attrs;

#endif
