/* A call of the convolution family as engine/cpu knows it. Private to the kernels of engine/ops. */
#ifndef HILUM_OPS_CONV_CPU_H
#define HILUM_OPS_CONV_CPU_H

#include "conv.h"

struct hl_convolution;

/* kind: an hl_conv_kind. Images have the type of the first input. */
void hl_convolution_of(const hl_call *call, int64_t kind, struct hl_convolution *out);

#endif
