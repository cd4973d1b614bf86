#ifndef HILUM_OPS_AFFINE_H
#define HILUM_OPS_AFFINE_H

typedef struct hl_affine_attrs {
  double scale, shift;
} hl_affine_attrs;

#endif
