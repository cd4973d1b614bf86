#ifndef HILUM_OPS_PAD_H
#define HILUM_OPS_PAD_H

#include "taps.h"

enum { PAD_CONSTANT, PAD_REFLECT, PAD_REPLICATE, PAD_CIRCULAR };

/* Vectors are (z, y, x). The first three members are the same in both ops. */
typedef struct hl_pad_attrs {
  int64_t before[3], after[3];
  int64_t mode;
  double value;
} hl_pad_attrs;
typedef struct hl_pad_grad_attrs {
  int64_t before[3], after[3];
  int64_t mode;
  int64_t size[3];
} hl_pad_grad_attrs;

/* The padded image as taps of the image, and its transpose. */
hl_taps hl_pad_taps(const hl_call *c);
hl_taps hl_pad_grad_taps(const hl_call *c);

#endif
