/* A small TAP producer for the C tests. Header only, for the main thread of one test program.
 *
 *   #define TAP_LEDGER     optional: one more check at the end, the main ledger holds no live byte
 *   #include "tap.h"
 *
 *   int main(void) {
 *     hl_err e = {0};
 *     is_int(1 + 1, 2, "one and one");
 *     succeeds(hl_do(&x, &e), &e, "doing it");
 *     fails(hl_do(NULL, &e), HL_EINVAL, &e, "part of the message", "doing it wrongly");
 *     return tap_done();
 *   }
 *
 * Every check takes a printf-style name at the end and returns its verdict. A failed one prints
 * file, line, what was got and what was expected. tap_done() gives the exit status of the program:
 * 0 only if every check passed and, where tap_plan() announced a number, exactly so many were made.
 */
#ifndef HILUM_TESTS_TAP_H
#define HILUM_TESTS_TAP_H

#include <hilum/ledger.h>
#include <hilum/status.h>

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef TAP_LEDGER
enum { TAP_CLOSING_CHECKS = 1 };
#else
enum { TAP_CLOSING_CHECKS = 0 };
#endif

static struct {
  bool planned;
  long plan, run, failed;
} tap_state;

/* Prints one line. In TAP a '#' starts a directive and a line break ends the line. */
static inline void tap_line(const char *lead, const char *fmt, va_list args) {
  char text[2048];
  vsnprintf(text, sizeof text, fmt, args);
  fputs(lead, stdout);
  for (const char *s = text; *s != '\0'; s++) {
    if (*s == '#') putchar('\\');
    putchar(*s == '\n' || *s == '\r' ? ' ' : *s);
  }
  putchar('\n');
  fflush(stdout); /* nothing is lost if the next call crashes */
}

/* A line for people. */
HL_PRINTF(1, 2) static inline void tap_diag(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tap_line("# ", fmt, args);
  va_end(args);
}

/* Announces the number of checks; optional, before the first one. */
static inline void tap_plan(long n) {
  tap_state.planned = true;
  tap_state.plan = n + TAP_CLOSING_CHECKS;
  printf("1..%ld\n", tap_state.plan);
}

/* Before any check: `return tap_skip_all("no shared material");` */
HL_PRINTF(1, 2) static inline int tap_skip_all(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tap_line("1..0 # SKIP ", fmt, args);
  va_end(args);
  return tap_state.run == 0 && !tap_state.planned ? 0 : 1;
}

/* Counts n checks that cannot be made here, with the reason. */
HL_PRINTF(2, 3) static inline void tap_skip(long n, const char *fmt, ...) {
  for (long i = 0; i < n; i++) {
    va_list args;
    va_start(args, fmt);
    printf("ok %ld", ++tap_state.run);
    tap_line(" # SKIP ", fmt, args);
    va_end(args);
  }
}

static inline bool tap_verdict(bool good, const char *file, int line, const char *fmt,
                               va_list args) {
  printf("%sok %ld", good ? "" : "not ", ++tap_state.run);
  tap_line(" - ", fmt, args);
  if (good) return true;
  tap_state.failed++;
  tap_diag("  at       %s:%d", file, line);
  return false;
}

HL_PRINTF(4, 5)
static inline bool tap_ok(bool good, const char *file, int line, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  tap_verdict(good, file, line, fmt, args);
  va_end(args);
  return good;
}

HL_PRINTF(5, 6)
static inline bool tap_int(intmax_t got, intmax_t want, const char *file, int line, const char *fmt,
                           ...) {
  va_list args;
  va_start(args, fmt);
  bool good = tap_verdict(got == want, file, line, fmt, args);
  va_end(args);
  if (good) return true;
  tap_diag("  got      %jd (0x%jx)", got, (uintmax_t)got);
  tap_diag("  expected %jd (0x%jx)", want, (uintmax_t)want);
  return false;
}

/* Equal infinities agree; NaN agrees with NaN only. */
static inline bool tap_near_enough(double got, double want, double tolerance) {
  if (isnan(got) || isnan(want)) return isnan(got) && isnan(want);
  if (isinf(got) || isinf(want)) return isinf(got) && isinf(want) && (got > 0) == (want > 0);
  return fabs(got - want) <= tolerance;
}

HL_PRINTF(6, 7)
static inline bool tap_near(double got, double want, double tolerance, const char *file, int line,
                            const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  bool good = tap_verdict(tap_near_enough(got, want, tolerance), file, line, fmt, args);
  va_end(args);
  if (good) return true;
  tap_diag("  got      %.17g", got);
  tap_diag("  expected %.17g, off by %.3g, allowed %.3g", want, fabs(got - want), tolerance);
  return false;
}

HL_PRINTF(5, 6)
static inline bool tap_str(const char *got, const char *want, const char *file, int line,
                           const char *fmt, ...) {
  bool same = got == NULL || want == NULL ? got == want : strcmp(got, want) == 0;
  va_list args;
  va_start(args, fmt);
  tap_verdict(same, file, line, fmt, args);
  va_end(args);
  if (same) return true;
  tap_diag("  got      %s", got != NULL ? got : "NULL");
  tap_diag("  expected %s", want != NULL ? want : "NULL");
  return false;
}

/* Status `want`, with `text` somewhere in the message; clears *e for the next call. */
HL_PRINTF(7, 8)
static inline bool tap_status(hl_status got, hl_status want, hl_err *e, const char *text,
                              const char *file, int line, const char *fmt, ...) {
  bool same = got == want && (want == HL_OK || strstr(e->msg, text) != NULL);
  va_list args;
  va_start(args, fmt);
  tap_verdict(same, file, line, fmt, args);
  va_end(args);
  if (!same) {
    tap_diag("  got      status \"%s\", message: %s", hl_status_name(got), e->msg);
    tap_diag("  expected status \"%s\", message with: %s", hl_status_name(want), text);
  }
  memset(e, 0, sizeof *e);
  return same;
}

#define ok(good, ...) tap_ok((good), __FILE__, __LINE__, __VA_ARGS__)
/* Integers of any type. */
#define is_int(got, want, ...)                                                                     \
  tap_int((intmax_t)(got), (intmax_t)(want), __FILE__, __LINE__, __VA_ARGS__)
/* |got - want| ≤ tolerance */
#define is_near(got, want, tolerance, ...)                                                         \
  tap_near((got), (want), (tolerance), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, want, ...) tap_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)
/* The call returns HL_OK; otherwise its message is shown. */
#define succeeds(call, e, ...) tap_status((call), HL_OK, (e), "", __FILE__, __LINE__, __VA_ARGS__)
/* The call returns `code` with `text` in its message ("" for any). */
#define fails(call, code, e, text, ...)                                                            \
  tap_status((call), (code), (e), (text), __FILE__, __LINE__, __VA_ARGS__)

/* Closes the account; the value is the exit status of the program. */
static inline int tap_done(void) {
  if (TAP_CLOSING_CHECKS != 0)
    is_int(hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES), 0, "no byte is left in the ledger");
  if (!tap_state.planned) {
    printf("1..%ld\n", tap_state.run);
  } else if (tap_state.run != tap_state.plan) {
    tap_diag("planned %ld checks but made %ld", tap_state.plan, tap_state.run);
  }
  if (tap_state.failed != 0) tap_diag("%ld of %ld checks failed", tap_state.failed, tap_state.run);
  fflush(stdout);
  bool complete = tap_state.run > 0 && (!tap_state.planned || tap_state.run == tap_state.plan);
  return complete && tap_state.failed == 0 ? 0 : 1;
}

#endif
