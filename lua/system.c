/* What Lua needs of the machine: random streams, hashes, clocks, memory, files, the terminal,
 * signals. */
#include "glue.h"

#include <hilum/dicom.h>
#include <hilum/hash.h>
#include <hilum/ledger.h>
#include <hilum/lidc.h>
#include <hilum/lock.h>
#include <hilum/op.h>
#include <hilum/parallel.h>
#include <hilum/rng.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- random streams ---- */

#define HLL_LOCK "hilum.lock"
#define HLL_RNG "hilum.rng"

static hl_rng *check_rng(lua_State *L) {
  return luaL_checkudata(L, 1, HLL_RNG);
}

/* engine.rng(seed, purpose, epoch, item) */
static int l_rng(lua_State *L) {
  lua_Integer seed = luaL_checkinteger(L, 1), epoch = luaL_optinteger(L, 3, 0);
  lua_Integer item = luaL_optinteger(L, 4, 0);
  const char *purpose = luaL_checkstring(L, 2);
  luaL_argcheck(L, epoch >= 0 && epoch <= UINT32_MAX, 3, "out of range");
  luaL_argcheck(L, item >= 0 && item <= UINT32_MAX, 4, "out of range");
  hl_rng *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = hl_rng_stream((uint64_t)seed, purpose, (uint32_t)epoch, (uint32_t)item);
  luaL_setmetatable(L, HLL_RNG);
  return 1;
}

static int l_uniform(lua_State *L) {
  lua_pushnumber(L, hl_rng_uniform(check_rng(L)));
  return 1;
}

static int l_normal(lua_State *L) {
  lua_pushnumber(L, hl_rng_normal(check_rng(L)));
  return 1;
}

/* r:below(n): 0 … n-1 */
static int l_below(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 1 && n <= UINT32_MAX, 2, "out of range");
  lua_pushinteger(L, hl_rng_below(check_rng(L), (uint32_t)n));
  return 1;
}

/* Fills in logical row-major order, so that values do not depend on the layout. */
static int fill(lua_State *L, double (*draw)(hl_rng *), double offset, double factor) {
  hl_rng *r = check_rng(L);
  hl_tensor *t = hll_check_tensor(L, 2);
  hl_desc d = {HL_F64, HL_PLAIN, *hl_tensor_shape(t)};
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_tensor_new(box, &d, hl_ledger_main(), HL_MEM_DATA, "random numbers", &e) != HL_OK)
    return hll_raise(L, &e);
  double *v = hl_tensor_f64(*box);
  for (int64_t i = 0, n = hl_tensor_numel(*box); i < n; i++) v[i] = offset + factor * draw(r);
  if (hl_tensor_copy(t, *box, &e) != HL_OK) return hll_raise(L, &e);
  lua_settop(L, 2);
  return 1;
}

/* r:fill_uniform(t, low, high) */
static int l_fill_uniform(lua_State *L) {
  double low = luaL_optnumber(L, 3, 0), high = luaL_optnumber(L, 4, 1);
  return fill(L, hl_rng_uniform, low, high - low);
}

/* r:fill_normal(t, mean, sd) */
static int l_fill_normal(lua_State *L) {
  return fill(L, hl_rng_normal, luaL_optnumber(L, 3, 0), luaL_optnumber(L, 4, 1));
}

/* ---- hashes ---- */

static int l_sha256(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  char text[HL_HASH_TEXT];
  hl_err e = {0};
  if (hl_hash_bytes(bytes, n, text, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushstring(L, text);
  return 1;
}

static int l_sha256_file(lua_State *L) {
  char text[HL_HASH_TEXT];
  hl_err e = {0};
  if (hl_hash_file(luaL_checkstring(L, 1), text, &e) != HL_OK) return hll_fail(L, &e);
  lua_pushstring(L, text);
  return 1;
}

/* ---- time, memory, threads ---- */

static int l_clock(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
  return 1;
}

/* Resident bytes now and at most so far. */
static int l_resident(lua_State *L) {
  long pages = 0, ignored = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    if (fscanf(f, "%ld %ld", &ignored, &pages) != 2) pages = 0;
    fclose(f);
  }
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  lua_pushinteger(L, (lua_Integer)pages * sysconf(_SC_PAGESIZE));
  lua_pushinteger(L, (lua_Integer)u.ru_maxrss * 1024);
  return 2;
}

static void push_bytes(lua_State *L, const char *name,
                       size_t (*read)(const hl_ledger *, hl_category)) {
  lua_createtable(L, 0, HL_MEM_CATEGORIES + 1);
  for (int c = 0; c <= HL_MEM_CATEGORIES; c++) {
    lua_pushinteger(L, (lua_Integer)read(hl_ledger_main(), (hl_category)c));
    lua_setfield(L, -2, hl_category_name((hl_category)c));
  }
  lua_setfield(L, -2, name);
}

static int l_ledger(lua_State *L) {
  lua_createtable(L, 0, 4);
  push_bytes(L, "live", hl_ledger_live);
  push_bytes(L, "peak", hl_ledger_peak);
  push_bytes(L, "at_peak", hl_ledger_at_peak);
  lua_pushstring(L, hl_ledger_peak_label(hl_ledger_main()));
  lua_setfield(L, -2, "peak_label");
  return 1;
}

/* engine.reset_resident() -> true: the largest resident size counts from now on. False where the
 * system does not offer that. */
static int l_reset_resident(lua_State *L) {
  FILE *f = fopen("/proc/self/clear_refs", "w");
  bool done = f != NULL && fputs("5", f) >= 0;
  if (f != NULL) done = fclose(f) == 0 && done;
  lua_pushboolean(L, done);
  return 1;
}

static int l_reset_peak(lua_State *L) {
  (void)L;
  hl_ledger_reset_peak(hl_ledger_main());
  return 0;
}

/* engine.memory_limit(bytes): 0 for none */
static int l_memory_limit(lua_State *L) {
  lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bytes >= 0, 1, "must not be negative");
  hl_ledger_set_limit(hl_ledger_main(), (size_t)bytes);
  return 0;
}

static int l_threads(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) hl_set_compute_threads((int)luaL_checkinteger(L, 1));
  lua_pushinteger(L, hl_compute_threads());
  return 1;
}

/* engine.versions() -> { library = version }: what bits may depend on. */
static int l_versions(lua_State *L) {
  const struct {
    const char *name, *version;
  } list[] = {{"hilum", hl_version()},         {"build", hl_build()},
              {"onednn", hl_op_cpu_library()}, {"gdcm", hl_dicom_library()},
              {"libxml2", hl_lidc_library()},  {"openssl", hl_hash_library()}};
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    lua_pushstring(L, list[i].version);
    lua_setfield(L, -2, list[i].name);
  }
  lua_pushfstring(L, "%d.%d", LUA_VERSION_NUM / 100, LUA_VERSION_NUM % 100);
  lua_setfield(L, -2, "lua");
  return 1;
}

/* { system, machine, host, cpu, processors } */
static int l_host(lua_State *L) {
  struct utsname u;
  if (uname(&u) != 0) memset(&u, 0, sizeof u);
  lua_createtable(L, 0, 5);
  lua_pushfstring(L, "%s %s", u.sysname, u.release);
  lua_setfield(L, -2, "system");
  lua_pushstring(L, u.machine);
  lua_setfield(L, -2, "machine");
  lua_pushstring(L, u.nodename);
  lua_setfield(L, -2, "host");
  lua_pushinteger(L, sysconf(_SC_NPROCESSORS_ONLN));
  lua_setfield(L, -2, "processors");
  char line[256], name[256] = "unknown";
  FILE *f = fopen("/proc/cpuinfo", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "model name : %255[^\n]", name) == 1) break;
  if (f != NULL) fclose(f);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "cpu");
  return 1;
}

/* ---- files ---- */

static int os_failure(lua_State *L, const char *path) {
  hl_err e = {0};
  hl_fail(&e, HL_EIO, "%s: %s", path, strerror(errno));
  return hll_fail(L, &e);
}

/* "file", "folder", "other", or nil and the reason. */
static int l_file_kind(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat s;
  if (stat(path, &s) != 0) return os_failure(L, path);
  lua_pushstring(L, S_ISREG(s.st_mode) ? "file" : S_ISDIR(s.st_mode) ? "folder" : "other");
  return 1;
}

/* engine.lock(path) -> lock, which lock:free() gives back; or nil, err that names who holds it */
static int l_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  hl_lock **box = (hl_lock **)hll_newbox(L, HLL_LOCK);
  hl_err e = {0};
  if (hl_lock_new(box, path, &e) != HL_OK)
    return e.code == HL_EIO ? hll_fail(L, &e) : hll_raise(L, &e);
  return 1;
}

static int free_lock(lua_State *L) {
  hl_lock **box = luaL_checkudata(L, 1, HLL_LOCK);
  hl_lock *owned = *box;
  *box = NULL;
  hl_lock_free(owned);
  return 0;
}

/* engine.mkdir(path): with all that leads to it; true if it is there afterwards. */
static int l_mkdir(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char *copy = lua_newuserdatauv(L, strlen(path) + 1, 0);
  memcpy(copy, path, strlen(path) + 1);
  for (char *slash = copy + 1; *copy != '\0'; slash++) {
    bool end = *slash == '\0';
    if (!end && *slash != '/') continue;
    *slash = '\0';
    struct stat s;
    if (mkdir(copy, 0777) != 0 && (errno != EEXIST || stat(copy, &s) != 0 || !S_ISDIR(s.st_mode)))
      return os_failure(L, copy);
    if (end) break;
    *slash = '/';
  }
  lua_pushboolean(L, 1);
  return 1;
}

typedef struct listing {
  DIR *dir;
} listing;

static int close_listing(lua_State *L) {
  listing *l = lua_touserdata(L, 1);
  if (l->dir != NULL) closedir(l->dir);
  l->dir = NULL;
  return 0;
}

/* engine.list_folder(path) -> sorted names without . and .. */
static int l_list_folder(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  listing *l = lua_newuserdatauv(L, sizeof *l, 0);
  l->dir = NULL;
  if (luaL_newmetatable(L, "hilum.listing") != 0) {
    lua_pushcfunction(L, close_listing);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  l->dir = opendir(path);
  if (l->dir == NULL) return os_failure(L, path);
  lua_newtable(L);
  const struct dirent *entry;
  for (lua_Integer n = 1; (entry = readdir(l->dir)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    lua_pushstring(L, entry->d_name);
    lua_seti(L, -2, n++);
  }
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, -3);
  lua_call(L, 1, 0);
  lua_pop(L, 1);
  return 1;
}

static int l_real_path(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  char *full = realpath(path, NULL);
  if (full == NULL) return os_failure(L, path);
  lua_pushstring(L, full); /* a failure here would lose a few bytes and end the state anyway */
  free(full);
  return 1;
}

/* ---- terminal and signals ---- */

/* Columns of the terminal behind "out" (default) or "err", or nil if it is none. */
static int l_terminal(lua_State *L) {
  int fd = strcmp(luaL_optstring(L, 1, "out"), "err") == 0 ? STDERR_FILENO : STDOUT_FILENO;
  struct winsize size;
  if (!isatty(fd)) return 0;
  lua_pushinteger(L, ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80);
  return 1;
}

static lua_State *interrupted_state; /* of the prompt; NULL while a run flags instead */

static void stop_lua(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  hl_cancel_clear();
  hl_err e = {0};
  hl_fail(&e, HL_ECANCELLED, "interrupted");
  hll_raise(L, &e);
}

/* First signal: ask. Second, of whichever kind: the default action, so that nobody is ever locked
 * in. */
static void on_signal(int number) {
  (void)number;
  hl_cancel_request();
  if (interrupted_state != NULL) {
    lua_sethook(interrupted_state, stop_lua, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  } else {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
  }
}

/* engine.on_interrupt("flag" | "raise" | "default"): what Ctrl-C (and for "flag" SIGTERM) does. */
static int l_on_interrupt(lua_State *L) {
  static const char *const modes[] = {"default", "flag", "raise", NULL};
  int mode = luaL_checkoption(L, 1, "default", modes);
  hl_cancel_clear();
  interrupted_state = NULL;
  if (mode == 2) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    interrupted_state = lua_tothread(L, -1);
  }
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_handler = mode == 0 ? SIG_DFL : on_signal;
  sigaction(SIGINT, &a, NULL);
  a.sa_handler = mode == 1 ? on_signal : SIG_DFL;
  sigaction(SIGTERM, &a, NULL);
  return 0;
}

static int l_cancelled(lua_State *L) {
  lua_pushboolean(L, hl_cancel_requested());
  return 1;
}

static int l_cancel_clear(lua_State *L) {
  (void)L;
  hl_cancel_clear();
  return 0;
}

void hll_open_system(lua_State *L) {
  static const luaL_Reg rng[] = {
      {"uniform", l_uniform},           {"normal", l_normal},           {"below", l_below},
      {"fill_uniform", l_fill_uniform}, {"fill_normal", l_fill_normal}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"rng", l_rng},
                                       {"sha256", l_sha256},
                                       {"sha256_file", l_sha256_file},
                                       {"clock", l_clock},
                                       {"resident", l_resident},
                                       {"ledger", l_ledger},
                                       {"reset_peak", l_reset_peak},
                                       {"reset_resident", l_reset_resident},
                                       {"memory_limit", l_memory_limit},
                                       {"threads", l_threads},
                                       {"host", l_host},
                                       {"versions", l_versions},
                                       {"file_kind", l_file_kind},
                                       {"lock", l_lock},
                                       {"mkdir", l_mkdir},
                                       {"list_folder", l_list_folder},
                                       {"real_path", l_real_path},
                                       {"terminal", l_terminal},
                                       {"on_interrupt", l_on_interrupt},
                                       {"cancelled", l_cancelled},
                                       {"cancel_clear", l_cancel_clear},
                                       {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  hll_type(L, HLL_LOCK, none, NULL, free_lock);
  hll_type(L, HLL_RNG, rng, NULL, NULL);
  luaL_setfuncs(L, functions, 0);
}
