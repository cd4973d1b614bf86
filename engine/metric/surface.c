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

/* 1 in `in` where a voxel of the mask counts and exceeds the threshold. */
static void threshold_row(uint8_t *in, const masks *m, const float *mask, int64_t first, int64_t n,
                          float threshold) {
  const float *v = mask + first, *valid = m->valid == NULL ? NULL : m->valid + first;
  for (int64_t i = 0; i < n; i++) in[i] = v[i] > threshold;
  for (int64_t i = 0; valid != NULL && i < n; i++) in[i] &= valid[i] > 0.5F;
}

static void widen(int64_t low[3], int64_t high[3], const int64_t at[3]) {
  for (int k = 0; k < 3; k++) {
    if (at[k] < low[k]) low[k] = at[k];
    if (at[k] > high[k]) high[k] = at[k];
  }
}

/* The ends of a row that are in; false if nothing is. */
static bool ends_of(const uint8_t *in, int64_t n, int64_t *low, int64_t *high) {
  const uint8_t *first = memchr(in, 1, (size_t)n);
  if (first == NULL) return false;
  *low = first - in;
  for (*high = n - 1; in[*high] == 0;) --*high;
  return true;
}

/* The box around all voxels that are in one of the masks; false if there are none. `in` has room
 * for a row. */
static bool find_box(job *j, const masks *m, float threshold, uint8_t *in) {
  int64_t low[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, high[3] = {-1, -1, -1}, at[3], last;
  for (at[0] = 0; at[0] < j->size[0]; at[0]++)
    for (at[1] = 0; at[1] < j->size[1]; at[1]++)
      for (int which = 0; which < 2; which++) {
        int64_t row = (at[0] * j->size[1] + at[1]) * j->size[2];
        threshold_row(in, m, which == 0 ? m->a : m->b, row, j->size[2], threshold);
        if (!ends_of(in, j->size[2], &at[2], &last)) continue;
        widen(low, high, at);
        if (last > high[2]) high[2] = last;
      }
  for (int k = 0; k < 3; k++) {
    j->first[k] = low[k];
    j->box[k] = high[k] - low[k] + 1;
  }
  return high[0] >= 0;
}

/* The mask on the box with one voxel around it that is out, as whatever lies beyond the box is. */
static hl_status padded_mask(hl_tensor **out, const job *j, const masks *m, const float *mask,
                             float threshold, hl_err *e) {
  const int64_t size[3] = {j->box[0] + 2, j->box[1] + 2, j->box[2] + 2};
  hl_desc d = {HL_U8, HL_PLAIN, hl_shape_make(3, size)};
  HL_TRY(hl_tensor_zeros(out, &d, HL_MEM_WORKSPACE, "a mask's box", e));
  for (int64_t z = 0; z < j->box[0]; z++)
    for (int64_t y = 0; y < j->box[1]; y++) {
      int64_t row = (j->first[0] + z) * j->size[1] + j->first[1] + y;
      uint8_t *in = hl_tensor_u8(*out) + ((z + 1) * size[1] + y + 1) * size[2] + 1;
      threshold_row(in, m, mask, row * j->size[2] + j->first[2], j->box[2], threshold);
    }
  return HL_OK;
}

/* In, and a face neighbour is not. */
static int64_t mark_surface(const job *j, const uint8_t *padded, uint8_t *edge) {
  const int64_t step[3] = {(j->box[1] + 2) * (j->box[2] + 2), j->box[2] + 2, 1};
  int64_t found = 0;
  for (int64_t z = 0; z < j->box[0]; z++)
    for (int64_t y = 0; y < j->box[1]; y++, edge += j->box[2]) {
      const uint8_t *in = padded + (z + 1) * step[0] + (y + 1) * step[1] + 1;
      for (int64_t x = 0; x < j->box[2]; x++) edge[x] = 1;
      for (int k = 0; k < 3; k++) {
        if (j->size[k] == 1) continue;
        const uint8_t *before = in - step[k], *behind = in + step[k];
        for (int64_t x = 0; x < j->box[2]; x++) edge[x] &= before[x] & behind[x];
      }
      for (int64_t x = 0; x < j->box[2]; x++) {
        edge[x] = (uint8_t)(in[x] & (edge[x] ^ 1));
        found += edge[x];
      }
    }
  return found;
}

static hl_status find_surface(job *j, const masks *m, int which, float threshold, hl_err *e) {
  hl_desc d = {HL_U8, HL_PLAIN, hl_shape_make(3, j->box)};
  hl_tensor *padded;
  HL_TRY(hl_tensor_zeros(&j->edge[which], &d, HL_MEM_WORKSPACE, "a surface", e));
  HL_TRY(padded_mask(&padded, j, m, which == 0 ? m->a : m->b, threshold, e));
  j->n[which] = mark_surface(j, hl_tensor_u8(padded), hl_tensor_u8(j->edge[which]));
  hl_tensor_unref(padded);
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
  uint8_t *out = hl_tensor_u8(beside);
  for (int64_t i = 0; i < n; i++) out[i] = other[i] == 0;
  hl_status s = hl_mask_distance(&map, beside, spacing_mm, HL_F64, e);
  hl_tensor_unref(beside);
  if (s != HL_OK) return s;
  j->distance[from] = hl_host_calloc((size_t)j->n[from], sizeof(double));
  if (j->distance[from] == NULL) {
    hl_tensor_unref(map);
    return hl_fail(e, HL_ENOMEM, "no memory for the distances of %lld voxels",
                   (long long)j->n[from]);
  }
  const double *found = hl_tensor_f64(map);
  for (int64_t i = 0; i < n; i++)
    if (own[i] != 0) j->distance[from][k++] = found[i];
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
  uint8_t *row = hl_host_calloc((size_t)j->size[2], 1);
  if (row == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a row of a mask");
  bool any = find_box(j, m, threshold, row);
  hl_host_free(row);
  if (!any) return HL_OK;
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
