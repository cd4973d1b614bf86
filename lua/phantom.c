/* engine.write_phantom(folder, { cases, seed, nodules }[, progress]) -> true
 *
 * progress(done, total, what). */
#include "data.h"

#include <hilum/phantom.h>

static int l_write_phantom(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  hl_phantom_options o = hl_phantom_options_default();
  o.cases = (int)hll_opt_number(L, 2, "cases", o.cases);
  o.nodules = (int)hll_opt_number(L, 2, "nodules", o.nodules);
  lua_getfield(L, 2, "seed");
  o.seed = (uint64_t)luaL_optinteger(L, -1, (lua_Integer)o.seed);
  lua_pop(L, 1);
  hll_caller c = hll_check_progress(L, 3);
  hl_err e = {0};
  hl_status status = hl_phantom_write(folder, &o, hll_tell, &c, &e);
  hll_raise_progress(&c);
  if (status == HL_EINVAL) return hll_raise(L, &e);
  if (status != HL_OK) return hll_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

/* engine.phantom_defaults() -> { cases, nodules, seed } */
static int l_phantom_defaults(lua_State *L) {
  hl_phantom_options o = hl_phantom_options_default();
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, o.cases);
  lua_setfield(L, -2, "cases");
  lua_pushinteger(L, o.nodules);
  lua_setfield(L, -2, "nodules");
  lua_pushinteger(L, (lua_Integer)o.seed);
  lua_setfield(L, -2, "seed");
  return 1;
}

void hll_open_phantom(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"write_phantom", l_write_phantom}, {"phantom_defaults", l_phantom_defaults}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
