/* The cubic B-spline through samples: Unser, Aldroubi and Eden, "B-spline signal processing",
 * IEEE Trans. Signal Processing 41 (1993). */
#include "lines.h"

#include <math.h>

void spline_weights(double t, double w[4]) {
  double s = 1 - t;
  w[0] = s * s * s / 6;
  w[1] = (t * t * (t - 2) * 3 + 4) / 6;
  w[2] = (s * s * (s - 2) * 3 + 4) / 6;
  w[3] = t * t * t / 6;
}

/* Powers of the pole beyond this one are below the precision of a double. */
enum { REACH = 48 };

/* What the causal recursion has gathered from all samples before the first. */
static void begin_causal(double *v, int64_t n, hl_boundary b, double pole) {
  double sum[LANES] = {0}, power = 1;
  for (int k = 0; k <= REACH; k++, power *= pole) {
    const double *from = v + boundary_index(b, -k, n) * LANES;
    for (int l = 0; l < LANES; l++) sum[l] += power * from[l];
  }
  for (int l = 0; l < LANES; l++) v[l] = sum[l];
}

/* The last coefficient, from all that the causal recursion would give beyond the end. */
static void begin_anticausal(double *v, int64_t n, hl_boundary b, double pole) {
  double *last = v + (n - 1) * LANES;
  if (b == HL_WRAP) {
    double sum[LANES] = {0}, power = pole;
    for (int k = 0; k <= REACH; k++, power *= pole) {
      const double *from = v + boundary_index(b, n - 1 + k, n) * LANES;
      for (int l = 0; l < LANES; l++) sum[l] -= power * from[l];
    }
    for (int l = 0; l < LANES; l++) last[l] = sum[l];
    return;
  }
  for (int l = 0; l < LANES; l++) {
    if (b == HL_MIRROR)
      last[l] = pole / (pole * pole - 1) * (last[l] + pole * last[l - LANES]);
    else
      last[l] = pole / (pole - 1) * last[l];
  }
}

static void prefilter(double *v, int64_t n, double *scratch, const void *ctx) {
  (void)scratch;
  const double pole = sqrt(3) - 2;
  hl_boundary b = *(const hl_boundary *)ctx;
  if (n == 1) return; /* a constant is its own spline */
  begin_causal(v, n, b, pole);
  for (int64_t i = LANES; i < n * LANES; i++) v[i] += pole * v[i - LANES];
  begin_anticausal(v, n, b, pole);
  for (int64_t i = (n - 1) * LANES - 1; i >= 0; i--) v[i] = pole * (v[i + LANES] - v[i]);
  for (int64_t i = 0; i < n * LANES; i++) v[i] *= 6;
}

hl_status spline_prefilter(hl_tensor *t, hl_boundary boundary, hl_err *e) {
  for (int a = 0; a < 3; a++) HL_TRY(lines_apply(t, a, prefilter, &boundary, 0, e));
  return HL_OK;
}

hl_status hl_spline_coefficients(hl_tensor **out, const hl_tensor *src, hl_boundary boundary,
                                 hl_dtype type, hl_err *e) {
  *out = NULL;
  HL_TRY(image_check(src, TYPE_BIT(HL_F32) | TYPE_BIT(HL_F64) | TYPE_BIT(HL_I16) | TYPE_BIT(HL_U8),
                     "the image", e));
  if (boundary != HL_MIRROR && boundary != HL_REFLECT && boundary != HL_WRAP)
    return hl_fail(e, HL_EINVAL, "a spline's boundary is mirror, reflect or wrap, not %s",
                   hl_boundary_name(boundary));
  if (type != HL_F32 && type != HL_F64)
    return hl_fail(e, HL_EINVAL, "a spline's coefficients are f32 or f64, not %s",
                   hl_dtype_name(type));
  hl_tensor *t;
  HL_TRY(image_new(&t, type, hl_tensor_shape(src)->dim, "spline coefficients", e));
  hl_status status = hl_tensor_copy(t, src, e);
  if (status == HL_OK) status = spline_prefilter(t, boundary, e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}
