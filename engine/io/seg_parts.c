/* What a program predicted, as segments: one for each number of a volume of labels. */
#include "seg.h"

#include <hilum/ledger.h>

#include <stdio.h>
#include <string.h>

static hl_status check(const hl_series *s, const hl_tensor *labels, hl_err *e) {
  hl_desc want = {.dtype = HL_I32, .shape = hl_shape_make(3, hl_series_grid(s)->size)};
  char got[HL_DESC_TEXT], expected[HL_DESC_TEXT];
  if (hl_desc_equal(hl_tensor_desc(labels), &want) && hl_tensor_is_dense(labels)) return HL_OK;
  return hl_fail(e, HL_ESHAPE, "labels are %s, expected %s, the series' grid",
                 hl_desc_text(hl_tensor_desc(labels), got), hl_desc_text(&want, expected));
}

/* 1 where the volume has the number, on the part's box; `mask` has room for it. */
static void cut(uint8_t *mask, const hl_tensor *labels, const hl_seg_part *part, int32_t number) {
  const int64_t *size = hl_tensor_shape(labels)->dim;
  const int32_t *all = hl_tensor_i32((hl_tensor *)labels);
  for (int64_t z = 0; z < part->size[0]; z++)
    for (int64_t y = 0; y < part->size[1]; y++) {
      int64_t row = (z + part->first[0]) * size[1] + y + part->first[1];
      const int32_t *from = all + row * size[2] + part->first[2];
      for (int64_t x = 0; x < part->size[2]; x++) *mask++ = from[x] == number;
    }
}

static hl_status check_box(const hl_tensor *labels, const hl_seg_part *part, hl_err *e) {
  const int64_t *size = hl_tensor_shape(labels)->dim;
  for (int a = 0; a < 3; a++)
    if (part->first[a] < 0 || part->size[a] < 1 || part->first[a] > size[a] - part->size[a])
      return hl_fail(e, HL_EINVAL, "a part's box lies outside the series");
  return HL_OK;
}

static hl_status add(seg_object *o, const hl_tensor *labels, const hl_seg_part *part, int64_t i,
                     const char *algorithm, hl_err *e) {
  seg_segment s = {.nodule = i, .type = "AUTOMATIC", .algorithm = algorithm};
  snprintf(s.label, sizeof s.label, "Nodule %lld", (long long)i + 1);
  snprintf(s.tracking, sizeof s.tracking, "%.60s", s.label);
  snprintf(s.text, sizeof s.text, "%s", part->text);
  size_t n = (size_t)(part->size[0] * part->size[1] * part->size[2]);
  uint8_t *mask = hl_host_calloc(n, 1);
  if (!mask) return hl_fail(e, HL_ENOMEM, "no memory for a segment's %zu voxels", n);
  cut(mask, labels, part, (int32_t)(i + 1));
  bool any = seg_add(o, &s, part->first, part->size, mask);
  hl_host_free(mask);
  return any ? HL_OK : hl_fail(e, HL_EINVAL, "no voxel has the label %lld", (long long)i + 1);
}

static hl_status build(const char *path, seg_object *o, const hl_tensor *labels,
                       const hl_seg_part *parts, int64_t n, const char *algorithm, hl_err *e) {
  int64_t frames = 0;
  for (int64_t i = 0; i < n; i++) {
    HL_TRY(check_box(labels, &parts[i], e));
    frames += parts[i].size[0];
  }
  HL_TRY(seg_begin(o, n, frames, e));
  for (int64_t i = 0; i < n; i++) HL_TRY(add(o, labels, &parts[i], i, algorithm, e));
  return seg_finish(o, path, e);
}

hl_status hl_seg_write_parts(const char *path, const hl_series *s, const hl_tensor *labels,
                             const hl_seg_part *parts, int64_t n, const char *algorithm,
                             hl_seg_result *result, hl_err *e) {
  seg_object o = {.series = s,
                  .title = "Nodules, predicted",
                  .content = "Lung nodules predicted by a network",
                  .date = ""};
  *result = (hl_seg_result){0};
  HL_TRY(check(s, labels, e));
  if (n < 1)
    return hl_fail(e, HL_EFORMAT,
                   "%s: nothing is predicted in series %s, and a segmentation object"
                   " holds one segment at least",
                   path, hl_series_uid(s));
  hl_status status = build(path, &o, labels, parts, n, algorithm, e);
  if (status == HL_OK) *result = (hl_seg_result){.segments = o.n_segments, .frames = o.n_frames};
  seg_release(&o);
  return status;
}
