/* The glue of the data room: what its files share. The files' fault gives nil and an error object
 * (and the problems so far); wrong arguments raise. Numbers of sessions, slices and nodules count
 * from 1 here. */
#include "data.h"

#define HLL_PROBLEMS "hilum.problems"

HLL_RELEASE(free_problems, HLL_PROBLEMS, hl_problems, hl_problems_free)

void hll_set_string(lua_State *L, const char *key, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, key);
}

void hll_set_integer(lua_State *L, const char *key, int64_t n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}

void hll_set_number(lua_State *L, const char *key, double v) {
  lua_pushnumber(L, v);
  lua_setfield(L, -2, key);
}

void hll_set_vector(lua_State *L, const char *key, const double *v, int64_t n) {
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushnumber(L, v[i]);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, key);
}

void hll_push_problems(lua_State *L, const hl_problems *p) {
  int64_t n = hl_problems_count(p);
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    const hl_problem *one = hl_problems_at(p, i);
    lua_createtable(L, 0, 3);
    hll_set_string(L, "file", one->file);
    hll_set_string(L, "message", one->message);
    hll_set_string(L, "code", hl_status_name(one->code));
    lua_seti(L, -2, i + 1);
  }
}

hl_problems **hll_problems_box(lua_State *L) {
  hl_problems **box = (hl_problems **)hll_newbox(L, HLL_PROBLEMS);
  hl_err e = {0};
  if (hl_problems_new(box, &e) != HL_OK) hll_raise(L, &e);
  return box;
}

int hll_refuse(lua_State *L, const hl_err *e, const hl_problems *problems) {
  if (e->code == HL_EINVAL) return hll_raise(L, e);
  int n = hll_fail(L, e);
  hll_push_problems(L, problems);
  return n + 1;
}

void hll_tell(void *ctx, int64_t done, int64_t total, const char *what) {
  hll_caller *c = ctx;
  if (c->function == 0 || c->failed) return;
  lua_pushvalue(c->L, c->function);
  lua_pushinteger(c->L, done);
  lua_pushinteger(c->L, total);
  lua_pushstring(c->L, what);
  if (lua_pcall(c->L, 3, 0, 0) == LUA_OK) return;
  c->failed = true;
  lua_replace(c->L, c->function);
}

hll_caller hll_check_progress(lua_State *L, int idx) {
  hll_caller c = {.L = L};
  if (lua_isnoneornil(L, idx)) return c;
  luaL_checktype(L, idx, LUA_TFUNCTION);
  luaL_checkstack(L, 8, "progress");
  c.function = idx;
  return c;
}

void hll_raise_progress(const hll_caller *c) {
  if (!c->failed) return;
  lua_pushvalue(c->L, c->function);
  lua_error(c->L);
}

void hll_open_data(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  hll_type(L, HLL_PROBLEMS, none, NULL, free_problems);
  hll_open_index(L);
  hll_open_series(L);
  hll_open_place(L);
  hll_open_marks(L);
  hll_open_nifti(L);
  hll_open_nodules(L);
  hll_open_export(L);
  hll_open_phantom(L);
}
