#include <hilum/status.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What comes from a file (a value, a name) may hold line breaks and a terminal's commands. */
static void make_one_line(char *text) {
  for (char *s = text; *s; s++)
    if ((unsigned char)*s < ' ' || *s == 127) *s = ' ';
}

hl_status hl_fail_(hl_err *e, hl_status code, const char *file, int line, const char *fmt, ...) {
  if (e == NULL || e->code != HL_OK) return code;
  e->code = code;
  e->file = file;
  e->line = line;
  va_list args;
  va_start(args, fmt);
  vsnprintf(e->msg, sizeof e->msg, fmt, args);
  va_end(args);
  make_one_line(e->msg);
  return code;
}

hl_status hl_err_prefix(hl_err *e, hl_status code, const char *fmt, ...) {
  if (e == NULL) return code;
  char text[sizeof e->msg];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (n < 0 || (size_t)n > sizeof text / 2) return code; /* the cause matters more */
  make_one_line(text);
  size_t used = (size_t)n;
  memcpy(text + used, ": ", 2);
  used += 2;
  size_t rest = strlen(e->msg);
  if (rest > sizeof text - used - 1) rest = sizeof text - used - 1;
  memcpy(text + used, e->msg, rest);
  text[used + rest] = '\0';
  memcpy(e->msg, text, used + rest + 1);
  return code;
}

const char *hl_status_name(hl_status code) {
  switch (code) {
  case HL_OK:
    return "ok";
  case HL_EINVAL:
    return "invalid";
  case HL_ESHAPE:
    return "shape";
  case HL_ETYPE:
    return "type";
  case HL_ENOMEM:
    return "memory";
  case HL_EIO:
    return "io";
  case HL_EFORMAT:
    return "format";
  case HL_EMISSING:
    return "missing";
  case HL_ECANCELLED:
    return "cancelled";
  case HL_ENONFINITE:
    return "nonfinite";
  case HL_ETIMEOUT:
    return "timeout";
  case HL_EINTERNAL:
    return "internal";
  }
  return "unknown";
}

const char *hl_version(void) {
  return HILUM_VERSION;
}

const char *hl_build(void) {
  return HILUM_BUILD;
}
