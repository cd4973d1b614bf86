/* Not a test: shows the harness's own test what tap.h says when checks fail. */
#define TAP_LEDGER
#include "tap.h"

static bool asked(int argc, char **argv, const char *word) {
  return argc > 1 && strcmp(argv[1], word) == 0;
}

int main(int argc, char **argv) {
  hl_err e = {0};
  void *p = NULL;
  if (asked(argc, argv, "skip")) return tap_skip_all("no %s", "moon");
  if (asked(argc, argv, "plan")) tap_plan(2);
  if (asked(argc, argv, "int")) is_int((int64_t)1 << 33, 0, "int");
  if (asked(argc, argv, "near")) is_near(1.5, 1.0, 0.1, "near");
  if (asked(argc, argv, "nan")) is_near((double)NAN, 1.0, 0.1, "nan");
  if (asked(argc, argv, "string")) is_str(NULL, "text", "string");
  if (asked(argc, argv, "status")) succeeds(hl_fail(&e, HL_EIO, "the disk is full"), &e, "status");
  if (asked(argc, argv, "message"))
    fails(hl_fail(&e, HL_EIO, "the disk is full"), HL_EIO, &e, "floppy", "message");
  if (asked(argc, argv, "leak"))
    succeeds(hl_mem_alloc(hl_ledger_main(), &p, 8, HL_MEM_DATA, "x", &e), &e, "allocation");
  if (asked(argc, argv, "pass")) {
    is_int(2 + 2, 4, "int");
    is_near(0.1 + 0.2, 0.3, 1e-15, "near");
    is_str("a", "a", "string");
    succeeds(HL_OK, &e, "status");
    fails(hl_fail(&e, HL_EIO, "the disk is full"), HL_EIO, &e, "disk", "message");
    tap_skip(1, "no moon");
  }
  if (asked(argc, argv, "plan")) ok(true, "one");
  int status = tap_done();
  hl_mem_free(hl_ledger_main(), p, 8, HL_MEM_DATA);
  return status;
}
