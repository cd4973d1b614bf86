/* engine.read_marks(path) -> marks, problems      an LIDC reading
 * engine.marks(table) -> marks                    one made by hand: build_marks.c */
#include "data.h"

#include <hilum/lidc.h>
#include <hilum/shape.h>

#include <limits.h>
#include <math.h>

#define HLL_MARKS "hilum.marks"

hl_marks **hll_marks_box(lua_State *L) {
  return (hl_marks **)hll_newbox(L, HLL_MARKS);
}

HLL_RELEASE(free_marks, HLL_MARKS, hl_marks, hl_marks_free)

void hll_push_mark_counts(lua_State *L, const hl_marks_counts *c) {
  lua_createtable(L, 0, 24);
  hll_set_integer(L, "sessions", c->sessions);
  hll_set_integer(L, "outlines", c->outlines);
  hll_set_integer(L, "points", c->points);
  hll_set_integer(L, "non_nodules", c->non_nodules);
  hll_set_integer(L, "rated_outlines", c->rated_outlines);
  hll_set_integer(L, "rated_points", c->rated_points);
  hll_set_integer(L, "empty_characteristics", c->empty_characteristics);
  hll_set_integer(L, "rois_included", c->rois_included);
  hll_set_integer(L, "rois_excluded", c->rois_excluded);
  hll_set_integer(L, "outlines_closed", c->outlines_closed);
  hll_set_integer(L, "outlines_open", c->outlines_open);
  hll_set_integer(L, "outlines_with_gaps", c->outlines_with_gaps);
  hll_set_integer(L, "rois_without_points", c->rois_without_points);
  hll_set_integer(L, "rois_without_sop_uid", c->rois_without_sop_uid);
  hll_set_integer(L, "rois_without_z", c->rois_without_z);
  hll_set_integer(L, "z_with_blanks", c->z_with_blanks);
  hll_set_integer(L, "several_on_slice", c->several_on_slice);
  hll_set_integer(L, "z_disagrees", c->z_disagrees);
  hll_set_integer(L, "ratings_out_of_range", c->ratings_out_of_range);
  int64_t n = sizeof c->malignancy / sizeof *c->malignancy;
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, c->malignancy[i]);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "malignancy");
}

static int l_read_marks(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  hl_problems **problems = hll_problems_box(L);
  hl_marks **box = hll_marks_box(L);
  hl_err e = {0};
  if (hl_lidc_read(box, path, *problems, &e) != HL_OK) return hll_refuse(L, &e, *problems);
  hll_push_problems(L, *problems);
  return 2;
}

hl_marks *hll_check_marks(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_MARKS);
}

static void push_ratings(lua_State *L, const hl_mark *mark) {
  lua_createtable(L, 0, HL_RATINGS);
  for (int i = 0; i < HL_RATINGS; i++)
    if (mark->rating[i] != INT_MIN) hll_set_integer(L, hl_rating_name(i), mark->rating[i]);
}

static void push_roi(lua_State *L, const hl_roi *roi) {
  lua_createtable(L, 0, 5);
  if (isfinite(roi->z_mm)) hll_set_number(L, "z_mm", roi->z_mm);
  hll_set_string(L, "sop_uid", roi->sop_uid);
  lua_pushboolean(L, roi->inclusion);
  lua_setfield(L, -2, "inclusion");
  hll_set_integer(L, "line", roi->line);
  lua_createtable(L, (int)roi->n, 0);
  for (int64_t i = 0; i < roi->n; i++) {
    lua_createtable(L, 0, 2);
    hll_set_integer(L, "x", roi->points[i].x);
    hll_set_integer(L, "y", roi->points[i].y);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "points");
}

/* marks:list() -> { { kind, session, id, line, ratings or nil, rois = { { z_mm, sop_uid, inclusion,
 * points = { { x, y } … } } … } } … } */
static int l_marks_list(lua_State *L) {
  static const char *const kinds[] = {"outline", "point", "non_nodule"};
  const hl_marks *m = hll_check_marks(L, 1);
  lua_createtable(L, (int)hl_marks_count(m), 0);
  for (int64_t i = 0; i < hl_marks_count(m); i++) {
    const hl_mark *mark = hl_marks_at(m, i);
    lua_createtable(L, 0, 6);
    hll_set_string(L, "kind", kinds[mark->kind]);
    hll_set_integer(L, "session", mark->session + 1);
    hll_set_string(L, "id", mark->id);
    hll_set_integer(L, "line", mark->line);
    if (mark->rated) {
      push_ratings(L, mark);
      lua_setfield(L, -2, "ratings");
    }
    lua_createtable(L, (int)mark->n_rois, 0);
    for (int64_t k = 0; k < mark->n_rois; k++) {
      push_roi(L, &mark->rois[k]);
      lua_seti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "rois");
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

/* marks:info() -> counts, and { file, series_uid, study_uid, date } */
static int l_marks_info(lua_State *L) {
  const hl_marks *m = hll_check_marks(L, 1);
  hl_marks_counts c = hl_marks_count_kinds(m);
  hll_push_mark_counts(L, &c);
  hll_set_string(L, "file", hl_marks_file(m));
  hll_set_string(L, "series_uid", hl_marks_series_uid(m));
  hll_set_string(L, "study_uid", hl_marks_study_uid(m));
  hll_set_string(L, "date", hl_marks_date(m));
  return 1;
}

/* marks:ratings() -> for each mark a table of its ratings, or false */
static int l_marks_ratings(lua_State *L) {
  const hl_marks *m = hll_check_marks(L, 1);
  lua_createtable(L, (int)hl_marks_count(m), 0);
  for (int64_t i = 0; i < hl_marks_count(m); i++) {
    const hl_mark *mark = hl_marks_at(m, i);
    if (mark->rated)
      push_ratings(L, mark);
    else
      lua_pushboolean(L, 0);
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

static void set_indices(lua_State *L, const char *key, const int64_t *v, int64_t add) {
  lua_createtable(L, 3, 0);
  for (int a = 0; a < 3; a++) {
    lua_pushinteger(L, v[a] + add);
    lua_seti(L, -2, a + 1);
  }
  lua_setfield(L, -2, key);
}

/* marks:shape(i, place, thickness_mm) -> { points, first, size, centroid, longest_mm, volume_mm3 }
 * of an outlined mark, on its outlines' own pixels; indices from 1 */
static int l_marks_shape(lua_State *L) {
  const hl_marks *m = hll_check_marks(L, 1);
  const hl_grid *grid;
  const hl_slices *slices;
  hll_check_place(L, 3, &grid, &slices);
  hl_mark_shape s;
  hl_err e = {0};
  if (hl_mark_measure(&s, m, luaL_checkinteger(L, 2) - 1, grid, slices, luaL_checknumber(L, 4),
                      &e) != HL_OK)
    return hll_raise(L, &e);
  lua_createtable(L, 0, 6);
  hll_set_integer(L, "points", s.points);
  set_indices(L, "first", s.first, 1);
  set_indices(L, "size", s.size, 0);
  for (int a = 0; a < 3; a++) s.centroid[a] += 1;
  hll_set_vector(L, "centroid", s.centroid, 3);
  hll_set_number(L, "longest_mm", s.longest_mm);
  hll_set_number(L, "volume_mm3", s.volume_mm3);
  return 1;
}

static int l_marks_hash(lua_State *L) {
  char text[HL_HASH_TEXT];
  hl_err e = {0};
  if (hl_marks_hash(hll_check_marks(L, 1), text, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushstring(L, text);
  return 1;
}

void hll_open_marks(lua_State *L) {
  static const luaL_Reg marks[] = {{"list", l_marks_list},   {"info", l_marks_info},
                                   {"hash", l_marks_hash},   {"ratings", l_marks_ratings},
                                   {"shape", l_marks_shape}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"read_marks", l_read_marks}, {"marks", hll_build_marks}, {NULL, NULL}};
  hll_type(L, HLL_MARKS, marks, NULL, free_marks);
  luaL_setfuncs(L, functions, 0);
}
