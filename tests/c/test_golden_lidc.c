/* The masks that pylidc 0.2.3 makes of real annotations, bit for bit. */
#define TAP_LEDGER
#include "scratch.h"
#include "tap.h"

#include <hilum/contour.h>
#include <hilum/store.h>
#include <hilum/tensor.h>

typedef struct annotation {
  hl_tensor *contours, *xy, *mask;
  int64_t box[6]; /* imin, imax, jmin, jmax, kmin, kmax */
} annotation;

static hl_status get(const hl_store *s, const char *group, const char *name, hl_dtype type,
                     hl_tensor **out, hl_err *e) {
  char path[256];
  hl_tensor *t;
  snprintf(path, sizeof path, "/%s/%s", group, name);
  HL_TRY(hl_store_get_tensor(s, path, &t, e));
  hl_status status = hl_tensor_dense(out, t, type, HL_PLAIN, e);
  hl_tensor_unref(t);
  return status;
}

static hl_status load(annotation *a, const hl_store *s, const char *group, hl_err *e) {
  char path[256];
  hl_value box;
  snprintf(path, sizeof path, "/%s", group);
  HL_TRY(get(s, group, "inputs.contours", HL_I32, &a->contours, e));
  HL_TRY(get(s, group, "inputs.contour_xy", HL_I32, &a->xy, e));
  HL_TRY(get(s, group, "outputs.mask", HL_U8, &a->mask, e));
  HL_TRY(hl_store_get_attr(s, path, "bbox", &box, e));
  for (int i = 0; i < 6; i++) a->box[i] = box.integers[i];
  hl_value_free(&box);
  return HL_OK;
}

static void unload(annotation *a) {
  hl_tensor_unref(a->contours);
  hl_tensor_unref(a->xy);
  hl_tensor_unref(a->mask);
}

/* Pixels of slice k that differ. */
static int64_t compare_slice(const annotation *a, int64_t k, hl_err *e) {
  const int32_t *c = hl_tensor_i32(a->contours);
  const hl_point *xy = (const hl_point *)hl_tensor_i32(a->xy);
  int64_t n = hl_tensor_shape(a->contours)->dim[0], used = 0;
  hl_outline outlines[64];
  for (int64_t i = 0; i < n && used < 64; i++)
    if (c[5 * i + 3] == k)
      outlines[used++] = (hl_outline){xy + c[5 * i], c[5 * i + 1] - c[5 * i], c[5 * i + 2] != 0};
  int32_t rows = (int32_t)(a->box[1] - a->box[0] + 1), cols = (int32_t)(a->box[3] - a->box[2] + 1);
  hl_mask_window w = {
      .x0 = (int32_t)a->box[2], .y0 = (int32_t)a->box[0], .width = cols, .height = rows};
  w.mask = calloc((size_t)rows, (size_t)cols);
  int64_t off = hl_outline_fill(&w, outlines, used, HL_PYLIDC, e) == HL_OK ? 0 : 1;
  const uint8_t *want = hl_tensor_u8(a->mask);
  int64_t slices = a->box[5] - a->box[4] + 1;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t col = 0; col < cols; col++)
      off += w.mask[r * cols + col] != want[(r * cols + col) * slices + k - a->box[4]];
  free(w.mask);
  return off;
}

static bool is_annotation(const hl_store *s, const char *group) {
  char path[256];
  hl_value op;
  hl_err e = {0};
  snprintf(path, sizeof path, "/%s", group);
  if (hl_store_get_attr(s, path, "op", &op, &e) != HL_OK) return false;
  bool yes = strcmp(op.texts[0], "annotation") == 0;
  hl_value_free(&op);
  return yes;
}

int main(void) {
  char path[PATH_MAX];
  const char *golden = getenv("HILUM_GOLDEN");
  if (golden)
    snprintf(path, sizeof path, "%s/lidc_masks.h5", golden);
  else
    in_shared(path, "golden/lidc_masks.h5");
  if (access(path, R_OK) != 0) return tap_skip_all("no golden vectors (%s)", path);
  hl_err e = {0};
  hl_store *s;
  hl_value names;
  if (!succeeds(hl_store_open(&s, path, &e), &e, "opening %s", path)) return tap_done();
  succeeds(hl_store_list(s, "/", &names, &e), &e, "listing its cases");
  for (size_t i = 0; i < names.count; i++) {
    if (!is_annotation(s, names.texts[i])) continue;
    annotation a = {0};
    int64_t off = 0;
    hl_status status = load(&a, s, names.texts[i], &e);
    for (int64_t k = a.box[4]; status == HL_OK && k <= a.box[5]; k++)
      off += compare_slice(&a, k, &e);
    ok(status == HL_OK && off == 0, "%s: %lld pixels differ %s", names.texts[i], (long long)off,
       e.msg);
    unload(&a);
  }
  hl_value_free(&names);
  hl_store_free(s);
  return tap_done();
}
