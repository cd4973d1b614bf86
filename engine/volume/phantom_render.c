/* From shapes to Hounsfield units. Distances to the large surfaces are computed on coarse nodes and
 * interpolated; organs are painted once for each slice, lungs, vessels and nodules on every plane
 * that the slice is the mean of, so that thick slices blur them. Slices are independent. */
#include "phantom.h"
#include <hilum/ledger.h>
#include <hilum/parallel.h>

#include <string.h>

enum {
  TEXTURE_FAT = FIELDS, /* random, -1 … 1, at the nodes */
  TEXTURE_LOBULE,
  NODE_FIELDS,
  MOST_NODES = 128, /* along an axis */
  CHUNKS = 16,      /* of slices; each has planes of its own to work on */
  PLANES = 4        /* plane, slice, sum, noise */
};
static const double NODE_MM = 4;
static const float AIR_HU = -1000, FAT_HU = -103, SKIN_HU = 12;

/* ---- Nodes ---- */

static void fill_layers(int64_t begin, int64_t end, void *ctx) {
  const canvas *v = ctx;
  const int64_t *n = v->nodes_size, layer = n[1] * n[2], all = n[0] * layer;
  for (int64_t z = begin; z < end; z++) {
    hl_rng r = hl_rng_stream(v->seed, "phantom texture", (uint32_t)v->item, (uint32_t)z);
    float *out = v->nodes + z * layer;
    for (int64_t i = 0; i < layer; i++) {
      float f[FIELDS];
      vec at = {v->nodes_origin[0] + (double)z * v->node_mm,
                v->nodes_origin[1] + (double)(i / n[2]) * v->node_mm,
                v->nodes_origin[2] + (double)(i % n[2]) * v->node_mm};
      chest_fields(v->c, at, f);
      for (int k = 0; k < FIELDS; k++) out[k * all + i] = f[k];
      out[TEXTURE_FAT * all + i] = (float)uniform(&r, -1, 1);
      out[TEXTURE_LOBULE * all + i] = (float)uniform(&r, -1, 1);
    }
  }
}

static size_t nodes_bytes(const canvas *v) {
  const int64_t *n = v->nodes_size;
  return (size_t)(n[0] * n[1] * n[2]) * NODE_FIELDS * sizeof(float);
}

static hl_status make_nodes(canvas *v, hl_err *e) {
  const double *s = v->scan->spacing_mm, *o = v->scan->origin_mm;
  const hl_shape *shape = hl_tensor_shape(v->scan->voxels);
  double longest = 0;
  for (int a = 0; a < 3; a++) longest = most(longest, (double)shape->dim[a] * s[a]);
  v->node_mm = most(NODE_MM, (longest + 8) / (MOST_NODES - 4));
  for (int a = 0; a < 3; a++) {
    v->nodes_origin[a] = o[a] - v->node_mm;
    double size = (double)(shape->dim[a] - 1) * s[a] + (a == 0 ? v->p->thickness_mm : 0);
    v->nodes_size[a] = (int64_t)ceil(size / v->node_mm) + 4;
  }
  void *nodes;
  HL_TRY(hl_mem_alloc(hl_ledger_main(), &nodes, nodes_bytes(v), HL_MEM_WORKSPACE,
                      "a phantom's anatomy", e));
  v->nodes = nodes;
  hl_parallel_for(v->nodes_size[0], 4, fill_layers, v);
  return HL_OK;
}

/* The nodes between two layers and two lines, so that a row is left with one axis to interpolate.
 */
typedef float node_row[NODE_FIELDS][MOST_NODES];

static double y_mm(const canvas *v, int64_t y) {
  return v->scan->origin_mm[1] + (double)y * v->scan->spacing_mm[1];
}

static void row_of_nodes(const canvas *v, double z_mm, int64_t y, int first, int last,
                         node_row out) {
  const int64_t *n = v->nodes_size, all = n[0] * n[1] * n[2];
  double gz = (z_mm - v->nodes_origin[0]) / v->node_mm;
  double gy = (y_mm(v, y) - v->nodes_origin[1]) / v->node_mm;
  int64_t iz = (int64_t)gz, iy = (int64_t)gy;
  float tz = (float)(gz - (double)iz), ty = (float)(gy - (double)iy);
  for (int k = first; k < last; k++) {
    const float *a = v->nodes + k * all + (iz * n[1] + iy) * n[2], *b = a + n[1] * n[2];
    for (int64_t x = 0; x < n[2]; x++) {
      float near = a[x] + ty * (a[x + n[2]] - a[x]), next = b[x] + ty * (b[x + n[2]] - b[x]);
      out[k][x] = near + tz * (next - near);
    }
  }
}

static inline float along(const float *nodes, int i, float t) {
  return nodes[i] + t * (nodes[i + 1] - nodes[i]);
}

static inline float cover(float d, float half_edge) {
  float t = 0.5F - d * half_edge;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  return t * t * (3 - 2 * t);
}

static inline float least_f(float a, float b) {
  return a < b ? a : b;
}

static inline float blend(float a, float b, float t) {
  return a + t * (b - a);
}

/* ---- Soft tissue ---- */

typedef struct column {
  int i;
  float t;
} column;

static column column_of(const canvas *v, int64_t x) {
  double g = (v->scan->origin_mm[2] + (double)x * v->scan->spacing_mm[2] - v->nodes_origin[2]) /
             v->node_mm;
  return (column){(int)g, (float)(g - floor(g))};
}

static float inside_hu(const canvas *v, const float f[NODE_FIELDS], float edge, float hu) {
  float s = (float)v->c->scale, muscle = (float)v->c->muscle_hu, dome = f[FIELD_DOME];
  float below = cover(dome + 2 * s, edge);
  float liver = (float)v->c->liver_hu + 5 * f[TEXTURE_FAT];
  float share = below * cover(f[FIELD_LIVER], edge);
  hu = blend(hu, muscle, cover(dome - s, edge) * cover(-3 * s - dome, edge));
  return blend(hu, liver, share);
}

/* Muscle between the ribs and on them, with planes of fat where two muscles meet. */
static float wall_hu(const canvas *v, const float f[NODE_FIELDS], float edge, float hu) {
  float s = (float)v->c->scale, cage = f[FIELD_CAGE], muscle = f[FIELD_MUSCLE];
  float thick = cage - 8 * s - muscle, bow = 1.5F * s * f[TEXTURE_FAT];
  float streaky = (float)v->c->muscle_hu - 14 * (f[TEXTURE_FAT] + 1);
  float share = cover(muscle, edge) * cover(1.2F * s - cage, edge);
  float first = fabsf(cage - 8.5F * s + bow), second = fabsf(muscle + 0.5F * thick + 2 * bow);
  float plane = thick > 9 * s && second < first ? second : first;
  float broken = 0.45F + 0.9F * f[TEXTURE_LOBULE]; /* the planes are seen here and there */
  if (broken > 0) share *= 1 - least_f(broken, 0.85F) * cover(plane - 0.7F * s, edge);
  return blend(hu, streaky, share);
}

static float tissue_hu(const canvas *v, const float f[NODE_FIELDS], float edge) {
  float s = (float)v->c->scale, cage = f[FIELD_CAGE], skin = f[FIELD_SKIN];
  if (skin > 2) return AIR_HU;
  if (f[FIELD_LUNG] < -3) return AIR_HU; /* the lungs are painted over it */
  float hu = FAT_HU + 14 * f[TEXTURE_FAT];
  hu = cage < 1 ? inside_hu(v, f, edge, hu) : wall_hu(v, f, edge, hu);
  hu = blend(hu, SKIN_HU, cover(-1.7F * s - skin, edge));
  return blend(AIR_HU, hu, cover(skin, edge));
}

static void tissue_row(const canvas *v, int64_t y) {
  node_row nodes;
  int64_t n = v->p->pixels;
  float edge = (float)(0.5 / v->p->edge_mm), f[NODE_FIELDS];
  float *out = v->slice + y * n;
  row_of_nodes(v, v->z_mm, y, 0, NODE_FIELDS, nodes);
  for (int64_t x = 0; x < n; x++) {
    column at = column_of(v, x);
    f[FIELD_SKIN] = along(nodes[FIELD_SKIN], at.i, at.t);
    out[x] = AIR_HU;
    if (f[FIELD_SKIN] > 2) continue;
    for (int k = 1; k < NODE_FIELDS; k++) f[k] = along(nodes[k], at.i, at.t);
    out[x] = tissue_hu(v, f, edge);
  }
}

/* Two shells and the foam between them. */
static void couch_row(const canvas *v, int64_t y) {
  float *out = v->slice + y * v->p->pixels;
  for (int64_t x = 0; x < v->p->pixels; x++) {
    double x_mm = v->scan->origin_mm[2] + (double)x * v->scan->spacing_mm[2];
    double sag = (y_mm(v, y) - v->p->couch_mm) / v->c->scale + 0.0011 * x_mm * x_mm;
    if (out[x] > -900 || sag < -3 || sag > 30 || fabs(x_mm) > 210 * v->c->scale) continue;
    double shell = least(fabs(sag), fabs(sag - 22 + 0.0004 * x_mm * x_mm)) - 0.9;
    double foam = sag > 0 && sag < 20 ? -955 : -1000;
    out[x] = (float)mix(foam, -480, coverage(shell, v->p->edge_mm));
  }
}

/* ---- Brushes ---- */

typedef struct window {
  int64_t y0, y1, x0, x1; /* the last ones belong to it */
} window;

static bool window_of(const canvas *v, vec middle, vec half, window *w) {
  const double *o = v->scan->origin_mm, *s = v->scan->spacing_mm;
  double e = v->p->edge_mm;
  if (fabs(v->z_mm - middle.z) > half.z + e) return false;
  w->y0 = (int64_t)ceil((middle.y - half.y - e - o[1]) / s[1]);
  w->y1 = (int64_t)floor((middle.y + half.y + e - o[1]) / s[1]);
  w->x0 = (int64_t)ceil((middle.x - half.x - e - o[2]) / s[2]);
  w->x1 = (int64_t)floor((middle.x + half.x + e - o[2]) / s[2]);
  if (w->y0 < 0) w->y0 = 0;
  if (w->y1 > v->p->pixels - 1) w->y1 = v->p->pixels - 1;
  if (w->x0 < 0) w->x0 = 0;
  if (w->x1 > v->p->pixels - 1) w->x1 = v->p->pixels - 1;
  return w->y0 <= w->y1 && w->x0 <= w->x1;
}

static vec voxel(const canvas *v, int64_t y, int64_t x) {
  return (vec){v->z_mm, y_mm(v, y), v->scan->origin_mm[2] + (double)x * v->scan->spacing_mm[2]};
}

static void blend_at(float *hu, double value, double share) {
  *hu = (float)((double)*hu + share * (value - (double)*hu));
}

static void paint_organ(const canvas *v, const solid *s) {
  window w;
  vec middle, half;
  double edge = v->p->edge_mm;
  solid_box(s, &middle, &half);
  if (!window_of(v, middle, half, &w)) return;
  for (int64_t y = w.y0; y <= w.y1; y++)
    for (int64_t x = w.x0; x <= w.x1; x++) {
      float *hu = &v->slice[y * v->p->pixels + x];
      if (*hu <= AIR_HU) continue; /* air, or deep in a lung */
      double d = solid_distance(s, voxel(v, y, x));
      if (d > edge) continue;
      if (s->how == PAINT_OVER) {
        blend_at(hu, s->t.hu, coverage(d, edge));
        continue;
      }
      blend_at(hu, 520, coverage(d, edge));
      blend_at(hu, s->t.hu, coverage(d + 1.9 * v->c->scale, edge));
    }
}

/* Vessels brighten, airways carve. Tubes thinner than the point spread are dimmer than their blood.
 */
static void paint_tube(const canvas *v, const tube *t) {
  window w;
  double r = most(t->r_from, t->r_to), edge = v->p->edge_mm, q = least(1, r / edge);
  double strength = q * (0.5 + 0.5 * q), reach = r + edge;
  vec way = vec_add(t->to, t->from, -1);
  vec half = {0.5 * fabs(way.z) + r, 0.5 * fabs(way.y) + r, 0.5 * fabs(way.x) + r};
  if (!window_of(v, vec_add(t->from, way, 0.5), half, &w)) return;
  double square = vec_dot(way, way), inverse = square > 0 ? 1 / square : 0;
  for (int64_t y = w.y0; y <= w.y1; y++)
    for (int64_t x = w.x0; x <= w.x1; x++) {
      vec off = vec_add(voxel(v, y, x), t->from, -1);
      double share = clamp01(vec_dot(off, way) * inverse);
      off = vec_add(off, way, -share);
      double far = vec_dot(off, off);
      if (far > reach * reach) continue;
      float *hu = &v->plane[y * v->p->pixels + x];
      if (t->hu > -500 && (double)*hu > t->hu) continue;
      double d = sqrt(far) - mix(t->r_from, t->r_to, share);
      blend_at(hu, t->hu, strength * coverage(d, edge));
    }
}

/* Brighter than what is there only: a nodule adds to vessels and wall, it does not erase them. */
static void paint_finding(const canvas *v, const finding *f) {
  window w;
  double r = 1.5 * f->shape.radius_mm + 2, edge = v->p->edge_mm;
  double soft = f->subsolid ? 1.6 * edge : edge;
  for (int i = 0; i < f->n_spicules; i++) paint_tube(v, &f->spicules[i]);
  if (!window_of(v, f->shape.centre, (vec){r, r, r}, &w)) return;
  for (int64_t y = w.y0; y <= w.y1; y++)
    for (int64_t x = w.x0; x <= w.x1; x++) {
      float *hu = &v->plane[y * v->p->pixels + x];
      vec at = voxel(v, y, x);
      double d = surface_distance(&f->shape, at), share = coverage(d, soft);
      if (share <= 0) continue;
      double value = finding_hu(f, at);
      if ((double)*hu < value) blend_at(hu, value, share);
      if (f->core <= 0) continue;
      double core = coverage(d + (1 - f->core) * f->shape.radius_mm, edge);
      if (core > 0 && (double)*hu < f->core_hu) blend_at(hu, f->core_hu, core);
    }
}

/* ---- A slice ---- */

/* All that lies outside the lungs. */
static void paint_body(const canvas *v) {
  for (int64_t y = 0; y < v->p->pixels; y++) {
    tissue_row(v, y);
    couch_row(v, y);
  }
  for (int i = 0; i < v->n_active; i++) paint_organ(v, &v->c->organs[v->active[i]]);
}

/* What the lungs are filled with: darker in front, mottled, with faint fissures. */
static void lung_row(const canvas *v, int64_t y) {
  node_row nodes;
  int64_t n = v->p->pixels;
  float edge = (float)(0.5 / v->p->edge_mm);
  float row_hu = (float)(v->c->lung_hu + v->c->gravity * y_mm(v, y));
  const float *base = v->slice + y * n;
  float *out = v->plane + y * n;
  row_of_nodes(v, v->z_mm, y, 0, NODE_FIELDS, nodes);
  for (int64_t x = 0; x < n; x++) {
    column at = column_of(v, x);
    float d = along(nodes[FIELD_LUNG], at.i, at.t);
    out[x] = base[x];
    if (d > 3) continue;
    float hu = row_hu + 26 * along(nodes[TEXTURE_LOBULE], at.i, at.t) +
               9 * along(nodes[TEXTURE_FAT], at.i, at.t);
    float major = fabsf(along(nodes[FIELD_MAJOR], at.i, at.t));
    float minor = fabsf(along(nodes[FIELD_MINOR], at.i, at.t));
    hu += 90 * cover((major < minor ? major : minor) - 0.3F, edge);
    out[x] = blend(base[x], hu, cover(d, edge));
  }
}

static void add_plane(const canvas *v) {
  int64_t n = v->p->pixels;
  for (int64_t y = 0; y < n; y++) lung_row(v, y);
  for (int i = 0; i < v->n_active; i++) paint_tube(v, &v->t->items[v->active[i]]);
  for (int i = 0; i < v->n_findings; i++) paint_finding(v, &v->findings[i]);
  float weight = 1 / (float)v->p->planes;
  for (int64_t i = 0; i < n * n; i++) v->sum[i] += weight * v->plane[i];
}

static void find_active_tubes(canvas *v) {
  v->n_active = 0;
  for (int i = 0; i < v->t->n; i++) {
    const tube *t = &v->t->items[i];
    double r = most(t->r_from, t->r_to) + v->p->edge_mm;
    if (v->z_mm < least(t->from.z, t->to.z) - r || v->z_mm > most(t->from.z, t->to.z) + r) continue;
    v->active[v->n_active++] = i;
  }
}

static void find_active_organs(canvas *v) {
  v->n_active = 0;
  for (int i = 0; i < v->c->n_organs; i++) {
    vec middle, half;
    solid_box(&v->c->organs[i], &middle, &half);
    if (fabs(v->z_mm - middle.z) <= half.z + v->p->edge_mm) v->active[v->n_active++] = i;
  }
}

static void render_slice(canvas *v) {
  const protocol *p = v->p;
  int64_t n = p->pixels;
  double middle = v->scan->origin_mm[0] + (double)v->k * v->scan->spacing_mm[0];
  v->z_mm = middle;
  find_active_organs(v);
  paint_body(v);
  memset(v->sum, 0, (size_t)(n * n) * sizeof *v->sum);
  for (int i = 0; i < p->planes; i++) {
    v->z_mm = middle + ((i + 0.5) / p->planes - 0.5) * p->thickness_mm;
    find_active_tubes(v);
    add_plane(v);
  }
}

static int64_t grain_of(const canvas *v) {
  return (v->p->slices + CHUNKS - 1) / CHUNKS;
}

static int64_t most_active(const canvas *v) {
  return v->t->n > v->c->n_organs ? v->t->n : v->c->n_organs;
}

static void render_slices(int64_t begin, int64_t end, void *ctx) {
  canvas v = *(const canvas *)ctx;
  int64_t area = (int64_t)v.p->pixels * v.p->pixels, chunk = begin / grain_of(&v);
  v.plane += chunk * PLANES * area;
  v.slice = v.plane + area;
  v.sum = v.plane + 2 * area;
  v.noise = v.plane + 3 * area;
  v.active += chunk * most_active(&v);
  for (v.k = begin; v.k < end; v.k++) {
    render_slice(&v);
    scanner_store(&v);
  }
}

static hl_status render_on(canvas *v, hl_err *e) {
  HL_TRY(make_nodes(v, e));
  hl_parallel_for(v->p->slices, grain_of(v), render_slices, v);
  hl_mem_free(hl_ledger_main(), v->nodes, nodes_bytes(v), HL_MEM_WORKSPACE);
  return HL_OK;
}

hl_status render(canvas *v, hl_err *e) {
  int64_t area = (int64_t)v->p->pixels * v->p->pixels;
  size_t bytes = (size_t)(CHUNKS * PLANES * area) * sizeof(float);
  void *planes;
  HL_TRY(hl_mem_alloc(hl_ledger_main(), &planes, bytes, HL_MEM_WORKSPACE, "a phantom's slices", e));
  v->plane = planes;
  v->active = hl_host_calloc((size_t)(CHUNKS * most_active(v)), sizeof *v->active);
  hl_status status =
      v->active ? render_on(v, e) : hl_fail(e, HL_ENOMEM, "no memory for a phantom's vessels");
  hl_host_free(v->active);
  hl_mem_free(hl_ledger_main(), planes, bytes, HL_MEM_WORKSPACE);
  return status;
}
