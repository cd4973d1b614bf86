#ifndef HILUM_OPS_CLAMP_H
#define HILUM_OPS_CLAMP_H

/* Of clamp and clamp_grad. */
typedef struct hl_clamp_attrs {
  double low, high;
} hl_clamp_attrs;

#endif
