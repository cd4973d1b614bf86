/* Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions", Theory of Computing 8
 * (2012): square distances, axis after axis, each the lower envelope of parabolas. */
#include "lines.h"

#include <hilum/morphology.h>

#include <math.h>

enum { SCRATCH = LANES > 6 ? LANES : 6 }; /* numbers for each voxel of a line */

/* The first axis: v is 0 or infinite, so two sweeps find the nearest 0 of each line. */
static void sweeps(double *v, int64_t n, double *scratch, const void *ctx) {
  double step = *(const double *)ctx, last[LANES], next[LANES];
  for (int l = 0; l < LANES; l++) {
    last[l] = -INFINITY;
    next[l] = INFINITY;
  }
  for (int64_t i = 0; i < n; i++)
    for (int l = 0; l < LANES; l++) {
      double x = (double)i * step;
      last[l] = v[i * LANES + l] < INFINITY ? x : last[l];
      scratch[i * LANES + l] = x - last[l];
    }
  for (int64_t i = n - 1; i >= 0; i--)
    for (int l = 0; l < LANES; l++) {
      double x = (double)i * step, before = scratch[i * LANES + l];
      next[l] = v[i * LANES + l] < INFINITY ? x : next[l];
      double behind = next[l] - x, nearest = before < behind ? before : behind;
      v[i * LANES + l] = nearest * nearest;
    }
}

/* The parabolas of an envelope, from left to right: where each has its root, its height there, its
 * value at 0 and where it begins; each with room for a line. */
typedef struct parabolas {
  double *root, *height, *lift, *from;
} parabolas;

/* One line of square distances. Where parabola q begins to lie below p < q:
 * ((f(q) + q²) - (f(p) + p²)) / (2 (q - p)); by_distance[d] is 1 / (2 (q - p)) of those d apart. */
static void envelope(double *v, int64_t n, double step, const parabolas *e,
                     const double *by_distance, int64_t *place) {
  double *root = e->root, *height = e->height, *lift = e->lift, *from = e->from;
  int64_t k = -1;
  for (int64_t i = 0; i < n; i++) {
    double q = (double)i * step, f = v[i * LANES], begin = -INFINITY;
    if (!(f < INFINITY)) continue;
    double lifted = f + q * q;
    while (k >= 0) {
      begin = (lifted - lift[k]) * by_distance[i - place[k]];
      if (begin > from[k]) break;
      k--;
      begin = -INFINITY;
    }
    k++;
    root[k] = q;
    height[k] = f;
    lift[k] = lifted;
    place[k] = i;
    from[k] = begin;
  }
  if (k < 0) return;
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    double x = (double)i * step;
    while (at < k && from[at + 1] < x) at++;
    v[i * LANES] = (x - root[at]) * (x - root[at]) + height[at];
  }
}

static void envelopes(double *v, int64_t n, double *scratch, const void *ctx) {
  double step = *(const double *)ctx, *by_distance = scratch + 4 * n;
  const parabolas e = {scratch, scratch + n, scratch + 2 * n, scratch + 3 * n};
  int64_t *place = (int64_t *)(void *)(scratch + 5 * n);
  for (int64_t d = 1; d < n; d++) by_distance[d] = 1 / (2 * (double)d * step);
  for (int l = 0; l < LANES; l++) envelope(v + l, n, step, &e, by_distance, place);
}

static void roots(double *v, int64_t n, double *scratch, const void *ctx) {
  envelopes(v, n, scratch, ctx);
  for (int64_t i = 0; i < n * LANES; i++) v[i] = sqrt(v[i]);
}

/* 0 where the mask is out, infinite where it is in. */
static void begin(hl_tensor *t, const uint8_t *mask) {
  int64_t n = hl_tensor_numel(t);
  double *d = hl_tensor_f64(t);
  float *f = hl_tensor_f32(t);
  for (int64_t i = 0; i < n; i++) {
    if (d)
      d[i] = mask[i] ? INFINITY : 0;
    else
      f[i] = mask[i] ? INFINITY : 0;
  }
}

hl_status hl_mask_distance(hl_tensor **out, const hl_tensor *mask, const double spacing_mm[3],
                           hl_dtype type, hl_err *e) {
  *out = NULL;
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  if (type != HL_F32 && type != HL_F64)
    return hl_fail(e, HL_EINVAL, "distances are f32 or f64, not %s", hl_dtype_name(type));
  for (int a = 0; a < 3; a++)
    if (!(spacing_mm[a] > 0 && isfinite(spacing_mm[a])))
      return hl_fail(e, HL_EINVAL, "spacing is %g mm, expected more than 0", spacing_mm[a]);
  hl_tensor *t;
  HL_TRY(image_new(&t, type, hl_tensor_shape(mask)->dim, "distances", e));
  begin(t, hl_tensor_u8(mask));
  hl_status status = HL_OK;
  for (int a = 2; a >= 0 && status == HL_OK; a--)
    status = lines_apply(t, a,
                         a == 2   ? sweeps
                         : a == 1 ? envelopes
                                  : roots,
                         &spacing_mm[a], SCRATCH * hl_tensor_shape(mask)->dim[a], e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}
