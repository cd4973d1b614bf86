/* engine.apart(n, job, done[, { processes, timeout_s, memory_bytes }]) -> true, or nil and why not
 *
 * job(i) for i = 1 … n in forked processes that share this one's state as it is now; what it
 * changes is lost, so it leaves its work in files. It returns nothing, or nil and an error. done(i,
 * err) is called here for each, in any order. A process that dies or hangs costs its item, nothing
 * else. */
#include "glue.h"

#include <hilum/parallel.h>
#include <hilum/reader.h>

#include <string.h>

typedef struct work {
  lua_State *L;
  int job, done; /* on the stack */
  bool failed;   /* done raised: its error is where `done` was */
} work;

static hl_status status_by_name(const char *name) {
  for (int code = HL_OK + 1; code <= HL_EINTERNAL; code++)
    if (name != NULL && strcmp(name, hl_status_name((hl_status)code)) == 0) return (hl_status)code;
  return HL_EFORMAT;
}

/* The error at `idx`, whatever it is, as a value; raises when memory ends. */
static void take_error(lua_State *L, int idx, hl_err *e) {
  const char *code = NULL;
  if (lua_istable(L, idx)) {
    lua_getfield(L, idx, "code");
    code = lua_tostring(L, -1);
  }
  hl_fail(e, status_by_name(code), "%s", luaL_tolstring(L, idx, NULL));
}

static int run_job(lua_State *L) {
  hl_err *e = lua_touserdata(L, 3);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 2);
  if (lua_isnil(L, -2) && !lua_isnil(L, -1)) take_error(L, lua_gettop(L), e);
  return 0;
}

static hl_status in_child(void *ctx, int64_t item, void *shared, hl_err *e) {
  const work *w = ctx;
  lua_State *L = w->L;
  (void)shared;
  hl_set_compute_threads(
      1); /* the processes share the processors; and libgomp's threads are gone */
  lua_pushcfunction(L, run_job);
  lua_pushvalue(L, w->job);
  lua_pushinteger(L, (lua_Integer)item + 1);
  lua_pushlightuserdata(L, e);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    const char *text = lua_istable(L, -1) ? luaL_tolstring(L, -1, NULL) : lua_tostring(L, -1);
    hl_fail(e, HL_EINTERNAL, "%s", text ? text : "an error without text");
  }
  lua_settop(L, w->done);
  return e->code;
}

static int tell(lua_State *L) {
  const hl_err *e = lua_touserdata(L, 3);
  lua_settop(L, 2);
  if (e->code != HL_OK) {
    hll_fail(L, e);
    lua_remove(L, 3); /* the nil */
  }
  lua_call(L, lua_gettop(L) - 1, 0);
  return 0;
}

static void in_parent(void *ctx, int64_t item, void *shared, const hl_err *e) {
  work *w = ctx;
  lua_State *L = w->L;
  (void)shared;
  if (w->failed) return;
  lua_pushcfunction(L, tell);
  lua_pushvalue(L, w->done);
  lua_pushinteger(L, (lua_Integer)item + 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)e);
  if (lua_pcall(L, 3, 0, 0) == LUA_OK) return;
  w->failed = true;
  lua_replace(L, w->done);
}

static int l_apart(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  hl_reader_limits limits = {
      .processes = (int)hll_opt_number(L, 4, "processes", 0),
      .timeout_s = hll_opt_number(L, 4, "timeout_s", 0),
      .memory_bytes = (size_t)hll_opt_number(L, 4, "memory_bytes", 0),
  };
  lua_settop(L, 3);
  luaL_checkstack(L, 20, "apart");
  work w = {.L = L, .job = 2, .done = 3};
  hl_err e = {0};
  hl_status status = hl_reader_run(n, 0, in_child, in_parent, &w, &limits, &e);
  if (w.failed) {
    lua_settop(L, w.done);
    return lua_error(L);
  }
  if (status != HL_OK) return hll_fail(L, &e);
  lua_pushboolean(L, 1);
  return 1;
}

void hll_open_apart(lua_State *L) {
  static const luaL_Reg functions[] = {{"apart", l_apart}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
