#define _GNU_SOURCE /* memfd_create */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct memory_file {
  int fd; /* -1: not made yet */
  char path[64];
} memory_file;

static memory_file input = {.fd = -1}, output = {.fd = -1};

static void must_have(memory_file *f, const char *name) {
  if (f->fd < 0) f->fd = memfd_create(name, MFD_CLOEXEC);
  snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->fd);
  fuzz_must(f->fd >= 0 && ftruncate(f->fd, 0) == 0, "a file in memory");
}

const char *fuzz_file(const void *data, size_t n) {
  must_have(&input, "input");
  fuzz_must(n == 0 || pwrite(input.fd, data, n, 0) == (ssize_t)n, "room for the input");
  return input.path;
}

const char *fuzz_scratch(void) {
  must_have(&output, "output");
  return output.path;
}

void fuzz_must(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s\n", what);
  abort();
}

void fuzz_refusal(hl_status status, const hl_err *e) {
  if (status == HL_OK) return;
  fuzz_must(e->code == status, "the error value has the code that was returned");
  fuzz_must(memchr(e->msg, '\0', sizeof e->msg) != NULL, "the message ends");
  fuzz_must(strncmp(e->msg, input.path, strlen(input.path)) == 0, "the message names the file");
  fuzz_must(strchr(e->msg, '\n') == NULL, "the message is one line");
}

void fuzz_plant(bool reached) {
#ifdef HILUM_PLANT_BUG
  if (!reached) return;
  volatile char *block = malloc(8);
  if (block != NULL) block[8] = 1;
  free((void *)block);
#else
  (void)reached;
#endif
}
