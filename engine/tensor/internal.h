/* Shared by the tensor room's own files. */
#ifndef HILUM_TENSOR_INTERNAL_H
#define HILUM_TENSOR_INTERNAL_H

#include <hilum/tensor.h>

/* Strides (elements, logical axis order) of a dense tensor with this description. */
void hl_dense_strides(const hl_desc *d, int64_t stride[HL_MAX_RANK]);

#endif
