/* Convolution 3×3×3 of stride 1 with many channels for its voxels, by our own kernels: Winograd's
 * F(4,3) along y, along z as wide_job.h says, directly along x. What winograd.h does in groups that
 * stay in a core's cache, this does for slabs of the batch, divided among the threads by channels
 * of the result: each weight is used often, and gradients of weights are summed up by one thread
 * alone. Images are f32 or bf16, all arithmetic is f32. */
#ifndef HILUM_CPU_WIDE_H
#define HILUM_CPU_WIDE_H

#include "convolution.h"

/* Can it be computed so at all? One group, kernel 3, stride and dilation 1, at most two zeros of
 * padding; results of at most 64 voxels along x. */
bool hl_wide_can(const hl_convolution *c);
/* Is it also the fastest way? By a fixed table of channels and sizes, so that bits repeat. */
bool hl_wide_takes(const hl_convolution *c);
HL_MUST_CHECK hl_status hl_wide_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);
/* As hl_winograd_run; bits do not depend on the number of threads. */
HL_MUST_CHECK hl_status hl_wide_run(const hl_convolution *c, void *x, float *weight, float *bias,
                                    void *y, void *workspace, hl_err *e);

#endif
