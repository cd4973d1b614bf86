/* A call of the convolution family as engine/cpu knows it. Private to the kernels of engine/ops. */
#ifndef HILUM_OPS_CONV_CPU_H
#define HILUM_OPS_CONV_CPU_H

#include "conv.h"

struct hl_convolution;

/* kind: an hl_conv_kind. Images have the type of the first input. */
void hl_convolution_of(const hl_call *call, int64_t kind, struct hl_convolution *out);

/* By the first method that takes it; arguments as those of hl_convolution_run. */
hl_status hl_conv_workspace(const struct hl_convolution *c, size_t *bytes, hl_err *e);
hl_status hl_conv_run(const struct hl_convolution *c, void *x, float *weight, float *bias, void *y,
                      void *workspace, hl_err *e);
/* Can that method add to what its result holds (`add` of the convolution)? */
bool hl_conv_adds(const struct hl_convolution *c);

#endif
