/* engine.index(folder[, progress[, options]]) -> table      what a folder tree holds
 *
 * progress(done, total, what). options: { readings_only, memory = file in which what the files hold
 * is remembered }. */
#include "data.h"

#include <hilum/index.h>

#define HLL_INDEX "hilum.index"

HLL_RELEASE(free_index, HLL_INDEX, hl_index, hl_index_free)

static void push_index_series(lua_State *L, const hl_index *ix, const hl_index_series *s) {
  lua_createtable(L, 0, 10);
  hll_set_string(L, "uid", s->uid);
  hll_set_string(L, "study", s->study_uid);
  hll_set_string(L, "patient", s->patient);
  hll_set_integer(L, "slices", s->n_files);
  hll_set_integer(L, "rows", s->rows);
  hll_set_integer(L, "columns", s->columns);
  hll_set_vector(L, "spacing_mm", s->spacing_mm, 3);
  hll_set_string(L, "identity", s->identity);
  if (s->xml >= 0) hll_set_string(L, "xml", hl_index_xml_at(ix, s->xml)->file);
  lua_createtable(L, (int)s->n_files, 0);
  for (int64_t i = 0; i < s->n_files; i++) {
    lua_pushstring(L, s->files[i]);
    lua_seti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "files");
}

static void push_index_xml(lua_State *L, const hl_index_xml *x) {
  hll_push_mark_counts(L, &x->counts);
  hll_set_string(L, "file", x->file);
  hll_set_string(L, "series_uid", x->series_uid);
  hll_set_string(L, "date", x->date);
  hll_set_string(L, "payload", x->payload);
  lua_pushboolean(L, x->series >= 0);
  lua_setfield(L, -2, "has_series");
  lua_pushboolean(L, x->superseded);
  lua_setfield(L, -2, "superseded");
}

static void push_index(lua_State *L, const hl_index *ix) {
  const hl_index_counts *c = hl_index_totals(ix);
  lua_createtable(L, 0, 12);
  hll_set_integer(L, "files", c->files);
  hll_set_integer(L, "dicom_files", c->dicom_files);
  hll_set_integer(L, "ct_files", c->ct_files);
  hll_set_integer(L, "xml_files", c->xml_files);
  hll_set_integer(L, "ct_xml", c->ct_xml);
  hll_set_integer(L, "radiograph_xml", c->radiograph_xml);
  hll_set_integer(L, "other_files", c->other_files);
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
  hll_push_problems(L, hl_index_problems(ix));
  lua_setfield(L, -2, "problems");
}

static int l_index(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  lua_settop(L, 3);
  bool readings_only =
      lua_istable(L, 3) && lua_getfield(L, 3, "readings_only") != LUA_TNIL && lua_toboolean(L, -1);
  const char *memory = lua_istable(L, 3) ? hll_opt_field(L, 3, "memory", NULL) : NULL;
  hll_caller c = hll_check_progress(L, 2);
  hl_index **box = (hl_index **)hll_newbox(L, HLL_INDEX);
  hl_err e = {0};
  hl_status status = readings_only ? hl_index_readings(box, folder, hll_tell, &c, &e)
                     : memory      ? hl_index_remembered(box, folder, memory, hll_tell, &c, &e)
                                   : hl_index_new(box, folder, hll_tell, &c, &e);
  hll_raise_progress(&c);
  if (status != HL_OK) return hll_fail(L, &e);
  push_index(L, *box);
  return 1;
}

void hll_open_index(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"index", l_index}, {NULL, NULL}};
  hll_type(L, HLL_INDEX, none, NULL, free_index);
  luaL_setfuncs(L, functions, 0);
}
