#include <hilum/ledger.h>
#include <hilum/problems.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct hl_problems {
  hl_problem *items;
  int64_t n, room;
};

hl_status hl_problems_new(hl_problems **out, hl_err *e) {
  *out = hl_host_calloc(1, sizeof **out);
  if (!*out) return hl_fail(e, HL_ENOMEM, "no memory for a list of problems");
  return HL_OK;
}

void hl_problems_free(hl_problems *p) {
  if (!p) return;
  for (int64_t i = 0; i < p->n; i++) hl_host_free((char *)(uintptr_t)p->items[i].file);
  hl_host_free(p->items);
  hl_host_free(p);
}

static bool make_room(hl_problems *p) {
  if (p->n < p->room) return true;
  int64_t room = p->room ? 2 * p->room : 16;
  hl_problem *items = hl_host_realloc(p->items, (size_t)room * sizeof *items);
  if (!items) return false;
  p->items = items;
  p->room = room;
  return true;
}

/* File and message share one block of memory, owned through `file`. */
static void append(hl_problems *p, hl_status code, const char *file, const char *message) {
  if (!p || !make_room(p)) return;
  size_t nf = strlen(file) + 1, nm = strlen(message) + 1;
  char *text = hl_host_calloc(nf + nm, 1);
  if (!text) return;
  memcpy(text, file, nf);
  memcpy(text + nf, message, nm);
  p->items[p->n++] = (hl_problem){.code = code, .file = text, .message = text + nf};
}

void hl_problems_add(hl_problems *p, hl_status code, const char *file, const char *fmt, ...) {
  hl_err e = {0};
  char message[sizeof e.msg];
  va_list args;
  va_start(args, fmt);
  vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  hl_fail(&e, HL_EFORMAT, "%s", message); /* makes one line of it */
  append(p, code, file, e.msg);
}

void hl_problems_add_err(hl_problems *p, const char *file, const hl_err *e) {
  const char *message = e->msg;
  size_t n = strlen(file);
  if (strncmp(message, file, n) == 0 && strncmp(message + n, ": ", 2) == 0) message += n + 2;
  append(p, e->code, file, message);
}

int64_t hl_problems_count(const hl_problems *p) {
  return p ? p->n : 0;
}

const hl_problem *hl_problems_at(const hl_problems *p, int64_t i) {
  return &p->items[i];
}
