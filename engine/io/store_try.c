/* A stranger's file is read once in a process that may die of it. */
#include <hilum/reader.h>
#include <hilum/store.h>

#include <stdio.h>
#include <string.h>

enum { DEEPEST = 64, LONGEST_S = 120 };

/* What one object refuses is its reader's business later: the walk goes on. */
static void try_attrs(const hl_store *s, const char *at) {
  hl_value names, v;
  if (hl_store_list_attrs(s, at, &names, NULL) != HL_OK) return;
  for (size_t i = 0; i < names.count; i++)
    if (hl_store_get_attr(s, at, names.texts[i], &v, NULL) == HL_OK) hl_value_free(&v);
  hl_value_free(&names);
}

static void try_data(const hl_store *s, const char *at) {
  hl_tensor *t;
  hl_value v;
  if (hl_store_get_tensor(s, at, &t, NULL) == HL_OK) hl_tensor_unref(t);
  if (hl_store_get_value(s, at, &v, NULL) == HL_OK) hl_value_free(&v);
}

static void try_group(const hl_store *s, const char *group, int depth) {
  hl_value names;
  try_attrs(s, group);
  if (depth > DEEPEST || hl_store_list(s, group, &names, NULL) != HL_OK) return;
  for (size_t i = 0; i < names.count; i++) {
    char at[HL_STORE_PATH + 1];
    hl_entry entry;
    int n = snprintf(at, sizeof at, "%s/%s", strcmp(group, "/") == 0 ? "" : group, names.texts[i]);
    if (n < 0 || n > HL_STORE_PATH || hl_store_entry(s, at, &entry, NULL) != HL_OK) continue;
    if (entry.kind == HL_KIND_GROUP) {
      try_group(s, at, depth + 1);
    } else {
      try_data(s, at);
      try_attrs(s, at);
    }
  }
  hl_value_free(&names);
}

typedef struct trial {
  const char *path;
  hl_err err;
} trial;

static hl_status job(void *ctx, int64_t item, void *shared, hl_err *e) {
  (void)item, (void)shared;
  hl_store *s;
  HL_TRY(hl_store_open(&s, ((const trial *)ctx)->path, e));
  try_group(s, "/", 0);
  hl_store_free(s);
  return HL_OK;
}

static void done(void *ctx, int64_t item, void *shared, const hl_err *e) {
  (void)item, (void)shared;
  ((trial *)ctx)->err = *e;
}

hl_status hl_store_try(const char *path, hl_err *e) {
  trial t = {.path = path};
  const hl_reader_limits limits = {
      .processes = 1, .timeout_s = LONGEST_S, .memory_bytes = HL_STORE_LIMIT + HL_STORE_LIMIT / 4};
  HL_TRY(hl_reader_run(1, 0, job, done, &t, &limits, e));
  if (t.err.code == HL_OK) return HL_OK;
  size_t n = strlen(path);
  if (strncmp(t.err.msg, path, n) == 0) return hl_fail(e, t.err.code, "%s", t.err.msg);
  return hl_fail(e, t.err.code, "%s: is damaged or made to harm: %s", path, t.err.msg);
}
