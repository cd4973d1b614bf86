/* What the convolution family's definitions and kernels share: attributes, and the one convolution
 * x → y that each member computes a part of. */
#ifndef HILUM_OPS_CONV_H
#define HILUM_OPS_CONV_H

#include <hilum/op.h>

/* All vectors are (z, y, x). The first four members are the same in every op of the family. */
typedef struct hl_conv_attrs {
  int64_t stride[3], padding[3], dilation[3], groups;
} hl_conv_attrs;
typedef struct hl_conv_grad_input_attrs {
  int64_t stride[3], padding[3], dilation[3], groups, size[3];
} hl_conv_grad_input_attrs;
typedef struct hl_conv_grad_weight_attrs {
  int64_t stride[3], padding[3], dilation[3], groups, kernel[3];
} hl_conv_grad_weight_attrs;
typedef struct hl_conv_transpose_attrs {
  int64_t stride[3], padding[3], dilation[3], groups, output_padding[3];
} hl_conv_transpose_attrs;

/* y[n,o,p] = Σ x[n,g·I + i,p·stride − padding + k·dilation] · weight[o,i,k], zero outside x, where
 * I = in / groups and g is the group of output channel o. */
typedef struct hl_conv_geometry {
  int64_t n, in, out, groups; /* images, channels of x, channels of y */
  int64_t x[3], y[3], kernel[3], stride[3], padding[3], dilation[3];
} hl_conv_geometry;

/* The convolution of which `c` is a part; its inputs and outputs are described already. */
hl_conv_geometry hl_conv_geometry_of(const hl_call *c);

#endif
