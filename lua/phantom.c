/* engine.write_phantom(folder, { cases, seed, nodules, size, variant }[, progress]) -> true
 *
 * progress(done, total, what). */
#include "data.h"

#include <hilum/phantom.h>

#include <string.h>

static hl_phantom_size check_size(lua_State *L) {
  lua_getfield(L, 2, "size");
  const char *name = luaL_optstring(L, -1, hl_phantom_size_name(HL_PHANTOM_SMALL));
  hl_phantom_size size = HL_PHANTOM_SMALL;
  while (size < HL_PHANTOM_SIZES && strcmp(name, hl_phantom_size_name(size)) != 0) size++;
  lua_pop(L, 1);
  return size; /* HL_PHANTOM_SIZES for an unknown one, which the engine refuses */
}

static hl_phantom_variant check_variant(lua_State *L) {
  lua_getfield(L, 2, "variant");
  const char *name = luaL_optstring(L, -1, hl_phantom_variant_name(HL_PHANTOM_PLAIN));
  hl_phantom_variant v = HL_PHANTOM_PLAIN;
  while (v < HL_PHANTOM_VARIANTS && strcmp(name, hl_phantom_variant_name(v)) != 0) v++;
  lua_pop(L, 1);
  return v;
}

static int l_write_phantom(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  hl_phantom_options o = hl_phantom_options_default();
  o.cases = (int)hll_opt_number(L, 2, "cases", o.cases);
  o.nodules = (int)hll_opt_number(L, 2, "nodules", o.nodules);
  o.size = check_size(L);
  o.variant = check_variant(L);
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

/* engine.phantom_variants() -> { "plain", … } */
static int l_phantom_variants(lua_State *L) {
  lua_createtable(L, HL_PHANTOM_VARIANTS, 0);
  for (int i = 0; i < HL_PHANTOM_VARIANTS; i++) {
    lua_pushstring(L, hl_phantom_variant_name((hl_phantom_variant)i));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

void hll_open_phantom(lua_State *L) {
  static const luaL_Reg functions[] = {{"write_phantom", l_write_phantom},
                                       {"phantom_defaults", l_phantom_defaults},
                                       {"phantom_variants", l_phantom_variants},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
