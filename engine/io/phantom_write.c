/* The phantom on disk: whole or not there. */
#define _XOPEN_SOURCE 700 /* nftw */
#define _DEFAULT_SOURCE

#include "phantom_case.h"
#include <hilum/parallel.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Says which phantom a complete folder holds; hidden, so that the index leaves it out. */
static const char MANIFEST[] = ".hilum-phantom";
/* While it is being written, a folder is called NAME.part-XXXXXX. */
static const char PART[] = ".part-XXXXXX";
enum { MANIFEST_TEXT = 160, LEFTOVER_S = 3600 };

static void manifest_text(char out[MANIFEST_TEXT], const hl_phantom_options *o) {
  snprintf(out, MANIFEST_TEXT,
           "hilum phantom %d: cases %d nodules %d size %s variant %s seed %llu\n",
           HL_PHANTOM_VERSION, o->cases, o->nodules, hl_phantom_size_name(o->size),
           hl_phantom_variant_name(o->variant), (unsigned long long)o->seed);
}

static hl_status refuse(const char *path, hl_err *e) {
  return hl_fail(e, HL_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

/* folder/name into a buffer of PATH_MAX. */
static hl_status join(char out[PATH_MAX], const char *folder, const char *name, hl_err *e) {
  int n = snprintf(out, PATH_MAX, "%s/%s", folder, name);
  if (n < 0 || n >= PATH_MAX) return hl_fail(e, HL_EINVAL, "%s: the path is too long", folder);
  return HL_OK;
}

static hl_status make_folder(char out[PATH_MAX], const char *parent, const char *name, hl_err *e) {
  HL_TRY(join(out, parent, name, e));
  if (mkdir(out, 0777) != 0) return refuse(out, e);
  return HL_OK;
}

/* The folders above `path`. */
static hl_status make_parents(const char *path, hl_err *e) {
  char part[PATH_MAX];
  size_t n = strlen(path);
  if (n >= sizeof part) return hl_fail(e, HL_EINVAL, "%s: the path is too long", path);
  memcpy(part, path, n + 1);
  for (char *s = part + 1; *s; s++) {
    if (*s != '/') continue;
    *s = '\0';
    if (mkdir(part, 0777) != 0 && errno != EEXIST) return refuse(part, e);
    *s = '/';
  }
  return HL_OK;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
  (void)st, (void)kind, (void)where;
  return remove(path);
}

static void remove_tree(const char *folder) {
  nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- One case ---- */

static hl_status write_case(const char *folder, const hl_phantom_options *o, int item, hl_err *e) {
  char patient[32], a[PATH_MAX], b[PATH_MAX];
  hl_phantom_scan s;
  snprintf(patient, sizeof patient, "PHANTOM-%04d", item + 1);
  HL_TRY(hl_phantom_scan_new(&s, o, item, e));
  hl_status status = make_folder(a, folder, patient, e);
  if (status == HL_OK) status = make_folder(b, a, hl_marks_study_uid(s.marks), e);
  if (status == HL_OK) status = make_folder(a, b, hl_marks_series_uid(s.marks), e);
  if (status == HL_OK) status = phantom_write_case(a, &s, o, item, patient, e);
  hl_phantom_scan_clear(&s);
  return status;
}

/* ---- The whole ---- */

static hl_status write_manifest(const char *folder, const hl_phantom_options *o, hl_err *e) {
  char path[PATH_MAX], text[MANIFEST_TEXT];
  manifest_text(text, o);
  HL_TRY(join(path, folder, MANIFEST, e));
  FILE *f = fopen(path, "wbe");
  if (!f) return refuse(path, e);
  bool failed = fputs(text, f) < 0;
  failed = fclose(f) != 0 || failed;
  return failed ? refuse(path, e) : HL_OK;
}

static hl_status write_all(const char *folder, const hl_phantom_options *o, hl_progress progress,
                           void *ctx, hl_err *e) {
  for (int i = 0; i < o->cases; i++) {
    if (progress) progress(ctx, i, o->cases, "making the phantom");
    if (hl_cancel_requested()) return hl_fail(e, HL_ECANCELLED, "stopped while writing a phantom");
    HL_TRY(write_case(folder, o, i, e));
  }
  if (progress) progress(ctx, o->cases, o->cases, "making the phantom");
  return write_manifest(folder, o, e);
}

typedef enum found { NOTHING, SAME, OTHER_PHANTOM, SOMETHING_ELSE } found;

static bool is_empty(const char *folder) {
  struct stat st;
  if (lstat(folder, &st) != 0) return true; /* not there */
  DIR *d = opendir(folder);
  if (!d) return false;
  int n = 0;
  for (struct dirent *one = readdir(d); one && n < 3; one = readdir(d)) n++;
  closedir(d);
  return n < 3; /* . and .. */
}

static found look(const char *folder, const hl_phantom_options *o) {
  char path[PATH_MAX], text[MANIFEST_TEXT] = "", wanted[MANIFEST_TEXT];
  if (is_empty(folder)) return NOTHING;
  if (join(path, folder, MANIFEST, NULL) != HL_OK) return SOMETHING_ELSE;
  FILE *f = fopen(path, "rbe");
  if (!f) return SOMETHING_ELSE;
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = '\0';
  manifest_text(wanted, o);
  return strcmp(text, wanted) == 0 ? SAME : OTHER_PHANTOM;
}

/* Puts the finished folder `from` at `to`; another process may have been quicker with the same. */
static hl_status put_in_place(const char *from, const char *to, const hl_phantom_options *o,
                              hl_err *e) {
  char old[PATH_MAX];
  if (look(to, o) == OTHER_PHANTOM) {
    int n = snprintf(old, sizeof old, "%s.old", from);
    if (n < 0 || n >= PATH_MAX) return hl_fail(e, HL_EINVAL, "%s: the path is too long", to);
    if (rename(to, old) != 0) return refuse(to, e);
    remove_tree(old);
  }
  if (rename(from, to) == 0) return HL_OK;
  int reason = errno;
  if (look(to, o) == SAME) {
    remove_tree(from);
    return HL_OK;
  }
  return hl_fail(e, HL_EIO, "%s: cannot be put in place: %s", to, strerror(reason));
}

/* What killed processes left beside the folder; younger ones may still be at work. */
static void remove_leftovers(const char *target) {
  char parent[PATH_MAX], path[PATH_MAX];
  const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
  snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - target) + 1 : 1,
           slash ? target : ".");
  DIR *d = opendir(parent);
  if (!d) return;
  size_t n = strlen(name);
  for (struct dirent *one = readdir(d); one; one = readdir(d)) {
    struct stat st;
    bool part = strncmp(one->d_name, name, n) == 0 && strncmp(one->d_name + n, PART, 6) == 0;
    if (!part || join(path, parent, one->d_name, NULL) != HL_OK) continue;
    if (lstat(path, &st) == 0 && time(NULL) - st.st_mtime > LEFTOVER_S) remove_tree(path);
  }
  closedir(d);
}

static size_t without_slashes(const char *path) {
  size_t n = strlen(path);
  while (n > 1 && path[n - 1] == '/') n--;
  return n;
}

hl_status hl_phantom_write(const char *folder, const hl_phantom_options *options,
                           hl_progress progress, void *ctx, hl_err *e) {
  char temporary[PATH_MAX], target[PATH_MAX];
  HL_TRY(hl_phantom_options_check(options, e));
  int length = (int)without_slashes(folder);
  int n = snprintf(temporary, sizeof temporary, "%.*s%s", length, folder, PART);
  if (n < 0 || n >= PATH_MAX) return hl_fail(e, HL_EINVAL, "%s: the path is too long", folder);
  snprintf(target, sizeof target, "%.*s", length, folder);
  found there = look(target, options);
  if (there == SAME) return HL_OK;
  if (there == SOMETHING_ELSE)
    return hl_fail(e, HL_EIO,
                   "%s: holds something else than a phantom; expected an empty or new "
                   "folder",
                   folder);
  HL_TRY(make_parents(target, e));
  if (!mkdtemp(temporary)) return refuse(temporary, e);
  chmod(temporary, 0755);
  hl_status status = write_all(temporary, options, progress, ctx, e);
  if (status == HL_OK) status = put_in_place(temporary, target, options, e);
  if (status != HL_OK)
    remove_tree(temporary);
  else
    remove_leftovers(target);
  return status;
}
