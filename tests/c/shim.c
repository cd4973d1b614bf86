/* Preloaded into the program by tests (LD_PRELOAD): a disk that fails, fills up or is slow to take
 * bytes, a log of what reached it, a clock that jumps. The program itself knows nothing of it.
 *
 *   SHIM_WATCH   calls on paths that begin so are watched (locks, *.lock, are not)
 *   SHIM_FAIL    the N-th watched call fails, counted from 1, with the error number SHIM_ERRNO
 *   SHIM_SPACE   bytes that all watched files together take; then the disk is full
 *   SHIM_MOST    bytes that one write takes at most
 *   SHIM_LOG     a file that gets a line for each watched call; SHIM_LOG.data gets the bytes
 *   SHIM_SLEEP   seconds that bringing a watched file to disk takes
 *   SHIM_CLOCK   seconds by which the time of day jumps, forth and back at every look
 *
 * Calls go to the kernel directly, so that no order of loading matters. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int open64(const char *path, int flags, ...);

enum { FILES = 1024, LINE = 8192 };

static int ids[FILES]; /* of an open file, from 1; -1 for a folder; 0 where it is not watched */
static int files, calls;
static long long space_used, logged;

static long long setting(const char *name, long long otherwise) {
  const char *text = getenv(name);
  return text == NULL ? otherwise : atoll(text);
}

static bool is_watched(const char *path) {
  const char *begin = getenv("SHIM_WATCH");
  size_t n = strlen(path);
  if (begin == NULL || strncmp(path, begin, strlen(begin)) != 0) return false;
  return n < 5 || strcmp(path + n - 5, ".lock") != 0;
}

static int id_of(int fd) {
  return fd >= 0 && fd < FILES ? ids[fd] : 0;
}

/* True if this watched call is the one that is to fail; errno says how. */
static bool fails_now(void) {
  calls++;
  if (calls != setting("SHIM_FAIL", 0)) return false;
  errno = (int)setting("SHIM_ERRNO", EIO);
  return true;
}

static void append(const char *suffix, const void *bytes, size_t n) {
  char path[LINE];
  const char *log = getenv("SHIM_LOG");
  if (log == NULL) return;
  snprintf(path, sizeof path, "%s%s", log, suffix);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0) return;
  if (syscall(SYS_write, fd, bytes, n) != (long)n) abort(); /* a test without its log is none */
  (void)syscall(SYS_close, fd);
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...) {
  char line[LINE];
  va_list list;
  va_start(list, format);
  int n = vsnprintf(line, sizeof line, format, list);
  va_end(list);
  if (n > 0 && n < LINE) append("", line, (size_t)n);
}

static int opened(const char *path, int flags, unsigned mode) {
  bool watched = is_watched(path), folder = (flags & O_DIRECTORY) != 0;
  if (watched && fails_now()) return -1;
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  if (fd < 0 || fd >= FILES) return fd;
  ids[fd] = !watched ? 0 : folder ? -1 : ++files;
  if (watched && !folder)
    note("%s %d %s\n", (flags & O_CREAT) != 0 ? "create" : "open", files, path);
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  unsigned mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
  va_end(list);
  return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  unsigned mode = (flags & O_CREAT) != 0 ? va_arg(list, unsigned) : 0;
  va_end(list);
  return opened(path, flags, mode);
}

int close(int fd) {
  if (fd >= 0 && fd < FILES) ids[fd] = 0;
  return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *bytes, size_t n) {
  int id = id_of(fd);
  if (id == 0) return syscall(SYS_write, fd, bytes, n);
  if (fails_now()) return -1;
  long long most = setting("SHIM_MOST", 1LL << 40),
            room = setting("SHIM_SPACE", 1LL << 40) - space_used;
  if (room <= 0) {
    errno = ENOSPC;
    return -1;
  }
  if (most > room) most = room;
  if ((long long)n > most) n = (size_t)most;
  ssize_t done = syscall(SYS_write, fd, bytes, n);
  if (done <= 0) return done;
  note("write %d %lld %zd\n", id, logged, done);
  append(".data", bytes, (size_t)done);
  logged += done;
  space_used += done;
  return done;
}

/* Signals do not shorten it. */
static void rest(long long seconds) {
  struct timespec left = {(time_t)seconds, 0};
  while (seconds > 0 && nanosleep(&left, &left) != 0) continue;
}

int fsync(int fd) {
  int id = id_of(fd);
  if (id != 0 && fails_now()) return -1;
  if (id > 0) rest(setting("SHIM_SLEEP", 0));
  int result = (int)syscall(SYS_fsync, fd);
  if (id > 0) note("fsync %d\n", id);
  if (id < 0) note("syncdir\n");
  return result;
}

int rename(const char *from, const char *to) {
  bool watched = is_watched(to);
  if (watched && fails_now()) return -1;
  int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (watched && result == 0) note("rename %s %s\n", from, to);
  return result;
}

int unlink(const char *path) {
  int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (result == 0 && is_watched(path)) note("unlink %s\n", path);
  return result;
}

/* ---- the time of day ---- */

static long jump(void) {
  static int looks;
  return (long)setting("SHIM_CLOCK", 0) * (looks++ % 2 == 0 ? 1 : -1);
}

int clock_gettime(clockid_t clock, struct timespec *t) {
  int result = (int)syscall(SYS_clock_gettime, clock, t);
  if (result == 0 && clock == CLOCK_REALTIME) t->tv_sec += jump();
  return result;
}

time_t time(time_t *out) {
  struct timespec t;
  (void)clock_gettime(CLOCK_REALTIME, &t);
  if (out != NULL) *out = t.tv_sec;
  return t.tv_sec;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
  struct timespec now;
  (void)zone;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
  return 0;
}
