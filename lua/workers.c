/* engine.workers(n, job) -> workers, or nil and why there are none
 *
 * Forked processes that answer requests in the background, each with a copy of this state as it is
 * now: job(request) -> reply, both text, is called there; what it changes stays there, but for
 * tensors of engine.shared.
 *
 *   workers:send(i, request)     to worker i, from 1; true, or nil and an error
 *   workers:receive()            waits: i and a reply; i, false and how worker i ended ("signal 9
 *                                (Killed)"); or nil and an error (cancelled, no worker is left)
 *   workers:process(i)           its process number, nil once it has ended
 *   workers:free()               ends them
 * #workers is how many there were at the beginning. */
#include "glue.h"

#include <hilum/parallel.h>
#include <hilum/worker.h>

#define HLL_WORKERS "hilum.workers"

typedef struct work {
  lua_State *L;
  int job; /* on the stack; the reply lies behind it until the next call */
} work;

static hl_workers *check_workers(lua_State *L) {
  return hll_check(L, 1, HLL_WORKERS);
}

/* In the worker. */
static hl_status call_job(void *ctx, hl_message request, hl_message *reply) {
  const work *w = ctx;
  lua_State *L = w->L;
  hl_set_compute_threads(
      1); /* the processes share the processors; and libgomp's threads are gone */
  lua_settop(L, w->job);
  lua_pushvalue(L, w->job);
  lua_pushlstring(L, request.data, request.bytes);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK || lua_type(L, -1) != LUA_TSTRING) return HL_EINTERNAL;
  reply->data = lua_tolstring(L, -1, &reply->bytes);
  return HL_OK;
}

static int l_workers(lua_State *L) {
  int n = (int)luaL_checkinteger(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  luaL_checkstack(L, 20, "workers");
  hl_workers **box = (hl_workers **)hll_newbox(L, HLL_WORKERS);
  lua_insert(L, 1);
  work w = {.L = L, .job = 3};
  hl_err e = {0};
  hl_status status = hl_workers_new(box, n, call_job, &w, &e);
  if (status == HL_EINVAL) return hll_raise(L, &e);
  if (status != HL_OK) return hll_fail(L, &e);
  lua_settop(L, 1);
  return 1;
}

static int release(lua_State *L) {
  hl_workers **box = luaL_checkudata(L, 1, HLL_WORKERS);
  hl_workers *owned = *box;
  *box = NULL;
  hl_workers_free(owned);
  return 0;
}

static int l_send(lua_State *L) {
  hl_workers *w = check_workers(L);
  int i = (int)luaL_checkinteger(L, 2);
  hl_message request;
  request.data = luaL_checklstring(L, 3, &request.bytes);
  hl_err e = {0};
  hl_status status = hl_workers_send(w, i - 1, request, &e);
  if (status == HL_EINVAL) return hll_raise(L, &e);
  if (status != HL_OK) return hll_fail(L, &e);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_receive(lua_State *L) {
  hl_workers *w = check_workers(L);
  hl_worker_event event;
  hl_err e = {0};
  if (hl_workers_receive(w, &event, &e) != HL_OK) return hll_fail(L, &e);
  lua_pushinteger(L, event.worker + 1);
  if (event.ended) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, event.how);
    return 3;
  }
  lua_pushlstring(L, event.message.data, event.message.bytes);
  return 2;
}

static int l_process(lua_State *L) {
  int64_t pid = hl_workers_process(check_workers(L), (int)luaL_checkinteger(L, 2) - 1);
  if (pid == 0) return 0;
  lua_pushinteger(L, pid);
  return 1;
}

static int l_count(lua_State *L) {
  lua_pushinteger(L, hl_workers_count(check_workers(L)));
  return 1;
}

void hll_open_workers(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"send", l_send}, {"receive", l_receive}, {"process", l_process}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", l_count}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"workers", l_workers}, {NULL, NULL}};
  hll_type(L, HLL_WORKERS, methods, meta, release);
  luaL_setfuncs(L, functions, 0);
}
