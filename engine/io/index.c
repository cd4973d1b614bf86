/* Looks at every file once, a batch at a time on all compute threads, then sorts what was found. */
#include "look.h"
#include "walk.h"
#include <hilum/index.h>
#include <hilum/ledger.h>
#include <hilum/parallel.h>
#include <hilum/volume.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 512, GRAIN = 8 };
/* While files are looked at, what is known of them is saved from time to time: so rarely that it
 * takes a tenth of the time. */
static const double SAVE_EVERY_S = 10, SAVE_SHARE = 10;

typedef struct slice_file {
  const char *path;
  const file_facts *is;
} slice_file;

typedef struct reading_file {
  hl_index_xml xml;
  char *series_uid, *date;
} reading_file;

struct hl_index {
  bool readings_only;
  hl_index_counts counts;
  hl_problems *problems;
  file_list files;   /* owns all paths */
  file_facts *facts; /* of each file */
  slice_file *slices;
  int64_t n_slices;
  reading_file *readings;
  int64_t n_readings, reading_room;
  hl_index_series *series;
  int64_t n_series;
  const char **series_files;
};

static hl_status no_memory(hl_err *e) {
  return hl_fail(e, HL_ENOMEM, "no memory for an index");
}

/* ---- Keeping what was found ---- */

/* Makes room for one more; the array may move. */
static hl_status make_room(void **items, int64_t n, int64_t *room, size_t size, hl_err *e) {
  if (n < *room) return HL_OK;
  int64_t wider = 2 * *room + 64;
  void *grown = hl_host_realloc(*items, (size_t)wider * size);
  if (!grown) return no_memory(e);
  *items = grown;
  *room = wider;
  return HL_OK;
}

static hl_status keep_reading(hl_index *ix, const look *l, hl_err *e) {
  ix->counts.ct_xml++;
  void *items = ix->readings;
  HL_TRY(make_room(&items, ix->n_readings, &ix->reading_room, sizeof *ix->readings, e));
  ix->readings = items;
  reading_file *r = &ix->readings[ix->n_readings++];
  *r = (reading_file){.xml = {.file = l->path, .series = -1}};
  r->xml.counts = hl_marks_count_kinds(l->marks);
  memcpy(r->xml.payload, l->hash, sizeof r->xml.payload);
  r->series_uid = hl_host_strdup(hl_marks_series_uid(l->marks));
  r->date = hl_host_strdup(hl_marks_date(l->marks));
  r->xml.series_uid = r->series_uid;
  r->xml.date = r->date;
  return r->series_uid && r->date ? HL_OK : no_memory(e);
}

static void keep_problems(hl_index *ix, const look *l) {
  for (int64_t i = 0; i < hl_problems_count(l->problems); i++) {
    const hl_problem *p = hl_problems_at(l->problems, i);
    hl_problems_add(ix->problems, p->code, p->file, "%s", p->message);
  }
  if (l->status != HL_OK)
    hl_problems_add_err(ix->problems, l->path, &l->err);
  else if (l->facts.what == OTHER)
    hl_problems_add(ix->problems, HL_OK, l->path,
                    "neither DICOM nor an LIDC reading (XML with root LidcReadMessage); left out");
}

static void count(hl_index *ix, content what) {
  hl_index_counts *c = &ix->counts;
  c->files++;
  c->other_files += what == OTHER;
  c->dicom_files += what == DICOM || what == CT_SLICE;
  c->ct_files += what == CT_SLICE;
  c->xml_files += what == CT_READING || what == RADIOGRAPH_READING;
  c->radiograph_xml += what == RADIOGRAPH_READING;
}

/* Takes the facts over. Those of a file that is not understood are not remembered. */
static hl_status keep(hl_index *ix, look *l, file_facts *facts, hl_err *e) {
  if (l->status == HL_ENOMEM || l->status == HL_ECANCELLED)
    return hl_fail(e, l->status, "%s", l->err.msg);
  count(ix, l->facts.what);
  keep_problems(ix, l);
  if (l->status != HL_OK) return HL_OK;
  *facts = l->facts;
  l->facts.uids = NULL;
  return l->facts.what == CT_READING ? keep_reading(ix, l, e) : HL_OK;
}

/* ---- Looking at files ---- */

typedef struct looking {
  hl_index *ix;
  const char *memory_file; /* NULL: nothing is remembered */
  file_memory *memory;     /* from before */
  size_t top;              /* length of the top folder with its slash */
  look *batch;
  int64_t done, fresh; /* files looked at; of them not known from before when last saved */
  double saved_s, saving_s;
} looking;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void look_at_some(int64_t begin, int64_t end, void *ctx) {
  look *batch = ctx;
  for (int64_t i = begin; i < end; i++) look_at(&batch[i]);
}

static hl_status look_at_batch(looking *k, int64_t n, hl_err *e) {
  hl_index *ix = k->ix;
  char *const *paths = ix->files.paths + k->done;
  for (int64_t i = 0; i < n; i++)
    k->batch[i] = (look){.path = paths[i],
                         .below = paths[i] + k->top,
                         .memory = k->memory,
                         .readings_only = ix->readings_only};
  hl_parallel_for(n, GRAIN, look_at_some, k->batch);
  hl_status status = HL_OK;
  for (int64_t i = 0; i < n; i++) {
    look *l = &k->batch[i];
    k->fresh += !l->recalled && l->facts.what != CT_READING && l->status == HL_OK;
    if (status == HL_OK) status = keep(ix, l, &ix->facts[k->done + i], e);
    look_clear(l);
  }
  k->done += n;
  return status;
}

/* A memory that cannot be written costs time later, nothing else: a note says so, once. */
static void remember(looking *k) {
  if (!k->memory_file || k->fresh == 0) return;
  double begin = now_s();
  hl_err why = {0};
  if (file_memory_save(k->memory_file, k->ix->files.paths, k->top, k->ix->facts, k->ix->files.n,
                       k->memory, &why) != HL_OK) {
    hl_problems_add(k->ix->problems, HL_OK, k->memory_file, "what files hold is not remembered: %s",
                    why.msg);
    k->memory_file = NULL;
  }
  k->fresh = 0;
  k->saved_s = now_s();
  k->saving_s = k->saved_s - begin;
}

static bool is_time_to_save(const looking *k) {
  double since = now_s() - k->saved_s;
  return since > SAVE_EVERY_S && since > SAVE_SHARE * k->saving_s;
}

static hl_status look_at_all(looking *k, const char *folder, hl_progress progress, void *ctx,
                             hl_err *e) {
  int64_t n = k->ix->files.n;
  hl_status status = HL_OK;
  while (k->done < n && status == HL_OK) {
    if (progress) progress(ctx, k->done, n, "looking at files");
    status = look_at_batch(k, n - k->done < BATCH ? n - k->done : BATCH, e);
    if (status == HL_OK && hl_cancel_requested())
      status = hl_fail(e, HL_ECANCELLED, "%s: stopped while looking at files (%lld of %lld)",
                       folder, (long long)k->done, (long long)n);
    if (status == HL_OK && is_time_to_save(k)) remember(k);
  }
  if (status == HL_OK || status == HL_ECANCELLED) remember(k);
  if (progress && status == HL_OK) progress(ctx, n, n, "looking at files");
  return status;
}

static hl_status look_below(hl_index *ix, const char *folder, const char *memory_file,
                            hl_progress progress, void *ctx, hl_err *e) {
  looking k = {.ix = ix, .memory_file = memory_file, .top = strlen(folder), .saved_s = now_s()};
  while (k.top > 1 && folder[k.top - 1] == '/') k.top--;
  k.top++;
  ix->facts = hl_host_calloc((size_t)ix->files.n + 1, sizeof *ix->facts);
  k.batch = hl_host_calloc(BATCH, sizeof *k.batch);
  hl_status status = ix->facts && k.batch ? HL_OK : no_memory(e);
  if (status == HL_OK && memory_file)
    status = file_memory_open(&k.memory, memory_file, ix->problems, e);
  if (status == HL_OK) status = look_at_all(&k, folder, progress, ctx, e);
  file_memory_free(k.memory);
  hl_host_free(k.batch);
  return status;
}

/* ---- Series ---- */

static const char *series_of(const slice_file *s) {
  return facts_uid(s->is, SERIES_UID);
}

static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) : 0;
}

/* Files of one folder follow each other here: told once for each folder. */
static void report_mixed_folders(hl_index *ix) {
  size_t told = 0;
  for (int64_t i = 1; i < ix->n_slices; i++) {
    const slice_file *a = &ix->slices[i - 1], *b = &ix->slices[i];
    size_t n = folder_length(b->path);
    bool same_folder = n == folder_length(a->path) && strncmp(a->path, b->path, n) == 0;
    if (!same_folder) told = 0;
    if (!same_folder || told || strcmp(series_of(a), series_of(b)) == 0) continue;
    told = 1;
    char folder[512];
    size_t k = n < sizeof folder - 1 ? n : sizeof folder - 1;
    memcpy(folder, b->path, k);
    folder[k] = '\0';
    hl_problems_add(ix->problems, HL_OK, folder,
                    "holds slices of more than one series (%s and %s); told apart by "
                    "SeriesInstanceUID",
                    series_of(a), series_of(b));
  }
}

/* By series, then place in it. */
static int compare_slices(const void *x, const void *y) {
  const slice_file *a = x, *b = y;
  int order = strcmp(series_of(a), series_of(b));
  if (order != 0) return order;
  if (a->is->z_mm != b->is->z_mm) return a->is->z_mm < b->is->z_mm ? -1 : 1;
  if (a->is->instance != b->is->instance) return a->is->instance < b->is->instance ? -1 : 1;
  return strcmp(a->path, b->path);
}

/* Spacing along z; slices at one place count once. */
static hl_status measure_steps(hl_index *ix, hl_index_series *s, const slice_file *first,
                               hl_err *e) {
  double *z_mm = hl_host_calloc((size_t)s->n_files, sizeof *z_mm);
  if (!z_mm) return no_memory(e);
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_files; i++)
    if (n == 0 || first[i].is->z_mm - z_mm[n - 1] > 0.01) z_mm[n++] = first[i].is->z_mm;
  hl_steps steps = {0};
  hl_status status = n < 2 ? HL_OK : hl_steps_measure(&steps, z_mm, n, e);
  s->spacing_mm[0] = steps.median_mm;
  if (status == HL_OK && steps.gaps)
    hl_problems_add(
        ix->problems, HL_EFORMAT, first->path,
        "series %s is incomplete: slices are missing at %lld place%s (first: between z %g "
        "and %g mm, where a step is %g mm; %lld slices are there)",
        s->uid, (long long)steps.gaps, steps.gaps > 1 ? "s" : "", z_mm[steps.first_gap],
        z_mm[steps.first_gap + 1], steps.median_mm, (long long)n);
  hl_host_free(z_mm);
  return status;
}

/* SHA-256 of what tells that a series is still the same without reading it. */
static hl_status identify(hl_index_series *s, const slice_file *first, hl_err *e) {
  hl_hash *h;
  HL_TRY(hl_hash_new(&h, e));
  hl_status status = hl_hash_add(h, s->uid, strlen(s->uid) + 1, e);
  for (int64_t i = 0; i < s->n_files && status == HL_OK; i++) {
    const file_facts *f = first[i].is;
    const int64_t numbers[2] = {f->bytes, f->mtime_ns};
    status = hl_hash_add(h, facts_uid(f, SOP_UID), strlen(facts_uid(f, SOP_UID)) + 1, e);
    if (status == HL_OK) status = hl_hash_add(h, numbers, sizeof numbers, e);
  }
  if (status == HL_OK) status = hl_hash_text(h, s->identity, e);
  hl_hash_free(h);
  return status;
}

static hl_status add_series(hl_index *ix, int64_t begin, int64_t end, hl_err *e) {
  const slice_file *first = &ix->slices[begin];
  hl_index_series *s = &ix->series[ix->n_series++];
  *s = (hl_index_series){.uid = series_of(first),
                         .study_uid = facts_uid(first->is, STUDY_UID),
                         .patient = facts_uid(first->is, PATIENT_ID),
                         .files = ix->series_files + begin,
                         .n_files = end - begin,
                         .rows = first->is->rows,
                         .columns = first->is->columns,
                         .spacing_mm = {0, first->is->spacing_mm[0], first->is->spacing_mm[1]},
                         .xml = -1};
  for (int64_t i = begin; i < end; i++) ix->series_files[i] = ix->slices[i].path;
  HL_TRY(identify(s, first, e));
  return measure_steps(ix, s, first, e);
}

static int compare_series(const void *x, const void *y) {
  const hl_index_series *a = x, *b = y;
  int order = strcmp(a->patient, b->patient);
  return order ? order : strcmp(a->uid, b->uid);
}

static hl_status find_slices(hl_index *ix, hl_err *e) {
  int64_t n = ix->counts.ct_files;
  ix->slices = hl_host_calloc((size_t)n + 1, sizeof *ix->slices);
  if (!ix->slices) return no_memory(e);
  for (int64_t i = 0; i < ix->files.n && ix->n_slices < n; i++)
    if (ix->facts[i].what == CT_SLICE)
      ix->slices[ix->n_slices++] = (slice_file){ix->files.paths[i], &ix->facts[i]};
  return HL_OK;
}

static hl_status find_series(hl_index *ix, hl_err *e) {
  HL_TRY(find_slices(ix, e));
  int64_t n = ix->n_slices;
  if (n == 0) return HL_OK;
  report_mixed_folders(ix);
  qsort(ix->slices, (size_t)n, sizeof *ix->slices, compare_slices);
  ix->series = hl_host_calloc((size_t)n, sizeof *ix->series);
  ix->series_files = hl_host_calloc((size_t)n, sizeof *ix->series_files);
  if (!ix->series || !ix->series_files) return no_memory(e);
  int64_t begin = 0;
  for (int64_t i = 1; i <= n; i++) {
    if (i < n && strcmp(series_of(&ix->slices[i]), series_of(&ix->slices[begin])) == 0) continue;
    HL_TRY(add_series(ix, begin, i, e));
    begin = i;
  }
  qsort(ix->series, (size_t)ix->n_series, sizeof *ix->series, compare_series);
  return HL_OK;
}

/* ---- Readings ---- */

static int64_t series_by_uid(const hl_index *ix, const char *uid) {
  for (int64_t i = 0; i < ix->n_series; i++)
    if (strcmp(ix->series[i].uid, uid) == 0) return i;
  return -1;
}

/* Of two readings of one series the later one, then the one whose path sorts first, is used. */
static void settle_pair(hl_index *ix, reading_file *a, reading_file *b) {
  bool b_wins = strcmp(b->date, a->date) > 0, same_date = strcmp(b->date, a->date) == 0;
  reading_file *used = b_wins ? b : a, *other = b_wins ? a : b;
  bool same = strcmp(a->xml.payload, b->xml.payload) == 0;
  other->xml.superseded = true;
  if (same)
    hl_problems_add(ix->problems, HL_OK, other->xml.file,
                    "the same reading as %s (series %s); counted once", used->xml.file,
                    used->series_uid);
  else
    hl_problems_add(ix->problems, HL_EFORMAT, other->xml.file,
                    "another reading of series %s (of %s) than %s (of %s); the %s is used",
                    used->series_uid, other->date[0] ? other->date : "no date", used->xml.file,
                    used->date[0] ? used->date : "no date",
                    same_date ? "one whose path sorts first" : "later one");
}

static int compare_readings(const void *x, const void *y) {
  const reading_file *a = x, *b = y;
  int order = strcmp(a->series_uid, b->series_uid);
  return order ? order : strcmp(a->xml.file, b->xml.file);
}

static int compare_paths(const void *x, const void *y) {
  return strcmp(((const reading_file *)x)->xml.file, ((const reading_file *)y)->xml.file);
}

static void match_readings(hl_index *ix) {
  int64_t n = ix->n_readings;
  if (n == 0) return;
  qsort(ix->readings, (size_t)n, sizeof *ix->readings, compare_readings);
  reading_file *used = &ix->readings[0];
  for (int64_t i = 1; i < n; i++) {
    reading_file *r = &ix->readings[i];
    bool same_series = strcmp(r->series_uid, used->series_uid) == 0;
    if (same_series) settle_pair(ix, used, r);
    if (!same_series || used->xml.superseded) used = r;
  }
  qsort(ix->readings, (size_t)n, sizeof *ix->readings, compare_paths);
  for (int64_t i = 0; i < n; i++) {
    reading_file *r = &ix->readings[i];
    r->xml.series = series_by_uid(ix, r->series_uid);
    if (r->xml.series >= 0 && !r->xml.superseded) ix->series[r->xml.series].xml = i;
  }
}

/* ---- The index ---- */

static hl_status check_some(const hl_index *ix, const char *folder, hl_err *e) {
  if (ix->n_series > 0 || ix->counts.ct_xml > 0 || ix->counts.radiograph_xml > 0) return HL_OK;
  const hl_problem *first = NULL;
  for (int64_t i = 0; i < hl_problems_count(ix->problems) && !first; i++)
    if (hl_problems_at(ix->problems, i)->code != HL_OK) first = hl_problems_at(ix->problems, i);
  return hl_fail(
      e, HL_EFORMAT, "%s: holds %s LIDC reading (%lld files, %lld of them DICOM)%s%s%s%s", folder,
      ix->readings_only ? "no" : "neither a CT slice nor an", (long long)ix->counts.files,
      (long long)ix->counts.dicom_files, first ? "; first problem: " : "", first ? first->file : "",
      first ? ": " : "", first ? first->message : "");
}

static hl_status build(hl_index *ix, const char *folder, const char *memory_file,
                       hl_progress progress, void *ctx, hl_err *e) {
  HL_TRY(hl_problems_new(&ix->problems, e));
  HL_TRY(files_below(&ix->files, folder, ix->problems, e));
  HL_TRY(look_below(ix, folder, memory_file, progress, ctx, e));
  HL_TRY(find_series(ix, e));
  match_readings(ix);
  return check_some(ix, folder, e);
}

static hl_status new_index(hl_index **out, const char *folder, bool readings_only,
                           const char *memory_file, hl_progress progress, void *ctx, hl_err *e) {
  *out = NULL;
  hl_index *ix = hl_host_calloc(1, sizeof *ix);
  if (!ix) return no_memory(e);
  ix->readings_only = readings_only;
  hl_status status = build(ix, folder, memory_file, progress, ctx, e);
  if (status != HL_OK) {
    hl_index_free(ix);
    return status;
  }
  *out = ix;
  return HL_OK;
}

hl_status hl_index_new(hl_index **out, const char *folder, hl_progress progress, void *ctx,
                       hl_err *e) {
  return new_index(out, folder, false, NULL, progress, ctx, e);
}

hl_status hl_index_remembered(hl_index **out, const char *folder, const char *memory,
                              hl_progress progress, void *ctx, hl_err *e) {
  return new_index(out, folder, false, memory, progress, ctx, e);
}

hl_status hl_index_readings(hl_index **out, const char *folder, hl_progress progress, void *ctx,
                            hl_err *e) {
  return new_index(out, folder, true, NULL, progress, ctx, e);
}

void hl_index_free(hl_index *ix) {
  if (!ix) return;
  for (int64_t i = 0; ix->facts && i < ix->files.n; i++) file_facts_clear(&ix->facts[i]);
  for (int64_t i = 0; i < ix->n_readings; i++) {
    hl_host_free(ix->readings[i].series_uid);
    hl_host_free(ix->readings[i].date);
  }
  hl_host_free(ix->facts);
  hl_host_free(ix->slices);
  hl_host_free(ix->readings);
  hl_host_free(ix->series);
  hl_host_free(ix->series_files);
  file_list_free(&ix->files);
  hl_problems_free(ix->problems);
  hl_host_free(ix);
}

const hl_index_counts *hl_index_totals(const hl_index *ix) {
  return &ix->counts;
}
int64_t hl_index_n_series(const hl_index *ix) {
  return ix->n_series;
}
const hl_index_series *hl_index_series_at(const hl_index *ix, int64_t i) {
  return &ix->series[i];
}
int64_t hl_index_n_xml(const hl_index *ix) {
  return ix->n_readings;
}
const hl_index_xml *hl_index_xml_at(const hl_index *ix, int64_t i) {
  return &ix->readings[i].xml;
}
const hl_problems *hl_index_problems(const hl_index *ix) {
  return ix->problems;
}
