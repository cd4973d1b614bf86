/* engine.read_series(files[, { header_only, processes, timeout_s, memory_bytes }]) -> series,
 * problems
 */
#include "data.h"

#define HLL_SERIES "hilum.series"

HLL_RELEASE(free_series, HLL_SERIES, hl_series, hl_series_free)

/* The strings stay alive in the table at `idx`. */
static const char **check_files(lua_State *L, int idx, int64_t *n) {
  luaL_checktype(L, idx, LUA_TTABLE);
  *n = luaL_len(L, idx);
  const char **files = lua_newuserdatauv(L, (size_t)(*n ? *n : 1) * sizeof *files, 0);
  for (int64_t i = 0; i < *n; i++) {
    if (lua_geti(L, idx, i + 1) != LUA_TSTRING)
      luaL_argerror(L, idx, "expected a list of file names");
    files[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return files;
}

static hl_series_options series_options(lua_State *L, int idx) {
  hl_series_options o = {0};
  if (!lua_istable(L, idx)) return o;
  o.limits.processes = (int)hll_opt_number(L, idx, "processes", 0);
  o.limits.timeout_s = hll_opt_number(L, idx, "timeout_s", 0);
  o.limits.memory_bytes = (size_t)hll_opt_number(L, idx, "memory_bytes", 0);
  lua_getfield(L, idx, "header_only");
  o.header_only = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return o;
}

static int l_read_series(lua_State *L) {
  lua_settop(L, 2);
  hl_series_options o = series_options(L, 2);
  int64_t n;
  const char **files = check_files(L, 1, &n);
  hl_problems **problems = hll_problems_box(L);
  hl_series **box = (hl_series **)hll_newbox(L, HLL_SERIES);
  hl_err e = {0};
  if (hl_series_read(box, files, n, &o, *problems, &e) != HL_OK)
    return hll_refuse(L, &e, *problems);
  if (!o.header_only) hll_account(L, hl_tensor_bytes(hl_series_voxels(*box)));
  hll_push_problems(L, *problems);
  return 2;
}

hl_series *hll_check_series(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_SERIES);
}

/* series:voxels() -> i16 tensor [z,y,x], Hounsfield units; nil after header_only */
static int l_series_voxels(lua_State *L) {
  hl_tensor *t = hl_series_voxels(hll_check_series(L, 1));
  if (!t) return 0;
  hl_tensor **box = hll_tensor_box(L);
  *box = hl_tensor_ref(t);
  return 1;
}

/* series:info() -> { uid, study, patient, slices, rows, columns, spacing_mm, origin_mm,
 * thickness_mm, z_mm, direction, sop_uids } */
static int l_series_info(lua_State *L) {
  const hl_series *s = hll_check_series(L, 1);
  const hl_grid *g = hl_series_grid(s);
  const hl_slices *slices = hl_series_slices(s);
  lua_createtable(L, 0, 11);
  hll_set_string(L, "uid", hl_series_uid(s));
  hll_set_string(L, "study", hl_series_study_uid(s));
  hll_set_string(L, "patient", hl_series_patient(s));
  hll_set_integer(L, "slices", g->size[0]);
  hll_set_integer(L, "rows", g->size[1]);
  hll_set_integer(L, "columns", g->size[2]);
  hll_set_vector(L, "spacing_mm", g->spacing_mm, 3);
  hll_set_vector(L, "origin_mm", g->origin_mm, 3);
  hll_set_number(L, "thickness_mm", hl_series_thickness_mm(s));
  hll_set_vector(L, "z_mm", g->z_mm, g->size[0]);
  hll_set_vector(L, "direction", hl_series_direction(s), 9);
  lua_createtable(L, 0, (int)slices->n_uids);
  for (int64_t i = 0; i < slices->n_uids; i++)
    hll_set_integer(L, slices->uids[i].uid, slices->uids[i].slice + 1);
  lua_setfield(L, -2, "sop_uids");
  return 1;
}

static int l_series_hash(lua_State *L) {
  char text[HL_HASH_TEXT];
  hl_err e = {0};
  if (hl_series_hash(hll_check_series(L, 1), text, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushstring(L, text);
  return 1;
}

/* series:step() -> the one step between slices in mm; nil and an error where they are uneven */
static int l_series_step(lua_State *L) {
  double mm;
  hl_err e = {0};
  if (hl_series_step(hll_check_series(L, 1), &mm, &e) != HL_OK) return hll_fail(L, &e);
  lua_pushnumber(L, mm);
  return 1;
}

void hll_open_series(lua_State *L) {
  static const luaL_Reg series[] = {{"voxels", l_series_voxels},
                                    {"info", l_series_info},
                                    {"hash", l_series_hash},
                                    {"step", l_series_step},
                                    {NULL, NULL}};
  static const luaL_Reg functions[] = {{"read_series", l_read_series}, {NULL, NULL}};
  hll_type(L, HLL_SERIES, series, NULL, free_series);
  luaL_setfuncs(L, functions, 0);
}
