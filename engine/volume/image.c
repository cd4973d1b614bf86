/* Scans as networks see them. */
#include "internal.h"

#include <math.h>
#include <string.h>

patch patch_within(const hl_grid *scan, const int64_t first[3], const int64_t end[3]) {
  patch out = {.grid = *scan};
  for (int a = 0; a < 3; a++) {
    int64_t last = scan->size[a] - 1, lo = first[a] < 0 ? 0 : first[a] > last ? last : first[a];
    int64_t hi = end[a] > last + 1 ? last + 1 : end[a] <= lo ? lo + 1 : end[a];
    out.first[a] = lo;
    out.grid.size[a] = hi - lo;
    out.grid.origin_mm[a] = scan->origin_mm[a] + (double)lo * scan->spacing_mm[a];
  }
  if (scan->z_mm) out.grid.z_mm = scan->z_mm + out.first[0];
  return out;
}

/* What a spline over `to` takes from the scan: beyond this many voxels nothing that a double holds.
 */
enum { SPLINE_REACH = 24 };

static patch patch_under(const hl_grid *scan, const hl_grid *to) {
  int64_t first[3], end[3];
  double low[3], high[3], last[3];
  for (int a = 0; a < 3; a++) last[a] = (double)(to->size[a] - 1);
  const double zero[3] = {0, 0, 0};
  hl_grid_position(to, zero, low);
  hl_grid_position(to, last, high);
  hl_grid_index(scan, low, low);
  hl_grid_index(scan, high, high);
  for (int a = 0; a < 3; a++) {
    double most = (double)scan->size[a];
    first[a] = (int64_t)floor(fmax(-1, fmin(low[a], most))) - SPLINE_REACH;
    end[a] = (int64_t)ceil(fmax(-1, fmin(high[a], most))) + SPLINE_REACH + 1;
  }
  return patch_within(scan, first, end);
}

/* The patch's voxels: a new dense tensor. */
static hl_status patch_voxels(hl_tensor **out, const patch *at, const hl_tensor *voxels,
                              hl_err *e) {
  hl_desc d = {.dtype = hl_tensor_dtype(voxels), .shape = hl_shape_make(3, at->grid.size)};
  HL_TRY(hl_tensor_new(out, &d, hl_ledger_main(), HL_MEM_DATA, "part of a scan", e));
  const int64_t *size = hl_tensor_shape(voxels)->dim;
  size_t item = hl_dtype_size(d.dtype), row = (size_t)at->grid.size[2] * item;
  const char *from = hl_tensor_data(voxels);
  char *to = hl_tensor_data(*out);
  for (int64_t z = 0; z < at->grid.size[0]; z++)
    for (int64_t y = 0; y < at->grid.size[1]; y++, to += row) {
      int64_t line = (z + at->first[0]) * size[1] + y + at->first[1];
      memcpy(to, from + (size_t)(line * size[2] + at->first[2]) * item, row);
    }
  return HL_OK;
}

/* By spline from no more of the scan than matters: the whole would be filtered for each crop. Where
 * the patch ends inside of the scan, the crop does not come near its end. */
static hl_status resample_spline(hl_tensor **out, const hl_tensor *voxels, const hl_grid *scan,
                                 const hl_grid *to, const hl_resample_options *how, hl_err *e) {
  patch at = patch_under(scan, to);
  hl_tensor *part = NULL;
  HL_TRY(patch_voxels(&part, &at, voxels, e));
  hl_status status = hl_volume_resample(out, part, &at.grid, to, how, e);
  hl_tensor_unref(part);
  return status;
}

static hl_status resample_image(hl_tensor **out, const hl_tensor *voxels, const hl_grid *scan,
                                const hl_grid *to, const hl_resample_options *how, hl_err *e) {
  char text[HL_DESC_TEXT];
  hl_desc want = {.dtype = hl_tensor_dtype(voxels), .shape = hl_shape_make(3, scan->size)};
  if (how->kind != HL_RESAMPLE_CUBIC) return hl_volume_resample(out, voxels, scan, to, how, e);
  if (!hl_desc_equal(hl_tensor_desc(voxels), &want) || !hl_tensor_is_dense(voxels))
    return hl_fail(e, HL_ESHAPE, "voxels are %s, which is not the scan's grid",
                   hl_desc_text(hl_tensor_desc(voxels), text));
  return resample_spline(out, voxels, scan, to, how, e);
}

hl_desc image_desc(hl_dtype type, const hl_grid *g) {
  int64_t dim[5] = {1, 1, g->size[0], g->size[1], g->size[2]};
  return (hl_desc){.dtype = type, .layout = HL_IMAGE, .shape = hl_shape_make(5, dim)};
}

/* With one channel, image and plain layout lie the same way in memory. */
static hl_status as_image(hl_tensor **out, hl_tensor *plain, const hl_grid *g, hl_err *e) {
  hl_desc d = image_desc(hl_tensor_dtype(plain), g);
  hl_status status = hl_tensor_recast(out, plain, &d, e);
  hl_tensor_unref(plain);
  return status;
}

static hl_status windowed(hl_tensor **out, const hl_tensor *voxels, const hl_grid *from,
                          const hl_grid *to, hl_resampling kind, const double window[2],
                          hl_err *e) {
  hl_tensor *image = NULL;
  /* outside the scan: the window's lower end, which becomes 0 */
  hl_resample_options how = {.kind = kind, .outside = window[0], .type = HL_F32};
  HL_TRY(resample_image(&image, voxels, from, to, &how, e));
  hl_status status = hl_volume_window(image, window[0], window[1], e);
  if (status == HL_OK) return as_image(out, image, to, e);
  hl_tensor_unref(image);
  return status;
}

hl_status hl_volume_image(hl_tensor **image, hl_tensor **valid, const hl_tensor *voxels,
                          const hl_grid *from, const hl_grid *to, hl_resampling kind,
                          const double window[2], hl_err *e) {
  hl_tensor *inside = NULL;
  *image = *valid = NULL;
  HL_TRY(windowed(image, voxels, from, to, kind, window, e));
  hl_status status = hl_volume_inside(&inside, from, to, e);
  if (status == HL_OK) status = as_image(valid, inside, to, e);
  if (status == HL_OK) return HL_OK;
  hl_tensor_unref(*image);
  *image = NULL;
  return status;
}
