#include "internal.h"
#include "lines.h"

#include <hilum/shape.h>
#include <math.h>
#include <stdlib.h>

double hl_outline_area(const hl_outline *o) {
  int64_t twice = 0;
  for (int64_t i = 0; i < o->n; i++) {
    hl_point p = o->points[i], q = o->points[i + 1 < o->n ? i + 1 : 0];
    twice += (int64_t)p.x * q.y - (int64_t)q.x * p.y;
  }
  return 0.5 * fabs((double)twice);
}

double hl_outline_longest_mm(const hl_outline *o, const double spacing_mm[2]) {
  double most = 0;
  for (int64_t i = 0; i < o->n; i++)
    for (int64_t k = i + 1; k < o->n; k++) {
      double dy = (double)(o->points[i].y - o->points[k].y) * spacing_mm[0];
      double dx = (double)(o->points[i].x - o->points[k].x) * spacing_mm[1];
      double d = dy * dy + dx * dx;
      if (d > most) most = d;
    }
  return sqrt(most);
}

/* ---- one mark ---- */

/* An outline on a slice of the scan. */
typedef struct lying {
  double z_mm, area_mm2; /* less than 0 for an exclusion */
} lying;

static int compare_z(const void *a, const void *b) {
  double p = ((const lying *)a)->z_mm, q = ((const lying *)b)->z_mm;
  return p < q ? -1 : p > q;
}

static void count_points(hl_mark_shape *s, const hl_roi *roi, int64_t slice) {
  for (int64_t i = 0; i < roi->n; i++) {
    int64_t at[3] = {slice, roi->points[i].y, roi->points[i].x};
    for (int a = 0; a < 3; a++) {
      int64_t end = s->first[a] + s->size[a];
      if (s->points == 0 || at[a] < s->first[a]) s->first[a] = at[a];
      s->size[a] = (s->points == 0 || at[a] + 1 > end ? at[a] + 1 : end) - s->first[a];
      s->centroid[a] += (double)at[a];
    }
    s->points++;
  }
}

/* Items lie in order of z; those of one z have one extent. */
static double volume_of(const lying *items, int64_t n, double thickness_mm) {
  double sum = 0;
  for (int64_t i = 0, next; i < n; i = next) {
    double area = 0;
    for (next = i; next < n && items[next].z_mm == items[i].z_mm; next++)
      area += items[next].area_mm2;
    double below = i > 0 ? items[i].z_mm - items[i - 1].z_mm : 0;
    double above = next < n ? items[next].z_mm - items[i].z_mm : 0;
    double extent = i > 0 && next < n   ? 0.5 * (below + above)
                    : i > 0 || next < n ? below + above
                                        : thickness_mm;
    sum += area * extent;
  }
  return sum;
}

hl_status hl_mark_measure(hl_mark_shape *out, const hl_marks *m, int64_t index, const hl_grid *grid,
                          const hl_slices *slices, double thickness_mm, hl_err *e) {
  *out = (hl_mark_shape){0};
  HL_TRY(hl_grid_check(grid, e));
  if (index < 0 || index >= hl_marks_count(m) || hl_marks_at(m, index)->kind != HL_MARK_OUTLINE)
    return hl_fail(e, HL_EINVAL, "mark %lld is no outlined one", (long long)index);
  const hl_mark *mark = hl_marks_at(m, index);
  lying *items = hl_host_calloc((size_t)(mark->n_rois ? mark->n_rois : 1), sizeof *items);
  if (!items) return hl_fail(e, HL_ENOMEM, "no memory for %lld outlines", (long long)mark->n_rois);
  int64_t n = 0;
  for (int64_t i = 0; i < mark->n_rois; i++) {
    const hl_roi *roi = &mark->rois[i];
    int64_t slice = roi_place(roi, slices, grid->spacing_mm[0]);
    if (slice < 0) continue;
    hl_outline o = {.points = roi->points, .n = roi->n};
    double pixel_mm2 = grid->spacing_mm[1] * grid->spacing_mm[2];
    items[n++] = (lying){isfinite(roi->z_mm) ? roi->z_mm : slices->z_mm[slice],
                         (roi->inclusion ? 1 : -1) * hl_outline_area(&o) * pixel_mm2};
    count_points(out, roi, slice);
    out->longest_mm = fmax(out->longest_mm, hl_outline_longest_mm(&o, &grid->spacing_mm[1]));
  }
  for (int a = 0; a < 3 && out->points; a++) out->centroid[a] /= (double)out->points;
  qsort(items, (size_t)n, sizeof *items, compare_z);
  out->volume_mm3 = volume_of(items, n, thickness_mm);
  hl_host_free(items);
  return HL_OK;
}

/* ---- masks ---- */

/* The voxels of one slice that have a neighbour outside, by one of four sides. */
static int64_t rim_of(hl_point *rim, const uint8_t *mask, int64_t ny, int64_t nx) {
  int64_t n = 0;
  for (int64_t y = 0; y < ny; y++)
    for (int64_t x = 0; x < nx; x++) {
      const uint8_t *v = mask + y * nx + x;
      if (!*v) continue;
      bool within = y > 0 && x > 0 && y < ny - 1 && x < nx - 1;
      if (within && v[-1] && v[1] && v[-nx] && v[nx]) continue;
      rim[n++] = (hl_point){(int32_t)x, (int32_t)y};
    }
  return n;
}

hl_status hl_mask_longest_mm(double *out, const hl_tensor *mask, const double spacing_mm[3],
                             hl_err *e) {
  *out = 0;
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  const int64_t *size = hl_tensor_shape(mask)->dim;
  int64_t area = size[1] * size[2];
  hl_point *rim = hl_host_calloc((size_t)area, sizeof *rim);
  if (!rim) return hl_fail(e, HL_ENOMEM, "no memory for a slice of a mask");
  for (int64_t z = 0; z < size[0]; z++) {
    hl_outline o = {.points = rim,
                    .n = rim_of(rim, hl_tensor_u8(mask) + z * area, size[1], size[2])};
    *out = fmax(*out, hl_outline_longest_mm(&o, &spacing_mm[1]));
  }
  hl_host_free(rim);
  return HL_OK;
}
