#include "internal.h"

#include <hilum/morphology.h>

#include <math.h>

void overlap_count(const masks *m, float threshold, const uint8_t *also, hl_overlap *out) {
  *out = (hl_overlap){0};
  for (int64_t i = 0; i < m->n; i++) {
    if (!counts(m, i) || (also != NULL && also[i] == 0)) continue;
    bool in_a = m->a[i] > threshold, in_b = m->b[i] > threshold;
    out->voxels++;
    out->in_a += in_a;
    out->in_b += in_b;
    out->both += in_a && in_b;
  }
  int64_t sum = out->in_a + out->in_b;
  out->dice = sum == 0 ? NAN : 2.0 * (double)out->both / (double)sum;
}

hl_status hl_overlap_measure(const hl_tensor *a, const hl_tensor *b, const hl_tensor *valid,
                             double threshold, hl_overlap *out, hl_err *e) {
  *out = (hl_overlap){.dice = NAN};
  masks m;
  HL_TRY(masks_open(&m, "overlap", a, b, valid, e));
  overlap_count(&m, (float)threshold, NULL, out);
  masks_close(&m);
  return HL_OK;
}

/* ---- near the border ---- */

/* 1 in `band` where the mask `side` is in and an out voxel is no more than width away. */
static hl_status add_side(uint8_t *band, const hl_tensor *side, const double spacing_mm[3],
                          double width, hl_err *e) {
  hl_tensor *far;
  HL_TRY(hl_mask_distance(&far, side, spacing_mm, HL_F64, e));
  const double *d = hl_tensor_f64(far);
  const uint8_t *in = hl_tensor_u8(side);
  for (int64_t i = 0; i < hl_tensor_numel(side); i++)
    if (in[i] != 0 && d[i] <= width) band[i] = 1;
  hl_tensor_unref(far);
  return HL_OK;
}

static hl_status find_band(const masks *m, float threshold, const int64_t size[3],
                           const double spacing_mm[3], double width, hl_tensor **band, hl_err *e) {
  hl_desc d = {HL_U8, HL_PLAIN, hl_shape_make(3, size)};
  hl_tensor *side;
  HL_TRY(hl_tensor_zeros(band, &d, HL_MEM_WORKSPACE, "the border's band", e));
  hl_status s = hl_tensor_zeros(&side, &d, HL_MEM_WORKSPACE, "one side of the border", e);
  for (int inside = 0; inside < 2 && s == HL_OK; inside++) {
    for (int64_t i = 0; i < m->n; i++)
      hl_tensor_u8(side)[i] = (m->b[i] > threshold) == (inside != 0);
    s = add_side(hl_tensor_u8(*band), side, spacing_mm, width, e);
  }
  if (s == HL_OK) hl_tensor_unref(side);
  if (s == HL_OK) return HL_OK;
  hl_tensor_unref(*band);
  *band = NULL;
  return s;
}

hl_status hl_border_measure(const hl_tensor *a, const hl_tensor *b, const hl_tensor *valid,
                            double threshold, const double spacing_mm[3], double width_mm,
                            hl_overlap *out, hl_err *e) {
  *out = (hl_overlap){.dice = NAN};
  int64_t size[3];
  masks m;
  hl_tensor *band;
  if (!(width_mm > 0 && isfinite(width_mm)))
    return hl_fail(e, HL_EINVAL, "border: the width is %g mm, expected more than 0", width_mm);
  HL_TRY(masks_size(a, "border", size, e));
  HL_TRY(masks_open(&m, "border", a, b, valid, e));
  hl_status s = find_band(&m, (float)threshold, size, spacing_mm, width_mm, &band, e);
  if (s == HL_OK) {
    overlap_count(&m, (float)threshold, hl_tensor_u8(band), out);
    hl_tensor_unref(band);
  }
  masks_close(&m);
  return s;
}

/* ---- calibration ---- */

hl_status hl_calibration_add(const hl_tensor *probability, const hl_tensor *truth,
                             const hl_tensor *valid, int bins, int64_t *count, double *sum,
                             int64_t *hits, hl_err *e) {
  masks m;
  if (bins < 1) return hl_fail(e, HL_EINVAL, "calibration: %d bins, expected 1 or more", bins);
  HL_TRY(masks_open(&m, "calibration", probability, truth, valid, e));
  for (int64_t i = 0; i < m.n; i++) {
    double p = (double)m.a[i];
    if (!counts(&m, i) || isnan(p)) continue;
    int bin = p <= 0 ? 0 : p >= 1 ? bins - 1 : (int)(p * bins);
    count[bin]++;
    sum[bin] += p;
    hits[bin] += m.b[i] > 0.5F;
  }
  masks_close(&m);
  return HL_OK;
}
