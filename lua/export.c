/* engine.draw_nodules(nodules, { session, level, of, labels }) -> tensor on the scan's grid
 * engine.write_nifti(path, tensor, series or place, description) -> true
 *   place: { spacing_mm, origin_mm, direction }, see nifti_write.h
 * engine.write_seg(path, series, nodules, marks, { readers, level, of })
 *   -> { segments, frames, without_consensus }
 * engine.write_seg_parts(path, series, labels, { { first, size, text } … }, algorithm)
 *   -> { segments, frames }
 *
 * Without `session` (from 1) the consensus is drawn. What the file system or the series refuses
 * comes back as nil and an error. */
#include "data.h"

#include <hilum/nifti_write.h>
#include <hilum/seg.h>

#include <string.h>

static bool flag(lua_State *L, int idx, const char *key) {
  lua_getfield(L, idx, key);
  bool set = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return set;
}

static double check_level(lua_State *L, int idx) {
  double level = hll_opt_number(L, idx, "level", hl_nodule_rule_default().level);
  luaL_argcheck(L, level > 0 && level <= 1, idx, "level must be more than 0 and at most 1");
  return level;
}

static hl_denominator check_of(lua_State *L, int idx) {
  const char *of = hll_opt_field(L, idx, "of", "sessions");
  luaL_argcheck(L, strcmp(of, "sessions") == 0 || strcmp(of, "marks") == 0, idx,
                "of must be 'sessions' or 'marks'");
  return strcmp(of, "marks") == 0 ? HL_OF_MARKS : HL_OF_SESSIONS;
}

static int l_draw_nodules(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const hl_drawing what = {.session = (int)hll_opt_number(L, 2, "session", 0) - 1,
                           .level = check_level(L, 2),
                           .of = check_of(L, 2),
                           .labels = flag(L, 2, "labels")};
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_nodules_draw(box, ns, &what, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(*box));
  return 1;
}

static hl_status space_of(hl_space *out, const hl_series *s, hl_err *e) {
  const hl_grid *g = hl_series_grid(s);
  const hl_dicom_header *first = hl_series_header(s, 0);
  HL_TRY(hl_series_step(s, &out->spacing_mm[0], e));
  out->spacing_mm[1] = g->spacing_mm[1];
  out->spacing_mm[2] = g->spacing_mm[2];
  for (int a = 0; a < 3; a++) out->origin_mm[a] = first->position_mm[2 - a];
  memcpy(out->direction, hl_series_direction(s), sizeof out->direction);
  return HL_OK;
}

static int told(lua_State *L, hl_status status, const hl_err *e) {
  if (status == HL_EINVAL || status == HL_ESHAPE) return hll_raise(L, e);
  if (status != HL_OK) return hll_fail(L, e);
  lua_pushboolean(L, true);
  return 1;
}

static int l_write_nifti(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  hl_tensor *t = hll_check_tensor(L, 2);
  hl_err e = {0};
  hl_space space;
  hl_status status = HL_OK;
  if (lua_istable(L, 3)) {
    hll_check_vector(L, 3, "spacing_mm", space.spacing_mm, 3);
    hll_check_vector(L, 3, "origin_mm", space.origin_mm, 3);
    hll_check_vector(L, 3, "direction", space.direction, 9);
  } else {
    status = space_of(&space, hll_check_series(L, 3), &e);
  }
  if (status == HL_OK) status = hl_nifti_write(path, t, &space, luaL_optstring(L, 4, ""), &e);
  return told(L, status, &e);
}

static int l_write_seg(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const hl_series *s = hll_check_series(L, 2);
  const hl_nodules *ns = hll_check_nodules(L, 3);
  const hl_marks *m = hll_check_marks(L, 4);
  luaL_checktype(L, 5, LUA_TTABLE);
  const hl_seg_options o = {
      .readers = flag(L, 5, "readers"), .level = check_level(L, 5), .of = check_of(L, 5)};
  hl_seg_result r;
  hl_err e = {0};
  hl_status status = hl_seg_write(path, s, ns, m, &o, &r, &e);
  if (status != HL_OK) return told(L, status, &e);
  lua_createtable(L, 0, 3);
  hll_set_integer(L, "segments", r.segments);
  hll_set_integer(L, "frames", r.frames);
  hll_set_integer(L, "without_consensus", r.without_consensus);
  return 1;
}

/* The list { { first, size, text } … } at `idx`, in memory that is left on the stack; the texts
 * live in the list. Boxes count from 1. */
static hl_seg_part *check_parts(lua_State *L, int idx, int64_t *n) {
  luaL_checktype(L, idx, LUA_TTABLE);
  *n = luaL_len(L, idx);
  hl_seg_part *parts = lua_newuserdatauv(L, (size_t)(*n ? *n : 1) * sizeof *parts, 0);
  for (int64_t i = 0; i < *n; i++) {
    lua_geti(L, idx, i + 1);
    int at = lua_gettop(L);
    double first[3], size[3];
    luaL_checktype(L, at, LUA_TTABLE);
    hll_check_vector(L, at, "first", first, 3);
    hll_check_vector(L, at, "size", size, 3);
    for (int a = 0; a < 3; a++) {
      parts[i].first[a] = (int64_t)first[a] - 1;
      parts[i].size[a] = (int64_t)size[a];
    }
    if (lua_getfield(L, at, "text") != LUA_TSTRING) luaL_argerror(L, idx, "a part needs a text");
    parts[i].text = lua_tostring(L, -1);
    lua_settop(L, at - 1);
  }
  return parts;
}

static int l_write_seg_parts(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  const hl_series *s = hll_check_series(L, 2);
  hl_tensor *labels = hll_check_tensor(L, 3);
  const char *algorithm = luaL_checkstring(L, 5);
  int64_t n;
  hl_seg_part *parts = check_parts(L, 4, &n);
  hl_seg_result r;
  hl_err e = {0};
  hl_status status = hl_seg_write_parts(path, s, labels, parts, n, algorithm, &r, &e);
  if (status != HL_OK) return told(L, status, &e);
  lua_createtable(L, 0, 2);
  hll_set_integer(L, "segments", r.segments);
  hll_set_integer(L, "frames", r.frames);
  return 1;
}

void hll_open_export(lua_State *L) {
  static const luaL_Reg functions[] = {{"draw_nodules", l_draw_nodules},
                                       {"write_nifti", l_write_nifti},
                                       {"write_seg", l_write_seg},
                                       {"write_seg_parts", l_write_seg_parts},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
