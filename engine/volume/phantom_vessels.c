/* Trees of tapering tubes that grow from the hilum until they are thin or near the pleura. */
#include "phantom.h"

#include <math.h>

static const double VESSEL_HU = 40, WALL_HU = -120, LUMEN_HU = -985;
static const double STEP_MM = 3, THINNEST_MM = 0.4, PLEURA_MM = 2.5;

typedef struct twig {
  vec at, way;
  double r;
  int generation;
} twig;

static void add_tube(tubes *t, vec from, vec to, double r_from, double r_to, double hu) {
  if (t->n < MOST_TUBES)
    t->items[t->n++] = (tube){.from = from, .to = to, .r_from = r_from, .r_to = r_to, .hu = hu};
}

static vec turned(vec way, double by, hl_rng *r) {
  return vec_unit(vec_add(way, random_direction(r), by));
}

/* A bronchus beside an artery: first its wall, then the air in it. */
static void add_bronchus(tubes *t, const twig *w, vec to, double r_to) {
  vec aside = vec_unit((vec){0, w->way.x, -w->way.y});
  double off = 2.1 * w->r;
  vec a = vec_add(w->at, aside, off), b = vec_add(to, aside, 2.1 * r_to);
  add_tube(t, a, b, 1.25 * w->r, 1.25 * r_to, WALL_HU);
  add_tube(t, a, b, 0.85 * w->r, 0.85 * r_to, LUMEN_HU);
}

/* Grows one unbranched length; false when the twig ends there. */
static bool grow_length(tubes *t, const chest *c, twig *w, bool bronchus, hl_rng *r) {
  int steps = 2 + (int)hl_rng_below(r, 4) + (w->generation == 0 ? 2 : 0);
  for (int i = 0; i < steps; i++) {
    vec to = vec_add(w->at, w->way, STEP_MM);
    double r_to = w->r * 0.985;
    if (lung_distance(c, to) > (w->generation < 2 ? 12 : -PLEURA_MM)) return false;
    add_tube(t, w->at, to, w->r, r_to, VESSEL_HU);
    if (bronchus && w->r > 1.3) add_bronchus(t, w, to, r_to);
    w->at = to;
    w->r = r_to;
    w->way = turned(w->way, 0.16, r);
    if (w->r < THINNEST_MM) return false;
  }
  return true;
}

static void split(const twig *w, twig *stack, int *n, hl_rng *r) {
  double share = uniform(r, 0.7, 0.92), other = sqrt(1.08 - share * share);
  vec bend = random_direction(r);
  double along = vec_dot(bend, w->way);
  vec side = vec_unit(vec_add(bend, w->way, -along));
  double spread = uniform(r, 0.45, 0.8);
  stack[*n] = (twig){w->at, vec_unit(vec_add(w->way, side, spread * other)), w->r * share,
                     w->generation + 1};
  stack[*n + 1] = (twig){w->at, vec_unit(vec_add(w->way, side, -spread * share)), w->r * other,
                         w->generation + 1};
  *n += 2;
}

static void grow_tree(tubes *t, const chest *c, twig root, bool bronchus, hl_rng *r) {
  enum { DEEP = 64 };
  twig stack[DEEP + 2];
  int n = 0;
  stack[n++] = root;
  while (n > 0) {
    twig w = stack[--n];
    if (grow_length(t, c, &w, bronchus, r) && w.generation < 14 && n < DEEP)
      split(&w, stack, &n, r);
  }
}

void tubes_grow(tubes *t, const chest *c, hl_rng *r) {
  for (int side = -1; side <= 1; side += 2)
    for (int vein = 0; vein < 2; vein++)
      for (int lobe = -2; lobe <= 2; lobe++) {
        vec hilum = {uniform(r, -4, 6) + 3 * lobe, vein ? 4 : -4,
                     side * (c->lung_offset_x - 0.55 * c->lung_x)};
        vec way = {0.42 * lobe + uniform(r, -0.15, 0.15), uniform(r, -0.55, 0.55), side};
        twig root = {.at = hilum, .way = vec_unit(way), .r = uniform(r, 2.2, 3.3)};
        grow_tree(t, c, root, !vein, r);
      }
}

double tube_distance(const tube *t, vec at) {
  vec axis = vec_add(t->to, t->from, -1), off = vec_add(at, t->from, -1);
  double square = vec_dot(axis, axis), s = square > 0 ? clamp01(vec_dot(off, axis) / square) : 0;
  return vec_length(vec_add(off, axis, -s)) - (t->r_from + s * (t->r_to - t->r_from));
}
