/* engine.dice(a, b[, valid][, threshold = 0.5]) -> Dice or nil if both are empty, both, in a, in b,
 *   voxels that count
 * engine.surface(a, b[, valid], { spacing_mm, percentile = 95, tolerance_mm = 1, threshold = 0.5 })
 *   -> { size_a, size_b, hausdorff, from_a, percentile, mean, mean_from_a, dice }, without what is
 *   not there because a mask is empty
 * engine.border(a, b[, valid], { spacing_mm, width_mm, threshold = 0.5 }) -> as dice, near the
 * border engine.calibration(list of { probability, truth[, valid] }, bins) -> { { count, mean,
 * share } … }
 */
#include "glue.h"

#include <hilum/metric.h>

#include <math.h>

static hl_tensor *opt_tensor(lua_State *L, int idx) {
  return lua_isnoneornil(L, idx) ? NULL : hll_check_tensor(L, idx);
}

static int push_overlap(lua_State *L, const hl_overlap *o) {
  if (isnan(o->dice))
    lua_pushnil(L);
  else
    lua_pushnumber(L, o->dice);
  lua_pushinteger(L, o->both);
  lua_pushinteger(L, o->in_a);
  lua_pushinteger(L, o->in_b);
  lua_pushinteger(L, o->voxels);
  return 5;
}

static int l_dice(lua_State *L) {
  hl_tensor *a = hll_check_tensor(L, 1), *b = hll_check_tensor(L, 2), *valid = opt_tensor(L, 3);
  hl_overlap o;
  hl_err e = {0};
  if (hl_overlap_measure(a, b, valid, luaL_optnumber(L, 4, 0.5), &o, &e) != HL_OK)
    return hll_raise(L, &e);
  return push_overlap(L, &o);
}

static int l_surface(lua_State *L) {
  hl_tensor *a = hll_check_tensor(L, 1), *b = hll_check_tensor(L, 2), *valid = opt_tensor(L, 3);
  hl_surface_options o;
  hl_surface s;
  hl_err e = {0};
  luaL_checktype(L, 4, LUA_TTABLE);
  hll_check_vector(L, 4, "spacing_mm", o.spacing_mm, 3);
  o.percentile = hll_opt_number(L, 4, "percentile", 95);
  o.tolerance_mm = hll_opt_number(L, 4, "tolerance_mm", 1);
  o.threshold = hll_opt_number(L, 4, "threshold", 0.5);
  if (hl_surface_measure(a, b, valid, &o, &s, &e) != HL_OK) return hll_raise(L, &e);
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, s.size_a);
  lua_setfield(L, -2, "size_a");
  lua_pushinteger(L, s.size_b);
  lua_setfield(L, -2, "size_b");
  hll_set_defined(L, "hausdorff", s.hausdorff);
  hll_set_defined(L, "from_a", s.from_a);
  hll_set_defined(L, "percentile", s.percentile);
  hll_set_defined(L, "mean", s.mean);
  hll_set_defined(L, "mean_from_a", s.mean_from_a);
  hll_set_defined(L, "dice", s.dice);
  return 1;
}

static int l_border(lua_State *L) {
  hl_tensor *a = hll_check_tensor(L, 1), *b = hll_check_tensor(L, 2), *valid = opt_tensor(L, 3);
  double spacing[3];
  hl_overlap o;
  hl_err e = {0};
  luaL_checktype(L, 4, LUA_TTABLE);
  hll_check_vector(L, 4, "spacing_mm", spacing, 3);
  double threshold = hll_opt_number(L, 4, "threshold", 0.5);
  double width = hll_opt_number(L, 4, "width_mm", 2);
  if (hl_border_measure(a, b, valid, threshold, spacing, width, &o, &e) != HL_OK)
    return hll_raise(L, &e);
  return push_overlap(L, &o);
}

enum { MOST_BINS = 1000 };

static int l_calibration(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer bins = luaL_checkinteger(L, 2);
  luaL_argcheck(L, bins >= 1 && bins <= MOST_BINS, 2, "expected 1 to 1000 bins");
  int64_t count[MOST_BINS] = {0}, hits[MOST_BINS] = {0};
  double sum[MOST_BINS] = {0};
  for (lua_Integer i = 1; i <= luaL_len(L, 1); i++) {
    lua_geti(L, 1, i);
    luaL_checktype(L, -1, LUA_TTABLE);
    int at = lua_gettop(L);
    for (int k = 1; k <= 3; k++) lua_geti(L, at, k);
    hl_err e = {0};
    if (hl_calibration_add(hll_check_tensor(L, at + 1), hll_check_tensor(L, at + 2),
                           opt_tensor(L, at + 3), (int)bins, count, sum, hits, &e) != HL_OK)
      return hll_raise(L, &e);
    lua_settop(L, 2);
  }
  lua_createtable(L, (int)bins, 0);
  for (lua_Integer i = 0; i < bins; i++) {
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, count[i]);
    lua_setfield(L, -2, "count");
    hll_set_defined(L, "mean", count[i] == 0 ? NAN : sum[i] / (double)count[i]);
    hll_set_defined(L, "share", count[i] == 0 ? NAN : (double)hits[i] / (double)count[i]);
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

void hll_open_metric(lua_State *L) {
  static const luaL_Reg functions[] = {{"dice", l_dice},
                                       {"surface", l_surface},
                                       {"border", l_border},
                                       {"calibration", l_calibration},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
