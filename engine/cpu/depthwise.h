/* Depth-wise convolutions (as many groups as channels on both sides): every channel is a
 * convolution of its own, so channels are the lanes. oneDNN has nothing fast for them on
 * channels-last volumes. */
#ifndef HILUM_CPU_DEPTHWISE_H
#define HILUM_CPU_DEPTHWISE_H

#include "convolution.h"

/* groups = in = out, more than one. */
bool hl_depthwise_takes(const hl_convolution *c);
HL_MUST_CHECK hl_status hl_depthwise_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);
/* As hl_convolution_run; bits do not depend on the number of threads. */
HL_MUST_CHECK hl_status hl_depthwise_run(const hl_convolution *c, void *x, float *weight,
                                         float *bias, void *y, void *workspace, hl_err *e);

#endif
