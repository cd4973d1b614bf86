/* Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions", Theory of Computing 8
 * (2012): square distances, axis after axis, each the lower envelope of parabolas. */
#include "lines.h"

#include <hilum/morphology.h>

#include <math.h>

/* Where parabola q begins to lie below parabola p < q; positions in mm. */
static double meeting(double p, double fp, double q, double fq) {
  return ((fq + q * q) - (fp + p * p)) / (2 * (q - p));
}

/* One line of square distances. `root` and `from` have room for n: the parabolas of the envelope
 * and where each begins. */
static void envelope(double *v, int64_t n, double step, double *root, double *height,
                     double *from) {
  int64_t k = -1;
  for (int64_t i = 0; i < n; i++) {
    double q = (double)i * step, f = v[i * LANES], begin = -INFINITY;
    if (!(f < INFINITY)) continue;
    while (k >= 0) {
      begin = meeting(root[k], height[k], q, f);
      if (begin > from[k]) break;
      k--;
      begin = -INFINITY;
    }
    k++;
    root[k] = q;
    height[k] = f;
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
  double step = *(const double *)ctx;
  for (int l = 0; l < LANES; l++) envelope(v + l, n, step, scratch, scratch + n, scratch + 2 * n);
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
    status = lines_apply(t, a, a ? envelopes : roots, &spacing_mm[a],
                         3 * hl_tensor_shape(mask)->dim[a], e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}
