/* seeds FOLDER: writes the inputs from which fuzzing starts. Linked to one target. */
#include "fuzz.h"

#include <stdio.h>

static void put(void *ctx, const char *name, const void *data, size_t n) {
  char path[4096];
  int length = snprintf(path, sizeof path, "%s/%s", (const char *)ctx, name);
  fuzz_must(length > 0 && (size_t)length < sizeof path, "the path fits");
  FILE *f = fopen(path, "wb");
  fuzz_must(f && fwrite(data, 1, n, f) == n && fclose(f) == 0, path);
}

int main(int argc, char **argv) {
  fuzz_must(argc == 2, "usage: seeds FOLDER");
  fuzz_seeds(put, argv[1]);
  return 0;
}
