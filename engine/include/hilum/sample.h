/* Images looked up between their voxels: at given points, or through an affine map.
 *
 * An image is plain [z,y,x], dense, of f32, f64, i16 or u8. A coordinate is a continuous index
 * (z, y, x): whole numbers are the centres of voxels. Sums run in double precision; what is made is
 * f64 for an f64 image and f32 for every other. */
#ifndef HILUM_SAMPLE_H
#define HILUM_SAMPLE_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_interpolation {
  HL_NEAREST, /* voxel floor(index + 1/2) on each axis */
  HL_LINEAR,
  HL_CUBIC, /* cubic B-spline through the samples (prefilter: Unser, Aldroubi, Eden 1993) */
  HL_INTERPOLATIONS
} hl_interpolation;

/* "nearest", "linear", "cubic"; HL_INTERPOLATIONS if there is no such name. */
const char *hl_interpolation_name(hl_interpolation kind);
hl_interpolation hl_interpolation_by_name(const char *name);

/* What lies beyond the samples 0 … n-1 of an axis. */
typedef enum hl_boundary {
  HL_CONSTANT, /* a coordinate below 0 or above n-1 gives `outside`; nothing is blended */
  HL_BLEND,    /* every sample beyond is `outside`, and neighbours are blended with it */
  HL_EDGE,     /* the end sample goes on: a a a | a b c */
  HL_MIRROR,   /* about the end sample, period 2n-2: c b | a b c */
  HL_REFLECT,  /* about the edge, period 2n: b a | a b c */
  HL_WRAP,     /* period n: b c | a b c */
  HL_OVERLAP,  /* period n-1: the last sample stands for the first */
  HL_BOUNDARIES
} hl_boundary;

/* "constant", "blend", "edge", "mirror", "reflect", "wrap", "overlap"; HL_BOUNDARIES if there is no
 * such name. */
const char *hl_boundary_name(hl_boundary b);
hl_boundary hl_boundary_by_name(const char *name);

typedef struct hl_sampling {
  hl_interpolation kind;
  hl_boundary boundary;
  double outside; /* for HL_CONSTANT and HL_BLEND */
} hl_sampling;

/* `points` is plain f64 [3,n]: the rows z, y, x. `out` is a new plain tensor [n]. A coordinate that
 * is not finite gives NaN. */
HL_MUST_CHECK hl_status hl_sample_points(hl_tensor **out, const hl_tensor *src,
                                         const hl_tensor *points, const hl_sampling *how,
                                         hl_err *e);

/* Voxel o of `out`, a new plain [z,y,x] of `size` voxels, is the image at matrix · o + offset;
 * the matrix is 3 × 3 in rows. Threaded; bits do not depend on the number of threads. */
HL_MUST_CHECK hl_status hl_sample_affine(hl_tensor **out, const hl_tensor *src,
                                         const int64_t size[3], const double matrix[9],
                                         const double offset[3], const hl_sampling *how, hl_err *e);

/* The coefficients of the cubic B-spline through the samples, of one shape with the image: what
 * HL_CUBIC makes of every image first. Boundaries: mirror, reflect or wrap. `type` is f32 or f64.
 */
HL_MUST_CHECK hl_status hl_spline_coefficients(hl_tensor **out, const hl_tensor *src,
                                               hl_boundary boundary, hl_dtype type, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
