#include <hilum/disk.h>
#include <hilum/ledger.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REASON = 160, SIBLINGS = 100, MOST_AT_ONCE = 1 << 30 };

static int system_open(const char *path, int flags, unsigned mode) {
  return open(path, flags, (mode_t)mode);
}
static int64_t system_write(int fd, const void *bytes, size_t n) {
  return write(fd, bytes, n);
}
static int system_rename(const char *from, const char *to) {
  return rename(from, to);
}

static const hl_disk_calls system_calls = {system_open, system_write, fsync, close, system_rename};
static const hl_disk_calls *calls = &system_calls;

void hl_test_disk_calls(const hl_disk_calls *other) {
  calls = other == NULL ? &system_calls : other;
}

/* One replacement under way. */
typedef struct job {
  char target[HL_DISK_PATH]; /* the file to replace, symbolic links resolved */
  char folder[HL_DISK_PATH];
  const char *name; /* the last part of target */
  char sibling[HL_DISK_PATH + 64];
  size_t bytes;
  int fd;
} job;

static const char *reason(int number, char buf[REASON]) {
  if (strerror_r(number, buf, REASON) != 0) snprintf(buf, REASON, "error %d", number);
  return buf;
}

static hl_status refused(const job *j, const char *step, hl_err *e) {
  int number = errno;
  char why[REASON];
  return hl_fail(e, HL_EIO, "%s: cannot be written (%zu bytes): %s, while %s", j->target, j->bytes,
                 reason(number, why), step);
}

/* Fills in target, folder and name. */
static hl_status locate(job *j, const char *path, hl_err *e) {
  struct stat st;
  char resolved[PATH_MAX];
  if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, resolved) != NULL)
    path = resolved;
  int n = snprintf(j->target, sizeof j->target, "%s", path);
  if (n <= 0 || (size_t)n >= sizeof j->target)
    return hl_fail(e, HL_EINVAL, "a path has 1 to %zu bytes, not %d", sizeof j->target - 1, n);
  char *slash = strrchr(j->target, '/');
  j->name = slash == NULL ? j->target : slash + 1;
  if (*j->name == '\0') return hl_fail(e, HL_EINVAL, "%s: a file's name cannot end in /", path);
  if (slash == NULL)
    snprintf(j->folder, sizeof j->folder, ".");
  else
    snprintf(j->folder, sizeof j->folder, "%.*s", slash == j->target ? 1 : (int)(slash - j->target),
             j->target);
  return HL_OK;
}

/* Opens a sibling that nobody else has. It is locked as long as it is open, so that others can tell
 * it from one that was left behind. */
static hl_status open_sibling(job *j, hl_err *e) {
  for (int i = 0; i < SIBLINGS; i++) {
    snprintf(j->sibling, sizeof j->sibling, "%s/.%s.%ld-%d.part", j->folder, j->name,
             (long)getpid(), i);
    j->fd = calls->open(j->sibling, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (j->fd >= 0) {
      (void)flock(j->fd, LOCK_EX | LOCK_NB);
      return HL_OK;
    }
    if (errno != EEXIST) break;
  }
  return refused(j, "making a file beside it", e);
}

static void keep_mode(const job *j) {
  struct stat st;
  if (stat(j->target, &st) == 0) (void)fchmod(j->fd, st.st_mode & 07777);
}

static hl_status write_all(const job *j, const char *bytes, hl_err *e) {
  size_t done = 0;
  while (done < j->bytes) {
    size_t rest = j->bytes - done;
    int64_t n = calls->write(j->fd, bytes + done, rest < MOST_AT_ONCE ? rest : MOST_AT_ONCE);
    if (n > 0) {
      done += (size_t)n;
    } else if (n == 0) {
      errno = EIO;
      return refused(j, "writing", e);
    } else if (errno != EINTR) {
      return refused(j, "writing", e);
    }
  }
  return HL_OK;
}

/* From the open sibling to the complete new file. The sibling, and with it its lock, is closed
 * last: until it has its final name, nobody may take it for one that was left behind. */
static hl_status fill_and_rename(job *j, const char *bytes, hl_err *e) {
  keep_mode(j);
  hl_status s = write_all(j, bytes, e);
  if (s == HL_OK && calls->fsync(j->fd) != 0) s = refused(j, "bringing it to disk", e);
  if (s == HL_OK && calls->rename(j->sibling, j->target) != 0) s = refused(j, "renaming it", e);
  if (s != HL_OK) (void)unlink(j->sibling);
  (void)calls->close(j->fd); /* nothing can be lost any more: fsync has answered */
  return s;
}

static hl_status sync_folder(const job *j, hl_err *e) {
  int fd = calls->open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  int failed = fd < 0 ? errno : calls->fsync(fd) != 0 ? errno : 0;
  if (fd >= 0) (void)calls->close(fd);
  /* Some file systems have no such operation on folders, and a folder may be writable but not
   * readable: neither says that anything was lost. */
  if (failed == 0 || failed == EINVAL || failed == ENOTSUP || failed == EACCES) return HL_OK;
  char why[REASON];
  return hl_fail(
      e, HL_EIO,
      "%s: written completely (%zu bytes), but its folder cannot be brought to disk (%s): "
      "a power cut now may bring the previous file back",
      j->target, j->bytes, reason(failed, why));
}

/* True for ".NAME.<digits>-<digits>.part". */
static bool is_sibling(const char *entry, const char *name) {
  size_t n = strlen(name);
  if (entry[0] != '.' || strncmp(entry + 1, name, n) != 0 || entry[n + 1] != '.') return false;
  const char *s = entry + n + 2;
  size_t pid = strspn(s, "0123456789");
  if (pid == 0 || s[pid] != '-') return false;
  s += pid + 1;
  size_t number = strspn(s, "0123456789");
  return number > 0 && strcmp(s + number, ".part") == 0;
}

/* Removes siblings whose writer is gone: nobody holds their lock. */
static void sweep(const job *j) {
  DIR *folder = opendir(j->folder);
  if (folder == NULL) return;
  for (struct dirent *d; (d = readdir(folder)) != NULL;) {
    if (!is_sibling(d->d_name, j->name)) continue;
    int fd = openat(dirfd(folder), d->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) (void)unlinkat(dirfd(folder), d->d_name, 0);
    (void)close(fd);
  }
  (void)closedir(folder);
}

hl_status hl_disk_replace(const char *path, const void *bytes, size_t n, hl_err *e) {
  job *j = hl_host_calloc(1, sizeof *j);
  if (j == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory to write it", path);
  j->bytes = n;
  hl_status s = locate(j, path, e);
  if (s == HL_OK) s = open_sibling(j, e);
  if (s == HL_OK) s = fill_and_rename(j, bytes, e);
  if (s == HL_OK) s = sync_folder(j, e);
  if (s == HL_OK) sweep(j);
  hl_host_free(j);
  return s;
}

bool hl_disk_exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

hl_status hl_disk_readable(const char *path, int64_t *bytes, hl_err *e) {
  *bytes = 0;
  char why[REASON];
  struct stat st;
  /* Not blocking: a named pipe must not hold us up. */
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return hl_fail(e, HL_EIO, "%s: cannot be opened: %s", path, reason(errno, why));
  int failed = fstat(fd, &st) != 0 ? errno : 0;
  (void)close(fd);
  if (failed != 0) return hl_fail(e, HL_EIO, "%s: cannot be read: %s", path, reason(failed, why));
  if (S_ISDIR(st.st_mode)) return hl_fail(e, HL_EIO, "%s: is a folder, not a file", path);
  if (!S_ISREG(st.st_mode)) return hl_fail(e, HL_EIO, "%s: is not an ordinary file", path);
  *bytes = st.st_size;
  return HL_OK;
}

hl_status hl_disk_scratch(char out[HL_DISK_PATH], hl_err *e) {
  const char *base = getenv("TMPDIR");
  if (base == NULL || base[0] != '/') base = "/tmp";
  char why[REASON];
  int n = snprintf(out, HL_DISK_PATH, "%s/hilum-XXXXXX", base);
  if (n < 0 || n >= HL_DISK_PATH) {
    out[0] = '\0';
    return hl_fail(e, HL_EIO, "the path of the folder for temporary files (TMPDIR) is too long");
  }
  if (mkdtemp(out) != NULL) return HL_OK;
  out[0] = '\0';
  return hl_fail(e, HL_EIO, "%s: no folder can be made for temporary files: %s", base,
                 reason(errno, why));
}

void hl_disk_scratch_remove(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) return;
  for (struct dirent *d; (d = readdir(folder)) != NULL;)
    if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
      (void)unlinkat(dirfd(folder), d->d_name, 0);
  (void)closedir(folder);
  (void)rmdir(path);
}
