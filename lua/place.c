/* engine.place { size, spacing_mm, origin_mm, z_mm, uids } -> place, where a scan's slices lie
 *
 * For marks without images. z_mm of every slice, ascending (default: from the spacing); uids: a
 * list of the slices' SOP instance UIDs, without which slices are known by z alone. */
#include "data.h"

#include <stdlib.h>
#include <string.h>

#define HLL_PLACE "hilum.place"

typedef struct place {
  hl_grid grid;
  hl_slices slices;
  double z_mm[];
} place;

static void read_vector(lua_State *L, const char *key, double *v, int64_t n, bool must) {
  int type = lua_getfield(L, 1, key);
  if (type == LUA_TNIL && !must) {
    lua_pop(L, 1);
    return;
  }
  if (type != LUA_TTABLE || luaL_len(L, -1) != n)
    luaL_argerror(L, 1, lua_pushfstring(L, "%s must be a list of %d numbers", key, (int)n));
  for (int64_t i = 0; i < n; i++) {
    lua_geti(L, -1, i + 1);
    v[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static int compare_uid(const void *a, const void *b) {
  return strcmp(((const hl_slice_uid *)a)->uid, ((const hl_slice_uid *)b)->uid);
}

/* The texts and the array live as long as the place on top of the stack. */
static void read_uids(lua_State *L, place *p) {
  int64_t n = p->grid.size[0];
  if (lua_getfield(L, 1, "uids") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  luaL_argcheck(L, lua_istable(L, -1) && luaL_len(L, -1) == n, 1,
                "uids must be a list, one for each slice");
  lua_createtable(L, (int)n + 1, 0);
  hl_slice_uid *uids = lua_newuserdatauv(L, (size_t)n * sizeof *uids, 0);
  lua_seti(L, -2, n + 1);
  for (int64_t k = 0; k < n; k++) {
    lua_geti(L, -2, k + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 1, "uids must be texts");
    uids[k] = (hl_slice_uid){.uid = lua_tostring(L, -1), .slice = k};
    lua_seti(L, -2, k + 1);
  }
  qsort(uids, (size_t)n, sizeof *uids, compare_uid);
  p->slices.uids = uids;
  p->slices.n_uids = n;
  lua_setiuservalue(L, -3, 1);
  lua_pop(L, 1);
}

static int l_place(lua_State *L) {
  double size[3];
  luaL_checktype(L, 1, LUA_TTABLE);
  read_vector(L, "size", size, 3, true);
  for (int a = 0; a < 3; a++)
    luaL_argcheck(L, size[a] >= 1 && size[a] <= 1 << 20, 1, "size must be 1 to 2^20 voxels");
  size_t slices = (size_t)size[0];
  place *p = lua_newuserdatauv(L, sizeof *p + slices * sizeof *p->z_mm, 1);
  memset(p, 0, sizeof *p);
  for (int a = 0; a < 3; a++) p->grid.size[a] = (int64_t)size[a];
  read_vector(L, "spacing_mm", p->grid.spacing_mm, 3, true);
  read_vector(L, "origin_mm", p->grid.origin_mm, 3, false);
  for (int64_t k = 0; k < p->grid.size[0]; k++)
    p->z_mm[k] = p->grid.origin_mm[0] + (double)k * p->grid.spacing_mm[0];
  read_vector(L, "z_mm", p->z_mm, p->grid.size[0], false);
  p->grid.z_mm = p->z_mm;
  p->grid.origin_mm[0] = p->z_mm[0];
  p->slices = (hl_slices){.z_mm = p->z_mm, .n = p->grid.size[0]};
  read_uids(L, p);
  hl_err e = {0};
  if (hl_grid_check(&p->grid, &e) != HL_OK) return hll_raise(L, &e);
  luaL_setmetatable(L, HLL_PLACE);
  return 1;
}

void hll_check_place(lua_State *L, int idx, const hl_grid **grid, const hl_slices **slices) {
  const place *p = luaL_testudata(L, idx, HLL_PLACE);
  if (p) {
    *grid = &p->grid;
    *slices = &p->slices;
    return;
  }
  const hl_series *s = hll_check_series(L, idx);
  *grid = hl_series_grid(s);
  *slices = hl_series_slices(s);
}

static int release(lua_State *L) {
  (void)L; /* Lua owns all of it */
  return 0;
}

void hll_open_place(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"place", l_place}, {NULL, NULL}};
  hll_type(L, HLL_PLACE, none, NULL, release);
  luaL_setfuncs(L, functions, 0);
}
