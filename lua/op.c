/* engine.op.NAME(inputs…, { attribute = … }) for every op of the table.
 *
 * On tensors the op is computed at once; if one of the inputs is a value of a program, the op is
 * emitted into that program and tensors and numbers among the inputs become constants of it. */
#include "glue.h"

#include <hilum/program.h>

#include <string.h>

/* Numbers of one attribute from the Lua value on top of the stack; returns how many. */
static int attr_values(lua_State *L, const hl_op *op, const hl_attr *a, double v[HL_MAX_PARTS]) {
  static const char axes[] = "nczyx";
  bool is_axes = a->kind == HL_A_AXES || a->kind == HL_A_ORDER;
  if (lua_isboolean(L, -1) && a->kind == HL_A_BOOL) {
    v[0] = lua_toboolean(L, -1);
    return 1;
  }
  if (is_axes && lua_type(L, -1) == LUA_TSTRING) {
    const char *names = lua_tostring(L, -1);
    bool ordered = a->kind == HL_A_ORDER;
    const char *from = ordered ? names : axes, *among = ordered ? axes : names;
    int n = 0;
    for (; *from != '\0' && n < HL_MAX_PARTS; from++)
      if (strchr(among, *from) != NULL) v[n++] = (double)(strchr(axes, *from) - axes);
    if (n != (int)strlen(names))
      luaL_error(L, "%s: %s names axes among n, c, z, y, x, not '%s'", op->name, a->name, names);
    return n;
  }
  if (a->kind == HL_A_CHOICE) {
    v[0] = lua_type(L, -1) == LUA_TSTRING ? hl_attr_choice(a, lua_tostring(L, -1)) : -1;
    return 1;
  }
  int n = 0;
  if (lua_isnumber(L, -1)) {
    v[n++] = lua_tonumber(L, -1);
  } else if (lua_istable(L, -1)) {
    lua_Integer count = luaL_len(L, -1);
    if (count > HL_MAX_PARTS)
      luaL_error(L, "%s: %s takes at most %d values", op->name, a->name, HL_MAX_PARTS);
    for (; n < count; n++) {
      lua_geti(L, -1, n + 1);
      int number = 0;
      v[n] = lua_tonumberx(L, -1, &number);
      if (number == 0) luaL_error(L, "%s: %s[%d] must be a number", op->name, a->name, n + 1);
      lua_pop(L, 1);
    }
  } else {
    luaL_error(L, "%s: %s must be a number or a list of numbers, not %s", op->name, a->name,
               luaL_typename(L, -1));
  }
  for (int i = 0; is_axes && i < n; i++) v[i] -= 1;
  return n;
}

static const hl_attr *attr_named(const hl_op *op, const char *name) {
  for (const hl_attr *a = op->attrs; a != NULL && a->name != NULL; a++)
    if (strcmp(a->name, name) == 0) return a;
  return NULL;
}

/* The attribute struct in a fresh userdata on the stack, from the table at idx (0: none). */
static void *check_attrs(lua_State *L, const hl_op *op, int idx) {
  void *attrs = lua_newuserdatauv(L, op->attr_size == 0 ? 1 : op->attr_size, 0);
  memset(attrs, 0, op->attr_size);
  hl_err e = {0};
  uint32_t given = 0;
  if (idx != 0) {
    for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "%s: attributes have names, not %s", op->name, luaL_typename(L, -2));
      const char *name = lua_tostring(L, -2);
      const hl_attr *a = attr_named(op, name);
      double v[HL_MAX_PARTS] = {0};
      int n = a == NULL ? 0 : attr_values(L, op, a, v);
      if (hl_attr_set(op, attrs, &given, name, n, v, &e) != HL_OK) hll_raise(L, &e);
    }
  }
  if (hl_attrs_end(op, attrs, given, &e) != HL_OK) hll_raise(L, &e);
  return attrs;
}

/* The type that plain numbers among the inputs take: that of the first tensor or value. */
static hl_dtype number_dtype(lua_State *L, int n) {
  for (int i = 1; i <= n; i++) {
    hl_tensor *t = hll_test_tensor(L, i);
    int32_t var;
    hl_program *p = hll_test_value(L, i, &var);
    if (t != NULL) return hl_tensor_dtype(t);
    if (p != NULL) return hl_program_desc(p, var)->dtype;
  }
  return HL_F32;
}

/* Replaces numbers among arguments 1 … n by one-element tensors and drops nils; returns the new n.
 */
static int tidy_inputs(lua_State *L, const hl_op *op, int n) {
  int kept = 0;
  hl_dtype type = number_dtype(L, n);
  for (int i = 1; i <= n; i++) {
    if (lua_isnil(L, i)) continue;
    kept++;
    if (lua_isnumber(L, i)) {
      hl_desc d = {.dtype = type, .layout = HL_PLAIN, .shape = {.rank = 0}};
      hl_err e = {0};
      double v = lua_tonumber(L, i);
      hl_tensor **box = hll_tensor_box(L);
      if (hl_tensor_zeros(box, &d, HL_MEM_DATA, "a number", &e) != HL_OK ||
          hl_tensor_fill(*box, v, &e) != HL_OK)
        return hll_raise(L, &e);
      lua_replace(L, kept);
    } else if (kept != i) {
      lua_pushvalue(L, i);
      lua_replace(L, kept);
    }
  }
  if (kept < op->min_in || kept > op->max_in)
    luaL_error(L, "%s takes %d to %d inputs (%s), not %d", op->name, op->min_in, op->max_in,
               op->args, kept);
  return kept;
}

static int run_eager(lua_State *L, const hl_op *op, const void *attrs, int n) {
  hl_tensor *in[HL_MAX_ARGS], *out[HL_MAX_ARGS];
  for (int i = 0; i < n; i++) in[i] = hll_check_tensor(L, i + 1);
  /* Boxes first: as many as the shape rule says. */
  hl_err e = {0};
  hl_call c = {.op = op, .attrs = attrs, .n_in = n};
  for (int i = 0; i < n; i++) c.in[i] = *hl_tensor_desc(in[i]);
  if (hl_call_shape(&c, &e) != HL_OK) return hll_raise(L, &e);
  luaL_checkstack(L, c.n_out + 4, op->name);
  hl_tensor **box[HL_MAX_ARGS];
  for (int i = 0; i < c.n_out; i++) box[i] = hll_tensor_box(L);
  int n_out;
  hl_status s = hl_op_eager(op, attrs, n, in, &n_out, out, &e);
  if (s == HL_ENOMEM) { /* what the collector still holds may be enough */
    lua_gc(L, LUA_GCCOLLECT);
    e = (hl_err){0};
    s = hl_op_eager(op, attrs, n, in, &n_out, out, &e);
  }
  if (s != HL_OK) return hll_raise(L, &e);
  size_t bytes = 0;
  for (int i = 0; i < n_out; i++) {
    *box[i] = out[i];
    bytes += hl_tensor_bytes(out[i]);
  }
  hll_account(L, bytes);
  lua_pop(L, op->hidden);
  return n_out - op->hidden;
}

static int emit_op(lua_State *L, hl_program *p, int owner, const hl_op *op, const void *attrs,
                   int n) {
  hl_var in[HL_MAX_ARGS], out[HL_MAX_ARGS];
  hl_err e = {0};
  hl_call c = {.op = op, .attrs = attrs, .n_in = n};
  for (int i = 0; i < n; i++) {
    hl_program *q = hll_test_value(L, i + 1, &in[i]);
    if (q != NULL && q != p)
      return luaL_error(L, "%s: input %d belongs to another program", op->name, i + 1);
    if (q == NULL &&
        hl_program_bind(p, "constant", hll_check_tensor(L, i + 1), false, &in[i], &e) != HL_OK)
      return hll_raise(L, &e);
    c.in[i] = *hl_program_desc(p, in[i]);
  }
  /* The number of results is asked of the shape rule; its error is raised by hl_emit with the
   * place. */
  hl_err quiet = {0};
  int n_out = hl_call_shape(&c, &quiet) == HL_OK ? c.n_out : 0;
  if (hl_emit(p, op, attrs, n, in, n_out, out, &e) != HL_OK) return hll_raise(L, &e);
  luaL_checkstack(L, n_out + 4, op->name);
  for (int i = 0; i < n_out - op->hidden; i++) hll_push_value(L, owner, out[i]);
  return n_out - op->hidden;
}

static int l_call(lua_State *L) {
  const hl_op *op = lua_touserdata(L, lua_upvalueindex(1));
  int n = lua_gettop(L), table = 0;
  if (n > 0 && lua_istable(L, n)) table = n--;
  if (n > HL_MAX_ARGS) return luaL_error(L, "%s: too many inputs", op->name);
  luaL_checkstack(L, 8, op->name);
  const void *attrs = check_attrs(L, op, table);
  n = tidy_inputs(L, op, n);
  for (int i = 1; i <= n; i++) {
    hl_var v;
    hl_program *p = hll_test_value(L, i, &v);
    if (p != NULL) return emit_op(L, p, i, op, attrs, n);
  }
  return run_eager(L, op, attrs, n);
}

static const char *kind_name(hl_attr_kind k) {
  static const char *const names[] = {"int",  "real", "bool",  "real3", "int3",
                                      "ints", "axes", "order", "choice"};
  return names[k];
}

/* engine.ops(): the table as data: name, brief, math, args, types, attributes; for help and for
 * tests. */
static int l_ops(lua_State *L) {
  lua_newtable(L);
  for (int i = 0, listed = 0; i < hl_op_count(); i++) {
    const hl_op *op = hl_op_at(i);
    if (op->internal) continue;
    lua_createtable(L, 0, 7);
    const char *const texts[] = {op->name, op->brief, op->math, op->args};
    static const char *const names[] = {"name", "brief", "math", "args"};
    for (int k = 0; k < 4; k++) {
      lua_pushstring(L, texts[k]);
      lua_setfield(L, -2, names[k]);
    }
    lua_pushboolean(L, op->mutates == 0);
    lua_setfield(L, -2, "bf16");
    lua_pushinteger(L, op->kept_f32);
    lua_setfield(L, -2, "kept_f32");
    lua_newtable(L);
    int n = 0;
    for (const hl_attr *a = op->attrs; a != NULL && a->name != NULL; a++) {
      lua_createtable(L, 0, 4);
      lua_pushstring(L, a->name);
      lua_setfield(L, -2, "name");
      lua_pushstring(L, kind_name(a->kind));
      lua_setfield(L, -2, "kind");
      lua_pushstring(L, a->fallback);
      lua_setfield(L, -2, "default");
      lua_pushstring(L, a->doc);
      lua_setfield(L, -2, "doc");
      lua_seti(L, -2, ++n);
    }
    lua_setfield(L, -2, "attributes");
    lua_seti(L, -2, ++listed);
  }
  return 1;
}

void hll_open_op(lua_State *L) {
  static const luaL_Reg functions[] = {{"ops", l_ops}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_createtable(L, 0, hl_op_count());
  for (int i = 0; i < hl_op_count(); i++) {
    const hl_op *op = hl_op_at(i);
    if (op->internal) continue;
    lua_pushlightuserdata(L, (void *)op);
    lua_pushcclosure(L, l_call, 1);
    lua_setfield(L, -2, op->name);
  }
  lua_setfield(L, -2, "op");
}
