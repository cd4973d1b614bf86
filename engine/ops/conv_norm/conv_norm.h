#ifndef HILUM_OPS_CONV_NORM_H
#define HILUM_OPS_CONV_NORM_H

#include "conv/conv.h"

typedef struct hl_conv_norm_attrs {
  hl_conv_attrs conv;
  double slope; /* of the leaky ReLU through which x is read, where there are statistics of x */
  bool stats;   /* give those of y */
  double eps;   /* for them */
} hl_conv_norm_attrs;

typedef struct hl_conv_norm_grad_weight_attrs {
  hl_conv_grad_weight_attrs conv;
  double slope;
} hl_conv_norm_grad_weight_attrs;

#endif
