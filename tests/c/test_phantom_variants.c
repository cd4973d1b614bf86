/* Every variant of the phantom, and that the loader does with it what docs/phantom.md says. */
#define TAP_LEDGER
#include "scratch.h"
#include "tap.h"

#include <hilum/index.h>
#include <hilum/lidc.h>
#include <hilum/phantom.h>
#include <hilum/series.h>

#include <limits.h>

/* What was read back of a case. */
typedef struct loaded {
  const hl_phantom_scan *plain;
  hl_index *ix;
  hl_problems *problems; /* of the series, the reading and the nodules */
  hl_series *series;     /* NULL if it was refused */
  hl_err err;            /* why */
  hl_marks *marks;       /* NULL where there are none or they are damaged */
  hl_nodules *nodules;
} loaded;

static bool said_in(const hl_problems *p, hl_status code, const char *text) {
  for (int64_t i = 0; i < hl_problems_count(p); i++) {
    const hl_problem *one = hl_problems_at(p, i);
    if (one->code == code && strstr(one->message, text)) return true;
  }
  return false;
}

static hl_marks_counts counts_of(const loaded *l) {
  return l->marks ? hl_marks_count_kinds(l->marks) : (hl_marks_counts){0};
}

static int64_t differing(const loaded *l, int lowest) {
  const int16_t *a = hl_tensor_i16(l->plain->voxels),
                *b = hl_tensor_i16(hl_series_voxels(l->series));
  int64_t n = hl_tensor_numel(l->plain->voxels), different = 0;
  for (int64_t i = 0; i < n; i++) different += a[i] != b[i] && (a[i] >= lowest || b[i] != lowest);
  return different;
}

/* ---- What must be true of each ---- */

static bool same_voxels(const loaded *l) {
  return l->series && differing(l, INT16_MIN) == 0;
}
static bool same_above_padding(const loaded *l) { /* unsigned pixels end at -1024 */
  return l->series && differing(l, -1024) == 0;
}
static bool lowest_padding(const loaded *l) {
  const int16_t *v = l->series ? hl_tensor_i16(hl_series_voxels(l->series)) : NULL;
  int64_t n = v ? hl_tensor_numel(l->plain->voxels) : 1;
  return v && v[0] == INT16_MIN && v[n - 1] == INT16_MIN && v[n / 2] > -1100;
}
static bool no_series(const loaded *l) {
  return !l->series;
}
static bool plain_geometry(const loaded *l) {
  return same_voxels(l) &&
         fabs(hl_series_grid(l->series)->spacing_mm[0] - l->plain->spacing_mm[0]) < 1e-6;
}
static bool true_positions(const loaded *l) {
  const hl_grid *g = l->series ? hl_series_grid(l->series) : NULL;
  return g && g->z_mm && fabs(g->z_mm[1] - g->z_mm[0] - l->plain->spacing_mm[0] - 0.2) < 1e-6 &&
         hl_nodules_count(l->nodules) == l->plain->nodules;
}
static bool a_radiograph(const loaded *l) {
  const hl_index_counts *c = hl_index_totals(l->ix);
  return same_voxels(l) && c->radiograph_xml == 1 && c->ct_xml == 1 &&
         c->dicom_files == c->ct_files + 1;
}
static bool a_segmentation(const loaded *l) {
  const hl_index_counts *c = hl_index_totals(l->ix);
  return same_voxels(l) && hl_index_n_series(l->ix) == 1 && c->dicom_files == c->ct_files + 1;
}
static bool no_marks(const loaded *l) {
  return same_voxels(l) && !l->marks && hl_index_series_at(l->ix, 0)->xml < 0;
}
static bool marks_without_series(const loaded *l) {
  return no_marks(l) && hl_index_n_xml(l->ix) == 1 && hl_index_xml_at(l->ix, 0)->series < 0;
}
static bool used_once(const loaded *l) {
  return hl_index_n_xml(l->ix) == 2 && hl_marks_sessions(l->marks) == 4;
}
static bool three(const loaded *l) {
  return hl_marks_sessions(l->marks) == 3 && hl_nodules_count(l->nodules) == l->plain->nodules;
}
static bool eight(const loaded *l) {
  return hl_marks_sessions(l->marks) == 8 && hl_nodules_count(l->nodules) == l->plain->nodules;
}
static bool ratings_kept(const loaded *l) {
  hl_marks_counts c = counts_of(l);
  return c.ratings_out_of_range == c.rated_outlines && c.rated_outlines > 0;
}
static bool unrated(const loaded *l) {
  hl_marks_counts c = counts_of(l);
  return c.empty_characteristics > 0 && c.rated_outlines == 0 &&
         hl_nodules_count(l->nodules) == l->plain->nodules;
}
static bool blanks(const loaded *l) {
  hl_marks_counts c = counts_of(l);
  return c.z_with_blanks > 0 && c.rois_without_z == 0 &&
         hl_nodules_count(l->nodules) == l->plain->nodules;
}
static bool open_ones(const loaded *l) {
  hl_marks_counts c = counts_of(l);
  return c.outlines_open > 0 && c.outlines_closed == 0 &&
         hl_nodules_count(l->nodules) == l->plain->nodules;
}
static bool gaps(const loaded *l) {
  hl_marks_counts c = counts_of(l);
  return c.outlines_with_gaps > 0 && c.outlines_open == 0 &&
         hl_nodules_count(l->nodules) == l->plain->nodules;
}

/* code: of the problem whose message has this text, among those of folder and case. */
static const struct {
  hl_phantom_variant variant;
  bool (*holds)(const loaded *);
  hl_status code;
  const char *said;
} table[] = {
    {HL_PHANTOM_PLAIN, plain_geometry, HL_OK, NULL},
    {HL_PHANTOM_TILTED, no_series, HL_EFORMAT, "oblique or not axial"},
    {HL_PHANTOM_MISSING_SLICE, no_series, HL_EFORMAT, "incomplete: slices are missing at 1 place"},
    {HL_PHANTOM_DOUBLED_SLICE, plain_geometry, HL_EFORMAT, "the slice with the lower Instance"},
    {HL_PHANTOM_REPEATED_FILE, plain_geometry, HL_OK, "the same slice as"},
    {HL_PHANTOM_UNEVEN, true_positions, HL_OK, "uneven steps between slices"},
    {HL_PHANTOM_OVERLAPPING, plain_geometry, HL_OK, NULL},
    {HL_PHANTOM_TRUNCATED, no_series, HL_EFORMAT, "cut off"},
    {HL_PHANTOM_UNSIGNED, same_above_padding, HL_OK, NULL},
    {HL_PHANTOM_BITS12, same_above_padding, HL_OK, NULL},
    {HL_PHANTOM_PADDING, lowest_padding, HL_OK, NULL},
    {HL_PHANTOM_RADIOGRAPH, a_radiograph, HL_OK, NULL},
    {HL_PHANTOM_SEGMENTATION, a_segmentation, HL_OK, NULL},
    {HL_PHANTOM_NO_READING, no_marks, HL_OK, NULL},
    {HL_PHANTOM_NO_SERIES, marks_without_series, HL_OK, NULL},
    {HL_PHANTOM_DAMAGED_XML, no_marks, HL_EFORMAT, "not well-formed"},
    {HL_PHANTOM_SAME_READING, used_once, HL_OK, "the same reading as"},
    {HL_PHANTOM_OTHER_READING, used_once, HL_EFORMAT, "another reading of series"},
    {HL_PHANTOM_SESSIONS_3, three, HL_OK, NULL},
    {HL_PHANTOM_SESSIONS_8, eight, HL_OK, NULL},
    {HL_PHANTOM_RATINGS, ratings_kept, HL_OK, "rating malignancy is 6, expected 1 to 5"},
    {HL_PHANTOM_EMPTY_CHARACTERISTICS, unrated, HL_OK, NULL},
    {HL_PHANTOM_Z_BLANKS, blanks, HL_OK, NULL},
    {HL_PHANTOM_OPEN_OUTLINES, open_ones, HL_OK, NULL},
    {HL_PHANTOM_GAPS, gaps, HL_OK, NULL},
};
enum { ROWS = sizeof table / sizeof *table };

/* ---- Loading ---- */

static void load(loaded *l, const char *folder) {
  hl_err e = {0};
  if (!succeeds(hl_problems_new(&l->problems, &e), &e, "a list")) return;
  if (!succeeds(hl_index_new(&l->ix, folder, NULL, NULL, &e), &e, "is indexed")) return;
  const hl_index_series *s = hl_index_series_at(l->ix, 0);
  (void)!hl_series_read(&l->series, s->files, s->n_files, NULL, l->problems, &l->err);
  if (s->xml < 0) return;
  const char *file = hl_index_xml_at(l->ix, s->xml)->file;
  if (!succeeds(hl_lidc_read(&l->marks, file, NULL, &e), &e, "its reading is read")) return;
  if (!l->series) return;
  hl_nodule_rule rule = hl_nodule_rule_default();
  succeeds(hl_nodules_find(&l->nodules, l->marks, hl_series_grid(l->series),
                           hl_series_slices(l->series), &rule, l->problems, &e),
           &e, "its nodules are found");
}

static void unload(loaded *l) {
  hl_nodules_free(l->nodules);
  hl_marks_free(l->marks);
  hl_series_free(l->series);
  hl_index_free(l->ix);
  hl_problems_free(l->problems);
}

static bool is_said(const loaded *l, hl_status code, const char *text) {
  return said_in(hl_index_problems(l->ix), code, text) || said_in(l->problems, code, text) ||
         (l->err.code == code && strstr(l->err.msg, text));
}

static void test_variant(int row, const hl_phantom_scan *plain) {
  hl_phantom_options o = {.cases = 1, .nodules = 2, .seed = 4, .variant = table[row].variant};
  const char *name = hl_phantom_variant_name(o.variant);
  char folder[PATH_MAX];
  hl_err e = {0};
  loaded l = {.plain = plain};
  snprintf(folder, sizeof folder, "%s", in_scratch("%s", name));
  if (!succeeds(hl_phantom_write(folder, &o, NULL, NULL, &e), &e, "%s: written", name)) return;
  load(&l, folder);
  if (l.ix) {
    ok(table[row].holds(&l), "%s: what is read is what was promised", name);
    if (table[row].said)
      ok(is_said(&l, table[row].code, table[row].said), "%s: \"%s\" is said", name,
         table[row].said);
    int64_t n = hl_problems_count(hl_index_problems(l.ix)) + hl_problems_count(l.problems);
    if (!table[row].said) is_int(n, 0, "%s: nothing is said", name);
  }
  unload(&l);
}

int main(void) {
  const hl_phantom_options o = {.cases = 1, .nodules = 2, .seed = 4};
  hl_phantom_scan plain;
  hl_err e = {0};
  scratch_begin("phantom-variants");
  is_int(ROWS, HL_PHANTOM_VARIANTS, "every variant has a row");
  is_str(hl_phantom_variant_name(HL_PHANTOM_VARIANTS), "", "and there are no others");
  if (succeeds(hl_phantom_scan_new(&plain, &o, 0, &e), &e, "the plain scan")) {
    for (int row = 0; row < ROWS; row++) test_variant(row, &plain);
    hl_phantom_scan_clear(&plain);
  }
  return tap_done();
}
