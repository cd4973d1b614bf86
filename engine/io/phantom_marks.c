/* A phantom's reading with something odd in it, as the collection's own files have. */
#include "phantom_case.h"
#include <hilum/ledger.h>

#include <math.h>

static const int HIGHEST_RATING = 6; /* malignancy ends with 5 */

typedef struct copying {
  hl_marks *to;
  const hl_phantom_scan *scan;
  hl_phantom_variant variant;
  phantom_shift shift_mm;
} copying;

static double moved(const copying *c, double z_mm) {
  const hl_phantom_scan *s = c->scan;
  return z_mm + c->shift_mm((int64_t)llround((z_mm - s->origin_mm[0]) / s->spacing_mm[0]));
}

/* Without its last point; or without a point of four, the ends excepted. */
static bool is_left_out(const copying *c, const hl_roi *roi, int64_t i) {
  if (c->variant == HL_PHANTOM_OPEN_OUTLINES) return i == roi->n - 1;
  if (c->variant == HL_PHANTOM_GAPS) return i > 0 && i < roi->n - 1 && i % 4 == 2;
  return false;
}

static hl_status copy_roi(const copying *c, const hl_roi *roi, hl_err *e) {
  HL_TRY(hl_marks_add_roi(c->to, moved(c, roi->z_mm), roi->sop_uid, roi->inclusion, 0, e));
  if (c->variant == HL_PHANTOM_Z_BLANKS) hl_marks_set_z_blanks(c->to);
  if (roi->n == 1) return hl_marks_add_points(c->to, roi->points, 1, e);
  for (int64_t i = 0; i < roi->n; i++)
    if (!is_left_out(c, roi, i)) HL_TRY(hl_marks_add_points(c->to, &roi->points[i], 1, e));
  return HL_OK;
}

static hl_status copy_ratings(const copying *c, const hl_mark *mark, hl_err *e) {
  int rating[HL_RATINGS];
  for (int i = 0; i < HL_RATINGS; i++) rating[i] = mark->rating[i];
  if (c->variant == HL_PHANTOM_RATINGS) rating[HL_RATINGS - 1] = HIGHEST_RATING;
  bool empty = c->variant == HL_PHANTOM_EMPTY_CHARACTERISTICS;
  return hl_marks_set_ratings(c->to, empty ? NULL : rating, e);
}

static hl_status copy_session(const copying *c, int session, hl_err *e) {
  HL_TRY(hl_marks_add_session(c->to, e));
  for (int64_t i = 0; i < hl_marks_count(c->scan->marks); i++) {
    const hl_mark *mark = hl_marks_at(c->scan->marks, i);
    if (mark->session != session) continue;
    HL_TRY(hl_marks_add(c->to, mark->kind, mark->id, 0, e));
    if (mark->rated) HL_TRY(copy_ratings(c, mark, e));
    for (int64_t k = 0; k < mark->n_rois; k++) HL_TRY(copy_roi(c, &mark->rois[k], e));
  }
  return HL_OK;
}

static int sessions_of(const copying *c) {
  if (c->variant == HL_PHANTOM_SESSIONS_3) return 3;
  if (c->variant == HL_PHANTOM_SESSIONS_8) return 8;
  return hl_marks_sessions(c->scan->marks);
}

static hl_status copy_all(const copying *c, hl_err *e) {
  const hl_marks *from = c->scan->marks;
  const char *series = hl_marks_series_uid(from);
  for (int i = 0; i < sessions_of(c); i++) HL_TRY(copy_session(c, i % hl_marks_sessions(from), e));
  if (c->variant == HL_PHANTOM_NO_SERIES) series = hl_marks_study_uid(from);
  HL_TRY(hl_marks_set_source(c->to, "phantom", series, hl_marks_study_uid(from),
                             hl_marks_date(from), e));
  hl_marks_finish(c->to);
  return HL_OK;
}

hl_status phantom_vary_marks(hl_marks **out, const hl_phantom_scan *s, hl_phantom_variant variant,
                             phantom_shift shift_mm, hl_err *e) {
  copying c = {.scan = s, .variant = variant, .shift_mm = shift_mm};
  *out = NULL;
  HL_TRY(hl_marks_new(&c.to, e));
  hl_status status = copy_all(&c, e);
  if (status == HL_OK)
    *out = c.to;
  else
    hl_marks_free(c.to);
  return status;
}
