/* Images in space: grids, and resampling by exact physical coordinates.
 *
 * All vectors are (z, y, x) in mm, along the image's own axes: z along the slice normal, y along a
 * column, x along a row. A position is that of a voxel's centre. */
#ifndef HILUM_VOLUME_H
#define HILUM_VOLUME_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A regular grid, except that slices may lie at uneven positions. */
typedef struct hl_grid {
  int64_t size[3];
  double spacing_mm[3]; /* z: the median step where slices are uneven */
  double origin_mm[3];  /* of voxel (0, 0, 0) */
  const double *z_mm;   /* position of every slice, ascending; NULL: origin + k · spacing */
} hl_grid;

/* Size ≥ 1, spacing > 0 and finite, z_mm ascending: otherwise HL_EINVAL. */
HL_MUST_CHECK hl_status hl_grid_check(const hl_grid *g, hl_err *e);
/* A grid of `size` voxels whose middle lies at centre_mm. */
hl_grid hl_grid_around(const double centre_mm[3], const int64_t size[3],
                       const double spacing_mm[3]);
double hl_grid_slice_mm(const hl_grid *g, int64_t k);
/* Continuous index of a position, and back. z between slices is linear in the slices' positions;
 * beyond the first and last slice the neighbouring step goes on. */
void hl_grid_index(const hl_grid *g, const double at_mm[3], double index[3]);
void hl_grid_position(const hl_grid *g, const double index[3], double at_mm[3]);
/* Thickness of slice k: half the distance between its two neighbours. */
double hl_grid_thickness_mm(const hl_grid *g, int64_t k);

/* The steps between slice positions in ascending order. */
typedef struct hl_steps {
  double median_mm, worst_mm; /* worst_mm: largest difference from the median */
  int64_t gaps, first_gap;    /* steps of 1.5 medians or more: slices are missing after first_gap */
  int64_t uneven;             /* steps that differ from the median by more than 2 % */
} hl_steps;
/* n ≥ 2. Fails for lack of memory only. */
HL_MUST_CHECK hl_status hl_steps_measure(hl_steps *out, const double *z_mm, int64_t n, hl_err *e);

typedef enum hl_resampling {
  HL_RESAMPLE_LINEAR,  /* trilinear; the index is clamped to [0, n-1] first */
  HL_RESAMPLE_NEAREST, /* voxel floor(index + 1/2) on each axis */
  HL_RESAMPLE_CUBIC,   /* cubic B-spline through the samples, which are mirrored at the ends */
  HL_RESAMPLE_AREA,    /* the mean of the input over the output voxel's box, as far as both go: the
                          share of a mask in a coarser voxel */
  HL_RESAMPLINGS
} hl_resampling;

/* "linear", "nearest", "cubic", "area"; HL_RESAMPLINGS if there is no such name. */
const char *hl_resampling_name(hl_resampling kind);
hl_resampling hl_resampling_by_name(const char *name);

typedef struct hl_resample_options {
  hl_resampling kind;
  double outside; /* the value where a voxel's centre lies outside the input */
  hl_dtype type;  /* HL_F32 or HL_F64: of the output, and of a spline's coefficients */
} hl_resample_options;

/* Resamples `src` (plain [z,y,x], i16, u8, f32 or f64) from grid `from` to grid `to`: `out` is a
 * new plain [z,y,x] on the main ledger. A position is inside if its continuous index is within
 * [-0.5, n-0.5] on every axis. Sums run in double precision. Threaded; bits do not depend on the
 * number of threads. */
HL_MUST_CHECK hl_status hl_volume_resample(hl_tensor **out, const hl_tensor *src,
                                           const hl_grid *from, const hl_grid *to,
                                           const hl_resample_options *how, hl_err *e);

/* 1 where a voxel of `to` lies inside `from` (the rule above), else 0: new plain u8 [z,y,x]. */
HL_MUST_CHECK hl_status hl_volume_inside(hl_tensor **out, const hl_grid *from, const hl_grid *to,
                                         hl_err *e);

/* In place: (clip(x, lo, hi) - lo) / (hi - lo). f32 or f64, dense; lo < hi. */
HL_MUST_CHECK hl_status hl_volume_window(hl_tensor *t, double lo, double hi, hl_err *e);

/* A scan (plain [z,y,x] on grid `from`) as a network sees it on grid `to`: resampled by `kind`,
 * windowed to 0 … 1, 0 outside the scan: new f32 image layout {1,1,z,y,x}; and 1 where it lies
 * inside the scan: new u8, the same layout. */
HL_MUST_CHECK hl_status hl_volume_image(hl_tensor **image, hl_tensor **valid,
                                        const hl_tensor *voxels, const hl_grid *from,
                                        const hl_grid *to, hl_resampling kind,
                                        const double window[2], hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
