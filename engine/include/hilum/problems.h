/* What was found wrong on the way: a list of one-line messages, each about one file.
 *
 * Reading a set of files goes on when one of them is bad; what was bad is kept here. */
#ifndef HILUM_PROBLEMS_H
#define HILUM_PROBLEMS_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_problem {
  hl_status code;      /* HL_OK: only a note, nothing was left out because of it */
  const char *file;    /* path, or another name of what the message is about */
  const char *message; /* one line: what was found and what was expected */
} hl_problem;

typedef struct hl_problems hl_problems;

HL_MUST_CHECK hl_status hl_problems_new(hl_problems **out, hl_err *e);
void hl_problems_free(hl_problems *p);
/* Appends. `p` may be NULL (then nothing is kept); lack of memory loses the message, nothing else.
 * Not thread-safe. */
void hl_problems_add(hl_problems *p, hl_status code, const char *file, const char *fmt, ...)
    HL_PRINTF(4, 5);
/* The same from an error value; "file: " at the beginning of its message is taken away. */
void hl_problems_add_err(hl_problems *p, const char *file, const hl_err *e);
int64_t hl_problems_count(const hl_problems *p);
/* Lends; valid until the next addition. */
const hl_problem *hl_problems_at(const hl_problems *p, int64_t i);

#ifdef __cplusplus
}
#endif
#endif
