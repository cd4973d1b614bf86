/* What the fuzz targets share. A target is one function over one input; libFuzzer drives it (preset
 * `fuzz`, clang), or replay.c in the ordinary suite (any compiler). docs/fuzzing.md says how. */
#ifndef HILUM_TESTS_FUZZ_H
#define HILUM_TESTS_FUZZ_H

#include <hilum/status.h>

/* Never fails but by ending the process: returns 0, as libFuzzer wants it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* One file in memory, with a path that any function can open; the same one on each call. */
const char *fuzz_file(const void *data, size_t n);
/* A second such file, empty, to be written. */
const char *fuzz_scratch(void);

/* Ends the process with the message if what must always hold does not. */
void fuzz_must(bool holds, const char *what);
/* A failure names the file and what was wrong with it. */
void fuzz_refusal(hl_status status, const hl_err *e);

/* Of a build with HILUM_PLANT_BUG: writes beyond a block of memory if `reached`. It shows that the
 * fuzzer comes so far and that the sanitizer notices. */
void fuzz_plant(bool reached);

/* Calls `put` with the inputs from which fuzzing starts, made here so that no binary file is kept.
 */
typedef void (*fuzz_put)(void *ctx, const char *name, const void *data, size_t n);
void fuzz_seeds(fuzz_put put, void *ctx);

#endif
