/* Statistics of an image's values inside a mask. */
#include "lines.h"

#include <hilum/shape.h>
#include <math.h>
#include <stdlib.h>

const double hl_percentiles[HL_PERCENTILES] = {5, 10, 25, 50, 75, 90, 95};

static int compare(const void *a, const void *b) {
  double p = *(const double *)a, q = *(const double *)b;
  return p < q ? -1 : p > q;
}

static int64_t gather(double *values, const hl_tensor *mask, const hl_tensor *image) {
  int64_t n = hl_tensor_numel(mask), kept = 0;
  const uint8_t *in = hl_tensor_u8(mask);
  for (int64_t i = 0; i < n; i++) {
    if (!in[i]) continue;
    switch (hl_tensor_dtype(image)) {
    case HL_I16:
      values[kept++] = hl_tensor_i16(image)[i];
      break;
    case HL_U8:
      values[kept++] = hl_tensor_u8(image)[i];
      break;
    case HL_F64:
      values[kept++] = hl_tensor_f64(image)[i];
      break;
    default:
      values[kept++] = (double)hl_tensor_f32(image)[i];
    }
  }
  return kept;
}

static void moments(hl_inside *out, const double *v) {
  double n = (double)out->voxels, m2 = 0, m3 = 0, m4 = 0;
  for (int64_t i = 0; i < out->voxels; i++) out->mean += v[i] / n;
  for (int64_t i = 0; i < out->voxels; i++) {
    double d = v[i] - out->mean, d2 = d * d;
    m2 += d2 / n;
    m3 += d2 * d / n;
    m4 += d2 * d2 / n;
  }
  out->sd = sqrt(m2);
  bool flat = v[0] == v[out->voxels - 1];
  out->skewness = flat ? (double)NAN : m3 / (m2 * out->sd);
  out->kurtosis = flat ? (double)NAN : m4 / (m2 * m2);
}

static double percentile(const double *v, int64_t n, double percent) {
  double at = percent / 100 * (double)(n - 1);
  int64_t low = (int64_t)at, high = low < n - 1 ? low + 1 : low;
  return v[low] + (at - (double)low) * (v[high] - v[low]);
}

hl_status hl_mask_inside(hl_inside *out, const hl_tensor *mask, const hl_tensor *image, hl_err *e) {
  *out = (hl_inside){0};
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  HL_TRY(image_check(image,
                     TYPE_BIT(HL_I16) | TYPE_BIT(HL_U8) | TYPE_BIT(HL_F32) | TYPE_BIT(HL_F64),
                     "the image", e));
  if (!hl_shape_equal(hl_tensor_shape(mask), hl_tensor_shape(image)))
    return hl_fail(e, HL_ESHAPE, "a mask and an image of different size");
  double *values = hl_host_calloc((size_t)hl_tensor_numel(mask), sizeof *values);
  if (!values) return hl_fail(e, HL_ENOMEM, "no memory for the values inside a mask");
  int64_t n = out->voxels = gather(values, mask, image);
  if (n > 0) {
    qsort(values, (size_t)n, sizeof *values, compare);
    out->min = values[0];
    out->max = values[n - 1];
    moments(out, values);
    for (int i = 0; i < HL_PERCENTILES; i++)
      out->percentile[i] = percentile(values, n, hl_percentiles[i]);
  }
  hl_host_free(values);
  return HL_OK;
}
