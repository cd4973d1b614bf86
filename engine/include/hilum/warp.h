/* Samples moved as a whole: an image, its masks and what is known of their voxels, through one map
 * and with one interpolation.
 *
 * A map says where a voxel of the result comes from. It is a chain of steps, each of which is
 * affine and may bend what comes out of it; all coordinates are continuous indices (z, y, x), whole
 * numbers being the centres of voxels. */
#ifndef HILUM_WARP_H
#define HILUM_WARP_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A displacement u(p) = sum over control points k of by[k] β(p / step + 1 - k), β the uniform cubic
 * B-spline (Rueckert et al. 1999, free-form deformations): control point k of an axis lies at
 * (k - 1) · step. Beyond the points that have all their neighbours the displacement is that of the
 * nearest of them. Control points displaced by at most 0.4 steps fold nothing over (Choi and Lee
 * 2000: 1/2.479 in three dimensions). */
typedef struct hl_bend {
  int64_t size[3];  /* control points along z, y, x, four or more each; all 0: no displacement */
  double step[3];   /* voxels between two of them, above 0 */
  const double *by; /* [z,y,x,3]: along z, y, x, in voxels */
} hl_bend;

/* p becomes q = matrix · p + offset, the matrix in rows, and then q + u(q). */
typedef struct hl_warp_step {
  double matrix[9], offset[3];
  hl_bend bend;
} hl_warp_step;

typedef enum hl_warp_rule {
  HL_WARP_LINEAR, /* f32, trilinear; beyond its ends the end voxel goes on */
  HL_WARP_CUBIC,  /* f32, cubic B-spline through the voxels; likewise */
  HL_WARP_SOFT,   /* f32, trilinear; 0 where nothing is */
  HL_WARP_MASK,   /* u8, all but 0 is in: 1 where the trilinear share is one half or more; 0 where
                     nothing is */
  HL_WARP_RULES
} hl_warp_rule;

/* "linear", "cubic", "soft", "mask"; HL_WARP_RULES if there is no such name. */
const char *hl_warp_rule_name(hl_warp_rule r);
hl_warp_rule hl_warp_rule_by_name(const char *name);

typedef struct hl_warp_channel {
  hl_tensor *src; /* dense; plain [z,y,x], or image {1,1,z,y,x} */
  hl_warp_rule rule;
} hl_warp_channel;

/* Channel c, looked up where `steps` (one or more, the first of them sees the result's voxels) lead
 * to, becomes out[c], a new tensor like it. All channels are of one size, which the results have
 * too. Nothing is where a coordinate is below -1/2 or above n - 1/2; within the half voxel at the
 * ends it is that of the end. A map that only exchanges and mirrors axes and moves by whole voxels
 * copies voxels as they are. Threaded; bits do not depend on the number of threads. HL_EINVAL: a
 * number that is not finite, a bend of fewer points or of no step. */
HL_MUST_CHECK hl_status hl_warp_apply(hl_tensor **out, const hl_warp_step *steps, int n_steps,
                                      const hl_warp_channel *channels, int n_channels, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
