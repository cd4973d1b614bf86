/* engine.warp(steps, channels) -> list of tensors: steps = list of { matrix = 9 numbers in rows,
 * offset = { z, y, x }
 *   [, bend = { step = { z, y, x }, by = f64 [z,y,x,3] }] }, channels = list of { tensor, "linear"
 * | "cubic" | "soft" | "mask" }; indices from 0: hilum/warp.h engine.intensity(t[, where]) ->
 * voxels[, min, max, mean, sd] engine.intensity_line(t, scale, shift[, low, high]),
 * engine.intensity_gamma(t, gamma, low, high[, inverted]), engine.intensity_noise(t, sd, seed):
 * change t and return it: hilum/intensity.h */
#include "glue.h"

#include <hilum/intensity.h>
#include <hilum/warp.h>

#include <math.h>
#include <string.h>

enum { MOST = 64 };

static int check_count(lua_State *L, int idx, const char *what) {
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_Integer n = luaL_len(L, idx);
  if (n < 1 || n > MOST)
    luaL_argerror(L, idx, lua_pushfstring(L, "expected 1 to %d %s, got %I", MOST, what, n));
  return (int)n;
}

/* The field bend of the step at `idx`; its tensor stays referenced by the table. */
static void opt_bend(lua_State *L, int idx, hl_bend *b) {
  if (lua_getfield(L, idx, "bend") != LUA_TNIL) {
    int at = lua_gettop(L);
    luaL_checktype(L, at, LUA_TTABLE);
    hll_check_vector(L, at, "step", b->step, 3);
    lua_getfield(L, at, "by");
    const hl_tensor *by = hll_test_tensor(L, -1);
    const hl_shape *s = by ? hl_tensor_shape(by) : NULL;
    if (!s || s->rank != 4 || s->dim[3] != 3 || !hl_tensor_f64(by) || !hl_tensor_is_dense(by))
      luaL_argerror(L, 1, "bend.by must be a dense tensor f64 [z,y,x,3]");
    memcpy(b->size, s->dim, sizeof b->size);
    b->by = hl_tensor_f64(by);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void check_steps(lua_State *L, int idx, int n, hl_warp_step *steps) {
  for (int k = 0; k < n; k++) {
    lua_geti(L, idx, k + 1);
    int at = lua_gettop(L);
    luaL_checktype(L, at, LUA_TTABLE);
    hll_check_vector(L, at, "matrix", steps[k].matrix, 9);
    hll_check_vector(L, at, "offset", steps[k].offset, 3);
    opt_bend(L, at, &steps[k].bend);
    lua_pop(L, 1);
  }
}

static void check_channels(lua_State *L, int idx, int n, hl_warp_channel *channels) {
  for (int k = 0; k < n; k++) {
    lua_geti(L, idx, k + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_geti(L, -1, 1);
    channels[k].src = hll_check_tensor(L, -1); /* the table keeps it */
    lua_geti(L, -2, 2);
    const char *name = luaL_checkstring(L, -1);
    channels[k].rule = hl_warp_rule_by_name(name);
    if (channels[k].rule == HL_WARP_RULES)
      luaL_argerror(L, idx, lua_pushfstring(L, "unknown rule '%s' of channel %d", name, k + 1));
    lua_pop(L, 3);
  }
}

static int l_warp(lua_State *L) {
  hl_warp_step steps[MOST] = {0};
  hl_warp_channel channels[MOST];
  hl_tensor *out[MOST], **boxes[MOST];
  int n_steps = check_count(L, 1, "steps"), n = check_count(L, 2, "channels");
  check_steps(L, 1, n_steps, steps);
  check_channels(L, 2, n, channels);
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    boxes[k] = hll_tensor_box(L);
    lua_seti(L, -2, k + 1);
  }
  hl_err e = {0};
  if (hl_warp_apply(out, steps, n_steps, channels, n, &e) != HL_OK) return hll_raise(L, &e);
  for (int k = 0; k < n; k++) *boxes[k] = out[k];
  for (int k = 0; k < n; k++) hll_account(L, hl_tensor_bytes(out[k]));
  return 1;
}

static int l_intensity(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_tensor *where = lua_isnoneornil(L, 2) ? NULL : hll_check_tensor(L, 2);
  hl_intensity found;
  hl_err e = {0};
  if (hl_intensity_measure(&found, t, where, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushinteger(L, found.voxels);
  if (found.voxels == 0) return 1;
  lua_pushnumber(L, found.min);
  lua_pushnumber(L, found.max);
  lua_pushnumber(L, found.mean);
  lua_pushnumber(L, found.sd);
  return 5;
}

static int changed(lua_State *L, hl_status status, const hl_err *e) {
  if (status != HL_OK) return hll_raise(L, e);
  lua_settop(L, 1);
  return 1;
}

static int l_line(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  double scale = luaL_checknumber(L, 2), shift = luaL_checknumber(L, 3);
  double low = luaL_optnumber(L, 4, -HUGE_VAL), high = luaL_optnumber(L, 5, HUGE_VAL);
  hl_err e = {0};
  return changed(L, hl_intensity_line(t, scale, shift, low, high, &e), &e);
}

static int l_gamma(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  double gamma = luaL_checknumber(L, 2), low = luaL_checknumber(L, 3),
         high = luaL_checknumber(L, 4);
  hl_err e = {0};
  return changed(L, hl_intensity_gamma(t, gamma, low, high, lua_toboolean(L, 5) != 0, &e), &e);
}

static int l_noise(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  double sd = luaL_checknumber(L, 2);
  lua_Integer seed = luaL_checkinteger(L, 3);
  hl_err e = {0};
  return changed(L, hl_intensity_noise(t, sd, (uint64_t)seed, &e), &e);
}

void hll_open_warp(lua_State *L) {
  static const luaL_Reg functions[] = {{"warp", l_warp},
                                       {"intensity", l_intensity},
                                       {"intensity_line", l_line},
                                       {"intensity_gamma", l_gamma},
                                       {"intensity_noise", l_noise},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
