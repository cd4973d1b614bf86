/* Lifting in registers, for windows of 8 and 4 voxels. Private to the kernels of resample. */
#ifndef HILUM_OPS_RESAMPLE_STRIP_H
#define HILUM_OPS_RESAMPLE_STRIP_H

#include "lift.h"

enum { HL_STRIP_LANES = 16, HL_STRIP_WINDOW = 8 /* voxels of a window at most */ };

/* Factors of a group of channels, lane by lane; a lane is one channel of one window. */
typedef struct hl_strip_factors hl_strip_factors;

/* A group of neighbouring channels along a row of windows. */
typedef struct hl_strip {
  const hl_strip_factors *factors;
  int64_t n;                       /* windows */
  int16_t *fine[HL_STRIP_WINDOW];  /* the group's first channel in voxel k of the first window */
  int64_t fine_step;               /* from window to window */
  int16_t *coarse[HL_STRIP_LANES]; /* each channel's coefficients of the first window */
  int64_t coarse_step[HL_STRIP_LANES];
} hl_strip;

/* Channels that go together, a power of two that divides `channels`. */
int64_t hl_strip_group(int64_t channels);

size_t hl_strip_bytes(void);
/* The factors of `group` matrices of `window` rows, 8 or 4, all of them exact, in memory of so many
 * bytes. */
const hl_strip_factors *hl_strip_make(const hl_lift *lifts, int64_t group, int64_t window,
                                      void *memory);

/* Every window of the strip, from fine to coarse or back. Returns how many numbers were cut off. */
int64_t hl_strip_run(const hl_strip *t, int64_t window, int64_t group, bool down);

#endif
