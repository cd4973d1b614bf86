/* Line editing for the program's prompt: the only door to libedit. */
#ifndef HILUM_LINE_H
#define HILUM_LINE_H

#include "glue.h"

/* Adds readline and history to the table on top of the stack. */
void hll_open_line(lua_State *L);

#endif
