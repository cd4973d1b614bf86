/* Trees of arteries with their bronchi, and of veins, one of each in every lobe: they divide the
 * lobe's places among their branches until each place has a twig of its own. */
#include "phantom.h"
#include <hilum/ledger.h>

static const double VEIN_DIMMER_HU = 15, WALL_HU = -60, LUMEN_HU = -975;
static const double TWIG_MM = 0.64; /* radius, in adult mm, of 90 twigs in a lobe */

typedef struct tree {
  tubes *out;
  const chest *c;
  vec *places;
  double thin; /* radius of a twig */
  double hu;
  bool bronchus;
} tree;

/* What is still to be grown: from a place, for some of the places. */
typedef struct branch {
  vec at, way, aside; /* aside: from the artery to its bronchus */
  int begin, end;
  bool bronchus;
} branch;

static void add_tube(tubes *t, vec from, vec to, double r_from, double r_to, double hu) {
  if (t->n < MOST_TUBES) t->items[t->n++] = (tube){from, to, r_from, r_to, hu};
}

/* Murray's law with the exponent that measured trees have: r^2.5 is shared out at a fork. */
static double radius(const tree *t, int twigs) {
  return t->thin * pow(twigs, 1 / 2.5);
}

/* Beside the artery on one side, whichever way it runs. */
static vec beside(vec way) {
  vec up = {0.35, 1, 0.2};
  return vec_unit(vec_add(up, way, -vec_dot(up, way)));
}

static void add_bronchus(tree *t, branch *b, vec to, double r, double r_to) {
  vec aside = vec_scaled(beside(vec_unit(vec_add(to, b->at, -1))), 2.15 * r_to);
  vec from = vec_add(b->at, b->aside, 1), end = vec_add(to, aside, 1);
  double wall = 0.12 * r + 0.25;
  add_tube(t->out, from, end, 0.85 * r + wall, 0.85 * r_to + wall, WALL_HU);
  add_tube(t->out, from, end, 0.85 * r, 0.85 * r_to, LUMEN_HU);
  b->aside = aside;
}

static void grow_to(tree *t, branch *b, vec to, double r, double r_to) {
  add_tube(t->out, b->at, to, r, r_to, t->hu);
  b->bronchus = b->bronchus && r_to > 1.25;
  if (b->bronchus) add_bronchus(t, b, to, r, r_to);
  b->way = vec_unit(vec_add(to, b->at, -1));
  b->at = to;
}

static vec middle_of(const vec *places, int begin, int end) {
  vec sum = {0, 0, 0};
  for (int i = begin; i < end; i++) sum = vec_add(sum, places[i], 1);
  return vec_scaled(sum, 1.0 / (end - begin));
}

/* Puts the places on one side of a plane through their middle first; returns how many. */
static int divide(vec *places, int begin, int end, vec middle, vec normal) {
  int k = begin;
  for (int i = begin; i < end; i++) {
    if (vec_dot(vec_add(places[i], middle, -1), normal) < 0) continue;
    vec swap = places[i];
    places[i] = places[k];
    places[k++] = swap;
  }
  return k > begin && k < end ? k : begin + (end - begin) / 2;
}

/* Towards the place that lies farthest from the middle, across the branch's way. */
static vec widest(const branch *b, const vec *places, vec middle, vec way) {
  vec best = {0, 0, 0};
  for (int i = b->begin; i < b->end; i++) {
    vec off = vec_add(places[i], middle, -1);
    off = vec_add(off, way, -0.7 * vec_dot(off, way));
    if (vec_dot(off, off) > vec_dot(best, best)) best = off;
  }
  return vec_unit(best);
}

static void grow(tree *t, branch root, hl_rng *r) {
  enum { DEEP = 64 };
  branch stack[DEEP];
  int n = 0;
  stack[n++] = root;
  while (n > 0) {
    branch b = stack[--n];
    int twigs = b.end - b.begin;
    vec middle = middle_of(t->places, b.begin, b.end), way = vec_add(middle, b.at, -1);
    double length = vec_length(way) * (twigs > 1 ? uniform(r, 0.36, 0.6) : 1);
    double r0 = radius(t, twigs), r1 = r0 * 0.94;
    vec to = vec_add(b.at, vec_unit(way), length);
    vec bow = vec_add(random_direction(r), b.way, 1.1);
    vec half = vec_add(vec_add(b.at, vec_unit(way), 0.5 * length), bow, 0.06 * length);
    grow_to(t, &b, half, r0, 0.5 * (r0 + r1));
    grow_to(t, &b, to, 0.5 * (r0 + r1), twigs > 1 ? r1 : 0.6 * r1);
    if (twigs < 2 || n + 2 > DEEP) continue;
    int k = divide(t->places, b.begin, b.end, middle, widest(&b, t->places, middle, vec_unit(way)));
    branch first = b, second = b;
    first.end = second.begin = k;
    stack[n++] = first;
    stack[n++] = second;
  }
}

/* ---- Lobes ---- */

typedef struct lobe {
  int side, number; /* as lobe_at */
  double share;     /* of the twigs */
  vec artery, vein; /* where they enter, adult mm */
} lobe;

static const lobe lobes[] = {
    {-1, 0, 1.15, {0, 6, -36}, {-22, -8, -42}},   {-1, 2, 0.6, {-34, -2, -42}, {-30, -14, -42}},
    {-1, 1, 1.4, {-38, 12, -40}, {-52, 22, -44}}, {1, 0, 1.45, {-14, 6, 44}, {-20, -10, 44}},
    {1, 1, 1.3, {-36, 22, 46}, {-54, 26, 46}},
};

static bool in_lobe(const chest *c, const lobe *l, vec p) {
  return adult_lung(c, p) < -2.5 && lobe_at(c, p) == l->number;
}

/* False when the lobe has no room for another place. */
static bool random_place(const chest *c, const lobe *l, vec *out, hl_rng *r) {
  for (int i = 0; i < 200; i++) {
    vec p = {uniform(r, -175, cage_top(c)), uniform(r, -c->deep, c->deep),
             l->side * uniform(r, 4, c->wide)};
    *out = p;
    if (in_lobe(c, l, p)) return true;
  }
  return false;
}

static void grow_lobe(tree *t, const lobe *l, int twigs, bool vein, hl_rng *r) {
  int n = 0;
  while (n < twigs && random_place(t->c, l, &t->places[n], r)) n++;
  if (n == 0) return;
  branch root = {.at = vein ? l->vein : l->artery, .way = {0, 0, l->side}, .end = n};
  root.bronchus = !vein;
  root.aside = vec_scaled(beside(root.way), 2.1 * radius(t, n));
  t->hu = t->c->blood_hu - (vein ? VEIN_DIMMER_HU : 0);
  grow(t, root, r);
}

static int compare_order(double hu) {
  return hu > -50 ? 0 : hu > -500 ? 1 : 2;
}

/* Vessels first, then the walls of bronchi, then the air in them. */
static void put_in_order(tubes *t, tube *copy) {
  int n = 0;
  for (int pass = 0; pass < 3; pass++)
    for (int i = 0; i < t->n; i++)
      if (compare_order(t->items[i].hu) == pass) copy[n++] = t->items[i];
  for (int i = 0; i < n; i++) t->items[i] = copy[i];
}

static void bring_to_size(tubes *t, double scale) {
  for (int i = 0; i < t->n; i++) {
    tube *one = &t->items[i];
    one->from = vec_scaled(one->from, scale);
    one->to = vec_scaled(one->to, scale);
    one->r_from *= scale;
    one->r_to *= scale;
  }
}

hl_status tubes_grow(tubes *t, const chest *c, int twigs, hl_rng *r, hl_err *e) {
  tree one = {.out = t, .c = c, .thin = TWIG_MM * pow(90.0 / twigs, 1 / 2.5)};
  one.places = hl_host_calloc((size_t)twigs * 2, sizeof *one.places);
  tube *copy = hl_host_calloc(MOST_TUBES, sizeof *copy);
  if (one.places && copy) {
    for (size_t i = 0; i < sizeof lobes / sizeof *lobes; i++)
      for (int vein = 0; vein < 2; vein++)
        grow_lobe(&one, &lobes[i], (int)(lobes[i].share * twigs), vein, r);
    bring_to_size(t, c->scale);
    put_in_order(t, copy);
  }
  bool enough = one.places && copy;
  hl_host_free(one.places);
  hl_host_free(copy);
  return enough ? HL_OK : hl_fail(e, HL_ENOMEM, "no memory for a phantom's vessels");
}
