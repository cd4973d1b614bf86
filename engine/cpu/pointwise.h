/* 1×1×1 convolutions to or from a single channel (heads, first layers). They move memory and hardly
 * compute: plain loops over rows of channels take half the time of a general convolution. */
#ifndef HILUM_CPU_POINTWISE_H
#define HILUM_CPU_POINTWISE_H

#include "convolution.h"

/* Kernel 1, stride 1, no padding, one channel on one side. */
bool hl_pointwise_takes(const hl_convolution *c);
HL_MUST_CHECK hl_status hl_pointwise_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);
/* As hl_convolution_run; bits do not depend on the number of threads. */
HL_MUST_CHECK hl_status hl_pointwise_run(const hl_convolution *c, void *x, float *weight,
                                         float *bias, void *y, void *workspace, hl_err *e);

#endif
