/* Times of ops and measures of the machine, for `hilum bench`. */
#include "glue.h"

#include <hilum/machine.h>
#include <hilum/op.h>

#include <math.h>
#include <string.h>

/* engine.machine() -> { triad = bytes per second, multiply_add = operations per second } */
static int l_machine(lua_State *L) {
  hl_err e = {0};
  double triad;
  if (hl_machine_triad(&triad, &e) != HL_OK) return hll_raise(L, &e);
  lua_createtable(L, 0, 2);
  lua_pushnumber(L, triad);
  lua_setfield(L, -2, "triad");
  lua_pushnumber(L, hl_machine_multiply_add());
  lua_setfield(L, -2, "multiply_add");
  return 1;
}

/* What one measurement works on, in a userdata: nothing leaks if something raises. */
typedef struct trial {
  hl_call call;
  union {
    max_align_t align;
    unsigned char bytes[1024];
  } attrs;
  hl_tensor *in[HL_MAX_ARGS], *out[HL_MAX_ARGS];
  hl_tensor *scratch;
} trial;

static int release(lua_State *L) {
  trial *t = lua_touserdata(L, 1);
  for (int i = 0; i < HL_MAX_ARGS; i++) hl_tensor_unref(t->out[i]);
  hl_tensor_unref(t->scratch);
  memset(t->out, 0, sizeof t->out);
  t->scratch = NULL;
  return 0;
}

/* Outputs and scratch, allocated before the clock starts. */
static hl_status prepare(trial *t, hl_err *e) {
  HL_TRY(hl_call_shape(&t->call, e));
  for (int i = 0; i < t->call.n_out; i++)
    HL_TRY(hl_tensor_zeros(&t->out[i], &t->call.out[i], HL_MEM_DATA, "a measured result", e));
  size_t bytes;
  HL_TRY(hl_call_workspace(&t->call, &bytes, e));
  int64_t size = (int64_t)bytes;
  hl_desc d = {HL_U8, HL_PLAIN, hl_shape_make(1, &size)};
  return hl_tensor_zeros(&t->scratch, &d, HL_MEM_WORKSPACE, "scratch of a measured op", e);
}

static hl_status measure(trial *t, double patience, double *best, hl_err *e) {
  enum { AT_LEAST = 3 };
  double begin = hl_machine_clock(), now = begin;
  *best = INFINITY;
  for (int run = 0; run < AT_LEAST || now - begin < patience; run++) {
    double start = now;
    HL_TRY(hl_call_execute(&t->call, t->in, t->out, hl_tensor_data(t->scratch), e));
    now = hl_machine_clock();
    if (run > 0) *best = fmin(*best, now - start); /* the first fills caches and page tables */
  }
  return HL_OK;
}

/* engine.time_op(name, "attr=value …", patience in seconds, tensors…) -> best seconds, bytes of all
 * inputs and outputs. The kernel alone: outputs and scratch exist already. Also takes the ops that
 * gradients are made of; updates change their tensors. */
static int l_time_op(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *text = luaL_optstring(L, 2, NULL);
  double patience = luaL_checknumber(L, 3), best;
  const hl_op *op = hl_op_find(name);
  if (op == NULL) return luaL_error(L, "there is no op '%s'", name);
  if (hl_op_cpu(op) == NULL) return luaL_error(L, "%s has no kernel on this device", name);
  int n = lua_gettop(L) - 3;
  if (n > HL_MAX_ARGS) return luaL_error(L, "%s: too many inputs", name);
  trial *t = lua_newuserdatauv(L, sizeof *t, 0);
  memset(t, 0, sizeof *t);
  luaL_setmetatable(L, "hilum.trial");
  t->call = (hl_call){.op = op, .attrs = &t->attrs, .n_in = n};
  hl_err e = {0};
  if (op->attr_size > sizeof t->attrs) return luaL_error(L, "%s: too many attributes", name);
  if (hl_attrs_parse(op, text, &t->attrs, &e) != HL_OK) return hll_raise(L, &e);
  size_t bytes = 0;
  for (int i = 0; i < n; i++) {
    t->in[i] = hll_check_tensor(L, 4 + i);
    t->call.in[i] = *hl_tensor_desc(t->in[i]);
    bytes += hl_desc_bytes(&t->call.in[i]);
    luaL_argcheck(L, hl_tensor_is_dense(t->in[i]), 4 + i, "must be dense");
  }
  if (prepare(t, &e) != HL_OK || measure(t, patience, &best, &e) != HL_OK) return hll_raise(L, &e);
  for (int i = 0; i < t->call.n_out; i++) bytes += hl_desc_bytes(&t->call.out[i]);
  lua_pushnumber(L, best);
  lua_pushinteger(L, (lua_Integer)bytes);
  return 2;
}

void hll_open_bench(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"machine", l_machine}, {"time_op", l_time_op}, {NULL, NULL}};
  luaL_newmetatable(L, "hilum.trial");
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
