/* Surface distances through exact distance maps, over the box that holds both masks. */
#include "internal.h"

#include <hilum/ledger.h>
#include <hilum/morphology.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
  int64_t size[3], first[3], box[3]; /* of the image; the box around both masks */
  hl_tensor *edge[2];                /* surfaces of a and b within the box: u8 */
  int64_t n[2];                      /* their voxels */
  double *distance[2];               /* of each voxel of a surface to the other one, ascending */
} job;

static bool is_in(const masks *m, const float *mask, int64_t i, float threshold) {
  return counts(m, i) && mask[i] > threshold;
}

/* The box around all voxels that are in one of the masks; false if there are none. */
static bool find_box(job *j, const masks *m, float threshold) {
  int64_t low[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, high[3] = {-1, -1, -1}, i = 0, at[3];
  for (at[0] = 0; at[0] < j->size[0]; at[0]++)
    for (at[1] = 0; at[1] < j->size[1]; at[1]++)
      for (at[2] = 0; at[2] < j->size[2]; at[2]++, i++) {
        if (!is_in(m, m->a, i, threshold) && !is_in(m, m->b, i, threshold)) continue;
        for (int k = 0; k < 3; k++) {
          if (at[k] < low[k]) low[k] = at[k];
          if (at[k] > high[k]) high[k] = at[k];
        }
      }
  for (int k = 0; k < 3; k++) {
    j->first[k] = low[k];
    j->box[k] = high[k] - low[k] + 1;
  }
  return high[0] >= 0;
}

/* Whether voxel i of the image, at `at`, has a face neighbour outside the mask. */
static bool at_surface(const job *j, const masks *m, const float *mask, int64_t i,
                       const int64_t at[3], float threshold) {
  const int64_t step[3] = {j->size[1] * j->size[2], j->size[2], 1};
  for (int k = 0; k < 3; k++) {
    if (j->size[k] == 1) continue;
    if (at[k] == 0 || at[k] == j->size[k] - 1) return true;
    if (!is_in(m, mask, i - step[k], threshold) || !is_in(m, mask, i + step[k], threshold))
      return true;
  }
  return false;
}

static hl_status find_surface(job *j, const masks *m, int which, float threshold, hl_err *e) {
  const float *mask = which == 0 ? m->a : m->b;
  hl_desc d = {HL_U8, HL_PLAIN, hl_shape_make(3, j->box)};
  HL_TRY(hl_tensor_zeros(&j->edge[which], &d, HL_MEM_WORKSPACE, "a surface", e));
  uint8_t *edge = hl_tensor_u8(j->edge[which]);
  int64_t k = 0;
  for (int64_t z = 0; z < j->box[0]; z++)
    for (int64_t y = 0; y < j->box[1]; y++)
      for (int64_t x = 0; x < j->box[2]; x++, k++) {
        const int64_t at[3] = {j->first[0] + z, j->first[1] + y, j->first[2] + x};
        int64_t i = (at[0] * j->size[1] + at[1]) * j->size[2] + at[2];
        if (!is_in(m, mask, i, threshold)) continue;
        edge[k] = at_surface(j, m, mask, i, at, threshold);
        j->n[which] += edge[k];
      }
  return HL_OK;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Distances of surface `from` to the other one, sorted. */
static hl_status find_distances(job *j, int from, const double spacing_mm[3], hl_err *e) {
  hl_tensor *beside, *map;
  HL_TRY(hl_tensor_zeros(&beside, hl_tensor_desc(j->edge[0]), HL_MEM_WORKSPACE, "all but a surface",
                         e));
  const uint8_t *other = hl_tensor_u8(j->edge[1 - from]), *own = hl_tensor_u8(j->edge[from]);
  int64_t n = hl_tensor_numel(beside), k = 0;
  for (int64_t i = 0; i < n; i++) hl_tensor_u8(beside)[i] = other[i] == 0;
  hl_status s = hl_mask_distance(&map, beside, spacing_mm, HL_F64, e);
  hl_tensor_unref(beside);
  if (s != HL_OK) return s;
  j->distance[from] = hl_host_calloc((size_t)j->n[from], sizeof(double));
  if (j->distance[from] == NULL) {
    hl_tensor_unref(map);
    return hl_fail(e, HL_ENOMEM, "no memory for the distances of %lld voxels",
                   (long long)j->n[from]);
  }
  for (int64_t i = 0; i < n; i++)
    if (own[i] != 0) j->distance[from][k++] = hl_tensor_f64(map)[i];
  hl_tensor_unref(map);
  qsort(j->distance[from], (size_t)k, sizeof(double), ascending);
  return HL_OK;
}

static double percentile(const double *sorted, int64_t n, double p) {
  double at = p / 100 * (double)(n - 1), low = floor(at);
  int64_t i = (int64_t)low;
  if (i + 1 >= n) return sorted[n - 1];
  return sorted[i] + (at - low) * (sorted[i + 1] - sorted[i]);
}

static double sum_of(const double *v, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += v[i];
  return sum;
}

static int64_t within(const double *sorted, int64_t n, double tolerance) {
  int64_t k = 0;
  while (k < n && sorted[k] <= tolerance) k++;
  return k;
}

static void read_distances(const job *j, const hl_surface_options *o, hl_surface *out) {
  const double *a = j->distance[0], *b = j->distance[1];
  int64_t n_a = j->n[0], n_b = j->n[1];
  out->from_a = a[n_a - 1];
  out->hausdorff = fmax(a[n_a - 1], b[n_b - 1]);
  out->percentile = fmax(percentile(a, n_a, o->percentile), percentile(b, n_b, o->percentile));
  out->mean_from_a = sum_of(a, n_a) / (double)n_a;
  out->mean = (sum_of(a, n_a) + sum_of(b, n_b)) / (double)(n_a + n_b);
  int64_t near = within(a, n_a, o->tolerance_mm) + within(b, n_b, o->tolerance_mm);
  out->dice = (double)near / (double)(n_a + n_b);
}

static hl_status measure(job *j, const masks *m, const hl_surface_options *o, hl_surface *out,
                         hl_err *e) {
  float threshold = (float)o->threshold;
  if (!find_box(j, m, threshold)) return HL_OK;
  for (int i = 0; i < 2; i++) HL_TRY(find_surface(j, m, i, threshold, e));
  out->size_a = j->n[0];
  out->size_b = j->n[1];
  if (j->n[0] == 0 || j->n[1] == 0) return HL_OK;
  for (int i = 0; i < 2; i++) HL_TRY(find_distances(j, i, o->spacing_mm, e));
  read_distances(j, o, out);
  return HL_OK;
}

static hl_status check(const hl_surface_options *o, hl_err *e) {
  for (int k = 0; k < 3; k++)
    if (!(o->spacing_mm[k] > 0 && isfinite(o->spacing_mm[k])))
      return hl_fail(e, HL_EINVAL, "surface: the spacing is %g mm, expected more than 0",
                     o->spacing_mm[k]);
  if (!(o->percentile >= 0 && o->percentile <= 100))
    return hl_fail(e, HL_EINVAL, "surface: percentile %g, expected 0 to 100", o->percentile);
  if (!(o->tolerance_mm >= 0))
    return hl_fail(e, HL_EINVAL, "surface: the tolerance is %g mm, expected 0 or more",
                   o->tolerance_mm);
  return HL_OK;
}

hl_status hl_surface_measure(const hl_tensor *a, const hl_tensor *b, const hl_tensor *valid,
                             const hl_surface_options *o, hl_surface *out, hl_err *e) {
  *out = (hl_surface){0, 0, NAN, NAN, NAN, NAN, NAN, NAN};
  job j = {0};
  masks m;
  HL_TRY(check(o, e));
  HL_TRY(masks_size(a, "surface", j.size, e));
  HL_TRY(masks_open(&m, "surface", a, b, valid, e));
  hl_status s = measure(&j, &m, o, out, e);
  masks_close(&m);
  for (int i = 0; i < 2; i++) {
    hl_tensor_unref(j.edge[i]);
    hl_host_free(j.distance[i]);
  }
  return s;
}
