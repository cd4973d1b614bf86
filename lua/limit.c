/* Lua code of strangers within a budget of memory. */
#include "glue.h"

#include <stdint.h>

/* The allocator of the state, counting. */
typedef struct meter {
  lua_Alloc inner;
  void *ud;
  int64_t held, most; /* bytes more than at the start */
} meter;

static void *metered(void *ud, void *block, size_t old, size_t size) {
  meter *m = ud;
  int64_t grown =
      (int64_t)size - (block == NULL ? 0 : (int64_t)old); /* of a new block, `old` is its kind */
  if (grown > 0 && grown > m->most - m->held)
    return NULL; /* Lua collects, asks again, then raises */
  void *result = m->inner(m->ud, block, old, size);
  if (result != NULL || size == 0) m->held += grown;
  return result;
}

/* engine.within(bytes, f, …) -> what f(…) returns. If Lua's own memory grows by more than `bytes`
 * meanwhile, f ends with the error "not enough memory". Its other errors pass. */
static int l_within(lua_State *L) {
  meter m = {.most = luaL_checkinteger(L, 1)};
  luaL_checktype(L, 2, LUA_TFUNCTION);
  m.inner = lua_getallocf(L, &m.ud);
  lua_setallocf(L, metered, &m);
  int s = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  lua_setallocf(L, m.inner, m.ud);
  if (s != LUA_OK) return lua_error(L);
  return lua_gettop(L) - 1;
}

void hll_open_limit(lua_State *L) {
  static const luaL_Reg functions[] = {{"within", l_within}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
