/* The grammar of the C/Lua border.
 *
 * 1. Check arguments (may raise; nothing is owned). 2. Make an empty box (may raise; nothing is
 * owned).
 * 3. Let the engine fill it (no Lua call in here). Wrong arguments and shapes raise; what depends
 * on the world (files, data) returns nil and an error object { code, message, where }. */
#ifndef HILUM_GLUE_H
#define HILUM_GLUE_H

#include <hilum/tensor.h>

#include <lauxlib.h>
#include <lua.h>

#define HLL_TENSOR "hilum.tensor"

/* A userdata holding one owned pointer, NULL for now; `type` is a metatable made by hll_type. */
void **hll_newbox(lua_State *L, const char *type);
/* The pointer in the box at `idx`; raises if it is of another type or was released. */
void *hll_check(lua_State *L, int idx, const char *type);
/* The same without raising: NULL if it is something else. */
void *hll_test(lua_State *L, int idx, const char *type);

/* Makes the metatable `type` once: methods in __index, `release` as __gc, __close and :free().
 * release takes the box's pointer out before freeing. `meta` (may be NULL) are metamethods. */
void hll_type(lua_State *L, const char *type, const luaL_Reg *methods, const luaL_Reg *meta,
              lua_CFunction release);

/* Raises the error object of *e, with the position of the Lua caller. */
int hll_raise(lua_State *L, const hl_err *e);
/* Returns nil and the error object of *e (use as: return hll_fail(L, &e)). */
int hll_fail(lua_State *L, const hl_err *e);

hl_tensor *hll_check_tensor(lua_State *L, int idx);
hl_tensor *hll_test_tensor(lua_State *L, int idx);
/* An empty tensor box to be filled by the engine. */
hl_tensor **hll_tensor_box(lua_State *L);
/* To be called after tensors were made: steps the collector in proportion to their bytes. */
void hll_account(lua_State *L, size_t bytes);

/* A shape from a Lua table of whole numbers at `idx`; raises. */
void hll_check_shape(lua_State *L, int idx, hl_shape *s);
/* Field `key` of the table at `idx` as a string or number, or the default. */
const char *hll_opt_field(lua_State *L, int idx, const char *key, const char *fallback);
lua_Number hll_opt_number(lua_State *L, int idx, const char *key, lua_Number fallback);
/* Field `key` of the table at `idx`: a list of n numbers, into v; raises. */
void hll_check_vector(lua_State *L, int idx, const char *key, lua_Number *v, int n);
/* The same; without the field v stays. */
void hll_opt_vector(lua_State *L, int idx, const char *key, lua_Number *v, int n);
/* Sets a field of the table on top of the stack; NaN is nothing. */
void hll_set_defined(lua_State *L, const char *key, lua_Number v);
/* Pushes a list of the dimensions. */
void hll_push_shape(lua_State *L, const hl_shape *s);

/* Each part of the module adds its functions to the table on top of the stack. */
void hll_open_tensor(lua_State *L);
void hll_open_op(lua_State *L);
void hll_open_program(lua_State *L);
void hll_open_system(lua_State *L);
void hll_open_metric(lua_State *L);
void hll_open_image(lua_State *L);
void hll_open_warp(lua_State *L);
void hll_open_store(lua_State *L);
void hll_open_files(lua_State *L);
void hll_open_limit(lua_State *L);
void hll_open_apart(lua_State *L);
void hll_open_workers(lua_State *L);
void hll_open_data(lua_State *L);
void hll_open_bench(lua_State *L);
/* The one symbol that the loadable module shows. */
__attribute__((visibility("default"))) int luaopen_hilum_engine(lua_State *L);

/* Program values, for engine.op: the program a value belongs to, or NULL; and its index. */
struct hl_program;
struct hl_program *hll_test_value(lua_State *L, int idx, int32_t *var);
/* Pushes a value of the program whose box (or one of whose values) stands at `owner`. */
void hll_push_value(lua_State *L, int owner, int32_t var);

#endif
