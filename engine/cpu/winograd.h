/* Convolution 3×3×3 of stride 1 by our own kernels: Winograd's F(4,3) along z and y, directly along
 * x. Images are f32 or bf16, all arithmetic is f32. A quarter of the plain convolution's
 * multiplications, lanes filled from 4 channels on. Errors are a few 1e-6 of the largest result. */
#ifndef HILUM_CPU_WINOGRAD_H
#define HILUM_CPU_WINOGRAD_H

#include "convolution.h"

/* Can it be computed so at all? One group, kernel 3, stride and dilation 1, at most two zeros of
 * padding; in bf16 with 4, 8 or a multiple of 16 channels on both sides. */
bool hl_winograd_can(const hl_convolution *c);
/* Is it also the faster way? By a fixed table of channels and sizes, so that bits repeat. */
bool hl_winograd_takes(const hl_convolution *c);
/* For the number of compute threads at the time of the call. */
HL_MUST_CHECK hl_status hl_winograd_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);
/* As hl_convolution_run; bits do not depend on the number of threads. */
HL_MUST_CHECK hl_status hl_winograd_run(const hl_convolution *c, void *x, float *weight,
                                        float *bias, void *y, void *workspace, hl_err *e);

/* What is done on the way, so that it needs no pass over memory of its own. */
typedef struct hl_winograd_way {
  /* The source, f32, is read as leaky_relu((x − mean)·factor + offset), each [n][in]; NULL: as
   * it is. */
  const float *mean, *factor, *offset;
  float slope;     /* of the leaky ReLU, 0 to 1 */
  double *moments; /* gets what the results of each image and channel, and their squares, add up
                    * to: [n][2][out]; NULL: not wanted */
} hl_winograd_way;

/* The same for a convolution that hl_winograd_takes, forward or, without moments, the gradient of
 * the weight. All lanes are channels: on both sides 4, 8 or a multiple of 16. */
bool hl_winograd_takes_way(const hl_convolution *c);
HL_MUST_CHECK hl_status hl_winograd_way_workspace(const hl_convolution *c, size_t *bytes,
                                                  hl_err *e);
HL_MUST_CHECK hl_status hl_winograd_way_run(const hl_convolution *c, const hl_winograd_way *way,
                                            void *x, float *weight, void *y, void *workspace,
                                            hl_err *e);

#endif
