/* What the readers of one scan marked: sessions, marks and their outlines, as the file has them. */
#ifndef HILUM_MARKS_H
#define HILUM_MARKS_H

#include <hilum/contour.h>
#include <hilum/hash.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_mark_kind {
  HL_MARK_OUTLINE,   /* a nodule of 3 mm or more, outlined */
  HL_MARK_POINT,     /* a nodule below 3 mm: one point near its middle */
  HL_MARK_NON_NODULE /* something else of 3 mm or more: one point */
} hl_mark_kind;

enum { HL_RATINGS = 9 };
/* "subtlety", "internalStructure", "calcification", "sphericity", "margin", "lobulation",
 * "spiculation", "texture", "malignancy". */
const char *hl_rating_name(int i);
/* The highest value of its scale, which begins with 1; 0 if there is no such rating. */
int hl_rating_max(int i);

/* One outline (or point) on one slice. */
typedef struct hl_roi {
  double z_mm;         /* NaN where the file has none */
  const char *sop_uid; /* empty where the file has none */
  bool inclusion;
  bool z_blanks; /* the file has blanks around z */
  int line;      /* in the file */
  const hl_point *points;
  int64_t n;
} hl_roi;

typedef struct hl_mark {
  hl_mark_kind kind;
  int session; /* 0-based; readers are anonymous, their order means nothing across scans */
  const char *id;
  bool rated;                 /* has characteristics with at least one value */
  bool empty_characteristics; /* has them, without any value */
  int rating[HL_RATINGS];     /* raw, even if out of range; INT_MIN where absent */
  bool several_on_slice;      /* more than one roi of one SOP UID and z */
  bool z_disagrees;           /* rois of one SOP UID at more than one z */
  int line;
  const hl_roi *rois;
  int64_t n_rois;
} hl_mark;

typedef struct hl_marks hl_marks;

HL_MUST_CHECK hl_status hl_marks_new(hl_marks **out, hl_err *e);
void hl_marks_free(hl_marks *m);

/* Building, in this order: a session, its marks, their rois, their points. Strings are copied. */
HL_MUST_CHECK hl_status hl_marks_add_session(hl_marks *m, hl_err *e);
HL_MUST_CHECK hl_status hl_marks_add(hl_marks *m, hl_mark_kind kind, const char *id, int line,
                                     hl_err *e);
HL_MUST_CHECK hl_status hl_marks_add_roi(hl_marks *m, double z_mm, const char *sop_uid,
                                         bool inclusion, int line, hl_err *e);
HL_MUST_CHECK hl_status hl_marks_add_points(hl_marks *m, const hl_point *points, int64_t n,
                                            hl_err *e);
/* Says of the last roi that its z has blanks around it. */
void hl_marks_set_z_blanks(hl_marks *m);
/* Ratings of the last mark; NULL: characteristics without a value. */
HL_MUST_CHECK hl_status hl_marks_set_ratings(hl_marks *m, const int *rating, hl_err *e);
HL_MUST_CHECK hl_status hl_marks_set_source(hl_marks *m, const char *file, const char *series_uid,
                                            const char *study_uid, const char *date, hl_err *e);
/* Ties the parts together; needed once before anything below. */
void hl_marks_finish(hl_marks *m);

const char *hl_marks_file(const hl_marks *m);
const char *hl_marks_series_uid(const hl_marks *m);
const char *hl_marks_study_uid(const hl_marks *m);
/* "YYYY-MM-DD hh:mm:ss" of the reading, as text that sorts; may be empty. */
const char *hl_marks_date(const hl_marks *m);
int hl_marks_sessions(const hl_marks *m);
int64_t hl_marks_count(const hl_marks *m);
/* Lends; valid as long as m. */
const hl_mark *hl_marks_at(const hl_marks *m, int64_t i);

typedef struct hl_marks_counts {
  int64_t sessions, outlines, points, non_nodules;
  int64_t rated_outlines, rated_points, empty_characteristics;
  int64_t rois_included, rois_excluded; /* of nodules; non-nodules have no rois of their own */
  int64_t outlines_closed, outlines_open, outlines_with_gaps; /* rois with more than one point */
  int64_t several_on_slice, z_disagrees;                      /* nodules */
  /* rois of nodules and places of non-nodules */
  int64_t rois_without_points, rois_without_sop_uid, rois_without_z, z_with_blanks;
  int64_t ratings_out_of_range; /* hl_rating_in_range; single values */
  int64_t malignancy[6];        /* nodules, outlines and points, by malignancy 0 … 5 */
} hl_marks_counts;
/* False for a value off its scale. Absent ones are in range, as are the zeros of a point: readers
 * did not rate points. */
bool hl_rating_in_range(const hl_mark *mark, int i);
hl_marks_counts hl_marks_count_kinds(const hl_marks *m);

/* SHA-256 of series, sessions, marks, ratings and points: equal for files with the same payload. */
HL_MUST_CHECK hl_status hl_marks_hash(const hl_marks *m, char out[HL_HASH_TEXT], hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
