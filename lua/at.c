/* Parts of tensors and of program values in Lua:
 *
 *   t:at{ 2, "1:3", ":" }      or t[{ 2, "1:3", ":" }]; t[2] is t:at{ 2 }
 *   t:at{ c = 1, z = "2:-1" }  axes by name, for tensors of five axes
 *
 * One selector per axis, in order; axes that are not mentioned are taken whole. A number takes one
 * element and drops the axis; "first:last" or "first:last:step" keeps it, as does { first, last,
 * step }. Elements count from 1, both ends are included, negative numbers count from the end, and
 * either end may be left out. Parts of a tensor are views: they share its storage. Where every axis
 * is given a number, at gives a number. Assignment, t[…] = x, fills with a number or copies a
 * tensor of the part's shape or a nested table. */
#include "at.h"

#include <stdlib.h>
#include <string.h>

typedef struct selector {
  int64_t first, last, step; /* 0-based, last included */
  bool drop;
} selector;

typedef struct selection {
  int rank, dropped;
  selector axis[HL_MAX_RANK];
} selection;

/* A 1-based number, or one from the end, as a 0-based one. */
static int64_t element(lua_State *L, int64_t i, int axis, int64_t size) {
  int64_t at = i < 0 ? i + size : i - 1;
  if (i == 0 || at < 0 || at >= size)
    luaL_error(L, "axis %d has the elements 1 to %I: there is no element %I", axis + 1,
               (LUAI_UACINT)size, (LUAI_UACINT)i);
  return at;
}

static void check_range(lua_State *L, const selector *s, int axis) {
  if (s->first > s->last || s->step < 1)
    luaL_error(L, "axis %d: %I to %I in steps of %I holds no element", axis + 1,
               (LUAI_UACINT)(s->first + 1), (LUAI_UACINT)(s->last + 1), (LUAI_UACINT)s->step);
}

/* The whole number at *text, if there is one before the next colon. */
static bool part(const char **text, int64_t *out) {
  char *end;
  if (**text == ':' || **text == '\0') return true;
  *out = strtoll(*text, &end, 10);
  bool good = end != *text && (*end == ':' || *end == '\0');
  *text = end;
  return good;
}

/* "first:last:step", each of which may be missing; the second colon too. */
static void check_text(lua_State *L, const char *text, int axis, int64_t size, selector *s) {
  const char *at = text;
  int64_t first = 1, last = -1;
  s->step = 1;
  bool good = part(&at, &first) && *at++ == ':' && part(&at, &last);
  if (good && *at == ':') good = part((at++, &at), &s->step);
  if (!good || *at != '\0')
    luaL_error(L, "axis %d: '%s' is no range (expected \"first:last\" or \"first:last:step\")",
               axis + 1, text);
  s->first = element(L, first, axis, size);
  s->last = element(L, last, axis, size);
}

static int64_t field(lua_State *L, int i, int64_t fallback) {
  lua_geti(L, -1, i);
  int whole = 1;
  int64_t n = lua_isnil(L, -1) ? fallback : lua_tointegerx(L, -1, &whole);
  if (whole == 0)
    luaL_error(L, "a range is made of whole numbers, not of %s", luaL_typename(L, -1));
  lua_pop(L, 1);
  return n;
}

/* The selector on top of the stack. */
static void check_selector(lua_State *L, int axis, int64_t size, selector *s) {
  int whole = 0;
  if (lua_type(L, -1) == LUA_TNUMBER) {
    lua_Integer number = lua_tointegerx(L, -1, &whole);
    if (whole == 0) luaL_error(L, "axis %d: elements have whole numbers", axis + 1);
    s->first = s->last = element(L, number, axis, size);
    s->step = 1;
    s->drop = true;
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    check_text(L, lua_tostring(L, -1), axis, size, s);
  } else if (lua_istable(L, -1)) {
    s->first = element(L, field(L, 1, 1), axis, size);
    s->last = element(L, field(L, 2, -1), axis, size);
    s->step = field(L, 3, 1);
  } else {
    luaL_error(L, "axis %d: a part is a number, \"first:last\" or { first, last }, not %s",
               axis + 1, luaL_typename(L, -1));
  }
  check_range(L, s, axis);
}

/* The axis that a key of the table of selectors means. */
static int axis_of(lua_State *L, int idx, int rank) {
  if (lua_type(L, idx) == LUA_TSTRING && rank == 5) {
    const char *name = lua_tostring(L, idx);
    const char *at = name[0] != '\0' && name[1] == '\0' ? strchr("nczyx", name[0]) : NULL;
    if (at != NULL) return (int)(at - "nczyx");
  } else if (lua_isinteger(L, idx)) {
    lua_Integer axis = lua_tointeger(L, idx);
    if (axis >= 1 && axis <= rank) return (int)axis - 1;
  }
  return luaL_error(L, "'%s' is none of the %d axes", luaL_tolstring(L, idx, NULL), rank);
}

/* The table of selectors, or the one selector, at idx. */
static void check_selection(lua_State *L, int idx, const hl_shape *shape, selection *s) {
  memset(s, 0, sizeof *s);
  s->rank = shape->rank;
  for (int i = 0; i < s->rank; i++) s->axis[i] = (selector){0, shape->dim[i] - 1, 1, false};
  luaL_checkstack(L, 8, "parts of a tensor");
  if (lua_istable(L, idx)) {
    for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) {
      int axis = axis_of(L, lua_absindex(L, -2), s->rank);
      check_selector(L, axis, shape->dim[axis], &s->axis[axis]);
    }
  } else {
    if (s->rank == 0) luaL_error(L, "a tensor without axes has no parts");
    lua_pushvalue(L, idx);
    check_selector(L, 0, shape->dim[0], &s->axis[0]);
    lua_pop(L, 1);
  }
  for (int i = 0; i < s->rank; i++) s->dropped += s->axis[i].drop;
}

/* ---- tensors ---- */

static hl_status narrow(hl_tensor **t, int axis, const selector *s, hl_err *e) {
  hl_tensor *wide = *t;
  hl_status status = s->drop ? hl_tensor_select(t, wide, axis, s->first, e)
                             : hl_tensor_slice(t, wide, axis, s->first, s->last + 1, s->step, e);
  hl_tensor_unref(wide);
  return status;
}

/* A view of the part; from the last axis to the first, so that dropped ones do not move others. */
static hl_status view(hl_tensor **out, hl_tensor *t, const selection *s, hl_err *e) {
  *out = hl_tensor_ref(t);
  for (int i = s->rank - 1; i >= 0; i--) {
    int64_t size = hl_tensor_shape(*out)->dim[i];
    const selector *a = &s->axis[i];
    bool whole = !a->drop && a->first == 0 && a->last == size - 1 && a->step == 1;
    if (!whole) HL_TRY(narrow(out, i, a, e));
  }
  return HL_OK;
}

int hll_tensor_at(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  selection s;
  check_selection(L, 2, hl_tensor_shape(t), &s);
  hl_err e = {0};
  if (s.dropped == s.rank) {
    int64_t index[HL_MAX_RANK];
    double value;
    for (int i = 0; i < s.rank; i++) index[i] = s.axis[i].first;
    if (hl_tensor_get(t, index, &value, &e) != HL_OK) return hll_raise(L, &e);
    lua_pushnumber(L, value);
    return 1;
  }
  hl_tensor **box = hll_tensor_box(L);
  if (view(box, t, &s, &e) != HL_OK) return hll_raise(L, &e);
  return 1;
}

/* t[key] = value */
int hll_tensor_assign(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING)
    return luaL_error(L, "a tensor has no field '%s' to be set", lua_tostring(L, 2));
  selection s;
  check_selection(L, 2, hl_tensor_shape(t), &s);
  hl_tensor *value = lua_isuserdata(L, 3) ? hll_check_tensor(L, 3) : NULL;
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  hl_status status = view(box, t, &s, &e);
  if (status != HL_OK) return hll_raise(L, &e);
  if (value != NULL) {
    status = hl_tensor_copy(*box, value, &e);
  } else if (lua_type(L, 3) == LUA_TNUMBER) {
    status = hl_tensor_fill(*box, lua_tonumber(L, 3), &e);
  } else if (lua_istable(L, 3)) {
    lua_pushvalue(L, 3);
    hll_fill_nested(L, *box);
  } else {
    return luaL_error(L, "a tensor takes numbers, tensors or tables of numbers, not %s",
                      luaL_typename(L, 3));
  }
  return status == HL_OK ? 0 : hll_raise(L, &e);
}

/* ---- values of programs ---- */

enum { TEXT = 1024, ATTRIBUTES = 1024 };

/* Emits an op of one input with attributes given as text; *v becomes the result. */
static hl_status emit(hl_program *p, const char *name, const char *text, hl_var *v, hl_err *e) {
  union {
    max_align_t align;
    unsigned char bytes[ATTRIBUTES];
  } attrs;
  const hl_op *op = hl_op_find(name);
  if (op == NULL || op->attr_size > sizeof attrs)
    return hl_fail(e, HL_EINTERNAL, "there is no op '%s'", name);
  HL_TRY(hl_attrs_parse(op, text, &attrs, e));
  hl_var in = *v;
  return hl_emit(p, op, &attrs, 1, &in, 1, v, e);
}

/* " name=1,2,3" behind a text. */
static void add_list(char text[TEXT], const char *name, int n, const int64_t *values) {
  size_t used = strlen(text);
  used += (size_t)snprintf(text + used, TEXT - used, "%s%s=", used == 0 ? "" : " ", name);
  for (int i = 0; i < n && used < TEXT; i++)
    used += (size_t)snprintf(text + used, TEXT - used, "%s%lld", i == 0 ? "" : ",",
                             (long long)values[i]);
}

static hl_status emit_part(hl_program *p, const selection *s, hl_var *v, hl_err *e) {
  int64_t start[HL_MAX_RANK], stop[HL_MAX_RANK], step[HL_MAX_RANK], kept[HL_MAX_RANK];
  char text[TEXT] = "";
  for (int i = 0; i < s->rank; i++) {
    start[i] = s->axis[i].first;
    stop[i] = s->axis[i].last + 1;
    step[i] = s->axis[i].step;
  }
  add_list(text, "start", s->rank, start);
  add_list(text, "stop", s->rank, stop);
  add_list(text, "step", s->rank, step);
  HL_TRY(emit(p, "slice", text, v, e));
  if (s->dropped == 0) return HL_OK;
  const hl_desc d = *hl_program_desc(p, *v);
  int n = 0;
  for (int i = 0; i < s->rank; i++)
    if (!s->axis[i].drop) kept[n++] = d.shape.dim[i];
  if (d.layout == HL_IMAGE) HL_TRY(emit(p, "permute", "order=0,1,2,3,4", v, e));
  text[0] = '\0';
  add_list(text, "shape", n, kept);
  return emit(p, "reshape", text, v, e);
}

int hll_value_at(lua_State *L) {
  hl_var v;
  hl_program *p = hll_test_value(L, 1, &v);
  if (p == NULL) return luaL_typeerror(L, 1, "program value");
  selection s;
  check_selection(L, 2, &hl_program_desc(p, v)->shape, &s);
  hl_err e = {0};
  if (emit_part(p, &s, &v, &e) != HL_OK) return hll_raise(L, &e);
  hll_push_value(L, 1, v);
  return 1;
}
