/* The glue of image maths; stdlib/hilum/image.lua is its face. Images are dense, plain tensors of
 * z, y, x. */
#include "glue.h"

#include <hilum/filter.h>
#include <hilum/morphology.h>
#include <hilum/shape.h>
#include <hilum/volume.h>

#include <string.h>

static void check_size(lua_State *L, int idx, const char *key, int64_t size[3]) {
  double v[3] = {0, 0, 0};
  hll_opt_vector(L, idx, key, v, 3);
  for (int a = 0; a < 3; a++) {
    if (!(v[a] >= 1 && v[a] <= 1 << 20))
      luaL_argerror(L, idx, lua_pushfstring(L, "%s must be three whole numbers, 1 or more", key));
    size[a] = (int64_t)v[a];
  }
}

static hl_dtype check_type(lua_State *L, int idx, const char *key, const char *fallback) {
  const char *name = hll_opt_field(L, idx, key, fallback);
  hl_dtype type = hl_dtype_by_name(name);
  if (type != HL_F32 && type != HL_F64)
    luaL_argerror(L, idx, lua_pushfstring(L, "%s is '%s', expected 'f32' or 'f64'", key, name));
  return type;
}

static hl_boundary check_boundary(lua_State *L, int idx) {
  const char *name = hll_opt_field(L, idx, "boundary", "edge");
  hl_boundary b = hl_boundary_by_name(name);
  if (b == HL_BOUNDARIES) luaL_argerror(L, idx, lua_pushfstring(L, "unknown boundary '%s'", name));
  return b;
}

static int done(lua_State *L, hl_status status, const hl_err *e, hl_tensor *const *box) {
  if (status != HL_OK) return hll_raise(L, e);
  hll_account(L, hl_tensor_bytes(*box));
  return 1;
}

static hl_sampling check_sampling(lua_State *L, int idx) {
  hl_sampling how;
  luaL_checktype(L, idx, LUA_TTABLE);
  const char *kind = hll_opt_field(L, idx, "kind", "linear");
  how.kind = hl_interpolation_by_name(kind);
  if (how.kind == HL_INTERPOLATIONS)
    luaL_argerror(L, idx, lua_pushfstring(L, "unknown kind of interpolation '%s'", kind));
  how.boundary = check_boundary(L, idx);
  how.outside = hll_opt_number(L, idx, "outside", 0);
  return how;
}

static int l_sample_points(lua_State *L) {
  hl_tensor *src = hll_check_tensor(L, 1), *points = hll_check_tensor(L, 2);
  hl_sampling how = check_sampling(L, 3);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_sample_points(box, src, points, &how, &e), &e, box);
}

static int l_sample_affine(lua_State *L) {
  hl_tensor *src = hll_check_tensor(L, 1);
  hl_sampling how = check_sampling(L, 2);
  int64_t size[3];
  double matrix[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, offset[3] = {0, 0, 0};
  check_size(L, 2, "size", size);
  hll_opt_vector(L, 2, "matrix", matrix, 9);
  hll_opt_vector(L, 2, "offset", offset, 3);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_sample_affine(box, src, size, matrix, offset, &how, &e), &e, box);
}

static int l_gaussian(lua_State *L) {
  hl_tensor *src = hll_check_tensor(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  hl_gaussian g = {.truncate = hll_opt_number(L, 2, "truncate", 4),
                   .boundary = check_boundary(L, 2),
                   .outside = hll_opt_number(L, 2, "outside", 0)};
  hll_opt_vector(L, 2, "sigma", g.sigma, 3);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_filter_gaussian(box, src, &g, &e), &e, box);
}

/* The list z_mm of the grid at `idx` in memory that is left on the stack; NULL (and nil) without
 * one. */
static const double *opt_slices(lua_State *L, int idx, int64_t n) {
  if (lua_getfield(L, idx, "z_mm") == LUA_TNIL) return NULL;
  if (!lua_istable(L, -1) || luaL_len(L, -1) != n)
    luaL_argerror(L, 2, "z_mm must be a list with the position of every slice");
  double *z_mm = lua_newuserdatauv(L, (size_t)(n ? n : 1) * sizeof *z_mm, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_geti(L, -2, i + 1);
    z_mm[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  lua_remove(L, -2);
  return z_mm;
}

static hl_grid check_grid(lua_State *L, int idx, const char *key, const int64_t *size) {
  hl_grid g = {.spacing_mm = {1, 1, 1}};
  if (lua_getfield(L, idx, key) != LUA_TTABLE)
    luaL_argerror(L, idx, lua_pushfstring(L, "%s must be a grid", key));
  int at = lua_gettop(L);
  if (size)
    memcpy(g.size, size, sizeof g.size);
  else
    check_size(L, at, "size", g.size);
  hll_opt_vector(L, at, "spacing_mm", g.spacing_mm, 3);
  hll_opt_vector(L, at, "origin_mm", g.origin_mm, 3);
  g.z_mm = opt_slices(L, at, g.size[0]);
  lua_replace(L, at); /* the positions stay on the stack as long as the grid is used */
  return g;
}

static int l_resample(lua_State *L) {
  hl_tensor *src = hll_check_tensor(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_argcheck(L, hl_tensor_shape(src)->rank == 3, 1, "an image has the axes z, y, x");
  hl_grid from = check_grid(L, 2, "from", hl_tensor_shape(src)->dim);
  hl_grid to = check_grid(L, 2, "to", NULL);
  const char *kind = hll_opt_field(L, 2, "kind", "linear");
  hl_resample_options how = {.kind = hl_resampling_by_name(kind),
                             .outside = hll_opt_number(L, 2, "outside", 0),
                             .type = check_type(L, 2, "type", "f32")};
  if (how.kind == HL_RESAMPLINGS)
    luaL_argerror(L, 2, lua_pushfstring(L, "unknown kind of resampling '%s'", kind));
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_volume_resample(box, src, &from, &to, &how, &e), &e, box);
}

/* engine.seen(voxels, { from = grid, to = grid, kind = "linear", window = { low, high } }) ->
 * image, valid: what a network sees of a scan */
static int l_seen(lua_State *L) {
  hl_tensor *src = hll_check_tensor(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_argcheck(L, hl_tensor_shape(src)->rank == 3, 1, "an image has the axes z, y, x");
  double window[2];
  hll_check_vector(L, 2, "window", window, 2);
  hl_resampling kind = hl_resampling_by_name(hll_opt_field(L, 2, "kind", "linear"));
  luaL_argcheck(L, kind != HL_RESAMPLINGS, 2, "unknown kind of resampling");
  hl_grid from = check_grid(L, 2, "from", hl_tensor_shape(src)->dim);
  hl_grid to = check_grid(L, 2, "to", NULL);
  hl_tensor **image = hll_tensor_box(L), **valid = hll_tensor_box(L);
  hl_err e = {0};
  if (hl_volume_image(image, valid, src, &from, &to, kind, window, &e) != HL_OK)
    return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(*image) + hl_tensor_bytes(*valid));
  return 2;
}

static int l_window(lua_State *L) {
  hl_tensor *t = hll_check_tensor(L, 1);
  hl_err e = {0};
  if (hl_volume_window(t, luaL_checknumber(L, 2), luaL_checknumber(L, 3), &e) != HL_OK)
    return hll_raise(L, &e);
  lua_settop(L, 1);
  return 1;
}

static int l_mask_morph(lua_State *L) {
  static const char *const names[] = {"dilate", "erode", "open", "close", NULL};
  hl_tensor *mask = hll_check_tensor(L, 1);
  int what = luaL_checkoption(L, 2, NULL, names);
  int connectivity = (int)luaL_optinteger(L, 3, 6), times = (int)luaL_optinteger(L, 4, 1);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_mask_morph(box, mask, (hl_morphology)what, connectivity, times, &e), &e, box);
}

static int l_mask_fill_holes(lua_State *L) {
  hl_tensor *mask = hll_check_tensor(L, 1);
  int connectivity = (int)luaL_optinteger(L, 2, 6);
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_mask_fill_holes(box, mask, connectivity, &e), &e, box);
}

static int l_mask_distance(lua_State *L) {
  hl_tensor *mask = hll_check_tensor(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  double spacing_mm[3] = {1, 1, 1};
  hll_opt_vector(L, 2, "spacing_mm", spacing_mm, 3);
  hl_dtype type = check_type(L, 2, "type", "f32");
  hl_tensor **box = hll_tensor_box(L);
  hl_err e = {0};
  return done(L, hl_mask_distance(box, mask, spacing_mm, type, &e), &e, box);
}

static int measured(lua_State *L,
                    hl_status (*measure)(double *, const hl_tensor *, const double *, hl_err *)) {
  hl_tensor *mask = hll_check_tensor(L, 1);
  double spacing_mm[3] = {1, 1, 1}, result;
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "spacing_mm");
  hll_opt_vector(L, lua_gettop(L), "spacing_mm", spacing_mm, 3);
  hl_err e = {0};
  if (measure(&result, mask, spacing_mm, &e) != HL_OK) return hll_raise(L, &e);
  lua_pushnumber(L, result);
  return 1;
}

static int l_mask_surface(lua_State *L) {
  return measured(L, hl_mask_surface_mm2);
}

static int l_mask_longest(lua_State *L) {
  return measured(L, hl_mask_longest_mm);
}

/* { voxels, mean, sd, skewness, kurtosis, min, max, p5 … p95 }; of an empty mask voxels alone */
static int l_mask_inside(lua_State *L) {
  hl_inside s;
  hl_err e = {0};
  if (hl_mask_inside(&s, hll_check_tensor(L, 1), hll_check_tensor(L, 2), &e) != HL_OK)
    return hll_raise(L, &e);
  lua_createtable(L, 0, 14);
  lua_pushinteger(L, s.voxels);
  lua_setfield(L, -2, "voxels");
  if (s.voxels == 0) return 1;
  hll_set_defined(L, "mean", s.mean);
  hll_set_defined(L, "sd", s.sd);
  hll_set_defined(L, "skewness", s.skewness);
  hll_set_defined(L, "kurtosis", s.kurtosis);
  hll_set_defined(L, "min", s.min);
  hll_set_defined(L, "max", s.max);
  for (int i = 0; i < HL_PERCENTILES; i++) {
    lua_pushfstring(L, "p%d", (int)hl_percentiles[i]);
    lua_pushnumber(L, s.percentile[i]);
    lua_settable(L, -3);
  }
  return 1;
}

/* Memory of hl_host_calloc that Lua releases, whatever is raised meanwhile. */
#define HLL_HOST "hilum.host"

static int release_host(lua_State *L) {
  void **box = luaL_checkudata(L, 1, HLL_HOST), *owned = *box;
  *box = NULL;
  hl_host_free(owned);
  return 0;
}

static void push_part(lua_State *L, const hl_part *p) {
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, p->voxels);
  lua_setfield(L, -2, "voxels");
  const char *const names[] = {"centre", "first", "size"};
  for (int k = 0; k < 3; k++) {
    lua_createtable(L, 3, 0);
    for (int a = 0; a < 3; a++) {
      if (k == 0)
        lua_pushnumber(L, p->centre[a] + 1);
      else
        lua_pushinteger(L, k == 1 ? p->first[a] + 1 : p->size[a]);
      lua_seti(L, -2, a + 1);
    }
    lua_setfield(L, -2, names[k]);
  }
}

static int l_mask_parts(lua_State *L) {
  hl_tensor *mask = hll_check_tensor(L, 1);
  int connectivity = (int)luaL_optinteger(L, 2, 6);
  hl_tensor **box = hll_tensor_box(L);
  hl_part **parts = (hl_part **)hll_newbox(L, HLL_HOST);
  int labels = lua_gettop(L) - 1;
  int64_t n;
  hl_err e = {0};
  if (hl_mask_parts(box, parts, &n, mask, connectivity, &e) != HL_OK) return hll_raise(L, &e);
  hll_account(L, hl_tensor_bytes(*box));
  lua_pushvalue(L, labels);
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    push_part(L, &(*parts)[i]);
    lua_seti(L, -2, i + 1);
  }
  return 2;
}

void hll_open_image(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"sample_points", l_sample_points},
                                       {"sample_affine", l_sample_affine},
                                       {"gaussian", l_gaussian},
                                       {"resample", l_resample},
                                       {"seen", l_seen},
                                       {"window", l_window},
                                       {"mask_morph", l_mask_morph},
                                       {"mask_fill_holes", l_mask_fill_holes},
                                       {"mask_parts", l_mask_parts},
                                       {"mask_distance", l_mask_distance},
                                       {"mask_surface", l_mask_surface},
                                       {"mask_longest", l_mask_longest},
                                       {"mask_inside", l_mask_inside},
                                       {NULL, NULL}};
  hll_type(L, HLL_HOST, none, NULL, release_host);
  luaL_setfuncs(L, functions, 0);
}
