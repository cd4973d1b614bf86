#include "glue.h"

#include <stdio.h>
#include <string.h>

#define HLL_ERROR "hilum.error"

void **hll_newbox(lua_State *L, const char *type) {
  void **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = NULL;
  luaL_setmetatable(L, type);
  return box;
}

void *hll_test(lua_State *L, int idx, const char *type) {
  void **box = luaL_testudata(L, idx, type);
  return box == NULL ? NULL : *box;
}

void *hll_check(lua_State *L, int idx, const char *type) {
  void **box = luaL_checkudata(L, idx, type);
  if (*box == NULL)
    luaL_argerror(L, idx,
                  lua_pushfstring(L, "this %s was already released", strchr(type, '.') + 1));
  return *box;
}

void hll_type(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta,
              lua_CFunction release) {
  if (luaL_newmetatable(L, type) != 0) {
    if (meta != NULL) luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    if (release != NULL) {
      lua_pushcfunction(L, release);
      lua_setfield(L, -2, "free");
      lua_pushcfunction(L, release);
      lua_setfield(L, -3, "__gc");
      lua_pushcfunction(L, release);
      lua_setfield(L, -3, "__close");
    }
    if (lua_getfield(L, -2, "__index") == LUA_TNIL) {
      lua_pop(L, 1);
      lua_setfield(L, -2, "__index");
    } else { /* the type finds its own fields and falls back to methods */
      lua_pop(L, 1);
      lua_setfield(L, -2, "methods");
    }
  }
  lua_pop(L, 1);
}

static int error_text(lua_State *L) {
  lua_getfield(L, 1, "message");
  return 1;
}

/* Pushes { code, message, where }. */
static void push_error(lua_State *L, const hl_err *e, int level) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, hl_status_name(e->code));
  lua_setfield(L, -2, "code");
  luaL_where(L, level);
  lua_pushstring(L, e->msg[0] != '\0' ? e->msg : hl_status_name(e->code));
  lua_concat(L, 2);
  lua_setfield(L, -2, "message");
  if (e->file != NULL) {
    const char *name = strrchr(e->file, '/');
    lua_pushfstring(L, "%s:%d", name == NULL ? e->file : name + 1, e->line);
    lua_setfield(L, -2, "where");
  }
  if (luaL_newmetatable(L, HLL_ERROR) != 0) {
    lua_pushcfunction(L, error_text);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
}

int hll_raise(lua_State *L, const hl_err *e) {
  push_error(L, e, 1);
  return lua_error(L);
}

int hll_fail(lua_State *L, const hl_err *e) {
  lua_pushnil(L);
  push_error(L, e, 100); /* no such level: a file's fault has no Lua position */
  return 2;
}

void hll_check_shape(lua_State *L, int idx, hl_shape *s) {
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_Integer n = luaL_len(L, idx);
  if (n > HL_MAX_RANK)
    luaL_argerror(L, idx, lua_pushfstring(L, "a tensor has at most %d axes", HL_MAX_RANK));
  memset(s, 0, sizeof *s);
  s->rank = (int)n;
  for (int i = 0; i < s->rank; i++) {
    lua_geti(L, idx, i + 1);
    int whole = 0;
    s->dim[i] = lua_tointegerx(L, -1, &whole);
    if (whole == 0 || s->dim[i] < 0)
      luaL_argerror(L, idx,
                    lua_pushfstring(L, "size %d of the shape must be a whole number ≥ 0, not %s",
                                    i + 1, luaL_tolstring(L, -1, NULL)));
    lua_pop(L, 1);
  }
}

const char *hll_opt_field(lua_State *L, int idx, const char *key, const char *fallback) {
  if (!lua_istable(L, idx)) return fallback;
  const char *text = fallback;
  if (lua_getfield(L, idx, key) == LUA_TSTRING) text = lua_tostring(L, -1);
  lua_pop(L, 1); /* the table still holds the string */
  return text;
}

lua_Number hll_opt_number(lua_State *L, int idx, const char *key, lua_Number fallback) {
  if (!lua_istable(L, idx)) return fallback;
  lua_getfield(L, idx, key);
  lua_Number v = lua_isnil(L, -1) ? fallback : luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return v;
}

void hll_check_vector(lua_State *L, int idx, const char *key, lua_Number *v, int n) {
  if (lua_getfield(L, idx, key) != LUA_TTABLE || luaL_len(L, -1) != n)
    luaL_argerror(L, idx, lua_pushfstring(L, "%s must be a list of %d numbers", key, n));
  for (int i = 0; i < n; i++) {
    lua_geti(L, -1, i + 1);
    v[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void hll_opt_vector(lua_State *L, int idx, const char *key, lua_Number *v, int n) {
  int type = lua_getfield(L, idx, key);
  lua_pop(L, 1);
  if (type != LUA_TNIL) hll_check_vector(L, idx, key, v, n);
}

void hll_set_defined(lua_State *L, const char *key, lua_Number v) {
  if (v != v) return;
  lua_pushnumber(L, v);
  lua_setfield(L, -2, key);
}

void hll_push_shape(lua_State *L, const hl_shape *s) {
  lua_createtable(L, s->rank, 0);
  for (int i = 0; i < s->rank; i++) {
    lua_pushinteger(L, s->dim[i]);
    lua_seti(L, -2, i + 1);
  }
}

int luaopen_hilum_engine(lua_State *L) {
  lua_newtable(L);
  lua_pushstring(L, hl_version());
  lua_setfield(L, -2, "version");
  hll_open_tensor(L);
  hll_open_op(L);
  hll_open_program(L);
  hll_open_system(L);
  hll_open_metric(L);
  hll_open_image(L);
  hll_open_warp(L);
  hll_open_store(L);
  hll_open_files(L);
  hll_open_limit(L);
  hll_open_apart(L);
  hll_open_workers(L);
  hll_open_data(L);
  hll_open_bench(L);
  return 1;
}
