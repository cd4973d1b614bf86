/* Changes of an image's values, in place: dense f32 of any shape. Threaded where it is worth it;
 * bits do not depend on the number of threads. */
#ifndef HILUM_INTENSITY_H
#define HILUM_INTENSITY_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_intensity {
  int64_t voxels;            /* 0: nothing else is set */
  double min, max, mean, sd; /* the variance divides by n */
} hl_intensity;

/* Of the voxels where `where` (dense u8 of the same shape and layout) is not 0; of all if it is
 * NULL. */
HL_MUST_CHECK hl_status hl_intensity_measure(hl_intensity *out, const hl_tensor *t,
                                             const hl_tensor *where, hl_err *e);
/* scale · x + shift, not below low and not above high (which may be infinite). */
HL_MUST_CHECK hl_status hl_intensity_line(hl_tensor *t, double scale, double shift, double low,
                                          double high, hl_err *e);
/* low + (high - low) s^gamma, where s is how far x lies between low < high, 0 to 1; `inverted`: the
 * same from the other end, high - (high - low) (1 - s)^gamma. gamma above 0. */
HL_MUST_CHECK hl_status hl_intensity_gamma(hl_tensor *t, double gamma, double low, double high,
                                           bool inverted, hl_err *e);
/* Adds independent normal numbers of standard deviation sd ≥ 0 (Box–Muller), which are those of the
 * seed and of the place in memory. */
HL_MUST_CHECK hl_status hl_intensity_noise(hl_tensor *t, double sd, uint64_t seed, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
