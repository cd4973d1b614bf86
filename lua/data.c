/* engine.index(folder[, progress[, readings_only]]) -> table  what a folder tree holds
 * engine.read_series(files[, { header_only, processes, timeout_s, memory_bytes }]) -> series,
 * problems engine.read_marks(path) -> marks, problems           an LIDC reading
 * engine.find_nodules(series, marks[, rule]) -> nodules, problems
 * engine.write_phantom(folder, { cases, seed, nodules }[, progress]) -> true
 *
 * The files' fault gives nil and an error object (and the problems so far); wrong arguments raise.
 * progress(done, total, what). Numbers of sessions, slices and nodules count from 1 here. */
#include "glue.h"

#include <hilum/index.h>
#include <hilum/lidc.h>
#include <hilum/nodule.h>
#include <hilum/phantom.h>
#include <hilum/series.h>

#include <limits.h>
#include <math.h>
#include <string.h>

#define HLL_PROBLEMS "hilum.problems"
#define HLL_INDEX "hilum.index"
#define HLL_SERIES "hilum.series"
#define HLL_MARKS "hilum.marks"
#define HLL_NODULES "hilum.nodules"
#define HLL_CROP "hilum.crop"

/* ---- boxes ---- */

#define RELEASE(name, type, kind, release)                                                         \
  static int name(lua_State *L) {                                                                  \
    void **box = luaL_checkudata(L, 1, type);                                                      \
    kind *owned = *box;                                                                            \
    *box = NULL;                                                                                   \
    release(owned);                                                                                \
    return 0;                                                                                      \
  }
RELEASE(free_problems, HLL_PROBLEMS, hl_problems, hl_problems_free)
RELEASE(free_index, HLL_INDEX, hl_index, hl_index_free)
RELEASE(free_series, HLL_SERIES, hl_series, hl_series_free)
RELEASE(free_marks, HLL_MARKS, hl_marks, hl_marks_free)
RELEASE(free_nodules, HLL_NODULES, hl_nodules, hl_nodules_free)

static void set_string(lua_State *L, const char *key, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int64_t n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, double v) {
  lua_pushnumber(L, v);
  lua_setfield(L, -2, key);
}

static void set_vector(lua_State *L, const char *key, const double *v, int64_t n) {
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushnumber(L, v[i]);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, key);
}

/* { file, message, code } for each; code "ok" marks a note. */
static void push_problems(lua_State *L, const hl_problems *p) {
  int64_t n = hl_problems_count(p);
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    const hl_problem *one = hl_problems_at(p, i);
    lua_createtable(L, 0, 3);
    set_string(L, "file", one->file);
    set_string(L, "message", one->message);
    set_string(L, "code", hl_status_name(one->code));
    lua_seti(L, -2, i + 1);
  }
}

static hl_problems **problems_box(lua_State *L) {
  hl_problems **box = (hl_problems **)hll_newbox(L, HLL_PROBLEMS);
  hl_err e = {0};
  if (hl_problems_new(box, &e) != HL_OK) hll_raise(L, &e);
  return box;
}

/* nil, error, problems; arguments at fault raise. */
static int refuse(lua_State *L, const hl_err *e, const hl_problems *problems) {
  if (e->code == HL_EINVAL) return hll_raise(L, e);
  int n = hll_fail(L, e);
  push_problems(L, problems);
  return n + 1;
}

/* ---- progress ---- */

/* The first error of the callback is kept below it on the stack and raised when the work is over.
 */
typedef struct caller {
  lua_State *L;
  int function; /* index on the stack; 0: none */
  bool failed;
} caller;

static void tell(void *ctx, int64_t done, int64_t total, const char *what) {
  caller *c = ctx;
  if (c->function == 0 || c->failed) return;
  lua_pushvalue(c->L, c->function);
  lua_pushinteger(c->L, done);
  lua_pushinteger(c->L, total);
  lua_pushstring(c->L, what);
  if (lua_pcall(c->L, 3, 0, 0) == LUA_OK) return;
  c->failed = true;
  lua_replace(c->L, c->function);
}

static caller check_progress(lua_State *L, int idx) {
  caller c = {.L = L};
  if (lua_isnoneornil(L, idx)) return c;
  luaL_checktype(L, idx, LUA_TFUNCTION);
  luaL_checkstack(L, 8, "progress");
  c.function = idx;
  return c;
}

static void raise_progress(const caller *c) {
  if (!c->failed) return;
  lua_pushvalue(c->L, c->function);
  lua_error(c->L);
}

/* ---- index ---- */

static void push_counts(lua_State *L, const hl_marks_counts *c) {
  lua_createtable(L, 0, 24);
  set_integer(L, "sessions", c->sessions);
  set_integer(L, "outlines", c->outlines);
  set_integer(L, "points", c->points);
  set_integer(L, "non_nodules", c->non_nodules);
  set_integer(L, "rated_outlines", c->rated_outlines);
  set_integer(L, "rated_points", c->rated_points);
  set_integer(L, "empty_characteristics", c->empty_characteristics);
  set_integer(L, "rois_included", c->rois_included);
  set_integer(L, "rois_excluded", c->rois_excluded);
  set_integer(L, "outlines_closed", c->outlines_closed);
  set_integer(L, "outlines_open", c->outlines_open);
  set_integer(L, "outlines_with_gaps", c->outlines_with_gaps);
  set_integer(L, "rois_without_points", c->rois_without_points);
  set_integer(L, "rois_without_sop_uid", c->rois_without_sop_uid);
  set_integer(L, "rois_without_z", c->rois_without_z);
  set_integer(L, "z_with_blanks", c->z_with_blanks);
  set_integer(L, "several_on_slice", c->several_on_slice);
  set_integer(L, "z_disagrees", c->z_disagrees);
  set_integer(L, "ratings_out_of_range", c->ratings_out_of_range);
  int64_t n = sizeof c->malignancy / sizeof *c->malignancy;
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, c->malignancy[i]);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "malignancy");
}

static void push_index_series(lua_State *L, const hl_index *ix, const hl_index_series *s) {
  lua_createtable(L, 0, 10);
  set_string(L, "uid", s->uid);
  set_string(L, "study", s->study_uid);
  set_string(L, "patient", s->patient);
  set_integer(L, "slices", s->n_files);
  set_integer(L, "rows", s->rows);
  set_integer(L, "columns", s->columns);
  set_vector(L, "spacing_mm", s->spacing_mm, 3);
  if (s->xml >= 0) set_string(L, "xml", hl_index_xml_at(ix, s->xml)->file);
  lua_createtable(L, (int)s->n_files, 0);
  for (int64_t i = 0; i < s->n_files; i++) {
    lua_pushstring(L, s->files[i]);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "files");
}

static void push_index_xml(lua_State *L, const hl_index_xml *x) {
  push_counts(L, &x->counts);
  set_string(L, "file", x->file);
  set_string(L, "series_uid", x->series_uid);
  set_string(L, "date", x->date);
  set_string(L, "payload", x->payload);
  lua_pushboolean(L, x->series >= 0);
  lua_setfield(L, -2, "has_series");
  lua_pushboolean(L, x->superseded);
  lua_setfield(L, -2, "superseded");
}

static void push_index(lua_State *L, const hl_index *ix) {
  const hl_index_counts *c = hl_index_totals(ix);
  lua_createtable(L, 0, 12);
  set_integer(L, "files", c->files);
  set_integer(L, "dicom_files", c->dicom_files);
  set_integer(L, "ct_files", c->ct_files);
  set_integer(L, "xml_files", c->xml_files);
  set_integer(L, "ct_xml", c->ct_xml);
  set_integer(L, "radiograph_xml", c->radiograph_xml);
  set_integer(L, "other_files", c->other_files);
  lua_createtable(L, (int)hl_index_n_series(ix), 0);
  for (int64_t i = 0; i < hl_index_n_series(ix); i++) {
    push_index_series(L, ix, hl_index_series_at(ix, i));
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "series");
  lua_createtable(L, (int)hl_index_n_xml(ix), 0);
  for (int64_t i = 0; i < hl_index_n_xml(ix); i++) {
    push_index_xml(L, hl_index_xml_at(ix, i));
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "xml");
  push_problems(L, hl_index_problems(ix));
  lua_setfield(L, -2, "problems");
}

static int l_index(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  bool readings_only = lua_toboolean(L, 3);
  lua_settop(L, 2);
  caller c = check_progress(L, 2);
  hl_index **box = (hl_index **)hll_newbox(L, HLL_INDEX);
  hl_err e = {0};
  hl_status status = readings_only ? hl_index_readings(box, folder, tell, &c, &e)
                                   : hl_index_new(box, folder, tell, &c, &e);
  raise_progress(&c);
  if (status != HL_OK) return hll_fail(L, &e);
  push_index(L, *box);
  return 1;
}

/* ---- series ---- */

/* The strings stay alive in the table at `idx`. */
static const char **check_files(lua_State *L, int idx, int64_t *n) {
  luaL_checktype(L, idx, LUA_TTABLE);
  *n = luaL_len(L, idx);
  const char **files = lua_newuserdatauv(L, (size_t)(*n ? *n : 1) * sizeof *files, 0);
  for (int64_t i = 0; i < *n; i++) {
    if (lua_geti(L, idx, i + 1) != LUA_TSTRING)
      luaL_argerror(L, idx, "expected a list of file names");
    files[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return files;
}

static hl_series_options series_options(lua_State *L, int idx) {
  hl_series_options o = {0};
  if (!lua_istable(L, idx)) return o;
  o.limits.processes = (int)hll_opt_number(L, idx, "processes", 0);
  o.limits.timeout_s = hll_opt_number(L, idx, "timeout_s", 0);
  o.limits.memory_bytes = (size_t)hll_opt_number(L, idx, "memory_bytes", 0);
  lua_getfield(L, idx, "header_only");
  o.header_only = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return o;
}

static int l_read_series(lua_State *L) {
  lua_settop(L, 2);
  hl_series_options o = series_options(L, 2);
  int64_t n;
  const char **files = check_files(L, 1, &n);
  hl_problems **problems = problems_box(L);
  hl_series **box = (hl_series **)hll_newbox(L, HLL_SERIES);
  hl_err e = {0};
  if (hl_series_read(box, files, n, &o, *problems, &e) != HL_OK) return refuse(L, &e, *problems);
  if (!o.header_only) hll_account(L, hl_tensor_bytes(hl_series_voxels(*box)));
  push_problems(L, *problems);
  return 2;
}

static hl_series *check_series(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_SERIES);
}

/* series:voxels() -> i16 tensor [z,y,x], Hounsfield units; nil after header_only */
static int l_series_voxels(lua_State *L) {
  hl_tensor *t = hl_series_voxels(check_series(L, 1));
  if (!t) return 0;
  hl_tensor **box = hll_tensor_box(L);
  *box = hl_tensor_ref(t);
  return 1;
}

/* series:info() -> { uid, study, patient, slices, rows, columns, spacing_mm, origin_mm, z_mm,
 * direction, sop_uids } */
static int l_series_info(lua_State *L) {
  const hl_series *s = check_series(L, 1);
  const hl_grid *g = hl_series_grid(s);
  const hl_slices *slices = hl_series_slices(s);
  lua_createtable(L, 0, 11);
  set_string(L, "uid", hl_series_uid(s));
  set_string(L, "study", hl_series_study_uid(s));
  set_string(L, "patient", hl_series_patient(s));
  set_integer(L, "slices", g->size[0]);
  set_integer(L, "rows", g->size[1]);
  set_integer(L, "columns", g->size[2]);
  set_vector(L, "spacing_mm", g->spacing_mm, 3);
  set_vector(L, "origin_mm", g->origin_mm, 3);
  set_vector(L, "z_mm", g->z_mm, g->size[0]);
  set_vector(L, "direction", hl_series_direction(s), 9);
  lua_createtable(L, 0, (int)slices->n_uids);
  for (int64_t i = 0; i < slices->n_uids; i++)
    set_integer(L, slices->uids[i].uid, slices->uids[i].slice + 1);
  lua_setfield(L, -2, "sop_uids");
  return 1;
}

static int l_series_hash(lua_State *L) {
  char text[HL_HASH_TEXT];
  hl_err e = {0};
  if (hl_series_hash(check_series(L, 1), text, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushstring(L, text);
  return 1;
}

/* ---- marks ---- */

static int l_read_marks(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  hl_problems **problems = problems_box(L);
  hl_marks **box = (hl_marks **)hll_newbox(L, HLL_MARKS);
  hl_err e = {0};
  if (hl_lidc_read(box, path, *problems, &e) != HL_OK) return refuse(L, &e, *problems);
  push_problems(L, *problems);
  return 2;
}

static hl_marks *check_marks(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_MARKS);
}

static void push_ratings(lua_State *L, const hl_mark *mark) {
  lua_createtable(L, 0, HL_RATINGS);
  for (int i = 0; i < HL_RATINGS; i++)
    if (mark->rating[i] != INT_MIN) set_integer(L, hl_rating_name(i), mark->rating[i]);
}

static void push_roi(lua_State *L, const hl_roi *roi) {
  lua_createtable(L, 0, 5);
  if (isfinite(roi->z_mm)) set_number(L, "z_mm", roi->z_mm);
  set_string(L, "sop_uid", roi->sop_uid);
  lua_pushboolean(L, roi->inclusion);
  lua_setfield(L, -2, "inclusion");
  set_integer(L, "line", roi->line);
  lua_createtable(L, (int)roi->n, 0);
  for (int64_t i = 0; i < roi->n; i++) {
    lua_createtable(L, 0, 2);
    set_integer(L, "x", roi->points[i].x);
    set_integer(L, "y", roi->points[i].y);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "points");
}

/* marks:list() -> { { kind, session, id, line, ratings or nil, rois = { { z_mm, sop_uid, inclusion,
 * points = { { x, y } … } } … } } … } */
static int l_marks_list(lua_State *L) {
  static const char *const kinds[] = {"outline", "point", "non_nodule"};
  const hl_marks *m = check_marks(L, 1);
  lua_createtable(L, (int)hl_marks_count(m), 0);
  for (int64_t i = 0; i < hl_marks_count(m); i++) {
    const hl_mark *mark = hl_marks_at(m, i);
    lua_createtable(L, 0, 6);
    set_string(L, "kind", kinds[mark->kind]);
    set_integer(L, "session", mark->session + 1);
    set_string(L, "id", mark->id);
    set_integer(L, "line", mark->line);
    if (mark->rated) {
      push_ratings(L, mark);
      lua_setfield(L, -2, "ratings");
    }
    lua_createtable(L, (int)mark->n_rois, 0);
    for (int64_t k = 0; k < mark->n_rois; k++) {
      push_roi(L, &mark->rois[k]);
      lua_seti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "rois");
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

/* marks:info() -> counts, and { file, series_uid, study_uid, date } */
static int l_marks_info(lua_State *L) {
  const hl_marks *m = check_marks(L, 1);
  hl_marks_counts c = hl_marks_count_kinds(m);
  push_counts(L, &c);
  set_string(L, "file", hl_marks_file(m));
  set_string(L, "series_uid", hl_marks_series_uid(m));
  set_string(L, "study_uid", hl_marks_study_uid(m));
  set_string(L, "date", hl_marks_date(m));
  return 1;
}

static int l_marks_hash(lua_State *L) {
  char text[HL_HASH_TEXT];
  hl_err e = {0};
  if (hl_marks_hash(check_marks(L, 1), text, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushstring(L, text);
  return 1;
}

/* ---- nodules ---- */

/* { semantics, gap_mm, min_readers, min_diameter_mm, level, of } */
static hl_nodule_rule check_rule(lua_State *L, int idx) {
  hl_nodule_rule r = hl_nodule_rule_default();
  if (lua_isnoneornil(L, idx)) return r;
  luaL_checktype(L, idx, LUA_TTABLE);
  const char *semantics = hll_opt_field(L, idx, "semantics", hl_semantics_name(r.semantics));
  const char *of = hll_opt_field(L, idx, "of", "sessions");
  r.semantics = hl_semantics_by_name(semantics);
  if (r.semantics == HL_SEMANTICS)
    luaL_argerror(L, idx, lua_pushfstring(L, "unknown semantics '%s'", semantics));
  if (strcmp(of, "sessions") != 0 && strcmp(of, "marks") != 0)
    luaL_argerror(L, idx, lua_pushfstring(L, "of is '%s', expected 'sessions' or 'marks'", of));
  r.of = strcmp(of, "marks") == 0 ? HL_OF_MARKS : HL_OF_SESSIONS;
  r.gap_mm = hll_opt_number(L, idx, "gap_mm", r.gap_mm);
  r.min_readers = (int)hll_opt_number(L, idx, "min_readers", r.min_readers);
  r.min_diameter_mm = hll_opt_number(L, idx, "min_diameter_mm", r.min_diameter_mm);
  r.level = hll_opt_number(L, idx, "level", r.level);
  return r;
}

static int l_find_nodules(lua_State *L) {
  const hl_series *s = check_series(L, 1);
  const hl_marks *m = check_marks(L, 2);
  hl_nodule_rule rule = check_rule(L, 3);
  hl_problems **problems = problems_box(L);
  hl_nodules **box = (hl_nodules **)hll_newbox(L, HLL_NODULES);
  hl_err e = {0};
  if (hl_nodules_find(box, m, hl_series_grid(s), hl_series_slices(s), &rule, *problems, &e) !=
      HL_OK)
    return refuse(L, &e, *problems);
  push_problems(L, *problems);
  return 2;
}

static hl_nodules *check_nodules(lua_State *L, int idx) {
  return hll_check(L, idx, HLL_NODULES);
}

static void push_nodule(lua_State *L, const hl_nodule *n) {
  lua_createtable(L, 0, 6);
  set_integer(L, "readers", n->readers);
  set_vector(L, "centre_mm", n->centre_mm, 3);
  set_number(L, "diameter_mm", n->diameter_mm);
  set_number(L, "volume_mm3", n->volume_mm3);
  lua_createtable(L, n->readers, 0);
  for (int r = 0; r < n->readers; r++) {
    lua_pushinteger(L, n->sessions[r] + 1);
    lua_seti(L, -2, r + 1);
  }
  lua_setfield(L, -2, "sessions");
  lua_createtable(L, 0, HL_RATINGS);
  for (int i = 0; i < HL_RATINGS; i++)
    if (!isnan(n->mean_rating[i])) set_number(L, hl_rating_name(i), n->mean_rating[i]);
  lua_setfield(L, -2, "mean_ratings");
}

/* nodules:list() -> { { readers, sessions, centre_mm, diameter_mm, volume_mm3, mean_ratings } … }
 */
static int l_nodules_list(lua_State *L) {
  const hl_nodules *ns = check_nodules(L, 1);
  lua_createtable(L, (int)hl_nodules_count(ns), 0);
  for (int64_t i = 0; i < hl_nodules_count(ns); i++) {
    push_nodule(L, hl_nodules_at(ns, i));
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

/* nodules:left_out() -> { few_readers, small, disputed } */
static int l_nodules_left_out(lua_State *L) {
  const hl_nodules *ns = check_nodules(L, 1);
  lua_createtable(L, 0, 3);
  set_integer(L, "few_readers", hl_nodules_few_readers(ns));
  set_integer(L, "small", hl_nodules_small(ns));
  set_integer(L, "disputed", hl_nodules_disputed(ns));
  return 1;
}

static void check_vector(lua_State *L, int idx, const char *key, lua_Number *v, int n) {
  if (lua_getfield(L, idx, key) != LUA_TTABLE || luaL_len(L, -1) != n)
    luaL_argerror(L, idx, lua_pushfstring(L, "%s must be a list of %d numbers", key, n));
  for (int i = 0; i < n; i++) {
    lua_geti(L, -1, i + 1);
    v[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* { size, spacing_mm, window_hu } */
static hl_crop_options check_crop(lua_State *L, int idx) {
  hl_crop_options o;
  lua_Number size[3];
  luaL_checktype(L, idx, LUA_TTABLE);
  check_vector(L, idx, "size", size, 3);
  check_vector(L, idx, "spacing_mm", o.spacing_mm, 3);
  check_vector(L, idx, "window_hu", o.window_hu, 2);
  for (int a = 0; a < 3; a++) {
    luaL_argcheck(L, size[a] >= 1 && size[a] <= 4096, idx, "size must be 1 to 4096 voxels");
    o.size[a] = (int64_t)size[a];
  }
  return o;
}

static int free_crop(lua_State *L) {
  hl_crop_clear(luaL_checkudata(L, 1, HLL_CROP));
  return 0;
}

static void set_tensor(lua_State *L, const char *key, hl_tensor *t) {
  *hll_tensor_box(L) = hl_tensor_ref(t);
  lua_setfield(L, -2, key);
}

static void push_crop(lua_State *L, const hl_crop *c) {
  lua_createtable(L, 0, 5);
  set_tensor(L, "image", c->image);
  set_tensor(L, "truth", c->truth);
  set_tensor(L, "valid", c->valid);
  lua_pushboolean(L, c->cut);
  lua_setfield(L, -2, "cut");
  lua_createtable(L, c->readers, 0);
  for (int r = 0; r < c->readers; r++) {
    *hll_tensor_box(L) = hl_tensor_ref(c->reader[r]);
    lua_seti(L, -2, r + 1);
  }
  lua_setfield(L, -2, "readers");
}

static hl_crop *new_crop(lua_State *L) {
  hl_crop *crop = lua_newuserdatauv(L, sizeof *crop, 0);
  memset(crop, 0, sizeof *crop);
  luaL_setmetatable(L, HLL_CROP);
  return crop;
}

/* nodules:crop(i, voxels, { size, spacing_mm, window_hu }) -> { image, truth, valid, readers, cut }
 */
static int l_nodules_crop(lua_State *L) {
  const hl_nodules *ns = check_nodules(L, 1);
  lua_Integer i = luaL_checkinteger(L, 2);
  hl_tensor *voxels = hll_check_tensor(L, 3);
  hl_crop_options o = check_crop(L, 4);
  hl_crop *crop = new_crop(L);
  hl_err e = {0};
  if (hl_nodule_crop(crop, ns, i - 1, voxels, &o, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(crop->image) * 3);
  push_crop(L, crop);
  return 1;
}

/* nodules:whole(voxels, { size, spacing_mm (not read), window_hu }) -> { image, truth, valid,
 * readers (none), cut }: the scan from edge to edge */
static int l_nodules_whole(lua_State *L) {
  const hl_nodules *ns = check_nodules(L, 1);
  hl_tensor *voxels = hll_check_tensor(L, 2);
  hl_crop_options o = check_crop(L, 3);
  hl_crop *crop = new_crop(L);
  hl_err e = {0};
  if (hl_nodules_whole(crop, ns, voxels, &o, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(crop->image) * 3);
  push_crop(L, crop);
  return 1;
}

/* ---- phantom ---- */

static int l_write_phantom(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  hl_phantom_options o = hl_phantom_options_default();
  o.cases = (int)hll_opt_number(L, 2, "cases", o.cases);
  o.nodules = (int)hll_opt_number(L, 2, "nodules", o.nodules);
  lua_getfield(L, 2, "seed");
  o.seed = (uint64_t)luaL_optinteger(L, -1, (lua_Integer)o.seed);
  lua_pop(L, 1);
  caller c = check_progress(L, 3);
  hl_err e = {0};
  hl_status status = hl_phantom_write(folder, &o, tell, &c, &e);
  raise_progress(&c);
  if (status == HL_EINVAL) return hll_raise(L, &e);
  if (status != HL_OK) return hll_fail(L, &e);
  lua_pushboolean(L, true);
  return 1;
}

/* engine.phantom_defaults() -> { cases, nodules, seed } */
static int l_phantom_defaults(lua_State *L) {
  hl_phantom_options o = hl_phantom_options_default();
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, o.cases);
  lua_setfield(L, -2, "cases");
  lua_pushinteger(L, o.nodules);
  lua_setfield(L, -2, "nodules");
  lua_pushinteger(L, (lua_Integer)o.seed);
  lua_setfield(L, -2, "seed");
  return 1;
}

void hll_open_data(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg series[] = {
      {"voxels", l_series_voxels}, {"info", l_series_info}, {"hash", l_series_hash}, {NULL, NULL}};
  static const luaL_Reg marks[] = {
      {"list", l_marks_list}, {"info", l_marks_info}, {"hash", l_marks_hash}, {NULL, NULL}};
  static const luaL_Reg nodules[] = {{"list", l_nodules_list},
                                     {"left_out", l_nodules_left_out},
                                     {"crop", l_nodules_crop},
                                     {"whole", l_nodules_whole},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"index", l_index},
                                       {"read_series", l_read_series},
                                       {"read_marks", l_read_marks},
                                       {"find_nodules", l_find_nodules},
                                       {"write_phantom", l_write_phantom},
                                       {"phantom_defaults", l_phantom_defaults},
                                       {NULL, NULL}};
  hll_type(L, HLL_PROBLEMS, none, NULL, free_problems);
  hll_type(L, HLL_INDEX, none, NULL, free_index);
  hll_type(L, HLL_SERIES, series, NULL, free_series);
  hll_type(L, HLL_MARKS, marks, NULL, free_marks);
  hll_type(L, HLL_NODULES, nodules, NULL, free_nodules);
  hll_type(L, HLL_CROP, none, NULL, free_crop);
  luaL_setfuncs(L, functions, 0);
}
