/* Tensors in Lua: construction, indexing (1-based; parts: at.c), views, conversion, printing. */
#include "at.h"

#include <hilum/npy.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

hl_tensor *hll_check_tensor(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_TENSOR);
}
hl_tensor *hll_test_tensor(lua_State *L, int idx) {
  return hll_test(L, idx, HLL_TENSOR);
}
hl_tensor **hll_tensor_box(lua_State *L) {
  return (hl_tensor **)hll_newbox(L, HLL_TENSOR);
}

void hll_account(lua_State *L, size_t bytes) {
  static size_t since_step; /* one Lua state a process */
  since_step += bytes;
  if (since_step < ((size_t)16 << 20)) return;
  lua_gc(L, LUA_GCSTEP, (int)(since_step >> 10));
  since_step = 0;
}

static int release(lua_State *L) {
  hl_tensor **box = luaL_checkudata(L, 1, HLL_TENSOR);
  hl_tensor *t = *box;
  *box = NULL;
  hl_tensor_unref(t);
  return 0;
}

static hl_dtype check_dtype(lua_State *L, const char *name) {
  hl_dtype t = hl_dtype_by_name(name);
  if (t == HL_DTYPES)
    luaL_error(L,
               "unknown element type '%s' (known: f32, f64, bf16, i32, i16, u8, q10, q9, q8, q7)",
               name);
  return t;
}

static hl_layout check_layout(lua_State *L, const char *name) {
  if (strcmp(name, "plain") == 0) return HL_PLAIN;
  if (strcmp(name, "image") != 0) luaL_error(L, "unknown layout '%s' (known: plain, image)", name);
  return HL_IMAGE;
}

/* Options { dtype=, layout= } at idx into d. */
static void check_options(lua_State *L, int idx, hl_desc *d) {
  d->dtype = check_dtype(L, hll_opt_field(L, idx, "dtype", "f32"));
  d->layout = check_layout(L, hll_opt_field(L, idx, "layout", "plain"));
}

static hl_category check_category(lua_State *L, const char *name) {
  int c = 0;
  while (c < HL_MEM_CATEGORIES && strcmp(hl_category_name((hl_category)c), name) != 0) c++;
  if (c == HL_MEM_CATEGORIES) luaL_error(L, "unknown category of memory '%s'", name);
  return (hl_category)c;
}

/* A tensor of zeros by shape and { dtype=, layout=, category= }. */
static int new_zeros(lua_State *L, hl_status (*make)(hl_tensor **, const hl_desc *, hl_category,
                                                     const char *, hl_err *)) {
  hl_desc d;
  hll_check_shape(L, 1, &d.shape);
  check_options(L, 2, &d);
  hl_category c = check_category(L, hll_opt_field(L, 2, "category", "data"));
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (make(box, &d, c, "a tensor", &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_desc_bytes(&d));
  return 1;
}

static int l_zeros(lua_State *L) {
  return new_zeros(L, hl_tensor_zeros);
}

/* engine.shared(shape, options): what workers that begin later write, all see */
static int l_shared(lua_State *L) {
  return new_zeros(L, hl_tensor_shared);
}

/* The shape of a nested table: its lengths down the first elements. */
static void nested_shape(lua_State *L, int idx, hl_shape *s) {
  memset(s, 0, sizeof *s);
  lua_pushvalue(L, idx);
  while (lua_istable(L, -1)) {
    if (s->rank == HL_MAX_RANK) luaL_error(L, "a tensor has at most %d axes", HL_MAX_RANK);
    s->dim[s->rank++] = luaL_len(L, -1);
    lua_geti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
}

/* Copies the nested table on top of the stack into t from axis on. */
static void fill_nested(lua_State *L, hl_tensor *t, int axis, int64_t *index) {
  const hl_shape *s = hl_tensor_shape(t);
  hl_err e = {0};
  if (axis == s->rank) {
    int number = 0;
    double v = lua_tonumberx(L, -1, &number);
    if (number == 0) luaL_error(L, "a tensor is made of numbers, not of %s", luaL_typename(L, -1));
    if (hl_tensor_set(t, index, v, &e) != HL_OK) hll_raise(L, &e);
    return;
  }
  luaL_checkstack(L, 4, "nested table");
  if (!lua_istable(L, -1) || luaL_len(L, -1) != s->dim[axis])
    luaL_error(L, "axis %d: every row must have %d elements", axis + 1, (int)s->dim[axis]);
  for (int64_t i = 0; i < s->dim[axis]; i++) {
    index[axis] = i;
    lua_geti(L, -1, i + 1);
    fill_nested(L, t, axis + 1, index);
    lua_pop(L, 1);
  }
}

void hll_fill_nested(lua_State *L, hl_tensor *t) {
  int64_t index[HL_MAX_RANK] = {0};
  fill_nested(L, t, 0, index);
  lua_pop(L, 1);
}

static int l_from(lua_State *L) {
  if (!lua_isnumber(L, 1)) luaL_checktype(L, 1, LUA_TTABLE);
  hl_desc d;
  nested_shape(L, 1, &d.shape);
  check_options(L, 2, &d);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_zeros(box, &d, HL_MEM_DATA, "a tensor", &e) != HL_OK) return hll_raise(L, &e);
  lua_pushvalue(L, 1);
  hll_fill_nested(L, *box);
  hll_account(L, hl_desc_bytes(&d));
  return 1;
}

/* 1-based indices from arguments `first` on. */
static void check_index(lua_State *L, int first, int given, const hl_tensor *t, int64_t *index) {
  int rank = hl_tensor_shape(t)->rank;
  if (given != rank)
    luaL_error(L, "a tensor of %d axes takes %d indices, not %d", rank, rank, given);
  for (int i = 0; i < rank; i++) index[i] = luaL_checkinteger(L, first + i) - 1;
}

static int l_get(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  int64_t index[HL_MAX_RANK];
  check_index(L, 2, lua_gettop(L) - 1, t, index);
  double v;
  hl_err e = {0};
  if (hl_tensor_get(t, index, &v, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushnumber(L, v);
  return 1;
}

static int l_set(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  int64_t index[HL_MAX_RANK];
  check_index(L, 2, lua_gettop(L) - 2, t, index);
  double v = luaL_checknumber(L, lua_gettop(L));
  hl_err e = {0};
  if (hl_tensor_set(t, index, v, &e) != HL_OK) return hll_raise(L, &e);
  lua_settop(L, 1);
  return 1;
}

static int l_fill(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_err e = {0};
  if (hl_tensor_fill(t, luaL_checknumber(L, 2), &e) != HL_OK) return hll_raise(L, &e);
  lua_settop(L, 1);
  return 1;
}

/* t:copy_(source): values, converted to t's type. */
static int l_copy(lua_State *L) {
  hl_err e = {0};
  if (hl_tensor_copy(hll_check_tensor(L, 1), hll_check_tensor(L, 2), &e) != HL_OK)
    return hll_raise(L, &e);
  lua_settop(L, 1);
  return 1;
}

static int l_clone(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  hl_desc d = *hl_tensor_desc(t);
  if (hl_tensor_new(box, &d, hl_ledger_main(), HL_MEM_DATA, "a clone", &e) != HL_OK ||
      hl_tensor_copy(*box, t, &e) != HL_OK)
    return hll_raise(L, &e);
  hll_account(L, hl_desc_bytes(&d));
  return 1;
}

static int converted(lua_State *L, hl_tensor *t, hl_dtype type, hl_layout layout) {
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_dense(box, t, type, layout, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(*box));
  return 1;
}

static int l_to(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  return converted(L, t, check_dtype(L, luaL_checkstring(L, 2)), hl_tensor_layout(t));
}

static int l_dense(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  const char *name = hl_tensor_layout(t) == HL_IMAGE ? "image" : "plain";
  return converted(L, t, hl_tensor_dtype(t), check_layout(L, luaL_optstring(L, 2, name)));
}

/* An axis as a 1-based number, or as one of n, c, z, y, x for tensors of five axes. */
static int check_axis(lua_State *L, int idx, const hl_tensor *t) {
  int rank = hl_tensor_shape(t)->rank;
  if (lua_type(L, idx) == LUA_TSTRING && rank == 5) {
    const char *name = lua_tostring(L, idx);
    const char *at = name[0] != '\0' && name[1] == '\0' ? strchr("nczyx", name[0]) : NULL;
    if (at == NULL) luaL_argerror(L, idx, "an axis is one of n, c, z, y, x or a number");
    return (int)(at - "nczyx");
  }
  lua_Integer axis = luaL_checkinteger(L, idx);
  luaL_argcheck(L, axis >= 1 && axis <= rank, idx, "no such axis");
  return (int)axis - 1;
}

/* t:slice(axis, first, last[, step]): 1-based, both ends included; negative counts from the end. */
static int l_slice(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  int axis = check_axis(L, 2, t);
  int64_t n = hl_tensor_shape(t)->dim[axis];
  lua_Integer first = luaL_checkinteger(L, 3), last = luaL_optinteger(L, 4, first);
  lua_Integer step = luaL_optinteger(L, 5, 1);
  if (first < 0) first += n + 1;
  if (last < 0) last += n + 1;
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_slice(box, t, axis, first - 1, last, step, &e) != HL_OK) return hll_raise(L, &e);
  return 1;
}

static int l_permute(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  int order[HL_MAX_RANK], rank = hl_tensor_shape(t)->rank;
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_argcheck(L, luaL_len(L, 2) == rank, 2, "the order must name every axis once");
  for (int i = 0; i < rank; i++) {
    lua_geti(L, 2, i + 1);
    order[i] = check_axis(L, -1, t);
    lua_pop(L, 1);
  }
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_permute(box, t, order, &e) != HL_OK) return hll_raise(L, &e);
  return 1;
}

static int l_reshape(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_shape s;
  hll_check_shape(L, 2, &s);
  hl_tensor **dense = hll_tensor_box(L);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_dense(dense, t, hl_tensor_dtype(t), HL_PLAIN, &e) != HL_OK ||
      hl_tensor_reshape(box, *dense, &s, &e) != HL_OK)
    return hll_raise(L, &e);
  return 1;
}

/* A dense plain f64 copy on top of the stack, for reading elements in order. */
static const double *elements(lua_State *L, hl_tensor *t) {
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_dense(box, t, HL_F64, HL_PLAIN, &e) != HL_OK) hll_raise(L, &e);
  return hl_tensor_f64(*box);
}

static int l_table(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  int64_t n = hl_tensor_numel(t);
  const double *v = elements(L, t);
  lua_createtable(L, (int)(n < 1 << 24 ? n : 0), 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushnumber(L, v[i]);
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

static int l_stats(lua_State *L) {
  hl_stats s;
  hl_err e = {0};
  if (hl_tensor_stats(hll_check_tensor(L, 1), &s, &e) != HL_OK) return hll_raise(L, &e);
  lua_createtable(L, 0, 5);
  const struct {
    const char *name;
    double value;
  } fields[] = {{"min", s.min}, {"max", s.max}, {"mean", s.mean}};
  for (size_t i = 0; i < 3; i++) {
    lua_pushnumber(L, fields[i].value);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pushinteger(L, s.nan);
  lua_setfield(L, -2, "nan");
  lua_pushinteger(L, s.infinite);
  lua_setfield(L, -2, "infinite");
  return 1;
}

/* t:same(other): the same shape, type and numbers; NaN is the same as NaN. */
static int l_same(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1), *other = hll_check_tensor(L, 2);
  bool same = hl_tensor_dtype(t) == hl_tensor_dtype(other) &&
              hl_shape_equal(hl_tensor_shape(t), hl_tensor_shape(other));
  const double *a = same ? elements(L, t) : NULL, *b = same ? elements(L, other) : NULL;
  for (int64_t i = 0; same && i < hl_tensor_numel(t); i++)
    same = a[i] == b[i] || (isnan(a[i]) && isnan(b[i]));
  lua_pushboolean(L, same);
  return 1;
}

/* t:near(other, tolerance): true if no difference is above tolerance (default 1e-6) times the
 * largest number of other; then the largest difference relative to it. */
static int l_near(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1), *other = hll_check_tensor(L, 2);
  double tolerance = luaL_optnumber(L, 3, 1e-6), worst = 0, largest = 0;
  char here[HL_DESC_TEXT], there[HL_DESC_TEXT];
  if (!hl_shape_equal(hl_tensor_shape(t), hl_tensor_shape(other)))
    return luaL_error(L, "near: %s and %s have different shapes",
                      hl_desc_text(hl_tensor_desc(t), here),
                      hl_desc_text(hl_tensor_desc(other), there));
  const double *a = elements(L, t), *b = elements(L, other);
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) {
    double off = a[i] == b[i] ? 0 : fabs(a[i] - b[i]);
    worst = isnan(off) ? INFINITY : fmax(worst, off);
    if (isfinite(b[i])) largest = fmax(largest, fabs(b[i]));
  }
  double relative = largest > 0 ? worst / largest : worst;
  lua_pushboolean(L, relative <= tolerance);
  lua_pushnumber(L, relative);
  return 2;
}

/* engine.npy_read(path) -> tensor, or nil and an error */
static int l_npy_read(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_npy_read(box, path, &e) != HL_OK) return hll_fail(L, &e);
  hll_account(L, hl_tensor_bytes(*box));
  return 1;
}

/* t:npy_write(path) -> true, or nil and an error */
static int l_npy_write(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_err e = {0};
  if (hl_npy_write(luaL_checkstring(L, 2), t, &e) != HL_OK) return hll_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

/* Raw bytes in row-major order, for hashing. */
static int l_bytes(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_dense(box, t, hl_tensor_dtype(t), HL_PLAIN, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushlstring(L, hl_tensor_data(*box), hl_tensor_bytes(*box));
  return 1;
}

static int l_len(lua_State *L) {
  lua_pushinteger(L, hl_tensor_numel(hll_check_tensor(L, 1)));
  return 1;
}

static int l_index(lua_State *L) {
  void **box = luaL_checkudata(L, 1, HLL_TENSOR);
  if (lua_type(L, 2) == LUA_TNUMBER || lua_istable(L, 2)) return hll_tensor_at(L);
  const char *key = luaL_checkstring(L, 2);
  luaL_getmetafield(L, 1, "methods");
  if (lua_getfield(L, -1, key) != LUA_TNIL) return 1;
  if (*box == NULL) return luaL_error(L, "this tensor was already released");
  const hl_tensor *t = *box;
  if (strcmp(key, "shape") == 0)
    hll_push_shape(L, hl_tensor_shape(t));
  else if (strcmp(key, "dtype") == 0)
    lua_pushstring(L, hl_dtype_name(hl_tensor_dtype(t)));
  else if (strcmp(key, "layout") == 0)
    lua_pushstring(L, hl_tensor_layout(t) == HL_IMAGE ? "image" : "plain");
  else if (strcmp(key, "bytes") == 0)
    lua_pushinteger(L, (lua_Integer)hl_tensor_bytes(t));
  else
    lua_pushnil(L);
  return 1;
}

enum { SHOWN_ROWS = 8, SHOWN_COLUMNS = 8 };

/* Rows of the last two axes, the first ones only. */
static void add_values(lua_State *L, luaL_Buffer *b, const hl_shape *s, const double *v) {
  (void)L;
  int64_t columns = s->rank > 0 ? s->dim[s->rank - 1] : 1;
  int64_t rows = s->rank > 1 ? s->dim[s->rank - 2] : 1;
  char text[32];
  for (int64_t y = 0; y < rows && y < SHOWN_ROWS; y++) {
    luaL_addstring(b, "\n ");
    for (int64_t x = 0; x < columns && x < SHOWN_COLUMNS; x++) {
      snprintf(text, sizeof text, " %10.4g", v[y * columns + x]);
      luaL_addstring(b, text);
    }
    if (columns > SHOWN_COLUMNS) luaL_addstring(b, "  …");
  }
  if (rows > SHOWN_ROWS) luaL_addstring(b, "\n  …");
}

static int l_tostring(lua_State *L) {
  hl_tensor *t = hll_test_tensor(L, 1);
  if (t == NULL) {
    lua_pushliteral(L, "tensor (released)");
    return 1;
  }
  char text[HL_DESC_TEXT], line[160];
  hl_stats s;
  hl_err e = {0};
  if (hl_tensor_stats(t, &s, &e) != HL_OK) return hll_raise(L, &e);
  const double *v = hl_tensor_numel(t) <= 4096 ? elements(L, t) : NULL;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, hl_desc_text(hl_tensor_desc(t), text));
  if (hl_tensor_numel(t) > 1) {
    snprintf(line, sizeof line, "  min %.4g  mean %.4g  max %.4g", s.min, s.mean, s.max);
    luaL_addstring(&b, line);
  }
  if (s.nan + s.infinite > 0) {
    snprintf(line, sizeof line, "  %lld NaN, %lld infinite", (long long)s.nan,
             (long long)s.infinite);
    luaL_addstring(&b, line);
  }
  if (v != NULL && hl_tensor_numel(t) > 0) add_values(L, &b, hl_tensor_shape(t), v);
  luaL_pushresult(&b);
  return 1;
}

/* Calls an op with the values on the stack, one or two. */
static int by_op(lua_State *L, const char *name) {
  int n = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "hilum.engine") != LUA_TTABLE || lua_getfield(L, -1, "op") != LUA_TTABLE)
    return luaL_error(L, "hilum.engine is not loaded");
  lua_getfield(L, -1, name);
  for (int i = 1; i <= n; i++) lua_pushvalue(L, i);
  lua_call(L, n, 1);
  return 1;
}

static int l_add(lua_State *L) {
  return by_op(L, "add");
}
static int l_sub(lua_State *L) {
  return by_op(L, "sub");
}
static int l_mul(lua_State *L) {
  return by_op(L, "mul");
}
static int l_div(lua_State *L) {
  return by_op(L, "div");
}
static int l_unm(lua_State *L) {
  lua_settop(L, 1);
  return by_op(L, "neg");
}

void hll_open_tensor(lua_State *L) {
  static const luaL_Reg methods[] = {{"get", l_get},
                                     {"set", l_set},
                                     {"fill", l_fill},
                                     {"copy_", l_copy},
                                     {"clone", l_clone},
                                     {"to", l_to},
                                     {"dense", l_dense},
                                     {"slice", l_slice},
                                     {"permute", l_permute},
                                     {"reshape", l_reshape},
                                     {"table", l_table},
                                     {"stats", l_stats},
                                     {"raw", l_bytes},
                                     {"at", hll_tensor_at},
                                     {"same", l_same},
                                     {"near", l_near},
                                     {"npy_write", l_npy_write},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__index", l_index}, {"__newindex", hll_tensor_assign},
                                  {"__len", l_len},     {"__tostring", l_tostring},
                                  {"__add", l_add},     {"__sub", l_sub},
                                  {"__mul", l_mul},     {"__div", l_div},
                                  {"__unm", l_unm},     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"zeros", l_zeros},
                                       {"shared", l_shared},
                                       {"from", l_from},
                                       {"npy_read", l_npy_read},
                                       {NULL, NULL}};
  hll_type(L, HLL_TENSOR, methods, meta, release);
  luaL_setfuncs(L, functions, 0);
}
