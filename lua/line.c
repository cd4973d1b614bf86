/* engine.readline(prompt) -> line or nil at the end of input; engine.history(path): where lines are
 * kept. */
#include "line.h"

#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A plain line from a pipe or file. */
static int plain_line(lua_State *L) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  int c = getc(stdin);
  bool any = c != EOF;
  for (; c != EOF && c != '\n'; c = getc(stdin)) luaL_addchar(&b, (char)c);
  if (!any) return 0;
  luaL_pushresult(&b);
  return 1;
}

static int l_readline(lua_State *L) {
  const char *prompt = luaL_optstring(L, 1, "> ");
  if (!isatty(STDIN_FILENO)) return plain_line(L);
  char *line = readline(prompt);
  if (line == NULL) return 0;
  if (line[0] != '\0') add_history(line);
  lua_pushstring(L, line);
  free(line);
  return 1;
}

/* engine.history("read" | "write", path) */
static int l_history(lua_State *L) {
  const char *path = luaL_checkstring(L, 2);
  static const char *const verbs[] = {"read", "write", NULL};
  int bad = luaL_checkoption(L, 1, NULL, verbs) == 0 ? read_history(path) : write_history(path);
  lua_pushboolean(L, bad == 0);
  return 1;
}

void hll_open_line(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"readline", l_readline}, {"history", l_history}, {NULL, NULL}};
  using_history();
  luaL_setfuncs(L, functions, 0);
}
