/* The phantom: what it promises of its cases, that it is the same every time, and how it is
 * written. */
#define TAP_LEDGER
#include "scratch.h"
#include "tap.h"

#include <hilum/index.h>
#include <hilum/ledger.h>
#include <hilum/lidc.h>
#include <hilum/phantom.h>
#include <hilum/series.h>

#include <dirent.h>
#include <fcntl.h>

enum { SIDE = 32, VOXELS = SIDE * SIDE * SIDE };

/* ---- What it promises ---- */

typedef struct tally {
  int cases, hard, lost, readings;
  double threshold, readers;
  double diameter[200];
} tally;

static double dice(const uint8_t *a, const uint8_t *b, const uint8_t *valid) {
  int64_t both = 0, all = 0;
  for (int i = 0; i < VOXELS; i++) {
    if (valid && !valid[i]) continue;
    both += a[i] && b[i];
    all += (a[i] != 0) + (b[i] != 0);
  }
  return all ? 2.0 * (double)both / (double)all : 1;
}

static double from_middle(int i) {
  double z = i / (SIDE * SIDE) - 15.5, y = i / SIDE % SIDE - 15.5, x = i % SIDE - 15.5;
  return z * z + y * y + x * x;
}

/* Voxels above the threshold that hang together (26 neighbours) with the one nearest to the middle.
 */
static void central_component(const float *image, double threshold, uint8_t *out) {
  static int stack[VOXELS];
  int top = 0, seed = -1;
  memset(out, 0, VOXELS);
  for (int i = 0; i < VOXELS; i++)
    if ((double)image[i] >= threshold && (seed < 0 || from_middle(i) < from_middle(seed))) seed = i;
  if (seed < 0) return;
  out[stack[top++] = seed] = 1;
  while (top) {
    int at = stack[--top], z = at / (SIDE * SIDE), y = at / SIDE % SIDE, x = at % SIDE;
    for (int k = 0; k < 27; k++) {
      int nz = z + k / 9 - 1, ny = y + k / 3 % 3 - 1, nx = x + k % 3 - 1;
      if (nz < 0 || ny < 0 || nx < 0 || nz >= SIDE || ny >= SIDE || nx >= SIDE) continue;
      int j = (nz * SIDE + ny) * SIDE + nx;
      if (out[j] || (double)image[j] < threshold) continue;
      out[j] = 1;
      stack[top++] = j;
    }
  }
}

/* Each reader against the majority (at least half) of the others. */
static void compare_readers(const hl_crop *c, tally *t) {
  static uint8_t majority[VOXELS];
  for (int r = 0; r < c->readers; r++) {
    for (int i = 0; i < VOXELS; i++) {
      int votes = 0;
      for (int o = 0; o < c->readers; o++) votes += o != r && hl_tensor_u8(c->reader[o])[i];
      majority[i] = 2 * votes >= c->readers - 1;
    }
    t->readers += dice(hl_tensor_u8(c->reader[r]), majority, hl_tensor_u8(c->valid));
    t->readings++;
  }
}

static bool is_hard(const hl_phantom_scan *s, const hl_nodule *n) {
  int best = 0;
  double least = INFINITY;
  for (int i = 0; i < s->nodules; i++) {
    double d = 0;
    for (int a = 0; a < 3; a++) d += pow(s->nodule[i].centre_mm[a] - n->centre_mm[a], 2);
    if (d < least) {
      least = d;
      best = i;
    }
  }
  return s->nodule[best].place != HL_FREE || s->nodule[best].subsolid;
}

static hl_status measure_nodules(const hl_phantom_scan *s, const hl_nodules *ns, tally *t,
                                 hl_err *e) {
  static uint8_t component[VOXELS];
  const hl_crop_options o = {
      .size = {SIDE, SIDE, SIDE}, .spacing_mm = {1, 1, 1}, .window_hu = {-1000, 400}};
  t->lost += s->nodules - (int)hl_nodules_count(ns);
  for (int64_t i = 0; i < hl_nodules_count(ns); i++) {
    hl_crop c;
    const hl_nodule *n = hl_nodules_at(ns, i);
    HL_TRY(hl_nodule_crop(&c, ns, i, s->voxels, &o, e));
    central_component(hl_tensor_f32(c.image), (-400.0 + 1000) / 1400, component);
    t->threshold += dice(component, hl_tensor_u8(c.truth), hl_tensor_u8(c.valid));
    compare_readers(&c, t);
    t->diameter[t->cases++] = n->diameter_mm;
    t->hard += is_hard(s, n);
    hl_crop_clear(&c);
  }
  return HL_OK;
}

static hl_status measure_scan(const hl_phantom_options *o, int item, tally *t, hl_err *e) {
  hl_phantom_scan s;
  hl_nodules *ns = NULL;
  double z_mm[256];
  HL_TRY(hl_phantom_scan_new(&s, o, item, e));
  const hl_shape *shape = hl_tensor_shape(s.voxels);
  hl_grid g = {.size = {shape->dim[0], shape->dim[1], shape->dim[2]}};
  memcpy(g.spacing_mm, s.spacing_mm, sizeof g.spacing_mm);
  memcpy(g.origin_mm, s.origin_mm, sizeof g.origin_mm);
  for (int64_t k = 0; k < g.size[0]; k++) z_mm[k] = hl_grid_slice_mm(&g, k);
  const hl_slices slices = {.z_mm = z_mm, .n = g.size[0]};
  hl_nodule_rule rule = hl_nodule_rule_default();
  hl_status status = hl_nodules_find(&ns, s.marks, &g, &slices, &rule, NULL, e);
  if (status == HL_OK) status = measure_nodules(&s, ns, t, e);
  hl_nodules_free(ns);
  hl_phantom_scan_clear(&s);
  return status;
}

static int compare(const void *a, const void *b) {
  double p = *(const double *)a, q = *(const double *)b;
  return p < q ? -1 : p > q;
}

/* Of the default phantom, whole or its first scans. */
static void test_promises(int scans) {
  hl_phantom_options o = hl_phantom_options_default();
  tally t = {0};
  hl_err e = {0};
  hl_status status = HL_OK;
  if (scans > o.cases) scans = o.cases;
  for (int i = 0; i < scans && status == HL_OK; i++) status = measure_scan(&o, i, &t, &e);
  if (!succeeds(status, &e, "making %d of %d scans", scans, o.cases)) return;
  qsort(t.diameter, (size_t)t.cases, sizeof *t.diameter, compare);
  double median = t.diameter[t.cases / 2], threshold = t.threshold / t.cases;
  double readers = t.readers / t.readings, hard = (double)t.hard / t.cases;
  is_int(t.lost, 0, "all nodules drawn are nodules found (%d)", t.cases);
  ok(threshold <= 0.60, "-400 HU and the central component: Dice %.3f, at most 0.60", threshold);
  ok(readers >= 0.75 && readers <= 0.88,
     "each reader against the majority of the others: Dice %.3f, 0.75 to 0.88", readers);
  ok(median >= 6 && median <= 10, "median diameter %.1f mm, 6 to 10", median);
  ok(t.diameter[0] >= 3 && t.diameter[t.cases - 1] <= 30, "diameters %.1f to %.1f mm, 3 to 30",
     t.diameter[0], t.diameter[t.cases - 1]);
  ok(hard >= 0.25, "attached to wall or vessel, or sub-solid: %.0f %%, at least 25", 100 * hard);
}

static void test_same_again(void) {
  hl_phantom_options o = hl_phantom_options_default();
  hl_phantom_scan a, b;
  char first[HL_HASH_TEXT], second[HL_HASH_TEXT];
  hl_err e = {0};
  int threads = hl_compute_threads();
  succeeds(hl_phantom_scan_new(&a, &o, 3, &e), &e, "a scan");
  hl_set_compute_threads(1);
  succeeds(hl_phantom_scan_new(&b, &o, 3, &e), &e, "again, on one thread");
  hl_set_compute_threads(threads);
  ok(memcmp(hl_tensor_data(a.voxels), hl_tensor_data(b.voxels), hl_tensor_bytes(a.voxels)) == 0,
     "the same voxels");
  succeeds(hl_marks_hash(a.marks, first, &e), &e, "hash");
  succeeds(hl_marks_hash(b.marks, second, &e), &e, "hash");
  is_str(first, second, "the same marks");
  hl_phantom_scan_clear(&b);
  o.seed = 2;
  succeeds(hl_phantom_scan_new(&b, &o, 3, &e), &e, "another seed");
  ok(memcmp(hl_tensor_data(a.voxels), hl_tensor_data(b.voxels), hl_tensor_bytes(a.voxels)) != 0,
     "gives another scan");
  hl_phantom_scan_clear(&a);
  hl_phantom_scan_clear(&b);
  fails(hl_phantom_scan_new(&a, &o, o.cases, &e), HL_EINVAL, &e, "case 60 of a phantom of 60",
        "a case that is not there");
  ok(!a.voxels && !a.marks, "nothing is made");
  o.nodules = 5;
  fails(hl_phantom_scan_new(&a, &o, 0, &e), HL_EINVAL, &e, "5 nodules", "too many nodules");
}

/* ---- What a scan looks like ---- */

typedef struct shares {
  double air, lung, soft, bone;
} shares;

static shares shares_of(const hl_phantom_scan *s) {
  shares out = {0};
  const int16_t *hu = hl_tensor_i16(s->voxels);
  int64_t n = hl_tensor_numel(s->voxels);
  for (int64_t i = 0; i < n; i++) {
    out.air += hu[i] < -960;
    out.lung += hu[i] >= -960 && hu[i] < -700;
    out.soft += hu[i] >= -200 && hu[i] < 150;
    out.bone += hu[i] >= 250;
  }
  const double all = (double)n;
  return (shares){out.air / all, out.lung / all, out.soft / all, out.bone / all};
}

/* Protocols differ within a set, and every scan has the parts of a chest. */
static void test_variety(void) {
  hl_phantom_options o = hl_phantom_options_default();
  int steps[3] = {0}, circles = 0, overlapping = 0, odd = 0, calcified = 0;
  hl_err e = {0};
  for (int i = 0; i < 12; i++) {
    hl_phantom_scan s;
    if (!succeeds(hl_phantom_scan_new(&s, &o, i, &e), &e, "scan %d", i)) return;
    const double step = s.spacing_mm[0];
    steps[step < 1.7 ? 0 : step < 2.2 ? 1 : 2]++;
    circles += s.padding_hu != 0;
    overlapping += s.thickness_mm > step + 1e-9;
    for (int k = 0; k < s.nodules; k++) calcified += s.nodule[k].calcified;
    shares q = shares_of(&s);
    bool fits = q.air > 0.15 && q.lung > 0.08 && q.lung < 0.4 && q.soft > 0.15 && q.bone > 0.003 &&
                q.bone < 0.08;
    if (!fits)
      tap_diag("scan %d: air %.3f lung %.3f soft %.3f bone %.3f", i, q.air, q.lung, q.soft, q.bone);
    odd += !fits;
    if (s.padding_hu) odd += hl_tensor_i16(s.voxels)[0] != s.padding_hu;
    hl_phantom_scan_clear(&s);
  }
  ok(steps[0] && steps[1] && steps[2], "steps of 1.5, 2 and 2.5 mm");
  ok(circles > 2 && circles < 12, "with the scanner's circle and without");
  ok(overlapping > 0 && overlapping < 12, "slices thicker than their step, and not");
  ok(calcified > 0, "calcified nodules");
  is_int(odd, 0, "air, lung, soft tissue and bone in their shares, padding in the corner");
}

/* The first allocations fail one after the other; what had been made goes. */
static void test_no_memory(void) {
  const hl_phantom_options o = hl_phantom_options_default();
  for (int n = 0; n < 9; n++) {
    hl_phantom_scan s;
    hl_err e = {0};
    hl_test_fail_after(n);
    hl_status status = hl_phantom_scan_new(&s, &o, 0, &e);
    hl_test_fail_after(-1);
    fails(status, HL_ENOMEM, &e, "memory", "allocation %d fails", n);
    ok(!s.voxels && !s.marks, "and nothing is made");
    hl_phantom_scan_clear(&s);
  }
}

static void test_full(void) {
  hl_phantom_options o = {.cases = 1, .nodules = 4, .seed = 3, .size = HL_PHANTOM_FULL};
  hl_phantom_scan s;
  hl_err e = {0};
  if (!succeeds(hl_phantom_scan_new(&s, &o, 0, &e), &e, "a whole chest")) return;
  const hl_shape *shape = hl_tensor_shape(s.voxels);
  ok(shape->dim[1] == 512 && shape->dim[2] == 512, "of 512 x 512 pixels");
  ok((double)shape->dim[0] * s.spacing_mm[0] > 290, "300 mm tall");
  is_int(s.nodules, 4, "with all of its nodules");
  hl_phantom_scan_clear(&s);
}

/* ---- On disk ---- */

static int entries(const char *folder) {
  DIR *d = opendir(folder);
  int n = 0;
  for (const struct dirent *one = d ? readdir(d) : NULL; one; one = readdir(d))
    n += strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0;
  if (d) closedir(d);
  return n;
}

static void stop_at_one(void *ctx, int64_t finished, int64_t total, const char *what) {
  (void)ctx, (void)total, (void)what;
  if (finished == 1) hl_cancel_request();
}

static void test_read_back(const char *folder, const hl_phantom_options *o) {
  hl_err e = {0};
  hl_index *ix;
  if (!succeeds(hl_index_new(&ix, folder, NULL, NULL, &e), &e, "indexing it")) return;
  is_int(hl_index_n_series(ix), o->cases, "a series for each case");
  is_int(hl_problems_count(hl_index_problems(ix)), 0, "no problem");
  for (int i = 0; i < hl_index_n_series(ix); i++) {
    const hl_index_series *s = hl_index_series_at(ix, i);
    hl_phantom_scan made;
    hl_series *read;
    hl_marks *marks;
    char first[HL_HASH_TEXT], second[HL_HASH_TEXT];
    succeeds(hl_phantom_scan_new(&made, o, i, &e), &e, "case %d once more", i);
    succeeds(hl_series_read(&read, s->files, s->n_files, NULL, NULL, &e), &e, "its series");
    ok(memcmp(hl_tensor_data(made.voxels), hl_tensor_data(hl_series_voxels(read)),
              hl_tensor_bytes(made.voxels)) == 0,
       "has the same voxels");
    const hl_grid *g = hl_series_grid(read);
    bool same = true;
    for (int a = 0; a < 3; a++)
      same = same && fabs(g->spacing_mm[a] - made.spacing_mm[a]) < 1e-6 &&
             fabs(g->origin_mm[a] - made.origin_mm[a]) < 1e-6;
    ok(same, "on the same grid");
    ok(s->xml >= 0, "it has a reading");
    succeeds(hl_lidc_read(&marks, hl_index_xml_at(ix, s->xml)->file, NULL, &e), &e, "read");
    succeeds(hl_marks_hash(made.marks, first, &e), &e, "hash");
    succeeds(hl_marks_hash(marks, second, &e), &e, "hash");
    is_str(second, first, "with the same marks");
    hl_nodules *ns;
    hl_problems *p;
    hl_nodule_rule rule = hl_nodule_rule_default();
    succeeds(hl_problems_new(&p, &e), &e, "a list");
    succeeds(hl_nodules_find(&ns, marks, g, hl_series_slices(read), &rule, p, &e), &e, "nodules");
    is_int(hl_nodules_count(ns), made.nodules, "all are found");
    is_int(hl_problems_count(p), 0, "every outline on its slice, by UID and z");
    hl_problems_free(p);
    hl_nodules_free(ns);
    hl_marks_free(marks);
    hl_series_free(read);
    hl_phantom_scan_clear(&made);
  }
  hl_index_free(ix);
}

static void test_disk(void) {
  hl_phantom_options o = {.cases = 2, .nodules = 2, .seed = 5};
  hl_err e = {0};
  char folder[PATH_MAX];
  struct stat before, after;
  snprintf(folder, sizeof folder, "%s", in_scratch("deep/er/phantom"));
  succeeds(hl_phantom_write(folder, &o, NULL, NULL, &e), &e, "writing a phantom of two");
  is_int(entries(folder), 3, "two patients and a manifest");
  is_int(entries(in_scratch("deep/er")), 1, "nothing beside it");
  test_read_back(folder, &o);
  stat(folder, &before);
  succeeds(hl_phantom_write(folder, &o, NULL, NULL, &e), &e, "writing it again");
  stat(folder, &after);
  ok(before.st_ino == after.st_ino, "leaves it as it is");
  o.cases = 1;
  succeeds(hl_phantom_write(in_scratch("deep/er/phantom/"), &o, NULL, NULL, &e), &e,
           "other options, and a slash");
  is_int(entries(folder), 2, "replace it");
  is_int(entries(in_scratch("deep/er")), 1, "nothing beside it");

  const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
  make_folder(in_scratch("deep/er/phantom.part-dead00"));
  write_text(in_scratch("deep/er/phantom.part-dead00/x"), "x");
  make_folder(in_scratch("deep/er/phantom.part-young0"));
  utimensat(AT_FDCWD, in_scratch("deep/er/phantom.part-dead00"), old, 0);
  o.seed = 6;
  succeeds(hl_phantom_write(folder, &o, NULL, NULL, &e), &e, "beside what a kill left");
  is_int(entries(in_scratch("deep/er")), 2, "the old is removed, the young is not");

  o.cases = 3;
  fails(hl_phantom_write(in_scratch("deep/never"), &o, stop_at_one, NULL, &e), HL_ECANCELLED, &e,
        "stopped", "stopped after the first case");
  hl_cancel_clear();
  is_int(entries(in_scratch("deep")), 1, "nothing is left");
  write_text(in_scratch("deep/mine"), "x");
  fails(hl_phantom_write(in_scratch("deep"), &o, NULL, NULL, &e), HL_EIO, &e,
        "holds something else than a phantom", "a folder with other things");
  fails(hl_phantom_write(in_scratch("deep/mine/phantom"), &o, NULL, NULL, &e), HL_EIO, &e,
        "cannot be written", "a file where a folder should be");
  o.cases = 0;
  fails(hl_phantom_write(folder, &o, NULL, NULL, &e), HL_EINVAL, &e, "0 cases", "no cases");
  o.cases = 1;
  o.size = HL_PHANTOM_SIZES;
  fails(hl_phantom_write(folder, &o, NULL, NULL, &e), HL_EINVAL, &e, "expected small or full",
        "a size that is none");
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "whole") == 0) {
    test_promises(INT_MAX);
    test_full();
    return tap_done();
  }
  scratch_begin("phantom");
  test_same_again();
  test_variety();
  test_no_memory();
  test_disk();
  test_promises(24);
  return tap_done();
}
