/* 1×1×1 convolutions with few channels on one side (heads, first layers): memory speed counts, not
 * arithmetic, and a plain loop over rows of channels beats a general convolution. */
#ifndef HILUM_CPU_POINTWISE_H
#define HILUM_CPU_POINTWISE_H

#include "convolution.h"

/* Kernel 1, stride 1, no padding, at most 4 channels on one side. */
bool hl_pointwise_takes(const hl_convolution *c);
HL_MUST_CHECK hl_status hl_pointwise_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);
/* As hl_convolution_run; bits do not depend on the number of threads. */
HL_MUST_CHECK hl_status hl_pointwise_run(const hl_convolution *c, float *x, float *weight,
                                         float *bias, float *y, void *workspace, hl_err *e);

#endif
