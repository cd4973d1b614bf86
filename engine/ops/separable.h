/* The kernel of images computed axis by axis (taps.h). Private to the kernels of engine/ops. */
#ifndef HILUM_OPS_SEPARABLE_H
#define HILUM_OPS_SEPARABLE_H

#include "taps.h"

size_t hl_separable_workspace(const hl_taps *t);
void hl_separable_run(const hl_taps *t, const float *in, float *out, void *workspace);

#endif
