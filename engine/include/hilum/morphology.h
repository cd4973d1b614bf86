/* The shape of masks: growing, shrinking, holes, connected parts, distances.
 *
 * A mask is plain u8 [z,y,x], dense; every value but 0 is "in". All that lies beyond the image is
 * out. Two voxels are neighbours by `connectivity`: 6 (a face in common), 18 (or an edge), 26 (or
 * a corner). */
#ifndef HILUM_MORPHOLOGY_H
#define HILUM_MORPHOLOGY_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_morphology {
  HL_DILATE, /* in, or a neighbour is */
  HL_ERODE,  /* in, and all neighbours are; so masks shrink from the image's border too */
  HL_OPEN,   /* eroded, then dilated */
  HL_CLOSE,  /* dilated, then eroded: at the image's border voxels may be lost */
  HL_MORPHOLOGIES
} hl_morphology;

/* `out` is a new u8 of 0 and 1, each step done `iterations` (≥ 1) times. */
HL_MUST_CHECK hl_status hl_mask_morph(hl_tensor **out, const hl_tensor *mask, hl_morphology what,
                                      int connectivity, int iterations, hl_err *e);

/* 1 where no path of out voxels (neighbours by `connectivity`) leads beyond the image. */
HL_MUST_CHECK hl_status hl_mask_fill_holes(hl_tensor **out, const hl_tensor *mask, int connectivity,
                                           hl_err *e);

typedef struct hl_part {
  int64_t voxels;
  double centre[3];          /* mean index */
  int64_t first[3], size[3]; /* the box around it */
} hl_part;

/* Connected parts, numbered 1 … *n in the order of their first voxels in memory. `labels` is a new
 * plain i32 [z,y,x], 0 outside; *parts is released with hl_host_free (NULL if n is 0). */
HL_MUST_CHECK hl_status hl_mask_parts(hl_tensor **labels, hl_part **parts, int64_t *n,
                                      const hl_tensor *mask, int connectivity, hl_err *e);

/* Euclidean distance in mm from the centre of each in voxel to the nearest centre of an out voxel
 * of the image; 0 outside the mask, infinite everywhere in an image that is all in. Exact
 * (Felzenszwalb and Huttenlocher 2012, one axis after another), threaded. `type` is f32 or f64. */
HL_MUST_CHECK hl_status hl_mask_distance(hl_tensor **out, const hl_tensor *mask,
                                         const double spacing_mm[3], hl_dtype type, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
