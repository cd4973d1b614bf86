#ifndef HILUM_OPS_BCE_H
#define HILUM_OPS_BCE_H

/* Of bce and bce_grad. */
typedef struct hl_bce_attrs {
  double pos_weight;
} hl_bce_attrs;

#endif
