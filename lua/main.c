/* The program `hilum`: a Lua state with the engine inside; everything else is stdlib/hilum/cli. */
#include "line.h"

#include <lualib.h>

#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The engine and, in the program only, the line editor. */
static int open_engine(lua_State *L) {
  luaopen_hilum_engine(L);
  hll_open_line(L);
  return 1;
}

/* Where the Lua modules are: beside an installed program, else in the source tree. */
static void find_stdlib(lua_State *L) {
  char self[PATH_MAX] = "", beside[PATH_MAX + 64], probe[PATH_MAX + 128];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n > 0) self[n] = '\0';
  snprintf(beside, sizeof beside, "%s/../share/lua/5.4", dirname(self));
  snprintf(probe, sizeof probe, "%s/hilum/init.lua", beside);
  const char *root = access(probe, R_OK) == 0 ? beside : HILUM_STDLIB;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", root, root, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 2);
}

static int with_traceback(lua_State *L) {
  if (getenv("HILUM_TRACEBACK") != NULL)
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  else
    luaL_tolstring(L, 1, NULL);
  return 1;
}

static int run(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  find_stdlib(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_engine);
  lua_setfield(L, -2, "hilum.engine");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "hilum.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_createtable(L, argc, 0);
  for (int i = 1; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_seti(L, -2, i);
  }
  lua_call(L, 1, 1);
  return 1;
}

/* Compute threads spin for about a tenth of a millisecond before they sleep: from one op to the
 * next. Sleeping at once costs 40 µs or more an op (steps on small crops took half as long again),
 * spinning for long, as is the default, turns against the very thread that is waited for when other
 * processes want the processors too (two of them on two cores: steps 2 to 6 times slower). The
 * runtime reads its settings when it is loaded, hence the second start. Whoever sets one of the
 * variables keeps their own choice. */
static void wait_briefly(char **argv) {
  if (getenv("OMP_WAIT_POLICY") != NULL || getenv("GOMP_SPINCOUNT") != NULL) return;
  if (setenv("GOMP_SPINCOUNT", "3000", 1) == 0) execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
  wait_briefly(argv);
  signal(SIGXFSZ, SIG_IGN); /* a file that may not grow further fails like a full disk does */
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    fputs("hilum: no memory for a Lua state\n", stderr);
    return EXIT_FAILURE;
  }
  lua_pushcfunction(L, with_traceback);
  lua_pushcfunction(L, run);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int code = EXIT_FAILURE;
  if (lua_pcall(L, 2, 1, 1) == LUA_OK)
    code = lua_isinteger(L, -1) ? (int)lua_tointeger(L, -1) : EXIT_SUCCESS;
  else
    fprintf(stderr, "hilum: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return code;
}
