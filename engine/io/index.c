/* Looks at every file once, a batch at a time on all compute threads, then sorts what was found. */
#include "walk.h"
#include <hilum/index.h>
#include <hilum/ledger.h>
#include <hilum/lidc.h>
#include <hilum/parallel.h>
#include <hilum/volume.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 512, GRAIN = 8 };

typedef enum content { OTHER, DICOM, CT_READING, RADIOGRAPH_READING } content;

/* What one file turned out to be. */
typedef struct look {
  const char *path;
  bool readings_only;
  content what;
  hl_status status;
  hl_err err;
  hl_dicom_header header;
  hl_marks *marks;
  hl_problems *problems; /* of a reading */
  char hash[HL_HASH_TEXT];
} look;

typedef struct slice_file {
  const char *path;
  char *uids; /* series, study and patient, each of HL_UID_TEXT */
  int64_t rows, columns;
  double z_mm, spacing_mm[2];
  int instance;
} slice_file;

typedef struct reading_file {
  hl_index_xml xml;
  char *series_uid, *date;
} reading_file;

struct hl_index {
  bool readings_only;
  hl_index_counts counts;
  hl_problems *problems;
  file_list files; /* owns all paths */
  slice_file *slices;
  int64_t n_slices, slice_room;
  reading_file *readings;
  int64_t n_readings, reading_room;
  hl_index_series *series;
  int64_t n_series;
  const char **series_files;
};

/* ---- Looking at files ---- */

static hl_status look_at_reading(look *l) {
  HL_TRY(hl_problems_new(&l->problems, &l->err));
  HL_TRY(hl_lidc_read(&l->marks, l->path, l->problems, &l->err));
  return hl_marks_hash(l->marks, l->hash, &l->err);
}

static hl_status look_at(look *l) {
  bool dicom;
  hl_xml_kind kind;
  HL_TRY(hl_dicom_recognise(l->path, &dicom, &l->err));
  if (dicom) {
    l->what = DICOM;
    if (l->readings_only) return HL_OK;
    return hl_dicom_header_read(l->path, &l->header, &l->err);
  }
  HL_TRY(hl_lidc_recognise(l->path, &kind, &l->err));
  if (kind == HL_XML_RADIOGRAPH) l->what = RADIOGRAPH_READING;
  if (kind != HL_XML_CT) return HL_OK;
  l->what = CT_READING;
  return look_at_reading(l);
}

static void look_at_some(int64_t begin, int64_t end, void *ctx) {
  look *batch = ctx;
  for (int64_t i = begin; i < end; i++) batch[i].status = look_at(&batch[i]);
}

static void forget(look *l) {
  hl_marks_free(l->marks);
  hl_problems_free(l->problems);
}

/* ---- Keeping what was found ---- */

static hl_status no_memory(hl_err *e) {
  return hl_fail(e, HL_ENOMEM, "no memory for an index");
}

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

/* Position along the normal of the slice. */
static double position_mm(const hl_dicom_header *h) {
  const double *x = h->orientation, *y = x + 3, *p = h->position_mm;
  return (x[1] * y[2] - x[2] * y[1]) * p[0] + (x[2] * y[0] - x[0] * y[2]) * p[1] +
         (x[0] * y[1] - x[1] * y[0]) * p[2];
}

static bool is_ct_slice(const hl_dicom_header *h) {
  return strcmp(h->modality, "CT") == 0 && (h->has & HL_DICOM_SIZE) && h->series_uid[0];
}

static hl_status keep_slice(hl_index *ix, const look *l, hl_err *e) {
  const hl_dicom_header *h = &l->header;
  ix->counts.dicom_files++;
  if (ix->readings_only || !is_ct_slice(h)) return HL_OK;
  ix->counts.ct_files++;
  void *items = ix->slices;
  HL_TRY(make_room(&items, ix->n_slices, &ix->slice_room, sizeof *ix->slices, e));
  ix->slices = items;
  slice_file *s = &ix->slices[ix->n_slices];
  *s = (slice_file){.path = l->path,
                    .rows = h->rows,
                    .columns = h->columns,
                    .z_mm = position_mm(h),
                    .spacing_mm = {h->spacing_mm[0], h->spacing_mm[1]},
                    .instance = h->instance};
  s->uids = hl_host_calloc(3, HL_UID_TEXT);
  if (!s->uids) return no_memory(e);
  memcpy(s->uids, h->series_uid, HL_UID_TEXT);
  memcpy(s->uids + HL_UID_TEXT, h->study_uid, HL_UID_TEXT);
  memcpy(s->uids + 2 * HL_UID_TEXT, h->patient_id, HL_UID_TEXT);
  ix->n_slices++;
  return HL_OK;
}

static hl_status keep_reading(hl_index *ix, const look *l, hl_err *e) {
  ix->counts.xml_files++;
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
  else if (l->what == OTHER)
    hl_problems_add(ix->problems, HL_OK, l->path,
                    "neither DICOM nor an LIDC reading (XML with root LidcReadMessage); left out");
}

static hl_status keep(hl_index *ix, const look *l, hl_err *e) {
  if (l->status == HL_ENOMEM || l->status == HL_ECANCELLED)
    return hl_fail(e, l->status, "%s", l->err.msg);
  ix->counts.files++;
  keep_problems(ix, l);
  if (l->status != HL_OK) {
    ix->counts.dicom_files += l->what == DICOM;
    ix->counts.xml_files += l->what == CT_READING;
    ix->counts.other_files += l->what == OTHER;
    return HL_OK;
  }
  switch (l->what) {
  case OTHER:
    ix->counts.other_files++;
    return HL_OK;
  case DICOM:
    return keep_slice(ix, l, e);
  case CT_READING:
    return keep_reading(ix, l, e);
  case RADIOGRAPH_READING:
    ix->counts.xml_files++;
    ix->counts.radiograph_xml++;
    return HL_OK;
  }
  return HL_OK;
}

static hl_status look_at_batch(hl_index *ix, look *batch, int64_t first, int64_t n, hl_err *e) {
  for (int64_t i = 0; i < n; i++)
    batch[i] = (look){.path = ix->files.paths[first + i], .readings_only = ix->readings_only};
  hl_parallel_for(n, GRAIN, look_at_some, batch);
  hl_status status = HL_OK;
  for (int64_t i = 0; i < n; i++) {
    if (status == HL_OK) status = keep(ix, &batch[i], e);
    forget(&batch[i]);
  }
  return status;
}

static hl_status look_at_all(hl_index *ix, const char *folder, hl_progress progress, void *ctx,
                             hl_err *e) {
  look *batch = hl_host_calloc(BATCH, sizeof *batch);
  if (!batch) return no_memory(e);
  hl_status status = HL_OK;
  for (int64_t i = 0; i < ix->files.n && status == HL_OK; i += BATCH) {
    if (progress) progress(ctx, i, ix->files.n, "looking at files");
    int64_t n = ix->files.n - i < BATCH ? ix->files.n - i : BATCH;
    status = look_at_batch(ix, batch, i, n, e);
    if (status == HL_OK && hl_cancel_requested())
      status = hl_fail(e, HL_ECANCELLED, "%s: stopped while looking at files", folder);
  }
  if (progress && status == HL_OK) progress(ctx, ix->files.n, ix->files.n, "looking at files");
  hl_host_free(batch);
  return status;
}

/* ---- Series ---- */

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
    if (!same_folder || told || strcmp(a->uids, b->uids) == 0) continue;
    told = 1;
    char folder[512];
    size_t k = n < sizeof folder - 1 ? n : sizeof folder - 1;
    memcpy(folder, b->path, k);
    folder[k] = '\0';
    hl_problems_add(ix->problems, HL_OK, folder,
                    "holds slices of more than one series (%s and %s); told apart by "
                    "SeriesInstanceUID",
                    a->uids, b->uids);
  }
}

/* By series, then place in it. */
static int compare_slices(const void *x, const void *y) {
  const slice_file *a = x, *b = y;
  int order = strcmp(a->uids, b->uids);
  if (order != 0) return order;
  if (a->z_mm != b->z_mm) return a->z_mm < b->z_mm ? -1 : 1;
  if (a->instance != b->instance) return a->instance < b->instance ? -1 : 1;
  return strcmp(a->path, b->path);
}

/* Spacing along z; slices at one place count once. */
static hl_status measure_steps(hl_index *ix, hl_index_series *s, const slice_file *first,
                               hl_err *e) {
  double *z_mm = hl_host_calloc((size_t)s->n_files, sizeof *z_mm);
  if (!z_mm) return no_memory(e);
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_files; i++)
    if (n == 0 || first[i].z_mm - z_mm[n - 1] > 0.01) z_mm[n++] = first[i].z_mm;
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

static hl_status add_series(hl_index *ix, int64_t begin, int64_t end, hl_err *e) {
  const slice_file *first = &ix->slices[begin];
  hl_index_series *s = &ix->series[ix->n_series++];
  *s = (hl_index_series){.uid = first->uids,
                         .study_uid = first->uids + HL_UID_TEXT,
                         .patient = first->uids + 2 * HL_UID_TEXT,
                         .files = ix->series_files + begin,
                         .n_files = end - begin,
                         .rows = first->rows,
                         .columns = first->columns,
                         .spacing_mm = {0, first->spacing_mm[0], first->spacing_mm[1]},
                         .xml = -1};
  for (int64_t i = begin; i < end; i++) ix->series_files[i] = ix->slices[i].path;
  return measure_steps(ix, s, first, e);
}

static int compare_series(const void *x, const void *y) {
  const hl_index_series *a = x, *b = y;
  int order = strcmp(a->patient, b->patient);
  return order ? order : strcmp(a->uid, b->uid);
}

static hl_status find_series(hl_index *ix, hl_err *e) {
  int64_t n = ix->n_slices;
  if (n == 0) return HL_OK;
  report_mixed_folders(ix);
  qsort(ix->slices, (size_t)n, sizeof *ix->slices, compare_slices);
  ix->series = hl_host_calloc((size_t)n, sizeof *ix->series);
  ix->series_files = hl_host_calloc((size_t)n, sizeof *ix->series_files);
  if (!ix->series || !ix->series_files) return no_memory(e);
  int64_t begin = 0;
  for (int64_t i = 1; i <= n; i++) {
    if (i < n && strcmp(ix->slices[i].uids, ix->slices[begin].uids) == 0) continue;
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

static hl_status build(hl_index *ix, const char *folder, hl_progress progress, void *ctx,
                       hl_err *e) {
  HL_TRY(hl_problems_new(&ix->problems, e));
  HL_TRY(files_below(&ix->files, folder, ix->problems, e));
  HL_TRY(look_at_all(ix, folder, progress, ctx, e));
  HL_TRY(find_series(ix, e));
  match_readings(ix);
  return check_some(ix, folder, e);
}

static hl_status new_index(hl_index **out, const char *folder, bool readings_only,
                           hl_progress progress, void *ctx, hl_err *e) {
  *out = NULL;
  hl_index *ix = hl_host_calloc(1, sizeof *ix);
  if (!ix) return no_memory(e);
  ix->readings_only = readings_only;
  hl_status status = build(ix, folder, progress, ctx, e);
  if (status != HL_OK) {
    hl_index_free(ix);
    return status;
  }
  *out = ix;
  return HL_OK;
}

hl_status hl_index_new(hl_index **out, const char *folder, hl_progress progress, void *ctx,
                       hl_err *e) {
  return new_index(out, folder, false, progress, ctx, e);
}

hl_status hl_index_readings(hl_index **out, const char *folder, hl_progress progress, void *ctx,
                            hl_err *e) {
  return new_index(out, folder, true, progress, ctx, e);
}

void hl_index_free(hl_index *ix) {
  if (!ix) return;
  for (int64_t i = 0; i < ix->n_slices; i++) hl_host_free(ix->slices[i].uids);
  for (int64_t i = 0; i < ix->n_readings; i++) {
    hl_host_free(ix->readings[i].series_uid);
    hl_host_free(ix->readings[i].date);
  }
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
