/* Measures of agreement between a prediction and the truth. */
#ifndef HILUM_METRIC_H
#define HILUM_METRIC_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_overlap {
  int64_t both; /* voxels in a and in b */
  int64_t in_a, in_b;
  double dice; /* 2·both / (in_a + in_b); NaN when both are empty */
} hl_overlap;

/* Counts voxels with value > threshold in two tensors of one shape (any type and layout), over
 * those where `valid` (same shape, or NULL for all) exceeds 0.5. NaN counts as not exceeding. */
HL_MUST_CHECK hl_status hl_overlap_measure(const hl_tensor *a, const hl_tensor *b,
                                           const hl_tensor *valid, double threshold,
                                           hl_overlap *out, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
