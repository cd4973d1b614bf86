/* engine.marks { sessions = { { { id, kind, ratings, rois = { { z_mm, sop_uid, inclusion, points =
 * { { x, y } … } } … } } … } … }, file, series_uid } -> marks
 *
 * Marks in the form of marks:list(), by session. kind: "outline" (default), "point", "non_nodule";
 * points as { x, y } or { x =, y = }. */
#include "data.h"

#include <limits.h>
#include <math.h>

/* What the tables hold wrong raises; the marks built so far lie in their box. */
static void must(lua_State *L, hl_status status, const hl_err *e) {
  if (status != HL_OK) hll_raise(L, e);
}

static void check_table(lua_State *L, const char *what) {
  if (!lua_istable(L, -1)) luaL_error(L, "engine.marks: %s is no table", what);
}

static int32_t coordinate(lua_State *L, const char *key, int index) {
  if (lua_geti(L, -1, index) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_getfield(L, -1, key);
  }
  int whole = 0;
  lua_Integer v = lua_tointegerx(L, -1, &whole);
  if (!whole || v < INT32_MIN || v > INT32_MAX)
    luaL_error(L, "engine.marks: a point's %s is no whole number", key);
  lua_pop(L, 1);
  return (int32_t)v;
}

static void add_points(lua_State *L, hl_marks *m) {
  hl_err e = {0};
  lua_getfield(L, -1, "points");
  check_table(L, "a roi's list of points");
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, -1, i);
    check_table(L, "a point");
    hl_point p = {.x = coordinate(L, "x", 1), .y = coordinate(L, "y", 2)};
    must(L, hl_marks_add_points(m, &p, 1, &e), &e);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void add_roi(lua_State *L, hl_marks *m) {
  hl_err e = {0};
  check_table(L, "a roi");
  double z_mm = hll_opt_number(L, lua_gettop(L), "z_mm", (double)NAN);
  const char *uid = hll_opt_field(L, lua_gettop(L), "sop_uid", "");
  bool inclusion = lua_getfield(L, -1, "inclusion") == LUA_TNIL || lua_toboolean(L, -1);
  lua_pop(L, 1);
  int line = (int)hll_opt_number(L, lua_gettop(L), "line", 0);
  must(L, hl_marks_add_roi(m, z_mm, uid, inclusion, line, &e), &e);
  add_points(L, m);
}

static void set_ratings(lua_State *L, hl_marks *m) {
  hl_err e = {0};
  if (lua_getfield(L, -1, "ratings") == LUA_TTABLE) {
    int rating[HL_RATINGS];
    for (int i = 0; i < HL_RATINGS; i++) {
      lua_getfield(L, -1, hl_rating_name(i));
      rating[i] = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : INT_MIN;
      lua_pop(L, 1);
    }
    must(L, hl_marks_set_ratings(m, rating, &e), &e);
  }
  lua_pop(L, 1);
}

static void add_mark(lua_State *L, hl_marks *m) {
  static const char *const kinds[] = {"outline", "point", "non_nodule", NULL};
  hl_err e = {0};
  check_table(L, "a mark");
  const char *name = hll_opt_field(L, lua_gettop(L), "kind", "outline");
  lua_pushstring(L, name);
  int kind = luaL_checkoption(L, lua_gettop(L), NULL, kinds);
  lua_pop(L, 1);
  const char *id = hll_opt_field(L, lua_gettop(L), "id", "");
  int line = (int)hll_opt_number(L, lua_gettop(L), "line", 0);
  must(L, hl_marks_add(m, (hl_mark_kind)kind, id, line, &e), &e);
  lua_getfield(L, -1, "rois");
  check_table(L, "a mark's list of rois");
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, -1, i);
    add_roi(L, m);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  set_ratings(L, m);
}

int hll_build_marks(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  hl_err e = {0};
  hl_marks **box = hll_marks_box(L);
  must(L, hl_marks_new(box, &e), &e);
  const char *file = hll_opt_field(L, 1, "file", "made by hand");
  const char *series_uid = hll_opt_field(L, 1, "series_uid", "");
  must(L, hl_marks_set_source(*box, file, series_uid, "", "", &e), &e);
  lua_getfield(L, 1, "sessions");
  check_table(L, "the list of sessions");
  lua_Integer sessions = luaL_len(L, -1);
  for (lua_Integer s = 1; s <= sessions; s++) {
    must(L, hl_marks_add_session(*box, &e), &e);
    lua_geti(L, -1, s);
    check_table(L, "a session");
    lua_Integer n = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_geti(L, -1, i);
      add_mark(L, *box);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  hl_marks_finish(*box);
  return 1;
}
