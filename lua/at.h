/* Parts of tensors and values: what at.c gives to tensor.c and program.c, and what it needs. */
#ifndef HILUM_LUA_AT_H
#define HILUM_LUA_AT_H

#include "glue.h"

#include <hilum/program.h>

#include <stddef.h>
#include <stdio.h>

/* t:at(selectors), t[selectors] */
int hll_tensor_at(lua_State *L);
/* t[selectors] = value */
int hll_tensor_assign(lua_State *L);
/* v:at(selectors) */
int hll_value_at(lua_State *L);

/* Pops a nested table and copies its numbers into t, which has its shape. */
void hll_fill_nested(lua_State *L, hl_tensor *t);

#endif
