/* Measures of agreement between a prediction and the truth.
 *
 * Masks are tensors of one shape, of any type and layout: a voxel is in where its value exceeds a
 * threshold (NaN does not), and counts where `valid` (same shape, or NULL for all) exceeds 0.5.
 * Measures in mm take masks of one sample and class: the last three axes are z, y, x, those before
 * have size 1. An axis of one voxel is none: along it nothing has a neighbour. */
#ifndef HILUM_METRIC_H
#define HILUM_METRIC_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_overlap {
  int64_t both;               /* voxels in a and in b */
  int64_t in_a, in_b, voxels; /* voxels: those that count */
  double dice;                /* 2·both / (in_a + in_b); NaN when both are empty */
} hl_overlap;

HL_MUST_CHECK hl_status hl_overlap_measure(const hl_tensor *a, const hl_tensor *b,
                                           const hl_tensor *valid, double threshold,
                                           hl_overlap *out, hl_err *e);

typedef struct hl_surface_options {
  double threshold;
  double spacing_mm[3];
  double percentile;   /* of the distances, 0 … 100 */
  double tolerance_mm; /* of the surface Dice */
} hl_surface_options;

/* Distances between the surfaces of two masks, in mm between voxel centres. A surface is the voxels
 * of a mask with a face neighbour outside it; beyond the image is outside. Percentiles are linear
 * between order statistics. Where one of the surfaces is empty all but their sizes is NaN. */
typedef struct hl_surface {
  int64_t size_a, size_b;   /* voxels of the surfaces */
  double hausdorff;         /* the largest distance from either to the other */
  double from_a;            /* the largest from a to b */
  double percentile;        /* the larger of the two directed percentiles */
  double mean, mean_from_a; /* over the distances of both directions together; from a to b */
  double dice;              /* share of both surfaces' voxels within the tolerance of the other */
} hl_surface;

HL_MUST_CHECK hl_status hl_surface_measure(const hl_tensor *a, const hl_tensor *b,
                                           const hl_tensor *valid, const hl_surface_options *o,
                                           hl_surface *out, hl_err *e);

/* The overlap within a band around the border of b: voxels no more than width_mm from the nearest
 * voxel on the other side of it. */
HL_MUST_CHECK hl_status hl_border_measure(const hl_tensor *a, const hl_tensor *b,
                                          const hl_tensor *valid, double threshold,
                                          const double spacing_mm[3], double width_mm,
                                          hl_overlap *out, hl_err *e);

/* Probabilities in `bins` equal intervals of 0 … 1: how many, their sum, and how many are in the
 * truth (its value exceeds 0.5). Values beyond count to the outermost; NaN nowhere. Adds to what
 * the arrays of `bins` hold. */
HL_MUST_CHECK hl_status hl_calibration_add(const hl_tensor *probability, const hl_tensor *truth,
                                           const hl_tensor *valid, int bins, int64_t *count,
                                           double *sum, int64_t *hits, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
