/* engine.nifti_read(path[, { 1, 1, -1 }]) -> voxels [z,y,x], { size, spacing_mm, origin_mm, stored
 * }; or nil and an error. The list says along which of z, y, x the axes run towards superior,
 * posterior and left (1, the default), along which the other way (-1). stored: the file's own place
 * { spacing_mm, origin_mm, direction } as write_nifti takes it, and for each of z, y, x which axis
 * of the file it is (1: the slowest) and which way it runs. */
#include "data.h"

#include <hilum/nifti.h>

#include <string.h>

#define HLL_NIFTI "hilum.nifti"

static int release_nifti(lua_State *L) {
  hl_nifti_clear(luaL_checkudata(L, 1, HLL_NIFTI));
  return 0;
}

static void push_stored(lua_State *L, const hl_nifti *n) {
  double axis[3], way[3];
  for (int a = 0; a < 3; a++) {
    axis[a] = n->axis[a] + 1;
    way[a] = n->way[a];
  }
  lua_createtable(L, 0, 5);
  hll_set_vector(L, "spacing_mm", n->stored.spacing_mm, 3);
  hll_set_vector(L, "origin_mm", n->stored.origin_mm, 3);
  hll_set_vector(L, "direction", n->stored.direction, 9);
  hll_set_vector(L, "axis", axis, 3);
  hll_set_vector(L, "way", way, 3);
  lua_setfield(L, -2, "stored");
}

static int l_nifti_read(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int sign[3] = {1, 1, 1};
  for (int a = 0; a < 3 && lua_istable(L, 2); a++) {
    if (lua_geti(L, 2, a + 1) != LUA_TNUMBER) luaL_argerror(L, 2, "expected three signs");
    sign[a] = lua_tonumber(L, -1) < 0 ? -1 : 1;
    lua_pop(L, 1);
  }
  hl_nifti *n = lua_newuserdatauv(L, sizeof *n, 0);
  memset(n, 0, sizeof *n);
  luaL_setmetatable(L, HLL_NIFTI);
  hl_err e = {0};
  if (hl_nifti_read(n, path, sign, &e) != HL_OK) return hll_fail(L, &e);
  *hll_tensor_box(L) = hl_tensor_ref(n->voxels);
  hll_account(L, hl_tensor_bytes(n->voxels));
  lua_createtable(L, 0, 4);
  double size[3];
  for (int a = 0; a < 3; a++) size[a] = (double)n->grid.size[a];
  hll_set_vector(L, "size", size, 3);
  hll_set_vector(L, "spacing_mm", n->grid.spacing_mm, 3);
  hll_set_vector(L, "origin_mm", n->grid.origin_mm, 3);
  push_stored(L, n);
  hl_nifti_clear(n);
  return 2;
}

void hll_open_nifti(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"nifti_read", l_nifti_read}, {NULL, NULL}};
  hll_type(L, HLL_NIFTI, none, NULL, release_nifti);
  luaL_setfuncs(L, functions, 0);
}
