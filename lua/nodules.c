/* engine.find_nodules(series, marks[, rule]) -> nodules, problems */
#include "data.h"

#include <hilum/nodule.h>

#include <math.h>
#include <string.h>

#define HLL_NODULES "hilum.nodules"
#define HLL_CROP "hilum.crop"

HLL_RELEASE(free_nodules, HLL_NODULES, hl_nodules, hl_nodules_free)

/* { semantics, gap_mm, min_readers, min_diameter_mm, level, of } */
static hl_nodule_rule check_rule(lua_State *L, int idx) {
  hl_nodule_rule r = hl_nodule_rule_default();
  if (lua_isnoneornil(L, idx)) return r;
  luaL_checktype(L, idx, LUA_TTABLE);
  const char *semantics = hll_opt_field(L, idx, "semantics", hl_semantics_name(r.semantics));
  const char *of = hll_opt_field(L, idx, "of", "sessions");
  r.semantics = hl_semantics_by_name(semantics);
  if (r.semantics == HL_SEMANTICS)
    luaL_argerror(L, idx, lua_pushfstring(L, "unknown semantics '%s'", semantics));
  if (strcmp(of, "sessions") != 0 && strcmp(of, "marks") != 0)
    luaL_argerror(L, idx, lua_pushfstring(L, "of is '%s', expected 'sessions' or 'marks'", of));
  r.of = strcmp(of, "marks") == 0 ? HL_OF_MARKS : HL_OF_SESSIONS;
  r.gap_mm = hll_opt_number(L, idx, "gap_mm", r.gap_mm);
  r.min_readers = (int)hll_opt_number(L, idx, "min_readers", r.min_readers);
  r.min_diameter_mm = hll_opt_number(L, idx, "min_diameter_mm", r.min_diameter_mm);
  r.level = hll_opt_number(L, idx, "level", r.level);
  return r;
}

static int l_find_nodules(lua_State *L) {
  const hl_series *s = hll_check_series(L, 1);
  const hl_marks *m = hll_check_marks(L, 2);
  hl_nodule_rule rule = check_rule(L, 3);
  hl_problems **problems = hll_problems_box(L);
  hl_nodules **box = (hl_nodules **)hll_newbox(L, HLL_NODULES);
  hl_err e = {0};
  if (hl_nodules_find(box, m, hl_series_grid(s), hl_series_slices(s), &rule, *problems, &e) !=
      HL_OK)
    return hll_refuse(L, &e, *problems);
  hll_push_problems(L, *problems);
  return 2;
}

hl_nodules *hll_check_nodules(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_NODULES);
}

static void push_nodule(lua_State *L, const hl_nodule *n) {
  lua_createtable(L, 0, 6);
  hll_set_integer(L, "readers", n->readers);
  hll_set_vector(L, "centre_mm", n->centre_mm, 3);
  hll_set_number(L, "diameter_mm", n->diameter_mm);
  hll_set_number(L, "volume_mm3", n->volume_mm3);
  lua_createtable(L, n->readers, 0);
  for (int r = 0; r < n->readers; r++) {
    lua_pushinteger(L, n->sessions[r] + 1);
    lua_seti(L, -2, r + 1);
  }
  lua_setfield(L, -2, "sessions");
  lua_createtable(L, 0, HL_RATINGS);
  for (int i = 0; i < HL_RATINGS; i++)
    if (!isnan(n->mean_rating[i])) hll_set_number(L, hl_rating_name(i), n->mean_rating[i]);
  lua_setfield(L, -2, "mean_ratings");
}

/* nodules:list() -> { { readers, sessions, centre_mm, diameter_mm, volume_mm3, mean_ratings } … }
 */
static int l_nodules_list(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  lua_createtable(L, (int)hl_nodules_count(ns), 0);
  for (int64_t i = 0; i < hl_nodules_count(ns); i++) {
    push_nodule(L, hl_nodules_at(ns, i));
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

/* nodules:left_out() -> { few_readers, small, disputed } */
static int l_nodules_left_out(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  lua_createtable(L, 0, 3);
  hll_set_integer(L, "few_readers", hl_nodules_few_readers(ns));
  hll_set_integer(L, "small", hl_nodules_small(ns));
  hll_set_integer(L, "disputed", hl_nodules_disputed(ns));
  return 1;
}

static void check_vector(lua_State *L, int idx, const char *key, lua_Number *v, int n) {
  if (lua_getfield(L, idx, key) != LUA_TTABLE || luaL_len(L, -1) != n)
    luaL_argerror(L, idx, lua_pushfstring(L, "%s must be a list of %d numbers", key, n));
  for (int i = 0; i < n; i++) {
    lua_geti(L, -1, i + 1);
    v[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* { size, spacing_mm, window_hu } */
static hl_crop_options check_crop(lua_State *L, int idx) {
  hl_crop_options o;
  lua_Number size[3];
  luaL_checktype(L, idx, LUA_TTABLE);
  check_vector(L, idx, "size", size, 3);
  check_vector(L, idx, "spacing_mm", o.spacing_mm, 3);
  check_vector(L, idx, "window_hu", o.window_hu, 2);
  for (int a = 0; a < 3; a++) {
    luaL_argcheck(L, size[a] >= 1 && size[a] <= 4096, idx, "size must be 1 to 4096 voxels");
    o.size[a] = (int64_t)size[a];
  }
  return o;
}

static int free_crop(lua_State *L) {
  hl_crop_clear(luaL_checkudata(L, 1, HLL_CROP));
  return 0;
}

static void set_tensor(lua_State *L, const char *key, hl_tensor *t) {
  *hll_tensor_box(L) = hl_tensor_ref(t);
  lua_setfield(L, -2, key);
}

static void push_crop(lua_State *L, const hl_crop *c) {
  lua_createtable(L, 0, 5);
  set_tensor(L, "image", c->image);
  set_tensor(L, "truth", c->truth);
  set_tensor(L, "valid", c->valid);
  lua_pushboolean(L, c->cut);
  lua_setfield(L, -2, "cut");
  lua_createtable(L, c->readers, 0);
  for (int r = 0; r < c->readers; r++) {
    *hll_tensor_box(L) = hl_tensor_ref(c->reader[r]);
    lua_seti(L, -2, r + 1);
  }
  lua_setfield(L, -2, "readers");
}

static hl_crop *new_crop(lua_State *L) {
  hl_crop *crop = lua_newuserdatauv(L, sizeof *crop, 0);
  memset(crop, 0, sizeof *crop);
  luaL_setmetatable(L, HLL_CROP);
  return crop;
}

/* nodules:crop(i, voxels, { size, spacing_mm, window_hu }) -> { image, truth, valid, readers, cut }
 */
static int l_nodules_crop(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  lua_Integer i = luaL_checkinteger(L, 2);
  hl_tensor *voxels = hll_check_tensor(L, 3);
  hl_crop_options o = check_crop(L, 4);
  hl_crop *crop = new_crop(L);
  hl_err e = {0};
  if (hl_nodule_crop(crop, ns, i - 1, voxels, &o, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(crop->image) * 3);
  push_crop(L, crop);
  return 1;
}

/* nodules:whole(voxels, { size, spacing_mm (not read), window_hu }) -> { image, truth, valid,
 * readers (none), cut }: the scan from edge to edge */
static int l_nodules_whole(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  hl_tensor *voxels = hll_check_tensor(L, 2);
  hl_crop_options o = check_crop(L, 3);
  hl_crop *crop = new_crop(L);
  hl_err e = {0};
  if (hl_nodules_whole(crop, ns, voxels, &o, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(crop->image) * 3);
  push_crop(L, crop);
  return 1;
}

void hll_open_nodules(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg nodules[] = {{"list", l_nodules_list},
                                     {"left_out", l_nodules_left_out},
                                     {"crop", l_nodules_crop},
                                     {"whole", l_nodules_whole},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"find_nodules", l_find_nodules}, {NULL, NULL}};
  hll_type(L, HLL_NODULES, nodules, NULL, free_nodules);
  hll_type(L, HLL_CROP, none, NULL, free_crop);
  luaL_setfuncs(L, functions, 0);
}
