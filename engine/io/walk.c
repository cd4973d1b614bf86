#include "walk.h"
#include <hilum/ledger.h>
#include <hilum/parallel.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct place {
  dev_t device;
  ino_t number;
} place;

typedef struct walk {
  file_list files, folders; /* folders: still to be entered, the last one first */
  place *entered;
  int64_t n_entered, room;
  hl_problems *problems;
} walk;

void file_list_free(file_list *l) {
  for (int64_t i = 0; i < l->n; i++) hl_host_free(l->paths[i]);
  hl_host_free(l->paths);
  *l = (file_list){0};
}

static hl_status no_memory(hl_err *e) {
  return hl_fail(e, HL_ENOMEM, "no memory for a list of files");
}

/* Takes `path` over, also on failure. */
static hl_status push(file_list *l, char *path, hl_err *e) {
  if (path && l->n == l->room) {
    int64_t room = 2 * l->room + 64;
    char **paths = hl_host_realloc(l->paths, (size_t)room * sizeof *paths);
    if (paths) {
      l->paths = paths;
      l->room = room;
    }
  }
  if (!path || l->n == l->room) {
    hl_host_free(path);
    return no_memory(e);
  }
  l->paths[l->n++] = path;
  return HL_OK;
}

static char *join(const char *folder, const char *name) {
  size_t n = strlen(folder);
  while (n > 1 && folder[n - 1] == '/') n--;
  size_t room = n + strlen(name) + 2;
  char *path = hl_host_calloc(room, 1);
  if (path) snprintf(path, room, "%.*s/%s", (int)n, folder, name);
  return path;
}

/* *again: the folder was entered before, by another way. */
static hl_status enter(walk *w, const struct stat *st, bool *again, hl_err *e) {
  *again = false;
  for (int64_t i = 0; i < w->n_entered && !*again; i++)
    *again = w->entered[i].device == st->st_dev && w->entered[i].number == st->st_ino;
  if (*again) return HL_OK;
  if (w->n_entered == w->room) {
    int64_t room = 2 * w->room + 64;
    place *entered = hl_host_realloc(w->entered, (size_t)room * sizeof *entered);
    if (!entered) return no_memory(e);
    w->entered = entered;
    w->room = room;
  }
  w->entered[w->n_entered++] = (place){st->st_dev, st->st_ino};
  return HL_OK;
}

/* Most file systems tell what an entry is with its name; links and the rest are asked for. */
static hl_status add_entry(walk *w, char *path, int type, hl_err *e) {
  struct stat st;
  if (!path) return no_memory(e);
  if (type == DT_REG) return push(&w->files, path, e);
  if (type == DT_DIR) return push(&w->folders, path, e);
  if (stat(path, &st) != 0)
    hl_problems_add(w->problems, HL_EIO, path, "cannot be read: %s", strerror(errno));
  else if (S_ISDIR(st.st_mode))
    return push(&w->folders, path, e);
  else if (S_ISREG(st.st_mode))
    return push(&w->files, path, e);
  hl_host_free(path);
  return HL_OK;
}

static int visible(const struct dirent *d) {
  return d->d_name[0] != '.';
}

/* The entries of one folder by name; n is -1 when it cannot be opened. */
static hl_status add_entries(walk *w, const char *folder, struct dirent **names, int n, hl_err *e) {
  hl_status status = HL_OK;
  int64_t first = w->folders.n;
  for (int i = 0; i < n; i++) {
    if (status == HL_OK) status = add_entry(w, join(folder, names[i]->d_name), names[i]->d_type, e);
    free(names[i]);
  }
  free(names);
  /* the last one is entered first: turn them round, so that the order is by name */
  for (int64_t a = first, b = w->folders.n - 1; a < b; a++, b--) {
    char *swap = w->folders.paths[a];
    w->folders.paths[a] = w->folders.paths[b];
    w->folders.paths[b] = swap;
  }
  return status;
}

static hl_status walk_folder(walk *w, const char *folder, bool top, hl_err *e) {
  struct stat st;
  struct dirent **names = NULL;
  bool again = false;
  int n = stat(folder, &st) == 0 ? 0 : -1;
  if (n == 0) HL_TRY(enter(w, &st, &again, e));
  if (again) return HL_OK;
  if (n == 0) n = scandir(folder, &names, visible, alphasort);
  if (n >= 0) return add_entries(w, folder, names, n, e);
  if (top) return hl_fail(e, HL_EIO, "%s: the folder cannot be read: %s", folder, strerror(errno));
  hl_problems_add(w->problems, HL_EIO, folder, "the folder cannot be read: %s", strerror(errno));
  return HL_OK;
}

static hl_status walk_all(walk *w, const char *folder, hl_err *e) {
  HL_TRY(walk_folder(w, folder, true, e));
  while (w->folders.n > 0) {
    if (hl_cancel_requested())
      return hl_fail(e, HL_ECANCELLED, "%s: stopped while looking", folder);
    char *next = w->folders.paths[--w->folders.n];
    hl_status status = walk_folder(w, next, false, e);
    hl_host_free(next);
    HL_TRY(status);
  }
  return HL_OK;
}

hl_status files_below(file_list *out, const char *folder, hl_problems *problems, hl_err *e) {
  walk w = {.problems = problems};
  hl_status status = walk_all(&w, folder, e);
  file_list_free(&w.folders);
  hl_host_free(w.entered);
  *out = w.files;
  if (status != HL_OK) file_list_free(out);
  return status;
}
