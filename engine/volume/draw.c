/* One reader's mark, laid on the slices of the scan and drawn. */
#include "internal.h"

#include <hilum/shape.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A roi's z is taken as a slice's if it is no further off than this share of the slice distance. */
static const double Z_TOLERANCE = 0.1;

typedef struct placed {
  int64_t slice; /* -1: on no slice */
  const hl_roi *roi;
} placed;

static int compare_uid(const void *key, const void *item) {
  return strcmp(key, ((const hl_slice_uid *)item)->uid);
}

static int64_t slice_by_uid(const hl_slices *s, const char *uid) {
  const hl_slice_uid *found = NULL;
  if (uid[0] && s->n_uids)
    found = bsearch(uid, s->uids, (size_t)s->n_uids, sizeof *s->uids, compare_uid);
  return found ? found->slice : -1;
}

static int64_t slice_by_z(const hl_slices *s, double z_mm, double tolerance_mm) {
  int64_t best = -1;
  double least = tolerance_mm;
  for (int64_t k = 0; k < s->n; k++) {
    double off = fabs(s->z_mm[k] - z_mm);
    if (off > least) continue;
    least = off;
    best = k;
  }
  return best;
}

/* What went wrong while placing a mark's rois: counted, so that a mark costs one message a kind. */
typedef struct oddities {
  int64_t lost, by_z, disagree, beyond;
  const hl_roi *first_lost, *first_by_z, *first_disagree, *first_beyond;
  hl_point beyond_at;
} oddities;

static void count(int64_t *n, const hl_roi **first, const hl_roi *roi) {
  if ((*n)++ == 0) *first = roi;
}

static int64_t place(const hl_roi *roi, const hl_slices *s, double step_mm, oddities *odd) {
  double tolerance_mm = Z_TOLERANCE * step_mm;
  int64_t slice = slice_by_uid(s, roi->sop_uid);
  if (slice >= 0) {
    if (isfinite(roi->z_mm) && fabs(s->z_mm[slice] - roi->z_mm) > tolerance_mm)
      count(&odd->disagree, &odd->first_disagree, roi);
    return slice;
  }
  if (isfinite(roi->z_mm)) slice = slice_by_z(s, roi->z_mm, tolerance_mm);
  if (slice >= 0)
    count(&odd->by_z, &odd->first_by_z, roi);
  else
    count(&odd->lost, &odd->first_lost, roi);
  return slice;
}

int64_t roi_place(const hl_roi *roi, const hl_slices *s, double step_mm) {
  oddities odd = {0};
  return place(roi, s, step_mm, &odd);
}

static void report(const oddities *odd, const hl_mark *mark, const hl_marks *m,
                   hl_problems *problems) {
  const char *file = hl_marks_file(m);
  long long all = (long long)mark->n_rois;
  if (odd->lost)
    hl_problems_add(
        problems, HL_EFORMAT, file,
        "line %d: %lld of %lld outlines of mark '%s' lie on slices that the series does "
        "not have (first: z %g mm, SOP UID %s); they are left out",
        odd->first_lost->line, (long long)odd->lost, all, mark->id, odd->first_lost->z_mm,
        odd->first_lost->sop_uid);
  if (odd->by_z)
    hl_problems_add(
        problems, HL_OK, file,
        "line %d: %lld of %lld outlines of mark '%s' have an SOP UID that the series does "
        "not have; placed by their z instead (first: %g mm)",
        odd->first_by_z->line, (long long)odd->by_z, all, mark->id, odd->first_by_z->z_mm);
  if (odd->disagree)
    hl_problems_add(problems, HL_OK, file,
                    "line %d: %lld of %lld outlines of mark '%s' have a z that is not that of the "
                    "slice their SOP UID names (first: z %g mm); placed by SOP UID",
                    odd->first_disagree->line, (long long)odd->disagree, all, mark->id,
                    odd->first_disagree->z_mm);
  if (odd->beyond)
    hl_problems_add(
        problems, HL_EFORMAT, file,
        "line %d: %lld of %lld outlines of mark '%s' reach beyond the image (first: x %d, y "
        "%d); cut there",
        odd->first_beyond->line, (long long)odd->beyond, all, mark->id, odd->beyond_at.x,
        odd->beyond_at.y);
}

/* Outlines of single points draw nothing. */
static bool draws(const placed *p) {
  return p->slice >= 0 && p->roi->n > 1;
}

static int compare_slice(const void *a, const void *b) {
  const placed *p = a, *q = b;
  if (p->slice != q->slice) return p->slice < q->slice ? -1 : 1;
  return p->roi < q->roi ? -1 : p->roi > q->roi;
}

static hl_outline outline_of(const placed *p) {
  return (hl_outline){.points = p->roi->points, .n = p->roi->n, .inclusion = p->roi->inclusion};
}

static hl_point point_beyond(const hl_roi *roi, const hl_grid *grid) {
  for (int64_t i = 0; i < roi->n; i++) {
    const hl_point *p = &roi->points[i];
    if (p->x < 0 || p->y < 0 || p->x >= grid->size[2] || p->y >= grid->size[1]) return *p;
  }
  return (hl_point){0, 0};
}

static void widen(piece *out, int64_t end[3], const placed *p, const hl_grid *grid, oddities *odd) {
  hl_outline o = outline_of(p);
  hl_mask_window w = hl_outline_window(&o, 1);
  int64_t lo[3] = {p->slice, w.y0, w.x0};
  int64_t hi[3] = {p->slice + 1, (int64_t)w.y0 + w.height, (int64_t)w.x0 + w.width};
  if (lo[1] < 0 || lo[2] < 0 || hi[1] > grid->size[1] || hi[2] > grid->size[2]) {
    if (odd->beyond == 0) odd->beyond_at = point_beyond(p->roi, grid);
    count(&odd->beyond, &odd->first_beyond, p->roi);
  }
  for (int a = 0; a < 3; a++) {
    int64_t l = lo[a] < 0 ? 0 : lo[a], h = hi[a] > grid->size[a] ? grid->size[a] : hi[a];
    if (l < out->first[a]) out->first[a] = l;
    if (h > end[a]) end[a] = h;
  }
}

/* The box that holds all outlines, within the image; false if it is empty. */
static bool find_box(piece *out, const placed *rois, int64_t n, const hl_grid *grid,
                     oddities *odd) {
  int64_t end[3] = {0, 0, 0};
  for (int a = 0; a < 3; a++) out->first[a] = INT64_MAX;
  for (int64_t i = 0; i < n; i++)
    if (draws(&rois[i])) widen(out, end, &rois[i], grid, odd);
  bool some = true;
  for (int a = 0; a < 3; a++) {
    out->size[a] = end[a] - out->first[a];
    some = some && end[a] > out->first[a];
  }
  return some;
}

/* Draws the rois begin … of one slice; returns the first of the next slice. */
static hl_status draw_slice(piece *out, const placed *rois, int64_t n, int64_t begin, int64_t *next,
                            hl_outline *outlines, hl_semantics semantics, hl_err *e) {
  int64_t end = begin, drawn = 0;
  for (; end < n && rois[end].slice == rois[begin].slice; end++)
    if (draws(&rois[end])) outlines[drawn++] = outline_of(&rois[end]);
  *next = end;
  if (drawn == 0) return HL_OK;
  int64_t area = out->size[1] * out->size[2];
  hl_mask_window w = {.mask = out->mask + (rois[begin].slice - out->first[0]) * area,
                      .x0 = (int32_t)out->first[2],
                      .y0 = (int32_t)out->first[1],
                      .width = (int32_t)out->size[2],
                      .height = (int32_t)out->size[1]};
  return hl_outline_fill(&w, outlines, drawn, semantics, e);
}

static hl_status draw_all(piece *out, const placed *rois, int64_t n, hl_semantics semantics,
                          hl_err *e) {
  hl_outline *outlines = hl_host_calloc((size_t)n, sizeof *outlines);
  out->mask = hl_host_calloc((size_t)box_voxels(out->size), 1);
  hl_status status = HL_OK;
  if (!outlines || !out->mask)
    status = hl_fail(e, HL_ENOMEM, "no memory for a mask of %lld voxels",
                     (long long)box_voxels(out->size));
  for (int64_t i = 0; i < n && status == HL_OK;)
    status = draw_slice(out, rois, n, i, &i, outlines, semantics, e);
  hl_host_free(outlines);
  for (int64_t i = 0; status == HL_OK && i < box_voxels(out->size); i++)
    out->voxels += out->mask[i];
  return status;
}

static double longest_mm(const hl_roi *roi, const hl_grid *grid) {
  hl_outline o = {.points = roi->points, .n = roi->n};
  double pixel_mm = 0.5 * (grid->spacing_mm[1] + grid->spacing_mm[2]);
  return fmax(0, hl_outline_longest_mm(&o, &grid->spacing_mm[1]) - pixel_mm);
}

static void place_all(placed *rois, const hl_mark *mark, const hl_grid *grid,
                      const hl_slices *slices, piece *out, oddities *odd) {
  for (int64_t i = 0; i < mark->n_rois; i++) {
    const hl_roi *roi = &mark->rois[i];
    rois[i] = (placed){.slice = place(roi, slices, grid->spacing_mm[0], odd), .roi = roi};
    if (roi->inclusion) out->diameter_mm = fmax(out->diameter_mm, longest_mm(roi, grid));
  }
  qsort(rois, (size_t)mark->n_rois, sizeof *rois, compare_slice);
}

static hl_status keep_points(piece *out, const placed *rois, int64_t n, hl_err *e) {
  int64_t all = 0;
  for (int64_t i = 0; i < n; i++) all += rois[i].roi->n;
  out->points = hl_host_calloc((size_t)(all ? all : 1), sizeof *out->points);
  if (!out->points) return hl_fail(e, HL_ENOMEM, "no memory for %lld points", (long long)all);
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < rois[i].roi->n; k++) {
      int32_t *p = out->points[out->n_points++];
      p[0] = (int32_t)rois[i].slice;
      p[1] = rois[i].roi->points[k].y;
      p[2] = rois[i].roi->points[k].x;
    }
  return HL_OK;
}

hl_status piece_draw(piece *out, const hl_marks *m, int64_t index, const hl_grid *grid,
                     const hl_slices *slices, const hl_nodule_rule *rule, hl_problems *problems,
                     hl_err *e) {
  const hl_mark *mark = hl_marks_at(m, index);
  *out = (piece){.mark = index, .session = mark->session};
  if (mark->n_rois == 0) return HL_OK;
  placed *rois = hl_host_calloc((size_t)mark->n_rois, sizeof *rois);
  if (!rois) return hl_fail(e, HL_ENOMEM, "no memory for %lld outlines", (long long)mark->n_rois);
  oddities odd = {0};
  place_all(rois, mark, grid, slices, out, &odd);
  int64_t begin = 0;
  while (begin < mark->n_rois && rois[begin].slice < 0) begin++;
  hl_status status = HL_OK;
  if (find_box(out, rois + begin, mark->n_rois - begin, grid, &odd))
    status = draw_all(out, rois + begin, mark->n_rois - begin, rule->semantics, e);
  bool points = rule->grouping == HL_GROUP_PYLIDC && out->mask;
  if (status == HL_OK && points) status = keep_points(out, rois + begin, mark->n_rois - begin, e);
  hl_host_free(rois);
  report(&odd, mark, m, problems);
  if (status == HL_OK && (out->voxels > 0 || points)) return HL_OK;
  if (status == HL_OK && begin < mark->n_rois)
    hl_problems_add(problems, HL_OK, hl_marks_file(m),
                    "line %d: the outlines of mark '%s' hold no voxel", mark->line, mark->id);
  hl_host_free(out->mask);
  hl_host_free(out->points);
  out->mask = NULL;
  out->points = NULL;
  return status;
}
