/* Nodules: shape, density, and a place that suits their kind. */
#include "phantom.h"

#include <math.h>

static const double APART_MM = 38, SEEN_MM = 0.45; /* vessels that a nodule keeps away from */
enum { TRIES = 600, KINDS = 20 };

typedef enum density { SOLID, GROUND_GLASS, PART_SOLID, CALCIFIED, CALCIFIED_CORE } density;
enum { SMOOTH = 0, LOBES = 1, SPIKES = 2 };

/* The kinds come round, so that every phantom has its share of each: half are attached or not solid
 * throughout, which is what makes nodules hard. */
typedef struct kind {
  hl_phantom_place place;
  density density;
  int margin;
} kind;

static const kind kinds[KINDS] = {
    {HL_FREE, SOLID, SMOOTH},          {HL_ON_WALL, SOLID, SMOOTH},
    {HL_FREE, SOLID, LOBES},           {HL_FREE, GROUND_GLASS, SMOOTH},
    {HL_FREE, SOLID, SPIKES},          {HL_ON_VESSEL, SOLID, LOBES},
    {HL_FREE, CALCIFIED_CORE, SMOOTH}, {HL_ON_WALL, SOLID, LOBES},
    {HL_FREE, PART_SOLID, SMOOTH},     {HL_FREE, SOLID, SMOOTH},
    {HL_ON_VESSEL, SOLID, SMOOTH},     {HL_FREE, SOLID, LOBES | SPIKES},
    {HL_ON_WALL, SOLID, SPIKES},       {HL_FREE, SOLID, SMOOTH},
    {HL_FREE, GROUND_GLASS, LOBES},    {HL_FREE, CALCIFIED, SMOOTH},
    {HL_FREE, PART_SOLID, SPIKES},     {HL_FREE, SOLID, LOBES},
    {HL_ON_WALL, SOLID, SMOOTH},       {HL_FREE, SOLID, SMOOTH},
};

static double radius_in(const surface *s, vec direction) {
  double r = s->radius_mm;
  for (int i = 0; i < WAVES; i++)
    if (s->amplitude_mm[i] != 0)
      r += s->amplitude_mm[i] * sin(vec_dot(s->wave[i], direction) + s->phase[i]);
  return r;
}

double surface_distance(const surface *s, vec at) {
  vec off = vec_add(at, s->centre, -1);
  vec even = {off.z / s->stretch[0], off.y / s->stretch[1], off.x / s->stretch[2]};
  double r = vec_length(even);
  return r - radius_in(s, vec_unit(even));
}

static void add_waves(surface *s, int from, int to, double amplitude_mm, double frequency,
                      hl_rng *r) {
  for (int i = from; i < to; i++) {
    s->wave[i] = vec_add((vec){0, 0, 0}, random_direction(r), frequency * uniform(r, 0.7, 1.3));
    s->phase[i] = uniform(r, 0, 6.28);
    s->amplitude_mm[i] = amplitude_mm * uniform(r, 0.6, 1.2);
  }
}

surface surface_vary(const surface *s, double larger_mm, double waves_mm, hl_rng *r) {
  surface out = *s;
  out.radius_mm += larger_mm;
  add_waves(&out, WAVES / 2, WAVES, waves_mm, 2.2, r);
  return out;
}

/* Log-normal with a median of 7.1 mm, 4.6 to 26; spikes come with size, calcium with age. */
static double random_radius(const kind *k, hl_rng *r) {
  double d = 7.1 * exp(0.38 * hl_rng_normal(r));
  if (k->margin & SPIKES) d *= 1.25;
  if (k->density == CALCIFIED) d *= 0.8;
  if (k->density == GROUND_GLASS || k->density == PART_SOLID) d = most(d, 8);
  return 0.5 * least(26, most(4.6, d));
}

static void fill(finding *f, const kind *k, hl_rng *r) {
  double soft = uniform(r, 5, 65), glass = uniform(r, -600, -460);
  f->subsolid = k->density == GROUND_GLASS || k->density == PART_SOLID;
  f->calcified = k->density == CALCIFIED || k->density == CALCIFIED_CORE;
  f->hu = f->subsolid ? glass : k->density == CALCIFIED ? uniform(r, 220, 420) : soft;
  f->mottle_hu = f->subsolid ? uniform(r, 20, 70) : uniform(r, 5, 20);
  if (k->density != PART_SOLID && k->density != CALCIFIED_CORE) return;
  f->core = uniform(r, 0.45, 0.65);
  f->core_hu = f->calcified ? uniform(r, 250, 450) : 20;
}

double finding_hu(const finding *f, vec at) {
  vec off = vec_add(at, f->shape.centre, -1);
  const surface *s = &f->shape;
  double wave = sin(vec_dot(s->wave[0], off) + s->phase[1]) + sin(vec_dot(s->wave[1], off));
  return f->hu + 0.7 * f->mottle_hu * wave;
}

static vec random_place(const chest *c, const double z_mm[2], hl_rng *r) {
  double s = c->scale;
  return (vec){uniform(r, z_mm[0], z_mm[1]), s * uniform(r, -c->deep, c->deep + 10),
               s * uniform(r, -c->wide, c->wide)};
}

static double vessel_gap(const tubes *t, vec at) {
  double gap = 1e9;
  for (int i = 0; i < t->n; i++) {
    const tube *one = &t->items[i];
    if (fabs(one->from.z - at.z) > 30 || most(one->r_from, one->r_to) < SEEN_MM) continue;
    gap = least(gap, tube_distance(one, at));
  }
  return gap;
}

static bool is_free(const chest *c, const tubes *t, const surface *s) {
  double r = s->radius_mm;
  return lung_distance(c, s->centre) < -(r + 4) && vessel_gap(t, s->centre) > r + 1.2;
}

/* From a point in the lung outwards to the pleura, then back by a part of the radius. */
static bool to_wall(const chest *c, surface *s, hl_rng *r) {
  vec at = s->centre;
  if (lung_distance(c, at) > -6) return false;
  vec way = random_direction(r);
  way.z *= 0.3;
  if (at.x * way.x < 0) way.x = -way.x; /* not towards the middle */
  way = vec_unit(way);
  double d = lung_distance(c, at);
  for (int i = 0; i < 60 && d < -0.05; i++) {
    at = vec_add(at, way, most(0.05, -0.7 * d));
    d = lung_distance(c, at);
  }
  if (fabs(d) > 0.5 || fabs(at.x) < 18) return false;
  const double h = 0.5;
  vec normal = {lung_distance(c, (vec){at.z + h, at.y, at.x}) - d,
                lung_distance(c, (vec){at.z, at.y + h, at.x}) - d,
                lung_distance(c, (vec){at.z, at.y, at.x + h}) - d};
  s->centre = vec_add(at, vec_unit(normal), -uniform(r, 0.45, 0.8) * s->radius_mm);
  return true;
}

/* Beside a vessel much thinner than itself: where both are alike, nobody could tell them apart. */
static bool to_vessel(const chest *c, const tubes *t, surface *s, hl_rng *r) {
  if (t->n == 0) return false;
  const tube *one = &t->items[hl_rng_below(r, (uint32_t)t->n)];
  if (one->hu < 0 || one->r_from < 0.8 || one->r_from > least(1.7, 0.45 * s->radius_mm))
    return false;
  vec axis = vec_unit(vec_add(one->to, one->from, -1)), side = random_direction(r);
  side = vec_unit(vec_add(side, axis, -vec_dot(side, axis)));
  s->centre = vec_add(one->from, side, uniform(r, 0.55, 0.95) * s->radius_mm);
  return lung_distance(c, s->centre) < -(s->radius_mm + 5);
}

static bool suits(const chest *c, const tubes *t, hl_phantom_place place, surface *s, hl_rng *r) {
  if (place == HL_ON_WALL) return to_wall(c, s, r);
  if (place == HL_ON_VESSEL) return to_vessel(c, t, s, r);
  return is_free(c, t, s);
}

static bool keeps_away(const surface *s, const double z_mm[2], const finding *before, int n) {
  if (s->centre.z < z_mm[0] || s->centre.z > z_mm[1]) return false;
  for (int i = 0; i < n; i++)
    if (vec_length(vec_add(s->centre, before[i].shape.centre, -1)) < APART_MM) return false;
  return true;
}

/* A large one may find no place: it shrinks a little with every try. */
static bool find_place(finding *f, const chest *c, const tubes *t, const double z_mm[2],
                       const finding *before, int n, hl_rng *r) {
  for (int i = 0; i < TRIES; i++) {
    f->shape.centre = random_place(c, z_mm, r);
    if (suits(c, t, f->place, &f->shape, r) && keeps_away(&f->shape, z_mm, before, n)) return true;
    if (f->shape.radius_mm > 3 && i % 40 == 39) f->shape.radius_mm *= 0.93;
  }
  return false;
}

static void add_spicules(finding *f, hl_rng *r) {
  const surface *s = &f->shape;
  int n = SPICULES - (int)hl_rng_below(r, SPICULES / 2);
  for (f->n_spicules = 0; f->n_spicules < n; f->n_spicules++) {
    vec way = random_direction(r);
    double reach = s->radius_mm * uniform(r, 1.45, 2.4);
    f->spicules[f->n_spicules] = (tube){.from = vec_add(s->centre, way, 0.5 * s->radius_mm),
                                        .to = vec_add(s->centre, way, reach),
                                        .r_from = uniform(r, 0.2, 0.32) * s->radius_mm,
                                        .r_to = 0.3,
                                        .hu = f->hu};
  }
}

bool finding_random(finding *out, const chest *c, const tubes *t, const double z_mm[2],
                    const finding *before, int n_before, int64_t number, hl_rng *r) {
  const kind *k = &kinds[number % KINDS];
  finding f = {.place = k->place};
  f.lobulated = (k->margin & LOBES) != 0;
  f.spiculated = (k->margin & SPIKES) != 0;
  f.shape.radius_mm = random_radius(k, r);
  fill(&f, k, r);
  for (int a = 0; a < 3; a++) f.shape.stretch[a] = uniform(r, 0.88, 1.12);
  if (!find_place(&f, c, t, z_mm, before, n_before, r)) return false;
  double relief = f.lobulated ? 0.11 : f.spiculated ? 0.07 : 0.045;
  double frequency = f.lobulated ? 4.2 : f.spiculated ? 6 : 2.4;
  add_waves(&f.shape, 0, WAVES / 2, relief * f.shape.radius_mm, frequency, r);
  if (f.spiculated) add_spicules(&f, r);
  *out = f;
  return true;
}
