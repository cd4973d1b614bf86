/* Gradients of weights from bf16 images, slab by slab of z: oneDNN rearranges all that it is given
 * into scratch, for a whole image several times its size. The slabs' gradients are added in f32, in
 * their order. */
#ifndef HILUM_CPU_SLABS_H
#define HILUM_CPU_SLABS_H

#include "convolution.h"

/* bf16, the gradient of the weight. */
bool hl_slabs_takes(const hl_convolution *c);
HL_MUST_CHECK hl_status hl_slabs_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);
/* As hl_convolution_run. */
HL_MUST_CHECK hl_status hl_slabs_run(const hl_convolution *c, void *x, float *weight, float *bias,
                                     void *y, void *workspace, hl_err *e);

#endif
