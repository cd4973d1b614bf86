/* Attributes of ops: one parser for samples, Lua tables and command lines. */
#include <hilum/op.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const hl_attr *attr_find(const hl_op *op, const char *name, int *index) {
  int i = 0;
  for (const hl_attr *a = op->attrs; a != NULL && a->name != NULL; a++, i++)
    if (strcmp(a->name, name) == 0) {
      *index = i;
      return a;
    }
  return NULL;
}

static hl_status unknown_name(const hl_op *op, const char *name, hl_err *e) {
  char known[256] = "";
  size_t used = 0;
  for (const hl_attr *a = op->attrs; a != NULL && a->name != NULL; a++) {
    int n = snprintf(known + used, sizeof known - used, "%s%s", used == 0 ? "" : ", ", a->name);
    if (n > 0 && used + (size_t)n < sizeof known) used += (size_t)n;
  }
  return hl_fail(e, HL_EINVAL, "%s: unknown attribute '%s' (%s%s)", op->name, name,
                 used == 0 ? "it takes none" : "known: ", known);
}

/* Word number n of an HL_A_CHOICE and its length; NULL past the last. */
static const char *choice_word(const hl_attr *a, int64_t n, size_t *length) {
  const char *at = a->doc;
  for (*length = strcspn(at, "|:"); n > 0; n--, *length = strcspn(at, "|:")) {
    at += *length;
    if (*at++ != '|') return NULL;
  }
  return at;
}

int hl_attr_choice(const hl_attr *a, const char *word) {
  size_t length;
  const char *at;
  for (int i = 0; (at = choice_word(a, i, &length)) != NULL; i++)
    if (strlen(word) == length && strncmp(word, at, length) == 0) return i;
  return -1;
}

static hl_status check_choice(const hl_op *op, const hl_attr *a, double v, hl_err *e) {
  size_t length;
  if (v >= 0 && v < HL_MAX_PARTS && v == floor(v) && choice_word(a, (int64_t)v, &length) != NULL)
    return HL_OK;
  return hl_fail(e, HL_EINVAL, "%s: %s must be one of %.*s", op->name, a->name,
                 (int)strcspn(a->doc, ":"), a->doc);
}

static hl_status check_number(const hl_op *op, const hl_attr *a, double v, hl_err *e) {
  bool whole = a->kind != HL_A_REAL && a->kind != HL_A_REAL3;
  if (a->kind == HL_A_CHOICE) return check_choice(op, a, v, e);
  if (!isfinite(v) || (whole && (v != floor(v) || fabs(v) > 9007199254740992.0)))
    return hl_fail(e, HL_EINVAL, "%s: %s must be a %s number, not %g", op->name, a->name,
                   whole ? "whole" : "finite", v);
  if (!(a->min == 0 && a->max == 0) && (v < a->min || v > a->max))
    return hl_fail(e, HL_EINVAL, "%s: %s must lie between %g and %g, not be %g", op->name, a->name,
                   a->min, a->max, v);
  return HL_OK;
}

static hl_status store(const hl_op *op, const hl_attr *a, void *attrs, int n, const double *v,
                       hl_err *e) {
  char *at = (char *)attrs + a->offset;
  for (int i = 0; i < n; i++) HL_TRY(check_number(op, a, v[i], e));
  bool list_kind = a->kind == HL_A_INTS || a->kind == HL_A_AXES || a->kind == HL_A_ORDER;
  bool zyx = a->kind == HL_A_INT3 || a->kind == HL_A_REAL3;
  int most = list_kind ? HL_MAX_PARTS : zyx ? 3 : 1;
  if (n > most || (zyx ? n != 1 && n != 3 : !list_kind && n != 1))
    return hl_fail(e, HL_EINVAL, "%s: %s takes %s, not %d values", op->name, a->name,
                   zyx         ? "1 or 3 values (z, y, x)"
                   : list_kind ? "at most 16 values"
                               : "one value",
                   n);
  switch (a->kind) {
  case HL_A_INT:
  case HL_A_CHOICE:
    *(int64_t *)(void *)at = (int64_t)v[0];
    break;
  case HL_A_REAL:
    *(double *)(void *)at = v[0];
    break;
  case HL_A_BOOL:
    *(bool *)(void *)at = v[0] != 0;
    break;
  case HL_A_REAL3:
    for (int i = 0; i < 3; i++) ((double *)(void *)at)[i] = v[n == 3 ? i : 0];
    break;
  case HL_A_INT3:
    for (int i = 0; i < 3; i++) ((int64_t *)(void *)at)[i] = (int64_t)v[n == 3 ? i : 0];
    break;
  case HL_A_INTS:
  case HL_A_AXES:
  case HL_A_ORDER: {
    hl_ints *list = (hl_ints *)(void *)at;
    memset(list, 0, sizeof *list);
    list->n = n;
    for (int i = 0; i < n; i++) list->v[i] = (int64_t)v[i];
    break;
  }
  }
  return HL_OK;
}

hl_status hl_attr_set(const hl_op *op, void *attrs, uint32_t *given, const char *name, int n,
                      const double *values, hl_err *e) {
  int index = 0;
  const hl_attr *a = attr_find(op, name, &index);
  if (a == NULL) return unknown_name(op, name, e);
  HL_TRY(store(op, a, attrs, n, values, e));
  *given |= 1U << index;
  return HL_OK;
}

/* Reads "2,2,2" into numbers; returns how many, or -1. */
static int numbers(const char *text, double v[HL_MAX_PARTS]) {
  int n = 0;
  while (*text != '\0' && n < HL_MAX_PARTS) {
    char *end;
    v[n++] = strtod(text, &end);
    if (end == text || (*end != '\0' && *end != ',')) return -1;
    text = *end == ',' ? end + 1 : end;
  }
  return *text == '\0' ? n : -1;
}

/* The numbers of an attribute written as text: of a choice its word. */
static int values_of(const hl_attr *a, const char *text, double v[HL_MAX_PARTS]) {
  if (a == NULL || a->kind != HL_A_CHOICE) return numbers(text, v);
  v[0] = hl_attr_choice(a, text);
  return 1;
}

hl_status hl_attrs_end(const hl_op *op, void *attrs, uint32_t given, hl_err *e) {
  int i = 0;
  for (const hl_attr *a = op->attrs; a != NULL && a->name != NULL; a++, i++) {
    if ((given >> i & 1U) != 0) continue;
    if (a->fallback == NULL)
      return hl_fail(e, HL_EINVAL, "%s: attribute '%s' is required (%s)", op->name, a->name,
                     a->doc);
    int other = 0;
    const hl_attr *same = attr_find(op, a->fallback, &other);
    if (same != NULL) { /* an earlier attribute of the same kind */
      bool zyx = a->kind == HL_A_INT3 || a->kind == HL_A_REAL3;
      size_t bytes = (zyx ? 3 : 1) * sizeof(int64_t);
      memcpy((char *)attrs + a->offset, (char *)attrs + same->offset, bytes);
      continue;
    }
    double v[HL_MAX_PARTS];
    int n = values_of(a, a->fallback, v);
    if (n < 0)
      return hl_fail(e, HL_EINTERNAL, "%s: default of '%s' cannot be read", op->name, a->name);
    HL_TRY(store(op, a, attrs, n, v, e));
  }
  return HL_OK;
}

hl_status hl_attrs_parse(const hl_op *op, const char *text, void *attrs, hl_err *e) {
  if (op->attr_size > 0) memset(attrs, 0, op->attr_size);
  uint32_t given = 0;
  while (text != NULL && *text != '\0') {
    char word[128], *value;
    size_t n = strcspn(text, " ");
    if (n >= sizeof word) return hl_fail(e, HL_EINVAL, "%s: '%s' is too long", op->name, text);
    memcpy(word, text, n);
    word[n] = '\0';
    value = strchr(word, '=');
    double v[HL_MAX_PARTS];
    int count = -1;
    if (value != NULL) {
      *value = '\0';
      int index;
      count = values_of(attr_find(op, word, &index), value + 1, v);
    }
    if (count < 0)
      return hl_fail(e, HL_EINVAL, "%s: '%s' is not of the form name=number,…", op->name, word);
    HL_TRY(hl_attr_set(op, attrs, &given, word, count, v, e));
    text += n;
    text += strspn(text, " ");
  }
  return hl_attrs_end(op, attrs, given, e);
}

const char *hl_attrs_text(const hl_op *op, const void *attrs, char *buf, size_t size) {
  size_t used = 0;
  if (size > 0) buf[0] = '\0';
#define PUT(...)                                                                                   \
  do {                                                                                             \
    int n_ = snprintf(buf + used, size - used, __VA_ARGS__);                                       \
    if (n_ < 0 || used + (size_t)n_ >= size) return buf;                                           \
    used += (size_t)n_;                                                                            \
  } while (0)
  for (const hl_attr *a = op->attrs; a != NULL && a->name != NULL; a++) {
    const char *at = (const char *)attrs + a->offset;
    const int64_t *whole = (const int64_t *)(const void *)at;
    PUT("%s%s=", used == 0 ? "" : " ", a->name);
    switch (a->kind) {
    case HL_A_INT:
      PUT("%lld", (long long)*whole);
      break;
    case HL_A_CHOICE: {
      size_t length;
      const char *name = choice_word(a, *whole, &length);
      PUT("%.*s", name != NULL ? (int)length : 1, name != NULL ? name : "?");
      break;
    }
    case HL_A_REAL:
      PUT("%g", *(const double *)(const void *)at);
      break;
    case HL_A_REAL3: {
      const double *real = (const double *)(const void *)at;
      PUT("%g,%g,%g", real[0], real[1], real[2]);
      break;
    }
    case HL_A_BOOL:
      PUT("%d", *(const bool *)(const void *)at ? 1 : 0);
      break;
    case HL_A_INT3:
      PUT("%lld,%lld,%lld", (long long)whole[0], (long long)whole[1], (long long)whole[2]);
      break;
    case HL_A_INTS:
    case HL_A_AXES:
    case HL_A_ORDER: {
      const hl_ints *list = (const hl_ints *)(const void *)at;
      for (int64_t i = 0; i < list->n; i++) PUT("%s%lld", i == 0 ? "" : ",", (long long)list->v[i]);
      break;
    }
    }
  }
#undef PUT
  return buf;
}
