/* Files in Lua: the HDF5 store, PNG images, whole-file writing, scratch folders.
 *
 * Misuse (a closed store, a bad path, a value of the wrong kind) and a lack of memory raise; what
 * depends on files returns nil and an error object. */
#include "glue.h"

#include <hilum/disk.h>
#include <hilum/png.h>
#include <hilum/store.h>

#include <string.h>

#define HLL_STORE "hilum.store"
#define HLL_STORE_VALUE "hilum.stored value"
#define HLL_SCRATCH "hilum.scratch folder"

/* The way out of every function here that has failed. */
static int failed(lua_State *L, const hl_err *e) {
  bool misuse = e->code == HL_EINVAL || e->code == HL_ESHAPE || e->code == HL_ETYPE;
  if (misuse || e->code == HL_ENOMEM) return hll_raise(L, e);
  return hll_fail(L, e);
}

static int succeeded(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

/* Text without zeros inside. */
static const char *check_text(lua_State *L, int idx) {
  size_t n;
  const char *text = luaL_checklstring(L, idx, &n);
  luaL_argcheck(L, strlen(text) == n, idx, "text must not contain zero bytes");
  return text;
}

/* ---- received values: a box that outlives errors while Lua values are made of it ---- */

static int release_value(lua_State *L) {
  hl_value_free(lua_touserdata(L, 1));
  return 0;
}

static hl_value *value_box(lua_State *L) {
  hl_value *v = lua_newuserdatauv(L, sizeof *v, 0);
  memset(v, 0, sizeof *v);
  luaL_setmetatable(L, HLL_STORE_VALUE);
  return v;
}

static void push_one(lua_State *L, const hl_value *v, size_t i) {
  if (v->kind == HL_KIND_TEXT)
    lua_pushstring(L, v->texts[i]);
  else if (v->kind == HL_KIND_REAL)
    lua_pushnumber(L, v->reals[i]);
  else if (v->kind == HL_KIND_BOOL)
    lua_pushboolean(L, v->integers[i] != 0);
  else
    lua_pushinteger(L, v->integers[i]);
}

static int push_value(lua_State *L, const hl_value *v) {
  if (!v->list) {
    push_one(L, v, 0);
    return 1;
  }
  lua_createtable(L, v->count < 1 << 24 ? (int)v->count : 0, 0);
  for (size_t i = 0; i < v->count; i++) {
    push_one(L, v, i);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* ---- given values ---- */

static hl_kind kind_of(lua_State *L, int idx) {
  switch (lua_type(L, idx)) {
  case LUA_TBOOLEAN:
    return HL_KIND_BOOL;
  case LUA_TNUMBER:
    return lua_isinteger(L, idx) ? HL_KIND_INTEGER : HL_KIND_REAL;
  case LUA_TSTRING:
    return HL_KIND_TEXT;
  default:
    return HL_KIND_OTHER;
  }
}

/* The kind that all elements of the list at `arg` have: whole numbers among others become reals. */
static hl_kind list_kind(lua_State *L, int arg, lua_Integer n) {
  hl_kind kind = HL_KIND_REAL; /* of an empty list */
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, arg, i);
    hl_kind one = kind_of(L, -1);
    bool numbers = (kind == HL_KIND_INTEGER && one == HL_KIND_REAL) ||
                   (kind == HL_KIND_REAL && one == HL_KIND_INTEGER);
    if (one == HL_KIND_OTHER)
      luaL_argerror(L, arg,
                    lua_pushfstring(L,
                                    "element %I of the list is a %s; a list holds text, numbers or "
                                    "booleans",
                                    (LUAI_UACINT)i, luaL_typename(L, -1)));
    if (i > 1 && one != kind && !numbers)
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "element %I of the list is a %s, the ones before are not",
                                    (LUAI_UACINT)i, luaL_typename(L, -1)));
    kind = i == 1 ? one : numbers ? HL_KIND_REAL : kind;
    lua_pop(L, 1);
  }
  return kind;
}

/* Refuses tables with other keys than 1 … n: what is in them would be lost. */
static void check_sequence(lua_State *L, int arg, lua_Integer n) {
  if (luaL_getmetafield(L, arg, "__index") != LUA_TNIL) { /* keys are not what they seem */
    lua_pop(L, 1);
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (key < 1 || key > n)
      luaL_argerror(L, arg,
                    lua_pushfstring(L, "a list has the keys 1 to %I only, not '%s'", (LUAI_UACINT)n,
                                    luaL_tolstring(L, -2, NULL)));
    lua_pop(L, 1);
  }
}

/* Room for a single value. */
typedef union single {
  int64_t integer;
  double real;
  const char *text;
} single;

static void check_single(lua_State *L, int arg, hl_value *v, single *one) {
  *v = (hl_value){.kind = kind_of(L, arg), .count = 1};
  if (v->kind == HL_KIND_OTHER)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "a tensor, text, number, boolean or list expected, got %s",
                                  luaL_typename(L, arg)));
  if (v->kind == HL_KIND_TEXT)
    one->text = check_text(L, arg), v->texts = &one->text;
  else if (v->kind == HL_KIND_REAL)
    one->real = lua_tonumber(L, arg), v->reals = &one->real;
  else
    one->integer = v->kind == HL_KIND_BOOL ? lua_toboolean(L, arg) : lua_tointeger(L, arg),
    v->integers = &one->integer;
}

/* The list at `arg`; leaves its elements' memory on the stack. Strings stay in the list. */
static void check_list(lua_State *L, int arg, hl_value *v) {
  lua_Integer n = luaL_len(L, arg);
  check_sequence(L, arg, n);
  *v = (hl_value){.kind = list_kind(L, arg, n), .list = true, .count = (size_t)n};
  void *elements = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * 8, 0);
  v->integers = elements;
  v->reals = elements;
  v->texts = elements;
  for (lua_Integer i = 0; i < n; i++) {
    lua_geti(L, arg, i + 1);
    if (v->kind == HL_KIND_TEXT) {
      ((const char **)elements)[i] = lua_tostring(L, -1);
      luaL_argcheck(L, strlen(lua_tostring(L, -1)) == lua_rawlen(L, -1), arg,
                    "text must not contain zero bytes");
    } else if (v->kind == HL_KIND_REAL) {
      ((double *)elements)[i] = lua_tonumber(L, -1);
    } else {
      ((int64_t *)elements)[i] =
          v->kind == HL_KIND_BOOL ? lua_toboolean(L, -1) : lua_tointeger(L, -1);
    }
    lua_pop(L, 1);
  }
}

static void check_value(lua_State *L, int arg, hl_value *v, single *one) {
  if (lua_istable(L, arg))
    check_list(L, arg, v);
  else
    check_single(L, arg, v, one);
}

/* ---- stores ---- */

static hl_store *check_store(lua_State *L) {
  return hll_check(L, 1, HLL_STORE);
}

static int release_store(lua_State *L) {
  hl_store **box = luaL_checkudata(L, 1, HLL_STORE);
  hl_store *s = *box;
  *box = NULL;
  hl_store_free(s);
  return 0;
}

/* engine.store([{ squeeze = true }]) */
static int l_store(lua_State *L) {
  bool squeeze =
      lua_istable(L, 1) && lua_getfield(L, 1, "squeeze") != LUA_TNIL && lua_toboolean(L, -1);
  hl_store **box = (hl_store **)hll_newbox(L, HLL_STORE);
  hl_err e = {0};
  if (hl_store_new(box, &e) != HL_OK) return failed(L, &e);
  if (squeeze) hl_store_squeeze(*box);
  return 1;
}

/* engine.store_try(path) -> true, or nil and why it is better not opened here */
static int l_store_try(lua_State *L) {
  hl_err e = {0};
  if (hl_store_try(luaL_checkstring(L, 1), &e) != HL_OK) return failed(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

/* engine.store_open(path) */
static int l_store_open(lua_State *L) {
  const char *path = check_text(L, 1);
  hl_store **box = (hl_store **)hll_newbox(L, HLL_STORE);
  hl_err e = {0};
  if (hl_store_open(box, path, &e) != HL_OK) return failed(L, &e);
  return 1;
}

/* s:put(path, value): a tensor, text, a number, a boolean or a list of one of the last three. */
static int l_put(lua_State *L) {
  hl_store *s = check_store(L);
  const char *path = check_text(L, 2);
  hl_tensor *t = hll_test_tensor(L, 3);
  hl_err e = {0};
  hl_value v;
  single one;
  if (t == NULL) check_value(L, 3, &v, &one);
  if ((t != NULL ? hl_store_put_tensor(s, path, t, &e) : hl_store_put_value(s, path, &v, &e)) !=
      HL_OK)
    return failed(L, &e);
  lua_settop(L, 1);
  return 1;
}

/* s:put_group(path) */
static int l_put_group(lua_State *L) {
  hl_store *s = check_store(L);
  hl_err e = {0};
  if (hl_store_put_group(s, check_text(L, 2), &e) != HL_OK) return failed(L, &e);
  lua_settop(L, 1);
  return 1;
}

/* s:save(file) -> true, or nil and why not */
static int l_save(lua_State *L) {
  hl_err e = {0};
  if (hl_store_save(check_store(L), check_text(L, 2), &e) != HL_OK) return failed(L, &e);
  return succeeded(L);
}

/* s:limit(bytes): the most bytes one dataset may have. */
static int l_limit(lua_State *L) {
  hl_store *s = check_store(L);
  lua_Integer bytes = luaL_checkinteger(L, 2);
  luaL_argcheck(L, bytes > 0, 2, "must be positive");
  hl_store_set_limit(s, (size_t)bytes);
  lua_settop(L, 1);
  return 1;
}

/* s:has(path) -> boolean */
static int l_has(lua_State *L) {
  bool there;
  hl_err e = {0};
  if (hl_store_has(check_store(L), check_text(L, 2), &there, &e) != HL_OK) return failed(L, &e);
  lua_pushboolean(L, there);
  return 1;
}

/* s:entry(path) -> { kind, list, dtype, shape } */
static int l_entry(lua_State *L) {
  hl_entry entry;
  hl_err e = {0};
  if (hl_store_entry(check_store(L), check_text(L, 2), &entry, &e) != HL_OK) return failed(L, &e);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, hl_kind_name(entry.kind));
  lua_setfield(L, -2, "kind");
  lua_pushboolean(L, entry.list);
  lua_setfield(L, -2, "list");
  if (entry.dtype != HL_DTYPES) {
    lua_pushstring(L, hl_dtype_name(entry.dtype));
    lua_setfield(L, -2, "dtype");
  }
  if (entry.kind != HL_KIND_GROUP) {
    hll_push_shape(L, &entry.shape);
    lua_setfield(L, -2, "shape");
  }
  return 1;
}

typedef hl_status (*value_reader)(const hl_store *, const char *, hl_value *, hl_err *);

static int read_value(lua_State *L, value_reader read) {
  hl_store *s = check_store(L);
  const char *path = check_text(L, 2);
  hl_value *v = value_box(L);
  hl_err e = {0};
  if (read(s, path, v, &e) != HL_OK) return failed(L, &e);
  return push_value(L, v);
}

/* s:list(path) -> sorted names in a group */
static int l_list(lua_State *L) {
  return read_value(L, hl_store_list);
}

/* s:attrs(path) -> sorted names of its attributes */
static int l_attrs(lua_State *L) {
  return read_value(L, hl_store_list_attrs);
}

/* s:numbers(path): an array with one axis as a list, whatever wrote it */
static int l_numbers(lua_State *L) {
  return read_value(L, hl_store_get_value);
}

static int read_tensor(lua_State *L, const hl_store *s, const char *path) {
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_store_get_tensor(s, path, box, &e) != HL_OK) return failed(L, &e);
  hll_account(L, hl_tensor_bytes(*box));
  return 1;
}

/* s:get(path): what was put; arrays of numbers that are no lists are tensors. */
static int l_get(lua_State *L) {
  hl_store *s = check_store(L);
  const char *path = check_text(L, 2);
  hl_entry entry;
  hl_err e = {0};
  if (hl_store_entry(s, path, &entry, &e) != HL_OK) return failed(L, &e);
  bool tensor = entry.shape.rank > 0 && !entry.list && entry.dtype != HL_DTYPES;
  return tensor ? read_tensor(L, s, path) : read_value(L, hl_store_get_value);
}

/* s:tensor(path): as a tensor, single numbers and lists too */
static int l_get_tensor(lua_State *L) {
  return read_tensor(L, check_store(L), check_text(L, 2));
}

static int put_attr(lua_State *L, hl_store *s, const char *path, const char *name) {
  hl_value v;
  single one;
  check_value(L, 4, &v, &one);
  hl_err e = {0};
  if (hl_store_put_attr(s, path, name, &v, &e) != HL_OK) return failed(L, &e);
  lua_settop(L, 1);
  return 1;
}

/* s:attr(path, name, value) puts one; s:attr(path, name) -> value, nil alone if there is none */
static int l_attr(lua_State *L) {
  hl_store *s = check_store(L);
  const char *path = check_text(L, 2), *name = check_text(L, 3);
  if (lua_gettop(L) > 3) return put_attr(L, s, path, name);
  bool there;
  hl_err e = {0};
  if (hl_store_has_attr(s, path, name, &there, &e) != HL_OK) return failed(L, &e);
  if (!there) return 0;
  hl_value *v = value_box(L);
  if (hl_store_get_attr(s, path, name, v, &e) != HL_OK) return failed(L, &e);
  return push_value(L, v);
}

/* ---- images ---- */

/* engine.png_read(path[, { grey = true }]) -> u8 tensor [y,x] or [y,x,c] */
static int l_png_read(lua_State *L) {
  const char *path = check_text(L, 1);
  bool grey = lua_istable(L, 2) && lua_getfield(L, 2, "grey") != LUA_TNIL && lua_toboolean(L, -1);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if ((grey ? hl_png_read_grey : hl_png_read)(box, path, &e) != HL_OK) return failed(L, &e);
  hll_account(L, hl_tensor_bytes(*box));
  return 1;
}

/* engine.png_write(path, tensor) -> true, or nil and why not */
static int l_png_write(lua_State *L) {
  hl_err e = {0};
  if (hl_png_write(check_text(L, 1), hll_check_tensor(L, 2), &e) != HL_OK) return failed(L, &e);
  return succeeded(L);
}

/* ---- files ---- */

/* engine.write_file(path, bytes) -> true, or nil and why not: as a whole or not at all */
static int l_write_file(lua_State *L) {
  size_t n;
  const char *path = check_text(L, 1), *bytes = luaL_checklstring(L, 2, &n);
  hl_err e = {0};
  if (hl_disk_replace(path, bytes, n, &e) != HL_OK) return failed(L, &e);
  return succeeded(L);
}

/* engine.exists(path): anything, a dangling link included */
static int l_exists(lua_State *L) {
  lua_pushboolean(L, hl_disk_exists(check_text(L, 1)));
  return 1;
}

static int release_scratch(lua_State *L) {
  char *path = luaL_checkudata(L, 1, HLL_SCRATCH);
  if (path[0] != '\0') hl_disk_scratch_remove(path);
  path[0] = '\0';
  return 0;
}

static int l_scratch_path(lua_State *L) {
  const char *path = luaL_checkudata(L, 1, HLL_SCRATCH);
  if (path[0] == '\0') return luaL_error(L, "this scratch folder was already removed");
  lua_pushstring(L, path);
  return 1;
}

/* engine.scratch(): a folder of one's own, removed with its files by :free(), <close> or the
 * collector; :path() is its path */
static int l_scratch(lua_State *L) {
  char *path = lua_newuserdatauv(L, HL_DISK_PATH, 0);
  path[0] = '\0';
  luaL_setmetatable(L, HLL_SCRATCH);
  hl_err e = {0};
  if (hl_disk_scratch(path, &e) != HL_OK) return failed(L, &e);
  return 1;
}

/* engine.open_ids(): HDF5 objects open in this process, for tests */
static int l_open_ids(lua_State *L) {
  lua_pushinteger(L, hl_test_store_open_ids());
  return 1;
}

void hll_open_store(lua_State *L) {
  static const luaL_Reg methods[] = {{"put", l_put},           {"put_group", l_put_group},
                                     {"save", l_save},         {"limit", l_limit},
                                     {"has", l_has},           {"entry", l_entry},
                                     {"list", l_list},         {"attrs", l_attrs},
                                     {"numbers", l_numbers},   {"get", l_get},
                                     {"tensor", l_get_tensor}, {"attr", l_attr},
                                     {"close", release_store}, {NULL, NULL}};
  static const luaL_Reg scratch[] = {{"path", l_scratch_path}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"store", l_store},         {"store_open", l_store_open},
                                       {"store_try", l_store_try}, {"png_read", l_png_read},
                                       {"png_write", l_png_write}, {"write_file", l_write_file},
                                       {"exists", l_exists},       {"scratch", l_scratch},
                                       {"open_ids", l_open_ids},   {NULL, NULL}};
  hll_type(L, HLL_STORE, methods, NULL, release_store);
  hll_type(L, HLL_SCRATCH, scratch, NULL, release_scratch);
  if (luaL_newmetatable(L, HLL_STORE_VALUE) != 0) {
    lua_pushcfunction(L, release_value);
    lua_setfield(L, -2, "__gc");
  }
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
  lua_pushstring(L, hl_store_library());
  lua_setfield(L, -2, "hdf5_version");
}
