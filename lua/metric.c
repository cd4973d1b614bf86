/* engine.dice(a, b[, valid][, threshold = 0.5]) -> Dice or nil if both are empty, both, in a, in b
 */
#include "glue.h"

#include <hilum/metric.h>

#include <math.h>

static int l_dice(lua_State *L) {
  hl_tensor *a = hll_check_tensor(L, 1), *b = hll_check_tensor(L, 2);
  hl_tensor *valid = lua_isnoneornil(L, 3) ? NULL : hll_check_tensor(L, 3);
  hl_overlap o;
  hl_err e = {0};
  if (hl_overlap_measure(a, b, valid, luaL_optnumber(L, 4, 0.5), &o, &e) != HL_OK)
    return hll_raise(L, &e);
  if (isnan(o.dice))
    lua_pushnil(L);
  else
    lua_pushnumber(L, o.dice);
  lua_pushinteger(L, o.both);
  lua_pushinteger(L, o.in_a);
  lua_pushinteger(L, o.in_b);
  return 4;
}

void hll_open_metric(lua_State *L) {
  static const luaL_Reg functions[] = {{"dice", l_dice}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
