/* How large nodules are: measures of outlines and of masks. */
#ifndef HILUM_SHAPE_H
#define HILUM_SHAPE_H

#include <hilum/nodule.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Inside the polygon through the points, in square pixels (shoelace formula). */
double hl_outline_area(const hl_outline *o);
/* The largest distance between two points; spacing_mm (y, x). */
double hl_outline_longest_mm(const hl_outline *o, const double spacing_mm[2]);

/* Measures of one mark's outlines as they are drawn, on the voxels outside: those of pylidc 0.2.3.
 * Outlines on slices that the scan does not have are left out. */
typedef struct hl_mark_shape {
  int64_t points;            /* of all outlines, exclusions among them; 0: nothing else is set */
  int64_t first[3], size[3]; /* the box that holds them, in voxels (z, y, x) */
  double centroid[3];        /* their mean, as an index (z, y, x) */
  double longest_mm;         /* the largest distance between two points of one outline */
  /* Areas of inclusions less those of exclusions, each times half the distance between the
   * neighbouring outlined slices; at the ends, the distance to the one neighbour; a single slice
   * has the thickness. */
  double volume_mm3;
} hl_mark_shape;

/* `index` is that of an outlined mark, otherwise HL_EINVAL. */
HL_MUST_CHECK hl_status hl_mark_measure(hl_mark_shape *out, const hl_marks *m, int64_t index,
                                        const hl_grid *grid, const hl_slices *slices,
                                        double thickness_mm, hl_err *e);

/* Area of the surface that marching cubes draws at 0.5 around a mask (plain u8 [z,y,x], dense; all
 * beyond it is outside): triangles between the middles of voxel edges. Of Lewiner et al. 2003: on a
 * face with two inside corners across, these are joined; inside corners meet through a cell where
 * its faces leave it open. spacing_mm (z, y, x). */
HL_MUST_CHECK hl_status hl_mask_surface_mm2(double *out, const hl_tensor *mask,
                                            const double spacing_mm[3], hl_err *e);

/* Statistics of the image's values inside a mask of one shape (both plain [z,y,x], dense; i16, u8,
 * f32 or f64). Variance divides by n; skewness m3 / m2^1.5; kurtosis m4 / m2² (3 for a normal
 * distribution); both NaN where all values are one. Percentiles interpolate linearly between order
 * statistics. */
enum { HL_PERCENTILES = 7 };
extern const double hl_percentiles[HL_PERCENTILES]; /* 5, 10, 25, 50, 75, 90, 95 */
typedef struct hl_inside {
  int64_t voxels; /* 0: nothing else is set */
  double mean, sd, skewness, kurtosis, min, max;
  double percentile[HL_PERCENTILES];
} hl_inside;
HL_MUST_CHECK hl_status hl_mask_inside(hl_inside *out, const hl_tensor *mask,
                                       const hl_tensor *image, hl_err *e);

/* The largest distance, in mm, between centres of two mask voxels of one slice; 0 if there are
 * none. spacing_mm (z, y, x). */
HL_MUST_CHECK hl_status hl_mask_longest_mm(double *out, const hl_tensor *mask,
                                           const double spacing_mm[3], hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
