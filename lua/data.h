/* What the files of the data room's glue share: problems, progress, fields of tables. */
#ifndef HILUM_LUA_DATA_H
#define HILUM_LUA_DATA_H

#include "glue.h"

#include <hilum/marks.h>
#include <hilum/problems.h>
#include <hilum/series.h>

/* A finaliser that takes the box's pointer out before it is released. */
#define HLL_RELEASE(name, type, kind, release)                                                     \
  static int name(lua_State *L) {                                                                  \
    void **box = luaL_checkudata(L, 1, type);                                                      \
    kind *owned = *box;                                                                            \
    *box = NULL;                                                                                   \
    release(owned);                                                                                \
    return 0;                                                                                      \
  }

/* Set a field of the table on top of the stack. */
void hll_set_string(lua_State *L, const char *key, const char *s);
void hll_set_integer(lua_State *L, const char *key, int64_t n);
void hll_set_number(lua_State *L, const char *key, double v);
void hll_set_vector(lua_State *L, const char *key, const double *v, int64_t n);

/* { file, message, code } for each; code "ok" marks a note. */
void hll_push_problems(lua_State *L, const hl_problems *p);
/* A new, empty list in a box on top of the stack. */
hl_problems **hll_problems_box(lua_State *L);
/* nil, error, problems; arguments at fault raise. */
int hll_refuse(lua_State *L, const hl_err *e, const hl_problems *problems);

/* The first error of the callback is kept below it on the stack and raised when the work is over.
 */
typedef struct hll_caller {
  lua_State *L;
  int function; /* index on the stack; 0: none */
  bool failed;
} hll_caller;
/* progress(done, total, what) at `idx`, or nothing. */
hll_caller hll_check_progress(lua_State *L, int idx);
/* An hl_progress whose context is a hll_caller. */
void hll_tell(void *ctx, int64_t done, int64_t total, const char *what);
/* To be called when the work is over: raises what the callback raised. */
void hll_raise_progress(const hll_caller *c);

hl_series *hll_check_series(lua_State *L, int idx);
/* Where the slices of a scan lie: that of a series, or of engine.place. Lends. */
void hll_check_place(lua_State *L, int idx, const hl_grid **grid, const hl_slices **slices);
hl_marks *hll_check_marks(lua_State *L, int idx);
hl_marks **hll_marks_box(lua_State *L);
int hll_build_marks(lua_State *L); /* engine.marks */
hl_nodules *hll_check_nodules(lua_State *L, int idx);
/* A table of the counts of marks. */
void hll_push_mark_counts(lua_State *L, const hl_marks_counts *c);

/* Each file adds its functions to the table on top of the stack. */
void hll_open_index(lua_State *L);
void hll_open_series(lua_State *L);
void hll_open_place(lua_State *L);
void hll_open_marks(lua_State *L);
void hll_open_nifti(lua_State *L);
void hll_open_nodules(lua_State *L);
void hll_open_export(lua_State *L);
void hll_open_phantom(lua_State *L);

#endif
