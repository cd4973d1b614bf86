#include <hilum/disk.h>
#include <hilum/ledger.h>
#include <hilum/lock.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct hl_lock {
  char sibling[HL_DISK_PATH + 16];
  int fd;
};

enum { HOLDER = 256, HOST = 96 };

static hl_status name_sibling(hl_lock *l, const char *path, hl_err *e) {
  const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  if (*name == '\0' || strlen(path) >= HL_DISK_PATH)
    return hl_fail(e, HL_EINVAL, "'%s' is no name of a file", path);
  snprintf(l->sibling, sizeof l->sibling, "%.*s.%s.lock", (int)(name - path), path, name);
  return HL_OK;
}

static void write_holder(int fd) {
  char host[HOST] = "?", when[32] = "?", text[HOLDER];
  time_t now = time(NULL);
  struct tm parts;
  gethostname(host, sizeof host - 1);
  if (gmtime_r(&now, &parts) != NULL) strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &parts);
  int n = snprintf(text, sizeof text, "process %ld on %s since %s", (long)getpid(), host, when);
  /* Who holds it is told as well as can be: the lock holds without. */
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) return;
}

static hl_status held(const char *path, int fd, hl_err *e) {
  char text[HOLDER];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n < 0 ? 0 : n] = '\0';
  for (char *c = text; *c != '\0'; c++)
    if (*c < ' ' || *c > '~') *c = '?';
  return hl_fail(e, HL_EIO, "%s: is being worked on by %s", path,
                 text[0] == '\0' ? "another process" : text);
}

/* True if the name still belongs to the open file: a holder that ends removes it. */
static bool is_there(const hl_lock *l) {
  struct stat by_name, by_file;
  return stat(l->sibling, &by_name) == 0 && fstat(l->fd, &by_file) == 0 &&
         by_name.st_ino == by_file.st_ino && by_name.st_dev == by_file.st_dev;
}

static hl_status take(hl_lock *l, const char *path, hl_err *e) {
  enum { TIMES = 100 };
  for (int i = 0; i < TIMES; i++) {
    l->fd = open(l->sibling, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (l->fd < 0)
      return hl_fail(e, HL_EIO, "%s: cannot be locked: %s: %s", path, l->sibling, strerror(errno));
    if (flock(l->fd, LOCK_EX | LOCK_NB) != 0) {
      hl_status s = held(path, l->fd, e);
      close(l->fd);
      return s;
    }
    if (is_there(l)) {
      write_holder(l->fd);
      return HL_OK;
    }
    close(l->fd);
  }
  return hl_fail(e, HL_EIO, "%s: cannot be locked: %s is made and removed all the time", path,
                 l->sibling);
}

hl_status hl_lock_new(hl_lock **out, const char *path, hl_err *e) {
  *out = NULL;
  hl_lock *l = hl_host_calloc(1, sizeof *l);
  if (l == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a lock");
  hl_status s = name_sibling(l, path, e);
  if (s == HL_OK) s = take(l, path, e);
  if (s != HL_OK) {
    hl_host_free(l);
    return s;
  }
  *out = l;
  return HL_OK;
}

void hl_lock_free(hl_lock *l) {
  if (l == NULL) return;
  unlink(l->sibling); /* while the lock holds: nobody else can have taken this file */
  close(l->fd);
  hl_host_free(l);
}
