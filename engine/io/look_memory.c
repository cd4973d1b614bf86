/* The facts of many files in one store: a column for each fact, and a table of the series, which
 * most slices share with the one before. */
#include "look.h"
#include <hilum/ledger.h>
#include <hilum/store.h>

#include <hilum/disk.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, SHARED = SOP_UID }; /* the UIDs before SOP_UID are those of a series */

typedef struct known {
  const char *below;
  file_facts facts;
} known;

struct file_memory {
  known *files; /* by path */
  int64_t n;
  hl_value paths; /* owns the texts */
  char *uids;     /* of all of them */
};

/* Columns of whole numbers, of reals, of texts. */
enum { BYTES, MTIME, WHAT, ROWS, COLUMNS, INSTANCE, SERIES, INTEGERS };
enum { Z, SPACING_Y, SPACING_X, REALS };
static const char *const integer_names[INTEGERS] = {"/bytes",   "/mtime_ns", "/what",  "/rows",
                                                    "/columns", "/instance", "/series"};
static const char *const real_names[REALS] = {"/z_mm", "/spacing_y_mm", "/spacing_x_mm"};
static const char *const shared_names[SHARED] = {"/series_uid", "/study_uid", "/patient"};

/* ---- writing ---- */

typedef struct columns {
  int64_t n, n_series;
  int64_t *integers[INTEGERS];
  double *reals[REALS];
  const char **paths, **sop_uids, **shared[SHARED];
} columns;

static void columns_free(columns *c) {
  for (int i = 0; i < INTEGERS; i++) hl_host_free(c->integers[i]);
  for (int i = 0; i < REALS; i++) hl_host_free(c->reals[i]);
  for (int i = 0; i < SHARED; i++) hl_host_free(c->shared[i]);
  hl_host_free(c->paths);
  hl_host_free(c->sop_uids);
}

static hl_status no_memory(hl_err *e) {
  return hl_fail(e, HL_ENOMEM, "no memory to remember files");
}

static hl_status columns_new(columns *c, int64_t n, hl_err *e) {
  size_t room = (size_t)(n > 0 ? n : 1);
  bool fine = true;
  *c = (columns){0};
  for (int i = 0; i < INTEGERS; i++)
    fine = (c->integers[i] = hl_host_calloc(room, sizeof(int64_t))) != NULL && fine;
  for (int i = 0; i < REALS; i++)
    fine = (c->reals[i] = hl_host_calloc(room, sizeof(double))) != NULL && fine;
  for (int i = 0; i < SHARED; i++)
    fine = (c->shared[i] = hl_host_calloc(room, sizeof(char *))) != NULL && fine;
  fine = (c->paths = hl_host_calloc(room, sizeof(char *))) != NULL && fine;
  fine = (c->sop_uids = hl_host_calloc(room, sizeof(char *))) != NULL && fine;
  return fine ? HL_OK : no_memory(e);
}

/* The row of the series table; a slice has mostly that of the slice before. */
static int64_t series_row(columns *c, const file_facts *f) {
  if (f->uids == NULL) return -1;
  int64_t last = c->n_series - 1;
  bool same = last >= 0;
  for (int i = 0; i < SHARED && same; i++) same = strcmp(c->shared[i][last], facts_uid(f, i)) == 0;
  if (same) return last;
  for (int i = 0; i < SHARED; i++) c->shared[i][c->n_series] = facts_uid(f, i);
  return c->n_series++;
}

static void add_row(columns *c, const char *below, const file_facts *f) {
  int64_t k = c->n++;
  const int64_t integers[INTEGERS] = {f->bytes,   f->mtime_ns, f->what,         f->rows,
                                      f->columns, f->instance, series_row(c, f)};
  const double reals[REALS] = {f->z_mm, f->spacing_mm[0], f->spacing_mm[1]};
  for (int i = 0; i < INTEGERS; i++) c->integers[i][k] = integers[i];
  for (int i = 0; i < REALS; i++) c->reals[i][k] = reals[i];
  c->paths[k] = below;
  c->sop_uids[k] = f->uids ? facts_uid(f, SOP_UID) : "";
}

static hl_status put_list(hl_store *s, const char *name, hl_value v, int64_t n, hl_err *e) {
  v.list = true;
  v.count = (size_t)n;
  return hl_store_put_value(s, name, &v, e);
}

static hl_status put_columns(hl_store *s, const columns *c, hl_err *e) {
  const int64_t version = VERSION;
  HL_TRY(hl_store_put_value(
      s, "/version", &(hl_value){.kind = HL_KIND_INTEGER, .count = 1, .integers = &version}, e));
  for (int i = 0; i < INTEGERS; i++)
    HL_TRY(put_list(s, integer_names[i],
                    (hl_value){.kind = HL_KIND_INTEGER, .integers = c->integers[i]}, c->n, e));
  for (int i = 0; i < REALS; i++)
    HL_TRY(put_list(s, real_names[i], (hl_value){.kind = HL_KIND_REAL, .reals = c->reals[i]}, c->n,
                    e));
  for (int i = 0; i < SHARED; i++)
    HL_TRY(put_list(s, shared_names[i], (hl_value){.kind = HL_KIND_TEXT, .texts = c->shared[i]},
                    c->n_series, e));
  HL_TRY(put_list(s, "/path", (hl_value){.kind = HL_KIND_TEXT, .texts = c->paths}, c->n, e));
  return put_list(s, "/sop_uid", (hl_value){.kind = HL_KIND_TEXT, .texts = c->sop_uids}, c->n, e);
}

hl_status file_memory_save(const char *file, char *const *paths, size_t top,
                           const file_facts *facts, int64_t n, const file_memory *old, hl_err *e) {
  columns c;
  hl_store *s = NULL;
  hl_status status = columns_new(&c, n, e);
  for (int64_t i = 0; i < n && status == HL_OK; i++) {
    const char *below = paths[i] + top;
    const file_facts *f = facts[i].what ? &facts[i] : file_memory_find(old, below, -1, 0);
    if (f && f->what && f->what != CT_READING) add_row(&c, below, f);
  }
  if (status == HL_OK) status = hl_store_new(&s, e);
  if (status == HL_OK) status = put_columns(s, &c, e);
  if (status == HL_OK) status = hl_store_save(s, file, e);
  hl_store_free(s);
  columns_free(&c);
  return status;
}

/* ---- reading ---- */

typedef struct loaded {
  hl_value integers[INTEGERS], reals[REALS], shared[SHARED], sop_uids;
} loaded;

static hl_status get_list(const hl_store *s, const char *name, hl_kind kind, size_t count,
                          hl_value *v, hl_err *e) {
  HL_TRY(hl_store_get_value(s, name, v, e));
  if (v->list && v->kind == kind && (v->count == count || count == SIZE_MAX)) return HL_OK;
  return hl_fail(e, HL_EFORMAT, "%s is not the column that it must be", name);
}

static hl_status load(file_memory *m, loaded *l, const hl_store *s, hl_err *e) {
  hl_value version = {0};
  HL_TRY(hl_store_get_value(s, "/version", &version, e));
  bool ours = version.kind == HL_KIND_INTEGER && version.integers[0] == VERSION;
  hl_value_free(&version);
  if (!ours) return hl_fail(e, HL_EFORMAT, "was written by another version");
  HL_TRY(get_list(s, "/path", HL_KIND_TEXT, SIZE_MAX, &m->paths, e));
  size_t n = m->paths.count;
  for (int i = 0; i < INTEGERS; i++)
    HL_TRY(get_list(s, integer_names[i], HL_KIND_INTEGER, n, &l->integers[i], e));
  for (int i = 0; i < REALS; i++)
    HL_TRY(get_list(s, real_names[i], HL_KIND_REAL, n, &l->reals[i], e));
  HL_TRY(get_list(s, shared_names[0], HL_KIND_TEXT, SIZE_MAX, &l->shared[0], e));
  for (int i = 1; i < SHARED; i++)
    HL_TRY(get_list(s, shared_names[i], HL_KIND_TEXT, l->shared[0].count, &l->shared[i], e));
  return get_list(s, "/sop_uid", HL_KIND_TEXT, n, &l->sop_uids, e);
}

static bool put_uid(char *to, int which, const char *text) {
  size_t n = strlen(text);
  if (n >= HL_UID_TEXT) return false;
  memcpy(to + which * HL_UID_TEXT, text, n + 1);
  return true;
}

static hl_status take_uids(file_facts *f, char *uids, const loaded *l, int64_t i, hl_err *e) {
  int64_t series = l->integers[SERIES].integers[i];
  bool fine = series >= 0 && (size_t)series < l->shared[0].count;
  for (int k = 0; k < SHARED && fine; k++) fine = put_uid(uids, k, l->shared[k].texts[series]);
  if (!fine || !put_uid(uids, SOP_UID, l->sop_uids.texts[i]))
    return hl_fail(e, HL_EFORMAT, "row %lld has no series", (long long)i);
  f->uids = uids;
  return HL_OK;
}

static int compare_known(const void *a, const void *b) {
  return strcmp(((const known *)a)->below, ((const known *)b)->below);
}

static hl_status take_rows(file_memory *m, const loaded *l, hl_err *e) {
  int64_t n = (int64_t)m->paths.count;
  m->files = hl_host_calloc((size_t)n + 1, sizeof *m->files);
  m->uids = hl_host_calloc((size_t)n + 1, (size_t)UIDS * HL_UID_TEXT);
  if (!m->files || !m->uids) return no_memory(e);
  for (int64_t i = 0; i < n; i++) {
    int64_t v[INTEGERS];
    for (int k = 0; k < INTEGERS; k++) v[k] = l->integers[k].integers[i];
    if (v[WHAT] <= UNSEEN || v[WHAT] >= CT_READING)
      return hl_fail(e, HL_EFORMAT, "row %lld is of no kind", (long long)i);
    m->files[i].below = m->paths.texts[i];
    m->files[i].facts =
        (file_facts){.bytes = v[BYTES],
                     .mtime_ns = v[MTIME],
                     .what = (content)v[WHAT],
                     .rows = v[ROWS],
                     .columns = v[COLUMNS],
                     .instance = v[INSTANCE],
                     .z_mm = l->reals[Z].reals[i],
                     .spacing_mm = {l->reals[SPACING_Y].reals[i], l->reals[SPACING_X].reals[i]}};
    if (v[WHAT] == CT_SLICE)
      HL_TRY(take_uids(&m->files[i].facts, m->uids + (size_t)i * UIDS * HL_UID_TEXT, l, i, e));
  }
  m->n = n;
  qsort(m->files, (size_t)n, sizeof *m->files, compare_known);
  return HL_OK;
}

static hl_status read_memory(file_memory *m, const char *file, hl_err *e) {
  hl_store *s = NULL;
  loaded l = {0};
  HL_TRY(hl_store_open(&s, file, e));
  hl_status status = load(m, &l, s, e);
  if (status == HL_OK) status = take_rows(m, &l, e);
  for (int i = 0; i < INTEGERS; i++) hl_value_free(&l.integers[i]);
  for (int i = 0; i < REALS; i++) hl_value_free(&l.reals[i]);
  for (int i = 0; i < SHARED; i++) hl_value_free(&l.shared[i]);
  hl_value_free(&l.sop_uids);
  hl_store_free(s);
  return status;
}

hl_status file_memory_open(file_memory **out, const char *file, hl_problems *problems, hl_err *e) {
  *out = NULL;
  if (!hl_disk_exists(file)) return HL_OK;
  file_memory *m = hl_host_calloc(1, sizeof *m);
  if (!m) return no_memory(e);
  hl_err why = {0};
  hl_status status = read_memory(m, file, &why);
  if (status == HL_OK) {
    *out = m;
    return HL_OK;
  }
  file_memory_free(m);
  if (status == HL_ENOMEM) return hl_fail(e, HL_ENOMEM, "%s", why.msg);

  hl_problems_add(problems, HL_OK, file,
                  "what was remembered of files cannot be used (%s); all are "
                  "looked at again",
                  why.msg);
  return HL_OK;
}

const file_facts *file_memory_find(const file_memory *m, const char *below, int64_t bytes,
                                   int64_t mtime_ns) {
  if (m == NULL || m->n == 0) return NULL;
  const known wanted = {.below = below};
  const known *found = bsearch(&wanted, m->files, (size_t)m->n, sizeof *m->files, compare_known);
  if (found == NULL) return NULL;
  const file_facts *f = &found->facts;
  return bytes < 0 || (f->bytes == bytes && f->mtime_ns == mtime_ns) ? f : NULL;
}

void file_memory_free(file_memory *m) {
  if (m == NULL) return;
  hl_value_free(&m->paths);
  hl_host_free(m->files);
  hl_host_free(m->uids);
  hl_host_free(m);
}
