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

/* Rows of the schema of every op whose attributes begin like hl_conv_attrs. */
#define HL_CONV_ATTRS                                                                                \
  {"stride", HL_A_INT3, "1", offsetof(hl_conv_attrs, stride), 1, 4096, "step (z, y, x)"},            \
      {"padding", HL_A_INT3, "0", offsetof(hl_conv_attrs, padding), 0, 4096, "zeros on both sides"}, \
      {"dilation",                                                                                   \
       HL_A_INT3,                                                                                    \
       "1",                                                                                          \
       offsetof(hl_conv_attrs, dilation),                                                            \
       1,                                                                                            \
       4096,                                                                                         \
       "distance between the kernel's positions (z, y, x)"},                                         \
  {                                                                                                  \
    "groups", HL_A_INT, "1", offsetof(hl_conv_attrs, groups), 1, 1 << 20,                            \
        "of neighbouring channels that see only each other; as many as channels: depth-wise"         \
  }

/* y[n,o,p] = Σ x[n,g·I + i,p·stride − padding + k·dilation] · weight[o,i,k], zero outside x, where
 * I = in / groups and g is the group of output channel o. */
typedef struct hl_conv_geometry {
  int64_t n, in, out, groups; /* images, channels of x, channels of y */
  int64_t x[3], y[3], kernel[3], stride[3], padding[3], dilation[3];
} hl_conv_geometry;

/* The convolution of which `c` is a part; its inputs and outputs are described already. */
hl_conv_geometry hl_conv_geometry_of(const hl_call *c);

/* hl_op.join of conv_grad_input: onto the gradient that it would be added to (conv_add). */
hl_status hl_conv_grad_input_join(hl_join *j, int node, hl_err *e);

#endif
