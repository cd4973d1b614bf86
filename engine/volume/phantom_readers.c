/* What four readers make of the findings: each has a habit of drawing larger or smaller, a hand
 * that wavers, and misses something now and then. */
#include "phantom.h"
#include <hilum/ledger.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double HABIT_MM[READERS] = {-0.37, -0.09, 0.11, 0.39};
static const double NODULE_MM = 0.11, WAVER_MM = 0.15, PLEURA_MM = 0.3, MISS_SHARE = 0.3;

typedef struct reader {
  const hl_phantom_scan *scan;
  const hl_phantom_options *options;
  int item;
  const chest *c;
  double habit_mm;
} reader;

static double position(const hl_phantom_scan *s, int axis, int64_t i) {
  return s->origin_mm[axis] + (double)i * s->spacing_mm[axis];
}

static int64_t nearest(const hl_phantom_scan *s, int axis, double mm) {
  const hl_shape *shape = hl_tensor_shape(s->voxels);
  int64_t i = (int64_t)floor((mm - s->origin_mm[axis]) / s->spacing_mm[axis] + 0.5);
  return i < 0 ? 0 : i >= shape->dim[axis] ? shape->dim[axis] - 1 : i;
}

/* Readers draw up to the pleura and not into the wall. */
static bool sees(const reader *rd, const finding *f, const surface *s, vec at) {
  if (surface_distance(s, at) >= 0) return false;
  return f->place != HL_ON_WALL || lung_distance(rd->c, at) < PLEURA_MM;
}

static void draw_slice(const reader *rd, const finding *f, const surface *s, int64_t k,
                       hl_mask_window *w) {
  for (int32_t r = 0; r < w->height; r++)
    for (int32_t col = 0; col < w->width; col++) {
      vec at = {position(rd->scan, 0, k), position(rd->scan, 1, w->y0 + r),
                position(rd->scan, 2, w->x0 + col)};
      w->mask[(int64_t)r * w->width + col] = sees(rd, f, s, at);
    }
}

static hl_status slice_uid(const reader *rd, int64_t k, char uid[HL_PHANTOM_UID_TEXT], hl_err *e) {
  return hl_phantom_uid(uid, rd->options, rd->item, HL_PHANTOM_SLICE, k, e);
}

static hl_status add_outlines(const reader *rd, int64_t k, hl_mask_window *w, hl_err *e) {
  char uid[HL_PHANTOM_UID_TEXT];
  HL_TRY(slice_uid(rd, k, uid, e));
  for (;;) {
    hl_point *points;
    int64_t n;
    HL_TRY(hl_outline_trace(&points, &n, w, e));
    if (!points) return HL_OK;
    hl_status status = hl_marks_add_roi(rd->scan->marks, position(rd->scan, 0, k), uid, true, 0, e);
    if (status == HL_OK) status = hl_marks_add_points(rd->scan->marks, points, n, e);
    hl_host_free(points);
    HL_TRY(status);
  }
}

static hl_status outline(const reader *rd, const finding *f, const surface *s, hl_err *e) {
  double reach = 1.5 * s->radius_mm + 2;
  int64_t lo[3], hi[3];
  double centre[3] = {s->centre.z, s->centre.y, s->centre.x};
  for (int a = 0; a < 3; a++) {
    lo[a] = nearest(rd->scan, a, centre[a] - reach);
    hi[a] = nearest(rd->scan, a, centre[a] + reach);
  }
  hl_mask_window w = {.x0 = (int32_t)lo[2],
                      .y0 = (int32_t)lo[1],
                      .width = (int32_t)(hi[2] - lo[2] + 1),
                      .height = (int32_t)(hi[1] - lo[1] + 1)};
  w.mask = hl_host_calloc((size_t)w.width, (size_t)w.height);
  if (!w.mask) return hl_fail(e, HL_ENOMEM, "no memory for a reader's mask");
  hl_status status = HL_OK;
  for (int64_t k = lo[0]; k <= hi[0] && status == HL_OK; k++) {
    draw_slice(rd, f, s, k, &w);
    status = add_outlines(rd, k, &w, e);
  }
  hl_host_free(w.mask);
  return status;
}

static int rate(hl_rng *r, double mean, int most) {
  int v = (int)nearbyint(mean + 0.6 * hl_rng_normal(r));
  return v < 1 ? 1 : v > most ? most : v;
}

/* LIDC's scale of calcification: 3 solid, 5 central, 6 absent. */
static int rate_calcium(const finding *f) {
  if (!f->calcified) return 6;
  return f->core > 0 ? 5 : 3;
}

static double suspicion(const finding *f) {
  if (f->calcified) return 1;
  return 1.3 + 0.24 * f->shape.radius_mm + (f->spiculated ? 1.2 : 0) + (f->lobulated ? 0.4 : 0) +
         (f->subsolid && f->core > 0 ? 0.6 : 0);
}

static hl_status rate_finding(const reader *rd, const finding *f, hl_rng *r, hl_err *e) {
  double size = f->shape.radius_mm, texture = !f->subsolid ? 5 : f->core > 0 ? 3 : 1.2;
  bool plain = !f->lobulated && !f->spiculated;
  const int rating[HL_RATINGS] = {rate(r, f->subsolid ? 2.5 : 2.5 + 0.25 * size, 5),
                                  1, /* soft tissue */
                                  rate_calcium(f),
                                  rate(r, plain ? 4.3 : 3.1, 5),
                                  rate(r, f->spiculated || f->subsolid ? 2.2 : 4.4, 5),
                                  rate(r, f->lobulated ? 3.9 : 1.4, 5),
                                  rate(r, f->spiculated ? 4.3 : 1.3, 5),
                                  rate(r, texture, 5),
                                  rate(r, suspicion(f), 5)};
  return hl_marks_set_ratings(rd->scan->marks, rating, e);
}

static hl_status mark_finding(const reader *rd, const finding *f, int number, hl_rng *r,
                              hl_err *e) {
  char id[32];
  snprintf(id, sizeof id, "Nodule %03d", number);
  HL_TRY(hl_marks_add(rd->scan->marks, HL_MARK_OUTLINE, id, 0, e));
  HL_TRY(rate_finding(rd, f, r, e));
  double size = 0.55 + 0.45 * fmin(2, f->shape.radius_mm / 4); /* small ones are drawn with care */
  surface s = surface_vary(&f->shape, size * (rd->habit_mm + NODULE_MM * hl_rng_normal(r)),
                           size * WAVER_MM, r);
  return outline(rd, f, &s, e);
}

/* Something of no interest: a point in the lung. */
static hl_status mark_point(const reader *rd, hl_mark_kind kind, int number, vec at, hl_err *e) {
  char id[32], uid[HL_PHANTOM_UID_TEXT];
  snprintf(id, sizeof id, kind == HL_MARK_POINT ? "Nodule %03d" : "Non-nodule %03d", number);
  int64_t k = nearest(rd->scan, 0, at.z);
  hl_point p = {.x = (int32_t)nearest(rd->scan, 2, at.x), .y = (int32_t)nearest(rd->scan, 1, at.y)};
  HL_TRY(slice_uid(rd, k, uid, e));
  HL_TRY(hl_marks_add(rd->scan->marks, kind, id, 0, e));
  HL_TRY(hl_marks_add_roi(rd->scan->marks, position(rd->scan, 0, k), uid, true, 0, e));
  return hl_marks_add_points(rd->scan->marks, &p, 1, e);
}

static vec lung_point(const hl_phantom_scan *s, const chest *c, hl_rng *r) {
  const hl_shape *shape = hl_tensor_shape(s->voxels);
  double middle = position(s, 0, shape->dim[0] / 2), half = 0.45 * (double)shape->dim[0];
  vec p = {middle, 0, 0.5 * c->scale * c->wide};
  for (int i = 0; i < 50 && lung_distance(c, p) > -3; i++)
    p = (vec){middle + uniform(r, -half, half) * s->spacing_mm[0],
              c->scale * uniform(r, -c->deep, c->deep), c->scale * uniform(r, -c->wide, c->wide)};
  return p;
}

static hl_status add_points(const reader *rd, const vec *small, int n_small, int number, hl_rng *r,
                            hl_err *e) {
  for (int i = 0; i < n_small; i++)
    if (hl_rng_uniform(r) < 0.6) HL_TRY(mark_point(rd, HL_MARK_POINT, ++number, small[i], e));
  int others = (int)hl_rng_below(r, 3);
  for (int i = 0; i < others; i++)
    HL_TRY(mark_point(rd, HL_MARK_NON_NODULE, i + 1, lung_point(rd->scan, rd->c, r), e));
  return HL_OK;
}

/* Which session draws with which habit: another order in every scan. */
static void shuffle(int order[READERS], hl_rng *r) {
  for (int i = 0; i < READERS; i++) order[i] = i;
  for (int i = READERS - 1; i > 0; i--) {
    int k = (int)hl_rng_below(r, (uint32_t)i + 1), swap = order[i];
    order[i] = order[k];
    order[k] = swap;
  }
}

hl_status read_findings(const hl_phantom_scan *scan, const hl_phantom_options *options, int item,
                        const chest *c, const finding *findings, int n, hl_rng *r, hl_err *e) {
  int order[READERS], missed_by[HL_PHANTOM_NODULES];
  vec small[2];
  int n_small = (int)hl_rng_below(r, 3);
  shuffle(order, r);
  for (int i = 0; i < n_small; i++) small[i] = lung_point(scan, c, r);
  for (int i = 0; i < n; i++) /* at most one reader misses a nodule */
    missed_by[i] = hl_rng_uniform(r) < MISS_SHARE ? (int)hl_rng_below(r, READERS) : -1;
  for (int session = 0; session < READERS; session++) {
    reader rd = {scan, options, item, c, HABIT_MM[order[session]]};
    HL_TRY(hl_marks_add_session(scan->marks, e));
    for (int i = 0; i < n; i++)
      if (missed_by[i] != session) HL_TRY(mark_finding(&rd, &findings[i], i + 1, r, e));
    HL_TRY(add_points(&rd, small, n_small, n, r, e));
  }
  return HL_OK;
}
