#include "lines.h"

#include <hilum/filter.h>

#include <math.h>
#include <string.h>

/* A symmetric kernel: weight[k] belongs to both neighbours k voxels off. */
typedef struct kernel {
  int64_t radius;
  double *weight;
  hl_boundary boundary;
  double outside;
} kernel;

static const int64_t MOST_RADIUS = 100000;

static hl_status kernel_new(kernel *out, double sigma, const hl_gaussian *g, hl_err *e) {
  *out = (kernel){.radius = (int64_t)floor(g->truncate * sigma + 0.5),
                  .boundary = g->boundary,
                  .outside = g->outside};
  out->weight = hl_host_calloc((size_t)out->radius + 1, sizeof *out->weight);
  if (!out->weight) return hl_fail(e, HL_ENOMEM, "no memory for a Gaussian of sigma %g", sigma);
  double sum = 0;
  for (int64_t k = 0; k <= out->radius; k++) {
    out->weight[k] = exp(-0.5 * (double)(k * k) / (sigma * sigma));
    sum += (k ? 2 : 1) * out->weight[k];
  }
  for (int64_t k = 0; k <= out->radius; k++) out->weight[k] /= sum;
  return HL_OK;
}

/* The line with what lies beyond its ends, then every sample from it. */
static void convolve(double *v, int64_t n, double *scratch, const void *ctx) {
  const kernel *k = ctx;
  for (int64_t i = -k->radius; i < n + k->radius; i++) {
    double *to = scratch + (i + k->radius) * LANES;
    int64_t from = boundary_index(k->boundary, i, n);
    for (int l = 0; l < LANES; l++) to[l] = from < 0 ? k->outside : v[from * LANES + l];
  }
  for (int64_t i = 0; i < n; i++) {
    const double *mid = scratch + (i + k->radius) * LANES;
    double sum[LANES];
    for (int l = 0; l < LANES; l++) sum[l] = k->weight[0] * mid[l];
    for (int64_t d = 1; d <= k->radius; d++)
      for (int l = 0; l < LANES; l++)
        sum[l] += k->weight[d] * (mid[l - d * LANES] + mid[l + d * LANES]);
    memcpy(v + i * LANES, sum, sizeof sum);
  }
}

static hl_status check(const hl_gaussian *g, hl_err *e) {
  if (g->boundary >= HL_OVERLAP)
    return hl_fail(e, HL_EINVAL, "a Gaussian does not take the boundary '%s'",
                   hl_boundary_name(g->boundary));
  if (!(g->truncate > 0 && isfinite(g->truncate)))
    return hl_fail(e, HL_EINVAL, "truncate is %g, expected more than 0", g->truncate);
  for (int a = 0; a < 3; a++)
    if (!(g->sigma[a] >= 0 && g->sigma[a] * g->truncate < (double)MOST_RADIUS))
      return hl_fail(e, HL_EINVAL, "sigma is %g, expected 0 or more voxels", g->sigma[a]);
  return HL_OK;
}

static hl_status filter_axis(hl_tensor *t, int axis, const hl_gaussian *g, hl_err *e) {
  kernel k;
  HL_TRY(kernel_new(&k, g->sigma[axis], g, e));
  int64_t scratch = (hl_tensor_shape(t)->dim[axis] + 2 * k.radius) * LANES;
  hl_status status = lines_apply(t, axis, convolve, &k, scratch, e);
  hl_host_free(k.weight);
  return status;
}

hl_status hl_filter_gaussian(hl_tensor **out, const hl_tensor *src, const hl_gaussian *g,
                             hl_err *e) {
  *out = NULL;
  HL_TRY(image_check(src, TYPE_BIT(HL_F32) | TYPE_BIT(HL_F64), "the image", e));
  HL_TRY(check(g, e));
  hl_tensor *t;
  HL_TRY(image_new(&t, hl_tensor_dtype(src), hl_tensor_shape(src)->dim, "a filtered image", e));
  hl_status status = hl_tensor_copy(t, src, e);
  for (int a = 0; a < 3 && status == HL_OK; a++)
    if (g->sigma[a] > 0) status = filter_axis(t, a, g, e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}
