/* From marks to nodules and crops, on marks made here. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/nodule.h>

enum { NZ = 12, NY = 40, NX = 40 };

static double z_mm[NZ];
static hl_slice_uid uids[NZ];
static char uid_text[NZ][16];
static hl_slices slices;
static hl_grid grid;

static void set_up(void) {
  for (int k = 0; k < NZ; k++) {
    z_mm[k] = -50 + 2.0 * k;
    snprintf(uid_text[k], sizeof uid_text[k], "1.2.%03d", k);
    uids[k] = (hl_slice_uid){.uid = uid_text[k], .slice = k};
  }
  slices = (hl_slices){.uids = uids, .n_uids = NZ, .z_mm = z_mm, .n = NZ};
  grid = (hl_grid){
      .size = {NZ, NY, NX}, .spacing_mm = {2, 1, 1}, .origin_mm = {-50, -10, -20}, .z_mm = z_mm};
}

static int64_t square(hl_point *p, int cx, int cy, int half) {
  int64_t n = 0;
  for (int i = -half; i < half; i++) p[n++] = (hl_point){cx + i, cy - half};
  for (int i = -half; i < half; i++) p[n++] = (hl_point){cx + half, cy + i};
  for (int i = half; i > -half; i--) p[n++] = (hl_point){cx + i, cy + half};
  for (int i = half; i > -half; i--) p[n++] = (hl_point){cx - half, cy + i};
  return n;
}

/* Outlines of a box: slices z0 … z1, interior (2·half-1)² voxels around (cx, cy). */
static void add_box(hl_marks *m, const char *id, int z0, int z1, int cx, int cy, int half) {
  hl_point p[256];
  hl_err e = {0};
  int64_t n = square(p, cx, cy, half);
  hl_status s = hl_marks_add(m, HL_MARK_OUTLINE, id, 1, &e);
  for (int k = z0; k <= z1 && s == HL_OK; k++) {
    s = hl_marks_add_roi(m, z_mm[k], uid_text[k], true, 10 + k, &e);
    if (s == HL_OK) s = hl_marks_add_points(m, p, n, &e);
  }
  if (s != HL_OK) tap_diag("%s", e.msg);
}

static hl_marks *begin(void) {
  hl_marks *m;
  hl_err e = {0};
  if (hl_marks_new(&m, &e) != HL_OK || hl_marks_set_source(m, "r.xml", "1", "2", "", &e) != HL_OK)
    tap_diag("%s", e.msg);
  return m;
}

static void session(hl_marks *m) {
  hl_err e = {0};
  if (hl_marks_add_session(m, &e) != HL_OK) tap_diag("%s", e.msg);
}

static void test_consensus(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  const int half[4] = {4, 4, 5, 6};
  for (int r = 0; r < 4; r++) {
    session(m);
    add_box(m, "a", 3, 6, 15, 20, half[r]);
  }
  hl_marks_finish(m);
  hl_nodule_rule rule = hl_nodule_rule_default();
  if (!succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "four readers"))
    return;
  is_int(hl_nodules_count(ns), 1, "one nodule");
  const hl_nodule *n = hl_nodules_at(ns, 0);
  is_int(n->readers, 4, "of four readers");
  is_near(n->volume_mm3, 9 * 9 * 4 * 2.0, 1e-9, "at least two of four: the second largest");
  is_near(n->centre_mm[0], -41, 1e-9, "centre z");
  is_near(n->centre_mm[1], 10, 1e-9, "centre y");
  is_near(n->centre_mm[2], -5, 1e-9, "centre x");
  double want = 0;
  for (int r = 0; r < 4; r++) want += (2 * half[r] * sqrt(2) - 1) / 4;
  is_near(n->diameter_mm, want, 1e-9, "mean of the longest diameters");
  hl_tensor *mask;
  succeeds(hl_nodule_mask(&mask, ns, 0, 3, &e), &e, "a reader's mask");
  hl_stats st;
  succeeds(hl_tensor_stats(mask, &st, &e), &e, "its values");
  is_near(st.mean * (double)hl_tensor_numel(mask), 11 * 11 * 4, 1e-6, "its voxels");
  hl_tensor_unref(mask);
  fails(hl_nodule_mask(&mask, ns, 0, 4, &e), HL_EINVAL, &e, "no reader 4", "a fifth reader");
  hl_nodules_free(ns);

  rule.level = 1;
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "all must agree");
  is_near(hl_nodules_at(ns, 0)->volume_mm3, 7 * 7 * 4 * 2.0, 1e-9, "the smallest");
  hl_nodules_free(ns);
  rule = hl_nodule_rule_default();
  rule.min_diameter_mm = 30;
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "only large ones");
  ok(hl_nodules_count(ns) == 0 && hl_nodules_small(ns) == 1, "leave it out and count it");
  hl_nodules_free(ns);
  hl_marks_free(m);
}

static void test_denominator(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  for (int r = 0; r < 6; r++) {
    session(m);
    if (r < 2) add_box(m, "a", 3, 5, 15, 20, 4 + r);
    if (r == 2) add_box(m, "lonely", 8, 9, 30, 8, 3);
  }
  hl_marks_finish(m);
  hl_nodule_rule rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "two of six readers");
  ok(hl_nodules_count(ns) == 0 && hl_nodules_disputed(ns) == 1,
     "no voxel has half of all sessions");
  is_int(hl_nodules_few_readers(ns), 1, "a finding of one reader is left out and counted");
  hl_nodules_free(ns);
  rule.of = HL_OF_MARKS;
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e,
           "half of those who marked");
  is_near(hl_nodules_at(ns, 0)->volume_mm3, 9 * 9 * 3 * 2.0, 1e-9, "one of two is enough");
  hl_nodules_free(ns);
  hl_marks_free(m);
}

/* Two nodules close together, one reader draws both as one: nothing grows together. */
static void test_neighbours(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  for (int r = 0; r < 3; r++) {
    session(m);
    add_box(m, "left", 3, 5, 12, 20, 4);
    add_box(m, "right", 3, 5, 19, 20, 4);
  }
  session(m);
  add_box(m, "both", 3, 5, 14, 20, 7);
  hl_marks_finish(m);
  hl_nodule_rule rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "touching nodules");
  if (is_int(hl_nodules_count(ns), 2, "stay two")) {
    is_int(hl_nodules_at(ns, 0)->readers, 4, "the mark over both belongs to one of them");
    is_int(hl_nodules_at(ns, 1)->readers, 3, "and not to the other");
    ok(hl_nodules_at(ns, 0)->centre_mm[2] < hl_nodules_at(ns, 1)->centre_mm[2],
       "in order of place");
  }
  hl_nodules_free(ns);
  hl_marks_free(m);
}

/* Readers whose masks do not meet: within gap_mm they are one, beyond they are two. */
static void test_gap(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  session(m);
  add_box(m, "a", 3, 3, 12, 20, 3); /* columns 10 … 14 */
  session(m);
  add_box(m, "b", 4, 4, 18, 20, 3); /* columns 16 … 20, the next slice: √(2² + 2²) = 2.83 mm */
  hl_marks_finish(m);
  hl_nodule_rule rule = hl_nodule_rule_default();
  rule.level = 0.5;
  rule.of = HL_OF_MARKS;
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e,
           "2.83 mm apart, 3 allowed");
  is_int(hl_nodules_count(ns), 1, "is one nodule");
  hl_nodules_free(ns);
  rule.gap_mm = 2.8;
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "2.8 allowed");
  ok(hl_nodules_count(ns) == 0 && hl_nodules_few_readers(ns) == 2, "are two");
  hl_nodules_free(ns);
  hl_marks_free(m);
}

static void add_one(hl_marks *m, double z, const char *uid, int half) {
  hl_point p[256];
  hl_err e = {0};
  int64_t n = square(p, 15, 20, half);
  if (hl_marks_add_roi(m, z, uid, true, 77, &e) != HL_OK ||
      hl_marks_add_points(m, p, n, &e) != HL_OK)
    tap_diag("%s", e.msg);
}

static void test_places(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  hl_problems *p;
  for (int r = 0; r < 2; r++) {
    session(m);
    if (hl_marks_add(m, HL_MARK_OUTLINE, "odd", 5, &e) != HL_OK) tap_diag("%s", e.msg);
    add_one(m, z_mm[4] + 2, "1.2.004", 4); /* UID and z disagree: the UID counts */
    add_one(m, z_mm[5], "9.9.9", 4);       /* an unknown UID: z counts */
    add_one(m, 1000, "9.9.8", 4);          /* neither */
    add_one(m, z_mm[6] + 0.7, "", 4);      /* between slices */
    add_one(m, z_mm[7], "1.2.007", 25);    /* beyond the image */
  }
  hl_marks_finish(m);
  if (hl_problems_new(&p, &e) != HL_OK) return;
  hl_nodule_rule rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, p, &e), &e, "outlines at odd places");
  is_int(hl_nodules_at(ns, 0)->first[0], 4, "first slice: by its UID");
  is_int(hl_nodules_at(ns, 0)->size[0], 4, "last slice");
  ok(hl_nodules_at(ns, 0)->first[1] == 0 && hl_nodules_at(ns, 0)->size[2] == NX,
     "cut at the image");
  static const char *const wanted[] = {
      "2 of 5 outlines of mark 'odd' lie on slices that the series does not have (first: z 1000 mm",
      "placed by their z instead", "placed by SOP UID", "reach beyond the image"};
  is_int(hl_problems_count(p), 8, "four messages for each mark");
  for (int i = 0; i < 4; i++)
    ok(strstr(hl_problems_at(p, i)->message, wanted[i]) != NULL, "%s",
       hl_problems_at(p, i)->message);
  hl_problems_free(p);
  hl_nodules_free(ns);
  hl_marks_free(m);
}

static int64_t sum(const hl_tensor *t) {
  int64_t n = 0;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) n += hl_tensor_u8(t)[i];
  return n;
}

static void test_crop(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  for (int r = 0; r < 4; r++) {
    session(m);
    add_box(m, "a", 3, 6, 15, 20, r == 3 ? 6 : 4);
    if (r == 0) add_box(m, "other", 4, 4, 24, 20, 3);
  }
  hl_marks_finish(m);
  hl_desc d = {.dtype = HL_I16, .layout = HL_PLAIN, .shape = hl_shape_make(3, grid.size)};
  hl_tensor *voxels;
  if (hl_tensor_new(&voxels, &d, hl_ledger_main(), HL_MEM_DATA, "test", &e) != HL_OK) return;
  for (int64_t i = 0; i < hl_tensor_numel(voxels); i++)
    hl_tensor_i16(voxels)[i] = (int16_t)(100 * (i % NX) - 2000);
  hl_nodule_rule rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "a nodule and a finding");
  /* the grid of the scan itself, around the centre at voxel (4.5, 20, 15): 6 slices, 21 × 21 */
  hl_crop_options o = {.size = {6, 21, 21}, .spacing_mm = {2, 1, 1}, .window_hu = {-1000, 1000}};
  hl_crop c;
  succeeds(hl_nodule_crop(&c, ns, 0, voxels, &o, &e), &e, "a crop on the scan's own grid");
  is_int(hl_tensor_layout(c.image), HL_IMAGE, "in image layout");
  is_int(sum(c.truth), 7 * 7 * 4, "truth: what two of four drew");
  is_int(sum(c.reader[3]), 11 * 11 * 4, "the fourth reader's mask");
  is_int(c.readers, 4, "four readers");
  ok(!c.cut, "nothing is cut");
  /* the finding is columns 22 … 26 → 4 columns within the crop, less those the fourth reader drew
   */
  is_int(sum(c.valid), 6 * 21 * 21 - 5 * 4, "the other finding is not valid");
  const float *v = hl_tensor_f32(c.image);
  is_near(v[0], 0, 1e-6, "below the window: 0");
  is_near(v[10], 0.25, 1e-6, "the middle column is -500 HU: 0.25");
  is_near(v[20], 0.75, 1e-6, "1 for each 2000 HU");
  hl_crop_clear(&c);

  o = (hl_crop_options){
      .size = {40, 20, 64}, .spacing_mm = {1, 0.5, 1}, .window_hu = {-1000, 1000}};
  succeeds(hl_nodule_crop(&c, ns, 0, voxels, &o, &e), &e, "a crop that leaves the scan");
  const uint8_t *valid = hl_tensor_u8(c.valid);
  int64_t outside = 0, bright = 0;
  for (int64_t i = 0; i < hl_tensor_numel(c.valid); i++) {
    int64_t x = i % 64, z = i / (64 * 20);
    double at_x = 15 + (double)x - 31.5, at_z = (9 + (double)z - 19.5) / 2;
    bool in = at_x >= -0.5 && at_x <= NX - 0.5 && at_z >= -0.5 && at_z <= NZ - 0.5;
    outside += !in && valid[i];
    bright += !in && hl_tensor_f32(c.image)[i] != 0;
  }
  is_int(outside, 0, "is not valid outside");
  is_int(bright, 0, "and dark there");
  ok(c.cut, "the fourth reader's mask is cut in y, and that is said");
  hl_crop_clear(&c);

  o.window_hu[1] = -2000;
  fails(hl_nodule_crop(&c, ns, 0, voxels, &o, &e), HL_EINVAL, &e, "window", "a window upside down");
  fails(hl_nodule_crop(&c, ns, 5, voxels, &o, &e), HL_EINVAL, &e, "no nodule 5", "no such nodule");
  hl_nodules_free(ns);
  hl_tensor_unref(voxels);
  hl_marks_free(m);
}

/* The whole scan, on its own grid and on one twice as fine in x. */
static void test_whole(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  for (int r = 0; r < 4; r++) {
    session(m);
    add_box(m, "a", 3, 6, 15, 20, r == 3 ? 6 : 4);
    if (r == 0) add_box(m, "other", 4, 4, 24, 20, 3);
  }
  hl_marks_finish(m);
  hl_desc d = {.dtype = HL_I16, .layout = HL_PLAIN, .shape = hl_shape_make(3, grid.size)};
  hl_tensor *voxels;
  if (hl_tensor_new(&voxels, &d, hl_ledger_main(), HL_MEM_DATA, "test", &e) != HL_OK) return;
  for (int64_t i = 0; i < hl_tensor_numel(voxels); i++)
    hl_tensor_i16(voxels)[i] = (int16_t)(100 * (i % NX) - 2000);
  hl_nodule_rule rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "a nodule and a finding");
  hl_crop_options o = {.size = {NZ, grid.size[1], NX}, .window_hu = {-1000, 1000}};
  hl_crop c;
  succeeds(hl_nodules_whole(&c, ns, voxels, &o, &e), &e, "the scan on its own grid");
  is_int(sum(c.truth), 7 * 7 * 4, "truth: what two of four drew");
  is_int(sum(c.valid), hl_tensor_numel(c.valid) - 25, "only the other finding is not valid");
  is_near(hl_tensor_f32(c.image)[15], 0.25, 1e-6, "column 15 is -500 HU: 0.25");
  is_int(c.readers, 0, "no masks of readers");
  hl_crop_clear(&c);
  o.size[2] = (int64_t)2 * NX;
  succeeds(hl_nodules_whole(&c, ns, voxels, &o, &e), &e, "twice as fine along x");
  is_int(sum(c.truth), 14 * 7 * 4, "the nodule has twice the voxels");
  is_int(sum(c.valid), hl_tensor_numel(c.valid) - 50, "so has the finding");
  hl_crop_clear(&c);
  o.size[0] = 0;
  fails(hl_nodules_whole(&c, ns, voxels, &o, &e), HL_EINVAL, &e, "0 voxels", "an empty grid");
  hl_nodules_free(ns);
  hl_tensor_unref(voxels);
  hl_marks_free(m);
}

static void test_refusals(void) {
  hl_marks *m = begin();
  hl_err e = {0};
  hl_nodules *ns;
  for (int r = 0; r < HL_MAX_READERS + 1; r++) session(m);
  hl_marks_finish(m);
  hl_nodule_rule rule = hl_nodule_rule_default();
  fails(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), HL_EFORMAT, &e,
        "17 reading sessions", "too many sessions");
  rule.level = 0;
  fails(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), HL_EINVAL, &e, "level is 0",
        "a level of 0");
  hl_marks_free(m);
  m = begin();
  hl_marks_finish(m);
  rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e), &e, "a reading without marks");
  is_int(hl_nodules_count(ns), 0, "has no nodules");
  hl_nodules_free(ns);
  hl_marks_free(m);
}

/* Memory that ends at every place in turn: HL_ENOMEM, and nothing is left behind. */
static void test_no_memory(void) {
  hl_marks *m = begin();
  for (int r = 0; r < 3; r++) {
    session(m);
    add_box(m, "a", 3, 6, 15, 20, 4);
    add_box(m, "b", 4, 5, 28, 20, 3);
  }
  hl_marks_finish(m);
  hl_nodule_rule rule = hl_nodule_rule_default();
  const hl_crop_options o = {
      .size = {6, 8, 8}, .spacing_mm = {2, 1, 1}, .window_hu = {-1000, 1000}};
  hl_desc d = {.dtype = HL_I16, .layout = HL_PLAIN, .shape = hl_shape_make(3, grid.size)};
  hl_tensor *voxels;
  hl_err e = {0};
  if (hl_tensor_zeros(&voxels, &d, HL_MEM_DATA, "test", &e) != HL_OK) return;
  int failures = 0, wrong = 0;
  for (long n = 0; n < 500; n++) {
    hl_nodules *ns = NULL;
    hl_crop c = {0}, w = {0};
    memset(&e, 0, sizeof e);
    hl_test_fail_after(n);
    hl_status status = hl_nodules_find(&ns, m, &grid, &slices, &rule, NULL, &e);
    if (status == HL_OK) status = hl_nodule_crop(&c, ns, 0, voxels, &o, &e);
    if (status == HL_OK) status = hl_nodules_whole(&w, ns, voxels, &o, &e);
    hl_test_fail_after(-1);
    wrong += status != HL_OK && (status != HL_ENOMEM || w.image != NULL);
    hl_crop_clear(&w);
    hl_crop_clear(&c);
    hl_nodules_free(ns);
    if (status == HL_OK) break;
    failures++;
  }
  ok(failures > 20 && failures < 500, "memory ended at %d places", failures);
  is_int(wrong, 0, "each time it was said, and nothing was made");
  hl_tensor_unref(voxels);
  hl_marks_free(m);
}

int main(void) {
  set_up();
  test_no_memory();
  test_consensus();
  test_denominator();
  test_neighbours();
  test_gap();
  test_places();
  test_crop();
  test_whole();
  test_refusals();
  return tap_done();
}
