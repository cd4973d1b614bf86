/* Programs and their values in Lua. stdlib/hilum/nn builds models on these few methods. */
#include "at.h"

#include <string.h>

#define HLL_PROGRAM "hilum.program"
#define HLL_VALUE "hilum.value"

/* A value: an index; its user value 1 is the program's box, which it keeps alive. */
typedef struct value {
  hl_var var;
} value;

static hl_program *check_program(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_PROGRAM);
}

hl_program *hll_test_value(lua_State *L, int idx, int32_t *var) {
  const value *v = luaL_testudata(L, idx, HLL_VALUE);
  *var = HL_NO_VAR;
  if (v == NULL) return NULL;
  lua_getiuservalue(L, idx, 1);
  hl_program *p = hll_test(L, -1, HLL_PROGRAM);
  lua_pop(L, 1);
  *var = v->var;
  return p;
}

void hll_push_value(lua_State *L, int owner, int32_t var) {
  owner = lua_absindex(L, owner);
  value *v = lua_newuserdatauv(L, sizeof *v, 1);
  v->var = var;
  if (luaL_testudata(L, owner, HLL_PROGRAM) != NULL)
    lua_pushvalue(L, owner);
  else
    lua_getiuservalue(L, owner, 1);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, HLL_VALUE);
}

/* The value at idx, which must belong to p. */
static hl_var check_value(lua_State *L, int idx, const hl_program *p) {
  hl_var v;
  hl_program *q = hll_test_value(L, idx, &v);
  if (q == NULL) luaL_typeerror(L, idx, "program value");
  if (q != p) luaL_argerror(L, idx, "this value belongs to another program");
  return v;
}

/* A list of values at idx; returns how many (at most HL_MAX_ARGS). */
static int check_values(lua_State *L, int idx, const hl_program *p, hl_var *out, int most) {
  luaL_checktype(L, idx, LUA_TTABLE);
  lua_Integer n = luaL_len(L, idx);
  if (n > most) luaL_argerror(L, idx, "too many values");
  for (int i = 0; i < n; i++) {
    lua_geti(L, idx, i + 1);
    out[i] = check_value(L, -1, p);
    lua_pop(L, 1);
  }
  return (int)n;
}

static void push_values(lua_State *L, int owner, int n, const hl_var *v) {
  owner = lua_absindex(L, owner);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    hll_push_value(L, owner, v[i]);
    lua_seti(L, -2, i + 1);
  }
}

static int release(lua_State *L) {
  hl_program **box = luaL_checkudata(L, 1, HLL_PROGRAM);
  hl_program *p = *box;
  *box = NULL;
  hl_program_free(p);
  return 0;
}

static int l_new(lua_State *L) {
  bool live = false;
  if (lua_istable(L, 1)) {
    lua_getfield(L, 1, "live");
    live = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  hl_program **box = (hl_program **)hll_newbox(L, HLL_PROGRAM);
  hl_err e = {0};
  return hl_program_new(box, live, &e) == HL_OK ? 1 : hll_raise(L, &e);
}

/* p:input(name, shape, { dtype=, layout= }) */
static int l_input(lua_State *L) {
  hl_program *p = check_program(L, 1);
  const char *name = luaL_checkstring(L, 2);
  hl_desc d = {.dtype = hl_dtype_by_name(hll_opt_field(L, 4, "dtype", "f32"))};
  hll_check_shape(L, 3, &d.shape);
  d.layout = strcmp(hll_opt_field(L, 4, "layout", "plain"), "image") == 0 ? HL_IMAGE : HL_PLAIN;
  if (d.dtype == HL_DTYPES) return luaL_argerror(L, 4, "unknown element type");
  hl_var v;
  hl_err e = {0};
  if (hl_program_input(p, name, &d, &v, &e) != HL_OK) return hll_raise(L, &e);
  hll_push_value(L, 1, v);
  return 1;
}

/* p:bind(name, tensor, trainable) */
static int l_bind(lua_State *L) {
  hl_program *p = check_program(L, 1);
  hl_var v;
  hl_err e = {0};
  if (hl_program_bind(p, luaL_checkstring(L, 2), hll_check_tensor(L, 3), lua_toboolean(L, 4), &v,
                      &e) != HL_OK)
    return hll_raise(L, &e);
  hll_push_value(L, 1, v);
  return 1;
}

static int l_enter(lua_State *L) {
  hl_err e = {0};
  if (hl_program_enter(check_program(L, 1), luaL_checkstring(L, 2), &e) != HL_OK)
    return hll_raise(L, &e);
  return 0;
}

static int l_leave(lua_State *L) {
  hl_program_leave(check_program(L, 1));
  return 0;
}

/* p:block_begin({inputs}, rebuild) … p:block_turn({outputs}) -> {placeholders} …
 * p:block_end({rebuilt}) */
static int l_block_begin(lua_State *L) {
  hl_program *p = check_program(L, 1);
  hl_var in[HL_MAX_ARGS];
  int n = check_values(L, 2, p, in, HL_MAX_ARGS);
  hl_err e = {0};
  if (hl_block_begin(p, n, in, lua_toboolean(L, 3), &e) != HL_OK) return hll_raise(L, &e);
  return 0;
}

/* p:custom_begin({inputs}) … p:block_turn({outputs}) -> {gradients that arrive} …
 * p:block_end({inputs' gradients}) */
static int l_custom_begin(lua_State *L) {
  hl_program *p = check_program(L, 1);
  hl_var in[HL_MAX_ARGS];
  int n = check_values(L, 2, p, in, HL_MAX_ARGS);
  hl_err e = {0};
  if (hl_custom_begin(p, n, in, &e) != HL_OK) return hll_raise(L, &e);
  return 0;
}

static int l_block_turn(lua_State *L) {
  hl_program *p = check_program(L, 1);
  hl_var out[HL_MAX_ARGS], placeholder[HL_MAX_ARGS];
  int n = check_values(L, 2, p, out, HL_MAX_ARGS);
  hl_err e = {0};
  if (hl_block_turn(p, n, out, placeholder, &e) != HL_OK) return hll_raise(L, &e);
  push_values(L, 1, n, placeholder);
  return 1;
}

static int l_block_end(lua_State *L) {
  hl_program *p = check_program(L, 1);
  hl_var in[HL_MAX_ARGS];
  int n = check_values(L, 2, p, in, HL_MAX_ARGS);
  hl_err e = {0};
  if (hl_block_end(p, n, in, &e) != HL_OK) return hll_raise(L, &e);
  return 0;
}

/* p:again_begin(), p:again_end(): the ops between them are computed again for the gradient */
static int l_again_begin(lua_State *L) {
  hl_err e = {0};
  if (hl_again_begin(check_program(L, 1), &e) != HL_OK) return hll_raise(L, &e);
  return 0;
}

static int l_again_end(lua_State *L) {
  hl_err e = {0};
  if (hl_again_end(check_program(L, 1), &e) != HL_OK) return hll_raise(L, &e);
  return 0;
}

/* p:gradient(loss, {values}) -> {gradients} */
static int l_gradient(lua_State *L) {
  hl_program *p = check_program(L, 1);
  hl_var loss = check_value(L, 2, p);
  luaL_checktype(L, 3, LUA_TTABLE);
  int n = (int)luaL_len(L, 3);
  hl_var *wrt = lua_newuserdatauv(L, (size_t)(2 * n + 1) * sizeof *wrt, 0);
  check_values(L, 3, p, wrt, n);
  hl_err e = {0};
  if (hl_program_gradient(p, loss, n, wrt, wrt + n, &e) != HL_OK) return hll_raise(L, &e);
  push_values(L, 1, n, wrt + n);
  return 1;
}

/* p:output(value, category): "state" (default), "gradients", "data" */
static int l_output(lua_State *L) {
  hl_program *p = check_program(L, 1);
  const char *name = luaL_optstring(L, 3, "state");
  int c = 0;
  while (c < HL_MEM_CATEGORIES && strcmp(hl_category_name((hl_category)c), name) != 0) c++;
  luaL_argcheck(L, c < HL_MEM_CATEGORIES, 3, "no such category of memory");
  hl_err e = {0};
  if (hl_program_output(p, check_value(L, 2, p), (hl_category)c, &e) != HL_OK)
    return hll_raise(L, &e);
  lua_pushinteger(L, hl_program_output_count(p)); /* its position among the results */
  return 1;
}

static int l_finish(lua_State *L) {
  hl_err e = {0};
  if (hl_program_finish(check_program(L, 1), &e) != HL_OK) return hll_raise(L, &e);
  lua_settop(L, 1);
  return 1;
}

/* ---- watching a run ---- */

static void push_tensors(lua_State *L, int n, hl_tensor *const *list) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    hl_tensor **box = hll_tensor_box(L);
    *box = hl_tensor_ref(list[i]);
    lua_seti(L, -2, i + 1);
  }
}

/* Calls the function at stack index 3 of the call in progress. */
static int call_observer(lua_State *L) {
  const hl_step *step = lua_touserdata(L, 2);
  lua_pushvalue(L, 1);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, step->op);
  lua_setfield(L, -2, "op");
  lua_pushstring(L, step->place);
  lua_setfield(L, -2, "place");
  lua_pushboolean(L, step->backward);
  lua_setfield(L, -2, "backward");
  lua_pushnumber(L, step->seconds);
  lua_setfield(L, -2, "seconds");
  lua_pushinteger(L, (lua_Integer)step->live);
  lua_setfield(L, -2, "live");
  lua_pushinteger(L, (lua_Integer)step->block);
  lua_setfield(L, -2, "block");
  push_tensors(L, step->n_in, step->in);
  lua_setfield(L, -2, "input");
  push_tensors(L, step->n_out, step->out);
  lua_setfield(L, -2, "out");
  lua_call(L, 1, 1);
  return 1;
}

/* What the observer returns, unless it is nothing, ends the run, and so does an error. */
static hl_status observe(void *ctx, const hl_step *step, hl_err *e) {
  lua_State *L = ctx;
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_observer);
  lua_pushvalue(L, 3);
  lua_pushlightuserdata(L, (void *)(uintptr_t)step);
  hl_status s = HL_OK;
  bool raised = lua_pcall(L, 2, 1, 0) != LUA_OK;
  if (raised || lua_toboolean(L, -1))
    s = hl_fail(e, raised ? HL_EINVAL : HL_ECANCELLED, "%s", luaL_tolstring(L, -1, NULL));
  lua_settop(L, top);
  return s;
}

enum { MOST_TENSORS = 4096 };

/* Runs, with the observer at stack index 3 if there is one. */
static hl_status run_program(lua_State *L, hl_program *p, int n_in, hl_tensor **in, int n_out,
                             hl_tensor **out, hl_err *e) {
  if (lua_isfunction(L, 3)) hl_program_observe(p, observe, L);
  hl_status s = hl_program_run(p, n_in, in, n_out, out, e);
  hl_program_observe(p, NULL, NULL);
  return s;
}

/* p:run({tensors}[, observer]) -> {tensors}. observer({ op, place, backward, seconds, input,
 * out }) is called after each op, with lists of tensors that later ops may overwrite; if it returns
 * something but nil and false, the run ends and that is the message. Cancellation, by it too,
 * returns nil and an error with code "cancelled". */
static int l_run(lua_State *L) {
  hl_program *p = check_program(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  lua_Integer n_in = luaL_len(L, 2);
  int n_out = hl_program_output_count(p);
  luaL_argcheck(L, n_in <= MOST_TENSORS && n_out <= MOST_TENSORS, 2, "too many tensors");
  hl_tensor **list = lua_newuserdatauv(L, (size_t)(n_in + n_out + 1) * sizeof *list, 0);
  for (int i = 0; i < n_in; i++) {
    lua_geti(L, 2, i + 1);
    list[i] = hll_check_tensor(L, -1);
    lua_pop(L, 1); /* the table keeps it alive */
  }
  hl_tensor **out = list + n_in;
  lua_createtable(L, n_out, 0);
  int results = lua_gettop(L);
  for (int i = 0; i < n_out; i++) {
    hll_tensor_box(L);
    lua_seti(L, results, i + 1);
  }
  hl_err e = {0};
  hl_status s = run_program(L, p, (int)n_in, list, n_out, out, &e);
  if (s == HL_ENOMEM) {
    lua_gc(L, LUA_GCCOLLECT);
    e = (hl_err){0};
    s = run_program(L, p, (int)n_in, list, n_out, out, &e);
  }
  if (s == HL_ECANCELLED) return hll_fail(L, &e);
  if (s != HL_OK) return hll_raise(L, &e);
  size_t bytes = 0;
  for (int i = 0; i < n_out; i++) {
    lua_geti(L, results, i + 1);
    hl_tensor **box = lua_touserdata(L, -1);
    *box = out[i];
    bytes += hl_tensor_bytes(out[i]);
    lua_pop(L, 1);
  }
  hll_account(L, bytes);
  return 1;
}

/* p:clipped() -> { [place] = fixed-point numbers that were cut off there in the last run } */
static int l_clipped(lua_State *L) {
  const hl_program *p = check_program(L, 1);
  const char *path;
  int64_t count;
  lua_newtable(L);
  for (int at = 0; hl_program_clipped(p, &at, &path, &count);) {
    lua_getfield(L, -1, path); /* a place that was entered twice */
    lua_pushinteger(L, (lua_Integer)count + lua_tointeger(L, -1));
    lua_setfield(L, -3, path);
    lua_pop(L, 1);
  }
  return 1;
}

static int l_plan(lua_State *L) {
  hl_plan plan;
  hl_err e = {0};
  if (hl_program_plan(check_program(L, 1), &plan, &e) != HL_OK) return hll_raise(L, &e);
  lua_createtable(L, 0, 3);
  lua_createtable(L, 0, HL_MEM_CATEGORIES + 1);
  for (int c = 0; c <= HL_MEM_CATEGORIES; c++) {
    lua_pushinteger(L, (lua_Integer)plan.peak[c]);
    lua_setfield(L, -2, hl_category_name((hl_category)c));
  }
  lua_setfield(L, -2, "peak");
  lua_pushstring(L, plan.where);
  lua_setfield(L, -2, "where");
  lua_pushinteger(L, plan.ops);
  lua_setfield(L, -2, "ops");
  return 1;
}

/* p:listing() -> list of lines, one per op */
static int l_listing(lua_State *L) {
  hl_program *p = check_program(L, 1);
  lua_newtable(L);
  for (int i = 0; i < hl_program_op_count(p); i++) {
    lua_pushstring(L, hl_program_op_text(p, i));
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

/* v:tensor(): the numbers behind a value of a tape. */
static int l_value_tensor(lua_State *L) {
  hl_var v;
  hl_program *p = hll_test_value(L, 1, &v);
  if (p == NULL) return luaL_typeerror(L, 1, "program value");
  hl_tensor *t = hl_program_tensor(p, v);
  if (t == NULL)
    return luaL_error(L, "this value is only traced: it has a shape and no numbers yet");
  hl_tensor **box = hll_tensor_box(L);
  *box = hl_tensor_ref(t);
  return 1;
}

static int l_value_index(lua_State *L) {
  hl_var v;
  hl_program *p = hll_test_value(L, 1, &v);
  const char *key = luaL_checkstring(L, 2);
  luaL_getmetafield(L, 1, "methods");
  if (lua_getfield(L, -1, key) != LUA_TNIL) return 1;
  const hl_desc *d = p == NULL ? NULL : hl_program_desc(p, v);
  if (d == NULL) return luaL_error(L, "the program of this value was released");
  if (strcmp(key, "shape") == 0)
    hll_push_shape(L, &d->shape);
  else if (strcmp(key, "dtype") == 0)
    lua_pushstring(L, hl_dtype_name(d->dtype));
  else if (strcmp(key, "layout") == 0)
    lua_pushstring(L, d->layout == HL_IMAGE ? "image" : "plain");
  else if (strcmp(key, "program") == 0)
    lua_getiuservalue(L, 1, 1);
  else
    lua_pushnil(L);
  return 1;
}

static int l_value_text(lua_State *L) {
  hl_var v;
  hl_program *p = hll_test_value(L, 1, &v);
  char text[HL_DESC_TEXT];
  if (p == NULL)
    lua_pushliteral(L, "value of a released program");
  else
    lua_pushfstring(L, "%%%d %s", v, hl_desc_text(hl_program_desc(p, v), text));
  return 1;
}

void hll_open_program(lua_State *L) {
  static const luaL_Reg methods[] = {{"input", l_input},
                                     {"bind", l_bind},
                                     {"enter", l_enter},
                                     {"leave", l_leave},
                                     {"block_begin", l_block_begin},
                                     {"custom_begin", l_custom_begin},
                                     {"block_turn", l_block_turn},
                                     {"block_end", l_block_end},
                                     {"again_begin", l_again_begin},
                                     {"again_end", l_again_end},
                                     {"gradient", l_gradient},
                                     {"output", l_output},
                                     {"finish", l_finish},
                                     {"run", l_run},
                                     {"plan", l_plan},
                                     {"clipped", l_clipped},
                                     {"listing", l_listing},
                                     {NULL, NULL}};
  static const luaL_Reg value_methods[] = {
      {"tensor", l_value_tensor}, {"at", hll_value_at}, {NULL, NULL}};
  static const luaL_Reg value_meta[] = {
      {"__index", l_value_index}, {"__tostring", l_value_text}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"program", l_new}, {NULL, NULL}};
  static const char *const arithmetic[] = {"__add", "__sub", "__mul", "__div", "__unm"};
  hll_type(L, HLL_PROGRAM, methods, NULL, release);
  hll_type(L, HLL_VALUE, value_methods, value_meta, NULL);
  luaL_getmetatable(L, HLL_VALUE); /* arithmetic of values is that of tensors */
  luaL_getmetatable(L, HLL_TENSOR);
  for (size_t i = 0; i < sizeof arithmetic / sizeof arithmetic[0]; i++) {
    lua_getfield(L, -1, arithmetic[i]);
    lua_setfield(L, -3, arithmetic[i]);
  }
  lua_pop(L, 2);
  luaL_setfuncs(L, functions, 0);
}
