/* Files for tests: a scratch folder of this program's own, shared material, small files. */
#ifndef HILUM_TESTS_SCRATCH_H
#define HILUM_TESTS_SCRATCH_H

#include <hilum/status.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[256];

/* Removes what scratch_begin made, with all that is in it. */
static inline void scratch_end(void) {
  char command[1024];
  if (!scratch[0]) return;
  snprintf(command, sizeof command, "chmod -R u+rwx '%s'; rm -rf '%s'", scratch, scratch);
  if (system(command) != 0) fprintf(stderr, "%s is left\n", scratch);
}

static inline void scratch_begin(const char *name) {
  const char *folder = getenv("TMPDIR");
  snprintf(scratch, sizeof scratch, "%s/hilum-%s-XXXXXX", folder ? folder : "/tmp", name);
  if (!mkdtemp(scratch)) {
    perror(scratch);
    exit(2);
  }
  atexit(scratch_end);
}

/* A path in the scratch folder, in one of a few static buffers. */
HL_PRINTF(1, 2) static inline const char *in_scratch(const char *fmt, ...) {
  static char paths[8][PATH_MAX];
  static int next;
  char *path = paths[next++ % 8];
  int n = snprintf(path, PATH_MAX, "%s/", scratch);
  va_list args;
  va_start(args, fmt);
  vsnprintf(path + n, (size_t)(PATH_MAX - n), fmt, args);
  va_end(args);
  return path;
}

/* A file of shared material; *path must have PATH_MAX. False if it is not there. */
static inline bool in_shared(char *path, const char *name) {
  const char *shared = getenv("HILUM_SHARED");
  snprintf(path, PATH_MAX, "%s/%s", shared ? shared : "../shared", name);
  return access(path, R_OK) == 0;
}

static inline void write_bytes(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, n, f) != n) perror(path);
  if (f) fclose(f);
}

static inline void write_text(const char *path, const char *text) {
  write_bytes(path, text, strlen(text));
}

/* The whole file; release with free. */
static inline char *read_bytes(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  *n = 0;
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  char *bytes = malloc((size_t)size + 1);
  if (bytes) *n = fread(bytes, 1, (size_t)size, f);
  if (bytes) bytes[*n] = '\0';
  fclose(f);
  return bytes;
}

static inline void make_folder(const char *path) {
  if (mkdir(path, 0777) != 0) perror(path);
}

#endif
