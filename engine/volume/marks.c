/* All points, rois, marks and texts of a reading lie in four growing arrays; while it is being
 * built they refer to each other by position, hl_marks_finish turns positions into pointers. */
#include <hilum/ledger.h>
#include <hilum/marks.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct array {
  void *items;
  int64_t n, room;
} array;

struct hl_marks {
  array points, rois, marks, text;
  array roi_points, roi_text, mark_rois, mark_text; /* first positions, int64_t */
  array by_slice; /* const hl_roi *, the rois of each mark by slice */
  int sessions;
  char *file, *series_uid, *study_uid, *date;
};

static const char *const rating_names[HL_RATINGS] = {
    "subtlety",   "internalStructure", "calcification", "sphericity", "margin",
    "lobulation", "spiculation",       "texture",       "malignancy"};

const char *hl_rating_name(int i) {
  return i >= 0 && i < HL_RATINGS ? rating_names[i] : "";
}

static const int rating_max[HL_RATINGS] = {5, 4, 6, 5, 5, 5, 5, 5, 5};

int hl_rating_max(int i) {
  return i >= 0 && i < HL_RATINGS ? rating_max[i] : 0;
}

bool hl_rating_in_range(const hl_mark *mark, int i) {
  int v = mark->rating[i];
  if (v == INT_MIN || (v == 0 && mark->kind == HL_MARK_POINT)) return true;
  return v >= 1 && v <= rating_max[i];
}

static hl_status append(array *a, const void *items, int64_t n, size_t size, hl_err *e) {
  if (a->n + n > a->room) {
    int64_t room = 2 * a->room + n + 16;
    void *grown = hl_host_realloc(a->items, (size_t)room * size);
    if (!grown)
      return hl_fail(e, HL_ENOMEM, "no memory for %lld parts of a reading", (long long)room);
    a->items = grown;
    a->room = room;
  }
  if (n) memcpy((char *)a->items + (size_t)a->n * size, items, (size_t)n * size);
  a->n += n;
  return HL_OK;
}

static hl_status append_text(hl_marks *m, array *firsts, const char *text, hl_err *e) {
  int64_t first = m->text.n;
  HL_TRY(append(&m->text, text, (int64_t)strlen(text) + 1, 1, e));
  return append(firsts, &first, 1, sizeof first, e);
}

hl_status hl_marks_new(hl_marks **out, hl_err *e) {
  *out = hl_host_calloc(1, sizeof **out);
  if (!*out) return hl_fail(e, HL_ENOMEM, "no memory for a reading");
  return HL_OK;
}

void hl_marks_free(hl_marks *m) {
  if (!m) return;
  array *all[] = {&m->points,   &m->rois,      &m->marks,     &m->text,    &m->roi_points,
                  &m->roi_text, &m->mark_rois, &m->mark_text, &m->by_slice};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) hl_host_free(all[i]->items);
  hl_host_free(m->file);
  hl_host_free(m->series_uid);
  hl_host_free(m->study_uid);
  hl_host_free(m->date);
  hl_host_free(m);
}

hl_status hl_marks_add_session(hl_marks *m, hl_err *e) {
  if (m->sessions == INT_MAX) return hl_fail(e, HL_EINVAL, "too many reading sessions");
  m->sessions++;
  return HL_OK;
}

hl_status hl_marks_add(hl_marks *m, hl_mark_kind kind, const char *id, int line, hl_err *e) {
  if (m->sessions == 0) return hl_fail(e, HL_EINVAL, "a mark before the first reading session");
  hl_mark mark = {.kind = kind, .session = m->sessions - 1, .line = line};
  for (int i = 0; i < HL_RATINGS; i++) mark.rating[i] = INT_MIN;
  HL_TRY(append_text(m, &m->mark_text, id, e));
  HL_TRY(append(&m->mark_rois, &m->rois.n, 1, sizeof m->rois.n, e));
  return append(&m->marks, &mark, 1, sizeof mark, e);
}

hl_status hl_marks_add_roi(hl_marks *m, double z_mm, const char *sop_uid, bool inclusion, int line,
                           hl_err *e) {
  if (m->marks.n == 0) return hl_fail(e, HL_EINVAL, "a roi before the first mark");
  hl_roi roi = {.z_mm = z_mm, .inclusion = inclusion, .line = line};
  HL_TRY(append_text(m, &m->roi_text, sop_uid, e));
  HL_TRY(append(&m->roi_points, &m->points.n, 1, sizeof m->points.n, e));
  const hl_roi *later = NULL;
  HL_TRY(append(&m->by_slice, &later, 1, sizeof(const hl_roi *), e));
  HL_TRY(append(&m->rois, &roi, 1, sizeof roi, e));
  ((hl_mark *)m->marks.items)[m->marks.n - 1].n_rois++;
  return HL_OK;
}

hl_status hl_marks_add_points(hl_marks *m, const hl_point *points, int64_t n, hl_err *e) {
  if (m->rois.n == 0) return hl_fail(e, HL_EINVAL, "points before the first roi");
  HL_TRY(append(&m->points, points, n, sizeof *points, e));
  ((hl_roi *)m->rois.items)[m->rois.n - 1].n += n;
  return HL_OK;
}

void hl_marks_set_z_blanks(hl_marks *m) {
  if (m->rois.n) ((hl_roi *)m->rois.items)[m->rois.n - 1].z_blanks = true;
}

hl_status hl_marks_set_ratings(hl_marks *m, const int *rating, hl_err *e) {
  if (m->marks.n == 0) return hl_fail(e, HL_EINVAL, "ratings before the first mark");
  hl_mark *mark = (hl_mark *)m->marks.items + m->marks.n - 1;
  mark->empty_characteristics = rating == NULL;
  mark->rated = rating != NULL;
  if (rating) memcpy(mark->rating, rating, sizeof mark->rating);
  return HL_OK;
}

static hl_status set_text(char **to, const char *text, hl_err *e) {
  char *copy = hl_host_strdup(text);
  if (!copy) return hl_fail(e, HL_ENOMEM, "no memory for a text of a reading");
  hl_host_free(*to);
  *to = copy;
  return HL_OK;
}

hl_status hl_marks_set_source(hl_marks *m, const char *file, const char *series_uid,
                              const char *study_uid, const char *date, hl_err *e) {
  HL_TRY(set_text(&m->file, file, e));
  HL_TRY(set_text(&m->series_uid, series_uid, e));
  HL_TRY(set_text(&m->study_uid, study_uid, e));
  return set_text(&m->date, date, e);
}

/* A nodule is a point if no roi of it has more than one. */
static hl_mark_kind kind_of(const hl_mark *mark) {
  if (mark->kind == HL_MARK_NON_NODULE) return mark->kind;
  for (int64_t i = 0; i < mark->n_rois; i++)
    if (mark->rois[i].n > 1) return HL_MARK_OUTLINE;
  return HL_MARK_POINT;
}

static int compare_z(const hl_roi *a, const hl_roi *b) {
  bool no_a = isnan(a->z_mm), no_b = isnan(b->z_mm);
  if (no_a || no_b) return no_a - no_b;
  return (a->z_mm > b->z_mm) - (a->z_mm < b->z_mm);
}

static int compare_places(const void *x, const void *y) {
  const hl_roi *a = *(const hl_roi *const *)x, *b = *(const hl_roi *const *)y;
  int order = strcmp(a->sop_uid, b->sop_uid);
  return order ? order : compare_z(a, b);
}

/* What rois that follow each other in the order of slices say about their mark. */
static void look_at_slices(hl_mark *mark, const hl_roi **order) {
  for (int64_t i = 0; i < mark->n_rois; i++) order[i] = &mark->rois[i];
  qsort(order, (size_t)mark->n_rois, sizeof *order, compare_places);
  for (int64_t i = 0; i + 1 < mark->n_rois; i++) {
    const hl_roi *a = order[i], *b = order[i + 1];
    bool placed = a->sop_uid[0] || !isnan(a->z_mm);
    if (placed && compare_places(&a, &b) == 0) mark->several_on_slice = true;
    if (a->sop_uid[0] && strcmp(a->sop_uid, b->sop_uid) == 0 && a->z_mm < b->z_mm)
      mark->z_disagrees = true;
  }
}

void hl_marks_finish(hl_marks *m) {
  const char *text = m->text.items;
  const hl_point *points = m->points.items; /* NULL without any, as are rois */
  hl_roi *rois = m->rois.items;
  for (int64_t i = 0; i < m->rois.n; i++) {
    rois[i].points = points ? points + ((int64_t *)m->roi_points.items)[i] : NULL;
    rois[i].sop_uid = text + ((int64_t *)m->roi_text.items)[i];
  }
  hl_mark *marks = m->marks.items;
  for (int64_t i = 0; i < m->marks.n; i++) {
    marks[i].rois = rois ? rois + ((int64_t *)m->mark_rois.items)[i] : NULL;
    marks[i].id = text + ((int64_t *)m->mark_text.items)[i];
    marks[i].kind = kind_of(&marks[i]);
    if (marks[i].n_rois > 1)
      look_at_slices(&marks[i], (const hl_roi **)m->by_slice.items + (marks[i].rois - rois));
  }
}

static const char *text_or_empty(const char *s) {
  return s ? s : "";
}
const char *hl_marks_file(const hl_marks *m) {
  return text_or_empty(m->file);
}
const char *hl_marks_series_uid(const hl_marks *m) {
  return text_or_empty(m->series_uid);
}
const char *hl_marks_study_uid(const hl_marks *m) {
  return text_or_empty(m->study_uid);
}
const char *hl_marks_date(const hl_marks *m) {
  return text_or_empty(m->date);
}
int hl_marks_sessions(const hl_marks *m) {
  return m->sessions;
}
int64_t hl_marks_count(const hl_marks *m) {
  return m->marks.n;
}
const hl_mark *hl_marks_at(const hl_marks *m, int64_t i) {
  return (const hl_mark *)m->marks.items + i;
}

static int far(int32_t a, int32_t b) {
  return a - b > 1 || b - a > 1;
}

static void count_outline(hl_marks_counts *c, const hl_roi *roi) {
  if (roi->n < 2) return;
  const hl_point *p = roi->points;
  bool closed = p[0].x == p[roi->n - 1].x && p[0].y == p[roi->n - 1].y, gap = false;
  for (int64_t i = 0; i + 1 < roi->n && !gap; i++)
    gap = far(p[i].x, p[i + 1].x) || far(p[i].y, p[i + 1].y);
  c->outlines_closed += closed;
  c->outlines_open += !closed;
  c->outlines_with_gaps += gap;
}

static void count_ratings(hl_marks_counts *c, const hl_mark *mark) {
  int malignancy = mark->rating[HL_RATINGS - 1];
  for (int i = 0; i < HL_RATINGS; i++) c->ratings_out_of_range += !hl_rating_in_range(mark, i);
  if (malignancy >= 0 && malignancy <= hl_rating_max(HL_RATINGS - 1)) c->malignancy[malignancy]++;
}

static void count_places(hl_marks_counts *c, const hl_mark *mark) {
  for (int64_t i = 0; i < mark->n_rois; i++) {
    const hl_roi *roi = &mark->rois[i];
    c->rois_without_points += roi->n == 0;
    c->rois_without_sop_uid += !roi->sop_uid[0];
    c->rois_without_z += isnan(roi->z_mm);
    c->z_with_blanks += roi->z_blanks;
  }
}

static void count_nodule(hl_marks_counts *c, const hl_mark *mark) {
  bool outline = mark->kind == HL_MARK_OUTLINE;
  c->outlines += outline;
  c->points += !outline;
  c->rated_outlines += outline && mark->rated;
  c->rated_points += !outline && mark->rated;
  c->empty_characteristics += mark->empty_characteristics;
  c->several_on_slice += mark->several_on_slice;
  c->z_disagrees += mark->z_disagrees;
  count_ratings(c, mark);
  for (int64_t i = 0; i < mark->n_rois; i++) {
    c->rois_included += mark->rois[i].inclusion;
    c->rois_excluded += !mark->rois[i].inclusion;
    count_outline(c, &mark->rois[i]);
  }
}

hl_marks_counts hl_marks_count_kinds(const hl_marks *m) {
  hl_marks_counts c = {.sessions = m->sessions};
  for (int64_t i = 0; i < hl_marks_count(m); i++) {
    const hl_mark *mark = hl_marks_at(m, i);
    count_places(&c, mark);
    if (mark->kind == HL_MARK_NON_NODULE)
      c.non_nodules++;
    else
      count_nodule(&c, mark);
  }
  return c;
}

static hl_status hash_mark(hl_hash *h, const hl_mark *mark, hl_err *e) {
  char line[256];
  int n = snprintf(line, sizeof line, "mark %d %d %d", (int)mark->kind, mark->session, mark->rated);
  HL_TRY(hl_hash_add(h, line, (size_t)n, e));
  HL_TRY(hl_hash_add(h, mark->id, strlen(mark->id) + 1, e));
  HL_TRY(hl_hash_add(h, mark->rating, sizeof mark->rating, e));
  for (int64_t i = 0; i < mark->n_rois; i++) {
    const hl_roi *roi = &mark->rois[i];
    n = snprintf(line, sizeof line, "roi %.4f %d %lld", roi->z_mm, roi->inclusion,
                 (long long)roi->n);
    HL_TRY(hl_hash_add(h, line, (size_t)n, e));
    HL_TRY(hl_hash_add(h, roi->sop_uid, strlen(roi->sop_uid) + 1, e));
    HL_TRY(hl_hash_add(h, roi->points, (size_t)roi->n * sizeof *roi->points, e));
  }
  return HL_OK;
}

static hl_status hash_all(hl_hash *h, const hl_marks *m, hl_err *e) {
  const char *uid = hl_marks_series_uid(m);
  HL_TRY(hl_hash_add(h, uid, strlen(uid) + 1, e));
  HL_TRY(hl_hash_add(h, &m->sessions, sizeof m->sessions, e));
  for (int64_t i = 0; i < hl_marks_count(m); i++) HL_TRY(hash_mark(h, hl_marks_at(m, i), e));
  return HL_OK;
}

hl_status hl_marks_hash(const hl_marks *m, char out[HL_HASH_TEXT], hl_err *e) {
  hl_hash *h;
  out[0] = '\0';
  HL_TRY(hl_hash_new(&h, e));
  hl_status status = hash_all(h, m, e);
  if (status == HL_OK) status = hl_hash_text(h, out, e);
  hl_hash_free(h);
  return status;
}
