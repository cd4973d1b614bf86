/* The shared DICOM files: one CT slice in many transfer syntaxes. */
#ifndef HILUM_TESTS_DICOM_FILES_H
#define HILUM_TESTS_DICOM_FILES_H

#include "scratch.h"
#include <hilum/dicom.h>

#include <dirent.h>

typedef struct dicom_files {
  char path[64][PATH_MAX];
  int64_t n;
} dicom_files;

static inline int compare_paths(const void *a, const void *b) {
  return strcmp(a, b);
}

/* In order of their names, the plain one first; false if they are not here. */
static inline bool find_files(dicom_files *d) {
  char folder[PATH_MAX];
  if (!in_shared(folder, "dicom")) return false;
  DIR *dir = opendir(folder);
  if (!dir) return false;
  for (const struct dirent *one = readdir(dir); one; one = readdir(dir))
    if (strstr(one->d_name, ".dcm") && d->n < 64)
      snprintf(d->path[d->n++], PATH_MAX, "%.3000s/%.200s", folder, one->d_name);
  closedir(dir);
  qsort(d->path, (size_t)d->n, sizeof *d->path, compare_paths);
  return d->n > 0;
}

/* Replaces a text of the same length wherever it stands. */
static inline void replace_text(char *bytes, size_t n, const char *from, const char *to) {
  size_t k = strlen(from);
  for (size_t i = 0; i + k <= n; i++)
    if (memcmp(bytes + i, from, k) == 0) memcpy(bytes + i, to, k);
}

/* Gives the slice in `bytes` another place, so that with the one at z_mm it makes a series. */
static inline void move_slice(char *bytes, size_t n, double z_mm) {
  char from[40], to[40];
  snprintf(from, sizeof from, "%.10g", z_mm);
  snprintf(to, sizeof to, "%.10g", z_mm);
  to[0] = to[0] == '9' ? '8' : to[0] == '-' ? '1' : '9'; /* in as many characters */
  replace_text(bytes, n, from, to);
}

#endif
