/* Replays a target's seeds and its corpus in the ordinary suite, whole, cut and changed by a fixed
 * generator. An input that breaks a promise ends the program, and with it the test.
 *
 *   replay CORPUS…     files, or folders of them; *.hex are bytes as text */
#include "../c/scratch.h"
#include "fuzz.h"
#include "tap.h"

#include <hilum/rng.h>

#include <ctype.h>
#include <dirent.h>

enum { CHANGES = 400 };

static int64_t inputs, runs;

static void run(const void *data, size_t n) {
  runs++;
  (void)LLVMFuzzerTestOneInput(data, n);
}

static void run_cuts(const uint8_t *data, size_t n) {
  size_t step = n / CHANGES + 1;
  for (size_t k = 0; k < n; k += step) run(data, k);
}

static void run_changed(const uint8_t *data, size_t n) {
  hl_rng r = hl_rng_stream(3, "fuzz", 0, (uint32_t)inputs);
  uint8_t *copy = malloc(n + 1);
  for (int round = 0; round < CHANGES && n > 0 && copy; round++) {
    memcpy(copy, data, n);
    for (uint32_t i = 0; i <= hl_rng_below(&r, 4); i++)
      copy[hl_rng_below(&r, (uint32_t)n)] = (uint8_t)hl_rng_below(&r, 256);
    run(copy, n);
  }
  free(copy);
}

static void run_all(void *ctx, const char *name, const void *data, size_t n) {
  (void)ctx;
  tap_diag("%s: %zu bytes", name, n); /* what a crash would be blamed on */
  inputs++;
  run(data, n);
  run_cuts(data, n);
  run_changed(data, n);
}

/* In place: pairs of digits become bytes, everything else is skipped. */
static size_t from_hex(char *text, size_t n) {
  size_t out = 0, digits = 0;
  unsigned byte = 0;
  for (size_t i = 0; i < n; i++) {
    if (!isxdigit((unsigned char)text[i])) continue;
    unsigned c = (unsigned char)tolower((unsigned char)text[i]);
    byte = byte << 4 | (c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) text[out++] = (char)(byte & 255);
  }
  return out;
}

static void run_file(const char *path) {
  size_t n;
  char *data = read_bytes(path, &n);
  if (!ok(data != NULL, "%s can be read", path)) return;
  const char *ending = strrchr(path, '.');
  if (ending && strcmp(ending, ".hex") == 0) n = from_hex(data, n);
  run_all(NULL, path, data, n);
  free(data);
}

static void run_folder(const char *folder) {
  struct dirent **names;
  int n = scandir(folder, &names, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3000s/%.255s", folder, names[i]->d_name);
    if (names[i]->d_name[0] != '.') run_file(path);
    free(names[i]);
  }
  if (n >= 0) free(names);
}

int main(int argc, char **argv) {
  fuzz_seeds(run_all, NULL);
  for (int i = 1; i < argc; i++) {
    struct stat st;
    if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) run_folder(argv[i]);
    if (stat(argv[i], &st) == 0 && S_ISREG(st.st_mode)) run_file(argv[i]);
  }
  ok(runs > 0, "%lld inputs and what became of them by change: %lld runs", (long long)inputs,
     (long long)runs);
  return tap_done();
}
