/* engine.find_nodules(series or place, marks[, rule]) -> nodules, problems */
#include "data.h"

#include <hilum/nodule.h>

#include <math.h>
#include <string.h>

#define HLL_NODULES "hilum.nodules"
#define HLL_CROP "hilum.crop"

HLL_RELEASE(free_nodules, HLL_NODULES, hl_nodules, hl_nodules_free)

/* { semantics, grouping, gap_mm, thickness_mm, min_readers, min_diameter_mm, level, of, votes, soft
 * }
 */
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
  const char *grouping = hll_opt_field(L, idx, "grouping", hl_grouping_name(r.grouping));
  r.grouping = hl_grouping_by_name(grouping);
  if (r.grouping == HL_GROUPINGS)
    luaL_argerror(L, idx, lua_pushfstring(L, "unknown grouping '%s'", grouping));
  lua_getfield(L, idx, "soft");
  r.soft = lua_toboolean(L, -1);
  lua_pop(L, 1);
  r.thickness_mm = hll_opt_number(L, idx, "thickness_mm", r.thickness_mm);
  r.votes = (int)hll_opt_number(L, idx, "votes", r.votes);
  r.gap_mm = hll_opt_number(L, idx, "gap_mm", r.gap_mm);
  r.min_readers = (int)hll_opt_number(L, idx, "min_readers", r.min_readers);
  r.min_diameter_mm = hll_opt_number(L, idx, "min_diameter_mm", r.min_diameter_mm);
  r.level = hll_opt_number(L, idx, "level", r.level);
  return r;
}

static int l_find_nodules(lua_State *L) {
  const hl_grid *grid;
  const hl_slices *slices;
  hll_check_place(L, 1, &grid, &slices);
  const hl_marks *m = hll_check_marks(L, 2);
  hl_nodule_rule rule = check_rule(L, 3);
  hl_problems **problems = hll_problems_box(L);
  hl_nodules **box = (hl_nodules **)hll_newbox(L, HLL_NODULES);
  hl_err e = {0};
  if (hl_nodules_find(box, m, grid, slices, &rule, *problems, &e) != HL_OK)
    return hll_refuse(L, &e, *problems);
  hll_push_problems(L, *problems);
  return 2;
}

hl_nodules *hll_check_nodules(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_NODULES);
}

static void set_indices(lua_State *L, const char *key, const int64_t *v, int n, int64_t add) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, v[i] + add);
    lua_seti(L, -2, i + 1);
  }
  if (key) lua_setfield(L, -2, key);
}

static void push_nodule(lua_State *L, const hl_nodule *n) {
  lua_createtable(L, 0, 9);
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
  set_indices(L, "marks", n->marks, n->readers, 1);
  set_indices(L, "first", n->first, 3, 1);
  set_indices(L, "size", n->size, 3, 0);
  lua_createtable(L, 0, HL_RATINGS);
  for (int i = 0; i < HL_RATINGS; i++)
    if (!isnan(n->mean_rating[i])) hll_set_number(L, hl_rating_name(i), n->mean_rating[i]);
  lua_setfield(L, -2, "mean_ratings");
}

/* nodules:list() -> { { readers, sessions, marks, first, size, centre_mm, diameter_mm, volume_mm3,
 * mean_ratings } … } */
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

/* nodules:keep(list of true or false): leaves the others out */
static int l_nodules_keep(lua_State *L) {
  hl_nodules *ns = hll_check_nodules(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 2);
  luaL_argcheck(L, n == hl_nodules_count(ns), 2, "expected one entry for each nodule");
  bool *keep = lua_newuserdatauv(L, (size_t)(n ? n : 1) * sizeof *keep, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_geti(L, 2, i + 1);
    keep[i] = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  hl_nodules_keep(ns, keep);
  return 0;
}

/* nodules:groups() -> for each group of marks, the nodules first, the list of its marks */
static int l_nodules_groups(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  lua_createtable(L, (int)hl_nodules_groups(ns), 0);
  for (int64_t i = 0; i < hl_nodules_groups(ns); i++) {
    const int64_t *marks;
    int n = hl_nodules_group(ns, i, &marks);
    set_indices(L, NULL, marks, n, 1);
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

static int l_nodules_distances(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_nodules_distances(box, ns, &e) != HL_OK) return hll_raise(L, &e);
  return 1;
}

/* nodules:mask(i[, r]) -> of reader r, or the consensus: u8 [z,y,x] on the nodule's box */
static int l_nodules_mask(lua_State *L) {
  const hl_nodules *ns = hll_check_nodules(L, 1);
  lua_Integer i = luaL_checkinteger(L, 2) - 1, r = luaL_optinteger(L, 3, 0);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  hl_status status =
      r == 0 ? hl_nodule_consensus(box, ns, i, &e) : hl_nodule_mask(box, ns, i, (int)r - 1, &e);
  return status == HL_OK ? 1 : hll_raise(L, &e);
}

static hl_resampling check_resampling(lua_State *L, int idx, const char *key) {
  const char *name = hll_opt_field(L, idx, key, "linear");
  hl_resampling kind = hl_resampling_by_name(name);
  if (kind == HL_RESAMPLINGS)
    luaL_argerror(L, idx, lua_pushfstring(L, "unknown kind of resampling '%s'", name));
  return kind;
}

/* { size, spacing_mm, window_hu, image = "linear", masks = "linear" } */
static hl_crop_options check_crop(lua_State *L, int idx) {
  hl_crop_options o = {0};
  lua_Number size[3];
  luaL_checktype(L, idx, LUA_TTABLE);
  hll_check_vector(L, idx, "size", size, 3);
  hll_check_vector(L, idx, "spacing_mm", o.spacing_mm, 3);
  hll_check_vector(L, idx, "window_hu", o.window_hu, 2);
  o.image = check_resampling(L, idx, "image");
  o.masks = check_resampling(L, idx, "masks");
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
  static const luaL_Reg nodules[] = {
      {"list", l_nodules_list},     {"left_out", l_nodules_left_out},   {"keep", l_nodules_keep},
      {"groups", l_nodules_groups}, {"distances", l_nodules_distances}, {"mask", l_nodules_mask},
      {"crop", l_nodules_crop},     {"whole", l_nodules_whole},         {NULL, NULL}};
  static const luaL_Reg functions[] = {{"find_nodules", l_find_nodules}, {NULL, NULL}};
  hll_type(L, HLL_NODULES, nodules, NULL, free_nodules);
  hll_type(L, HLL_CROP, none, NULL, free_crop);
  luaL_setfuncs(L, functions, 0);
}
