/* Facts about files and disks: size, time, free room. What depends on the world returns nil and an
 * error object. */
#include "glue.h"

#include <hilum/revision.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static int os_failure(lua_State *L, const char *path) {
  hl_err e = {0};
  hl_fail(&e, HL_EIO, "%s: %s", path, strerror(errno));
  return hll_fail(L, &e);
}

/* engine.stat(path) -> { kind = "file" | "folder" | "other", bytes, modified = seconds since 1970,
 * modified_ns = the same in nanoseconds } */
static int l_stat(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat s;
  if (stat(path, &s) != 0) return os_failure(L, path);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, S_ISREG(s.st_mode) ? "file" : S_ISDIR(s.st_mode) ? "folder" : "other");
  lua_setfield(L, -2, "kind");
  lua_pushinteger(L, s.st_size);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, s.st_mtim.tv_sec);
  lua_setfield(L, -2, "modified");
  lua_pushinteger(L, (lua_Integer)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec);
  lua_setfield(L, -2, "modified_ns");
  return 1;
}

/* engine.touch(path): its time becomes now. */
static int l_touch(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (utimensat(AT_FDCWD, path, NULL, 0) != 0) return os_failure(L, path);
  lua_pushboolean(L, 1);
  return 1;
}

/* engine.disk_free(folder) -> bytes that this user can still write there */
static int l_disk_free(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct statvfs s;
  if (statvfs(path, &s) != 0) return os_failure(L, path);
  lua_pushinteger(L, (lua_Integer)s.f_bavail * (lua_Integer)s.f_frsize);
  return 1;
}

void hll_open_files(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"stat", l_stat}, {"touch", l_touch}, {"disk_free", l_disk_free}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
  lua_pushstring(L, hl_revision());
  lua_setfield(L, -2, "revision");
}
