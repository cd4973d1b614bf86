/* Errors are values: a status code and a message that lives in the caller's stack frame.
 *
 * Every function that can fail returns hl_status and takes `hl_err *e` as its last argument (NULL
 * is allowed: the message is then lost, the code is not). On failure nothing is owned by the caller
 * and every `*out` is NULL. The first cause wins: a message once set is not overwritten. It is one
 * line: control characters (of a damaged file, a hostile name) become blanks. The engine never
 * aborts, exits, prints or jumps. */
#ifndef HILUM_STATUS_H
#define HILUM_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_status {
  HL_OK = 0,
  HL_EINVAL,     /* an argument outside its range, an unknown name */
  HL_ESHAPE,     /* shapes that do not fit each other */
  HL_ETYPE,      /* an element type or layout that is not taken here */
  HL_ENOMEM,     /* memory, or a memory budget, is exhausted */
  HL_EIO,        /* the operating system refused (missing file, full disk, no permission) */
  HL_EFORMAT,    /* a file's content is not what it must be */
  HL_EMISSING,   /* no kernel for this device and element type */
  HL_ECANCELLED, /* the user asked to stop */
  HL_ENONFINITE, /* NaN or infinity where a number is needed */
  HL_ETIMEOUT,   /* a reader process did not answer in time */
  HL_EINTERNAL   /* an invariant of hilum's own is broken */
} hl_status;

typedef struct hl_err {
  hl_status code;
  int line;
  const char *file;
  char msg[768];
} hl_err;

#if defined(__GNUC__)
#define HL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define HL_MUST_CHECK __attribute__((warn_unused_result))
#else
#define HL_PRINTF(fmt, args)
#define HL_MUST_CHECK
#endif

/* Sets *e (unless it already holds an error) and returns the code. Use the macro hl_fail. */
hl_status hl_fail_(hl_err *e, hl_status code, const char *file, int line, const char *fmt, ...)
    HL_PRINTF(5, 6);
#define hl_fail(e, code, ...) hl_fail_((e), (code), __FILE__, __LINE__, __VA_ARGS__)

/* Puts "<text>: " before the message of *e: where it happened, outermost first. Returns e->code. */
hl_status hl_err_prefix(hl_err *e, hl_status code, const char *fmt, ...) HL_PRINTF(3, 4);

/* Short lower-case name of a code: "ok", "shape", "io", … (what Lua sees as err.code). */
const char *hl_status_name(hl_status code);

#define HL_TRY(expr)                                                                               \
  do {                                                                                             \
    hl_status hl_try_status_ = (expr);                                                             \
    if (hl_try_status_ != HL_OK) return hl_try_status_;                                            \
  } while (0)

/* "0.1.0": the version of hilum. */
const char *hl_version(void);
/* "gcc 12.2.0, RelWithDebInfo, native": what built it, and how. */
const char *hl_build(void);

#ifdef __cplusplus
}
#endif
#endif
