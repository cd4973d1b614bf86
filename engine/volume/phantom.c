/* A scan put together: anatomy, then tubes and nodules into it, then the scanner's noise. */
#include "phantom.h"
#include <hilum/hash.h>
#include <hilum/ledger.h>
#include <hilum/parallel.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIXELS = 176, SLICES = 44 };

hl_phantom_options hl_phantom_options_default(void) {
  return (hl_phantom_options){.cases = 60, .nodules = 2, .seed = 1};
}

/* The upper 128 bits of a hash, marked as a UUID of version 8 (RFC 9562), in decimal. */
static void uid_from_hash(char out[HL_PHANTOM_UID_TEXT], const char *hash) {
  unsigned __int128 v = 0;
  for (int i = 0; i < 32; i++) {
    char d = hash[i];
    v = v << 4 | (unsigned)(d <= '9' ? d - '0' : d - 'a' + 10);
  }
  const unsigned __int128 one = 1;
  v = (v & ~((one * 0xF) << 76)) | (one * 8) << 76;
  v = (v & ~((one * 0x3) << 62)) | (one * 2) << 62;
  char digits[48];
  int n = 0;
  do {
    digits[n++] = (char)('0' + (int)(v % 10));
    v /= 10;
  } while (v);
  memcpy(out, "2.25.", 5);
  for (int i = 0; i < n; i++) out[5 + i] = digits[n - 1 - i];
  out[5 + n] = '\0';
}

hl_status hl_phantom_uid(char out[HL_PHANTOM_UID_TEXT], const hl_phantom_options *options, int item,
                         hl_phantom_object kind, int64_t index, hl_err *e) {
  char name[160], hash[HL_HASH_TEXT];
  out[0] = '\0';
  int n = snprintf(name, sizeof name, "hilum phantom %d: seed %llu nodules %d case %d kind %d %lld",
                   HL_PHANTOM_VERSION, (unsigned long long)options->seed, options->nodules, item,
                   (int)kind, (long long)index);
  HL_TRY(hl_hash_bytes(name, (size_t)n, hash, e));
  uid_from_hash(out, hash);
  return HL_OK;
}

/* ---- Rendering ---- */

typedef struct canvas {
  const hl_phantom_scan *scan;
  int64_t size[3];
  float *hu, *noise;
  const chest *c;
  uint64_t seed;
  int item;
  double noise_hu, smooth; /* standard deviation; share of the neighbours in it */
} canvas;

static vec voxel(const canvas *v, int64_t z, int64_t y, int64_t x) {
  const double *o = v->scan->origin_mm, *s = v->scan->spacing_mm;
  return (vec){o[0] + (double)z * s[0], o[1] + (double)y * s[1], o[2] + (double)x * s[2]};
}

static void render_rows(int64_t begin, int64_t end, void *ctx) {
  canvas *v = ctx;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < v->size[2]; x++)
      v->hu[row * v->size[2] + x] =
          (float)chest_hu(v->c, voxel(v, row / v->size[1], row % v->size[1], x));
}

/* The voxels within reach of a point, clipped to the canvas. */
static void range(const canvas *v, vec centre, double reach_mm, int64_t lo[3], int64_t hi[3]) {
  const double at[3] = {centre.z, centre.y, centre.x};
  for (int a = 0; a < 3; a++) {
    double step = v->scan->spacing_mm[a], from = v->scan->origin_mm[a];
    double first = ceil((at[a] - reach_mm - from) / step);
    double last = floor((at[a] + reach_mm - from) / step);
    lo[a] = first < 0 ? 0 : (int64_t)first;
    hi[a] = last > (double)(v->size[a] - 1) ? v->size[a] - 1 : (int64_t)last;
  }
}

typedef void (*brush)(float *hu, vec at, const void *what);

static void paint(canvas *v, vec centre, double reach_mm, brush b, const void *what) {
  int64_t lo[3], hi[3];
  range(v, centre, reach_mm, lo, hi);
  for (int64_t z = lo[0]; z <= hi[0]; z++)
    for (int64_t y = lo[1]; y <= hi[1]; y++)
      for (int64_t x = lo[2]; x <= hi[2]; x++)
        b(&v->hu[(z * v->size[1] + y) * v->size[2] + x], voxel(v, z, y, x), what);
}

static void blend(float *hu, double value, double share) {
  *hu = (float)((double)*hu + share * (value - (double)*hu));
}

/* Thin tubes are dimmer than their blood: the point spread is wider than they are. */
static void tube_brush(float *hu, vec at, const void *what) {
  const tube *t = what;
  double share = coverage(tube_distance(t, at));
  if (t->hu > 0 && (double)*hu > t->hu) return;
  if (share > 0) blend(hu, t->hu, share);
}

static void paint_tube(canvas *v, const tube *t) {
  vec middle = vec_add(t->from, vec_add(t->to, t->from, -1), 0.5);
  double reach = 0.5 * vec_length(vec_add(t->to, t->from, -1)) + t->r_from + EDGE_MM;
  paint(v, middle, reach, tube_brush, t);
}

/* Bronchi after vessels, and all of their walls before their lumen. */
static void tubes_paint(canvas *v, const tubes *t) {
  static const double from_hu[] = {0, -500, -2000};
  double below = 1e9;
  for (size_t pass = 0; pass < sizeof from_hu / sizeof *from_hu; pass++) {
    for (int i = 0; i < t->n; i++)
      if (t->items[i].hu >= from_hu[pass] && t->items[i].hu < below) paint_tube(v, &t->items[i]);
    below = from_hu[pass];
  }
}

/* Brighter than what is there only: a nodule adds to vessels and wall, it does not erase them. */
static void nodule_brush(float *hu, vec at, const void *what) {
  const finding *f = what;
  double d = surface_distance(&f->shape, at), soft = f->subsolid ? 1.6 : 1;
  double share = coverage(d / soft);
  if (share > 0 && (double)*hu < f->hu) blend(hu, f->hu, share);
  double core = coverage(d + (1 - f->core) * f->shape.radius_mm);
  if (f->core > 0 && core > 0 && (double)*hu < f->core_hu) blend(hu, f->core_hu, core);
}

static void paint_finding(canvas *v, const finding *f) {
  for (int i = 0; i < f->n_spicules; i++) paint_tube(v, &f->spicules[i]);
  paint(v, f->shape.centre, 1.5 * f->shape.radius_mm + 3, nodule_brush, f);
}

/* ---- Noise ---- */

/* Nearly normal, of deviation 1: four 16-bit uniforms. The kernel below mixes nine of them. */
static float draw_one(hl_rng *r) {
  uint32_t a = hl_rng_u32(r), b = hl_rng_u32(r);
  int32_t sum = (int32_t)((a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16)) - 2 * 0xFFFF;
  return (float)sum * (float)(1.7320508075688772 / 65536);
}

static void draw_noise(int64_t begin, int64_t end, void *ctx) {
  canvas *v = ctx;
  int64_t area = v->size[1] * v->size[2];
  for (int64_t z = begin; z < end; z++) {
    hl_rng r = hl_rng_stream(v->seed, "phantom noise", (uint32_t)v->item, (uint32_t)z);
    for (int64_t i = 0; i < area; i++) v->noise[z * area + i] = draw_one(&r);
  }
}

static int64_t mirrored(int64_t i, int64_t n) {
  return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

/* Three neighbours on each axis with weights smooth, 1, smooth; scaled so that the deviation stays.
 */
static void add_noise(int64_t begin, int64_t end, void *ctx) {
  canvas *v = ctx;
  double w[2] = {1, v->smooth}, across = 1 + 2 * w[1] * w[1];
  double scale = v->noise_hu / across;
  for (int64_t row = begin; row < end; row++) {
    int64_t y = row % v->size[1], first = row - y;
    float *out = v->hu + row * v->size[2];
    for (int64_t x = 0; x < v->size[2]; x++) {
      double sum = 0;
      for (int64_t dy = -1; dy <= 1; dy++) {
        const float *line = v->noise + (first + mirrored(y + dy, v->size[1])) * v->size[2];
        for (int64_t dx = -1; dx <= 1; dx++)
          sum += w[dy != 0] * w[dx != 0] * (double)line[mirrored(x + dx, v->size[2])];
      }
      out[x] += (float)(scale * sum);
    }
  }
}

static void store_rows(int64_t begin, int64_t end, void *ctx) {
  const canvas *v = ctx;
  int16_t *out = hl_tensor_i16(v->scan->voxels);
  for (int64_t i = begin * v->size[2]; i < end * v->size[2]; i++) {
    double hu = (double)v->hu[i];
    out[i] = (int16_t)nearbyint(hu < -1024 ? -1024 : hu > 3071 ? 3071 : hu);
  }
}

/* ---- The scan ---- */

static void set_geometry(hl_phantom_scan *s, hl_rng *r) {
  double pixel = nearbyint(uniform(r, 1.05, 1.14) * 1000) / 1000, step = 1.9;
  const double spacing[3] = {step, pixel, pixel};
  const int64_t size[3] = {SLICES, PIXELS, PIXELS};
  for (int a = 0; a < 3; a++) {
    s->spacing_mm[a] = spacing[a];
    s->origin_mm[a] = -0.5 * (double)(size[a] - 1) * spacing[a];
  }
}

typedef struct parts {
  chest c;
  tubes t;
  finding findings[HL_PHANTOM_NODULES];
  int n;
} parts;

static void make_parts(parts *p, const hl_phantom_options *o, int item, double height_mm,
                       hl_rng *r) {
  p->c = chest_random(r, height_mm);
  tubes_grow(&p->t, &p->c, r);
  for (int i = 0; i < o->nodules; i++) {
    finding *f = &p->findings[p->n];
    p->n += finding_random(f, &p->c, &p->t, p->findings, p->n, (int64_t)item * o->nodules + i, r);
  }
}

static void render(canvas *v, const parts *p) {
  int64_t rows = v->size[0] * v->size[1];
  hl_parallel_for(rows, 32, render_rows, v);
  tubes_paint(v, &p->t);
  for (int i = 0; i < p->n; i++) paint_finding(v, &p->findings[i]);
  hl_parallel_for(v->size[0], 1, draw_noise, v);
  hl_parallel_for(rows, 32, add_noise, v);
  hl_parallel_for(rows, 32, store_rows, v);
}

static void describe(hl_phantom_scan *s, const parts *p) {
  s->nodules = p->n;
  for (int i = 0; i < p->n; i++) {
    const finding *f = &p->findings[i];
    s->nodule[i] =
        (hl_phantom_nodule){.centre_mm = {f->shape.centre.z, f->shape.centre.y, f->shape.centre.x},
                            .diameter_mm = 2 * f->shape.radius_mm,
                            .place = f->place,
                            .subsolid = f->subsolid};
  }
}

static hl_status name_marks(hl_phantom_scan *s, const hl_phantom_options *o, int item, hl_err *e) {
  char series[HL_PHANTOM_UID_TEXT], study[HL_PHANTOM_UID_TEXT];
  HL_TRY(hl_phantom_uid(series, o, item, HL_PHANTOM_SERIES, 0, e));
  HL_TRY(hl_phantom_uid(study, o, item, HL_PHANTOM_STUDY, 0, e));
  HL_TRY(hl_marks_set_source(s->marks, "phantom", series, study, "2000-01-01 00:00:00", e));
  hl_marks_finish(s->marks);
  return HL_OK;
}

static hl_status fill(hl_phantom_scan *s, const hl_phantom_options *o, int item, parts *p,
                      hl_tensor *work, hl_err *e) {
  hl_rng r = hl_rng_stream(o->seed, "phantom", (uint32_t)o->nodules, (uint32_t)item);
  set_geometry(s, &r);
  make_parts(p, o, item, SLICES * s->spacing_mm[0], &r);
  int64_t voxels = (int64_t)SLICES * PIXELS * PIXELS;
  canvas v = {.scan = s, .size = {SLICES, PIXELS, PIXELS}, .hu = hl_tensor_f32(work), .c = &p->c};
  v.noise = v.hu + voxels;
  v.seed = o->seed;
  v.item = item;
  v.noise_hu = uniform(&r, 15, 35);
  v.smooth = uniform(&r, 0.25, 0.6);
  render(&v, p);
  describe(s, p);
  HL_TRY(hl_marks_new(&s->marks, e));
  HL_TRY(read_findings(s, o, item, &p->c, p->findings, p->n, &r, e));
  return name_marks(s, o, item, e);
}

static hl_status check_options(const hl_phantom_options *o, int item, hl_err *e) {
  if (o->cases < 1 || o->cases > 1000)
    return hl_fail(e, HL_EINVAL, "a phantom of %d cases, expected 1 to 1000", o->cases);
  if (o->nodules < 1 || o->nodules > HL_PHANTOM_NODULES)
    return hl_fail(e, HL_EINVAL, "%d nodules in each case of a phantom, expected 1 to %d",
                   o->nodules, HL_PHANTOM_NODULES);
  if (item < 0 || item >= o->cases)
    return hl_fail(e, HL_EINVAL, "case %d of a phantom of %d", item, o->cases);
  return HL_OK;
}

hl_status hl_phantom_scan_new(hl_phantom_scan *out, const hl_phantom_options *options, int item,
                              hl_err *e) {
  *out = (hl_phantom_scan){0};
  HL_TRY(check_options(options, item, e));
  const int64_t size[3] = {SLICES, PIXELS, PIXELS}, twice[4] = {2, SLICES, PIXELS, PIXELS};
  hl_desc d = {.dtype = HL_I16, .layout = HL_PLAIN, .shape = hl_shape_make(3, size)};
  hl_desc w = {.dtype = HL_F32, .layout = HL_PLAIN, .shape = hl_shape_make(4, twice)};
  hl_tensor *work = NULL;
  parts *p = hl_host_calloc(1, sizeof *p);
  hl_status status = p ? HL_OK : hl_fail(e, HL_ENOMEM, "no memory for a phantom");
  if (p) p->t.items = hl_host_calloc(MOST_TUBES, sizeof *p->t.items);
  if (p && !p->t.items) status = hl_fail(e, HL_ENOMEM, "no memory for a phantom's vessels");
  if (status == HL_OK)
    status = hl_tensor_new(&out->voxels, &d, hl_ledger_main(), HL_MEM_DATA, "phantom", e);
  if (status == HL_OK)
    status = hl_tensor_new(&work, &w, hl_ledger_main(), HL_MEM_DATA, "phantom", e);
  if (status == HL_OK) status = fill(out, options, item, p, work, e);
  hl_tensor_unref(work);
  if (p) hl_host_free(p->t.items);
  hl_host_free(p);
  if (status != HL_OK) hl_phantom_scan_clear(out);
  return status;
}

void hl_phantom_scan_clear(hl_phantom_scan *s) {
  hl_tensor_unref(s->voxels);
  hl_marks_free(s->marks);
  *s = (hl_phantom_scan){0};
}
