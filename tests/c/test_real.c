/* The two real series: read whole, every outline on its slice by SOP UID and by z, the known
 * nodules. */
#define TAP_LEDGER
#include "scratch.h"
#include "tap.h"

#include <hilum/index.h>
#include <hilum/lidc.h>
#include <hilum/nodule.h>
#include <hilum/series.h>

typedef struct known {
  const char *patient;
  int64_t slices, nodules;
  double step_mm, pixel_mm, low_hu, high_hu;
} known;

static const known scans[] = {
    {"LIDC-IDRI-0001", 133, 1, 2.5, 0.703125, -2048, 3071},
    {"LIDC-IDRI-0003", 140, 3, 2.5, 0.820312, -2048, 5892},
};

static bool unpack(char folder[PATH_MAX]) {
  char script[PATH_MAX], command[3 * PATH_MAX];
  const char *build = getenv("HILUM_BUILD");
  if (!in_shared(script, "lidc/unpack.sh") || !build) return false;
  snprintf(folder, PATH_MAX, "%.4000s/lidc", build);
  snprintf(command, sizeof command, "sh '%s' '%s' ct", script, folder);
  if (system(command) != 0) return false;
  snprintf(folder, PATH_MAX, "%.4000s/lidc/LIDC-IDRI", build);
  return true;
}

/* Rois of nodules and non-nodules that are not on a slice of their UID and z. */
static int64_t misplaced(const hl_marks *m, const hl_slices *s, int64_t *all) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < hl_marks_count(m); i++) {
    const hl_mark *mark = hl_marks_at(m, i);
    for (int64_t k = 0; k < mark->n_rois; k++, ++*all) {
      int64_t slice = -1;
      for (int64_t u = 0; u < s->n_uids && slice < 0; u++)
        if (strcmp(s->uids[u].uid, mark->rois[k].sop_uid) == 0) slice = s->uids[u].slice;
      wrong += slice < 0 || fabs(s->z_mm[slice] - mark->rois[k].z_mm) > 1e-6;
    }
  }
  return wrong;
}

/* A crop's truth must be brighter than lung: outlines that sit elsewhere would not be. */
static double mean_in_truth(const hl_crop *c) {
  double sum = 0;
  int64_t n = 0;
  for (int64_t i = 0; i < hl_tensor_numel(c->truth); i++) {
    if (!hl_tensor_u8(c->truth)[i]) continue;
    sum += (double)hl_tensor_f32(c->image)[i] * 1400 - 1000;
    n++;
  }
  return n ? sum / (double)n : -2000;
}

static void test_nodules(const hl_series *s, const hl_marks *m, const known *k, hl_problems *p) {
  hl_err e = {0};
  hl_nodules *ns;
  hl_nodule_rule rule = hl_nodule_rule_default();
  const hl_crop_options o = {
      .size = {64, 64, 64}, .spacing_mm = {1, 1, 1}, .window_hu = {-1000, 400}};
  if (!succeeds(hl_nodules_find(&ns, m, hl_series_grid(s), hl_series_slices(s), &rule, p, &e), &e,
                "grouping marks"))
    return;
  is_int(hl_nodules_count(ns), k->nodules, "nodules of at least two readers");
  for (int64_t i = 0; i < hl_nodules_count(ns); i++) {
    hl_crop c;
    const hl_nodule *n = hl_nodules_at(ns, i);
    succeeds(hl_nodule_crop(&c, ns, i, hl_series_voxels(s), &o, &e), &e,
             "crop of a nodule of %.1f mm, %d readers", n->diameter_mm, n->readers);
    double hu = mean_in_truth(&c), volume = 0;
    for (int64_t v = 0; v < hl_tensor_numel(c.truth); v++) volume += hl_tensor_u8(c.truth)[v];
    ok(hu > -450 && hu < 150, "is denser than lung inside: mean %.0f HU", hu);
    is_near(volume / n->volume_mm3, 1, 0.06, "its volume survives resampling");
    hl_crop_clear(&c);
  }
  hl_nodules_free(ns);
}

static void test_scan(const hl_index *ix, const known *k, const hl_index_series *found) {
  hl_err e = {0};
  hl_series *s;
  hl_marks *m;
  hl_problems *p;
  hl_stats st;
  int64_t rois = 0;
  is_str(found->patient, k->patient, "patient");
  if (hl_problems_new(&p, &e) != HL_OK) return;
  if (!succeeds(hl_series_read(&s, found->files, found->n_files, NULL, p, &e), &e, "reading it"))
    return;
  const hl_grid *g = hl_series_grid(s);
  ok(g->size[0] == k->slices && g->size[1] == 512 && g->size[2] == 512, "its size");
  is_near(g->spacing_mm[0], k->step_mm, 1e-6, "its slice distance");
  is_near(g->spacing_mm[1], k->pixel_mm, 1e-6, "its pixels");
  succeeds(hl_tensor_stats(hl_series_voxels(s), &st, &e), &e, "its values");
  ok(st.min == k->low_hu && st.max == k->high_hu, "%g to %g HU", st.min, st.max);
  ok(found->xml >= 0, "has a reading");
  succeeds(hl_lidc_read(&m, hl_index_xml_at(ix, found->xml)->file, p, &e), &e, "reading that");
  int64_t wrong = misplaced(m, hl_series_slices(s), &rois);
  ok(wrong == 0 && rois > 0, "%lld outlines and points, all on the slice of their UID and z",
     (long long)rois);
  test_nodules(s, m, k, p);
  is_int(hl_problems_count(p), 0, "no problem");
  hl_marks_free(m);
  hl_series_free(s);
  hl_problems_free(p);
}

int main(void) {
  char folder[PATH_MAX];
  hl_err e = {0};
  hl_index *ix;
  if (!unpack(folder)) return tap_skip_all("no real series here");
  if (!succeeds(hl_index_new(&ix, folder, NULL, NULL, &e), &e, "indexing the two series"))
    return tap_done();
  is_int(hl_index_n_series(ix), 2, "two series");
  is_int(hl_problems_count(hl_index_problems(ix)), 0, "no problem");
  for (int64_t i = 0; i < hl_index_n_series(ix) && i < 2; i++)
    test_scan(ix, &scans[i], hl_index_series_at(ix, i));
  hl_index_free(ix);
  return tap_done();
}
