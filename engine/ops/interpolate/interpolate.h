#ifndef HILUM_OPS_INTERPOLATE_H
#define HILUM_OPS_INTERPOLATE_H

#include "taps.h"

enum { INTERPOLATE_LINEAR, INTERPOLATE_NEAREST, INTERPOLATE_NEAREST_EXACT };

/* Vectors are (z, y, x). `mode` and `align_corners` stand first in both ops. */
typedef struct hl_interpolate_attrs {
  int64_t mode;
  bool align_corners;
  int64_t size[3];
  double scale[3];
} hl_interpolate_attrs;
typedef struct hl_interpolate_grad_attrs {
  int64_t mode;
  bool align_corners;
  int64_t size[3];
} hl_interpolate_grad_attrs;

/* The new image as taps of the old one, and its transpose. */
hl_taps hl_interpolate_taps(const hl_call *c);
hl_taps hl_interpolate_grad_taps(const hl_call *c);

#endif
