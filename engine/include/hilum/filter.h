/* Linear filters of images: plain [z,y,x], dense, f32 or f64. */
#ifndef HILUM_FILTER_H
#define HILUM_FILTER_H

#include <hilum/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_gaussian {
  double sigma[3]; /* in voxels along z, y, x; 0 leaves the axis as it is */
  double truncate; /* the kernel ends floor(truncate · sigma + 1/2) voxels from its middle */
  hl_boundary boundary;
  double outside; /* for HL_CONSTANT and HL_BLEND, which are one here */
} hl_gaussian;

/* Convolution with exp(-k² / 2σ²), its weights normed to sum 1, axis by axis in double precision.
 * `out` is a new tensor like `src`. HL_OVERLAP is refused. */
HL_MUST_CHECK hl_status hl_filter_gaussian(hl_tensor **out, const hl_tensor *src,
                                           const hl_gaussian *g, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
