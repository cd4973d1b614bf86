/* Heart, great vessels, airways, bones, muscles and what lies below the diaphragm, placed in adult
 * mm and then brought to the chest's size. */
#include "phantom.h"

static const double PI = 3.14159265358979323846;
static const double AIR_HU = -1000, MARROW_HU = 170, CARTILAGE_HU = 95;
static const double RIB_PITCH = 23;

/* ---- Core: the tubes that the lungs wrap around ---- */

typedef struct stretch {
  vec from, to;
  double r_from, r_to;
} stretch;

/* Windpipe and bronchi down to where the vessels' trees take them over. */
static const stretch airways[] = {
    {{150, -8, 0}, {60, 2, 0}, 9, 9},          {{60, 2, 0}, {0, 14, 1}, 9, 8.5},
    {{0, 14, 1}, {-20, 17, -24}, 7.5, 6.5},    {{-20, 17, -24}, {-45, 19, -36}, 6, 5},
    {{-10, 15, -14}, {-4, 13, -38}, 5.5, 4.5}, {{0, 14, 1}, {-28, 20, 34}, 6.8, 5.5},
    {{-28, 20, 34}, {-22, 8, 46}, 5, 4.2},     {{-28, 20, 34}, {-46, 27, 44}, 5, 4.5},
};

/* Blood: aorta and its branches, veins, the lungs' trunks; the gullet comes last. */
static const stretch blood[] = {
    {{-48, -24, 8}, {-20, -33, -14}, 16, 16},  {{-20, -33, -14}, {14, -29, -14}, 16, 15.5},
    {{14, -29, -14}, {33, -15, -4}, 15.5, 14}, {{33, -15, -4}, {36, 8, 10}, 14, 13},
    {{36, 8, 10}, {26, 30, 21}, 13, 12.5},     {{26, 30, 21}, {0, 36, 25}, 12.5, 12},
    {{0, 36, 25}, {-70, 36, 22}, 12, 11.5},    {{-70, 36, 22}, {-130, 28, 10}, 11.5, 11},
    {{-130, 28, 10}, {-260, 2, 5}, 11, 9},     {{33, -13, -5}, {92, -12, -14}, 6.5, 6},
    {{92, -12, -14}, {150, -12, -26}, 6, 5},   {{37, -2, 5}, {150, -8, 16}, 4.5, 4},
    {{36, 12, 16}, {88, 10, 27}, 5.5, 5},      {{88, 10, 27}, {112, -4, 70}, 5, 5},
    {{62, -22, -22}, {-32, -18, -27}, 9, 9.5}, {{115, -20, -40}, {62, -22, -22}, 7, 8},
    {{115, -20, 40}, {52, -30, 24}, 7, 6.5},   {{52, -30, 24}, {46, -24, -20}, 6.5, 7},
    {{-80, 2, -22}, {-260, 14, -22}, 12, 12},  {{-42, -46, 12}, {-12, -22, 22}, 14, 13},
    {{-12, -22, 22}, {-5, 8, 36}, 12, 11},     {{-5, 8, 36}, {-24, 22, 46}, 11, 8},
    {{-13, -18, 14}, {-18, 0, -14}, 11, 10.5}, {{-18, 0, -14}, {-22, 4, -40}, 10.5, 8},
    {{-46, 14, -18}, {-54, 16, -44}, 8, 7},    {{-34, 4, -20}, {-22, -6, -42}, 8, 7},
    {{-46, 16, 22}, {-54, 20, 46}, 8, 6.5},    {{-32, 4, 22}, {-20, -6, 44}, 8, 6.5},
};
static const stretch gullet[] = {{{150, 10, 4}, {10, 25, 7}, 6, 7},
                                 {{10, 25, 7}, {-125, 20, 12}, 7, 8}};

enum { N_AIRWAYS = sizeof airways / sizeof *airways, N_BLOOD = sizeof blood / sizeof *blood };

static void add_core(chest *c, const stretch *s, int n, double hu) {
  for (int i = 0; i < n; i++)
    c->core[c->n_core++] = (tube){s[i].from, s[i].to, s[i].r_from, s[i].r_to, hu};
}

static void place_core(chest *c) {
  add_core(c, airways, N_AIRWAYS, AIR_HU);
  c->n_airways = c->n_core;
  add_core(c, blood, N_BLOOD, c->blood_hu);
  add_core(c, gullet, 2, c->muscle_hu - 12);
}

/* ---- Solids ---- */

static solid *add(chest *c, paint how, double hu) {
  solid *s = &c->organs[c->n_organs];
  if (c->n_organs < MOST_ORGANS - 1) c->n_organs++;
  *s = (solid){.how = how, .t = {.hu = hu}, .flat = 1, .cosine = 1, .power = 2};
  return s;
}

static void add_tube(chest *c, paint how, double hu, vec from, vec to, double r) {
  solid *s = add(c, how, hu);
  s->t = (tube){from, to, r, r, hu};
}

/* `normal`: across it the tube is `flat` times thinner. */
static void add_flat(chest *c, paint how, double hu, vec from, vec to, double r, vec normal,
                     double flat) {
  solid *s = add(c, how, hu);
  vec way = vec_unit(vec_add(to, from, -1));
  s->t = (tube){from, to, r, r, hu};
  s->normal = vec_unit(vec_add(normal, way, -vec_dot(normal, way)));
  s->flat = flat;
}

static void add_blob(chest *c, paint how, double hu, vec centre, vec radii, double turn,
                     int power) {
  solid *s = add(c, how, hu);
  s->blob = true;
  s->t.from = centre;
  s->radii = radii;
  s->cosine = cos(turn);
  s->sine = sin(turn);
  s->power = power;
}

/* ---- Heart and belly ---- */

static void place_heart(chest *c) {
  double h = c->heart, wall = c->muscle_hu + 0.35 * most(0, c->blood_hu - 50);
  add_blob(c, PAINT_OVER, wall, (vec){-57, -34, 17}, (vec){40 * h, 42 * h, 58 * h}, -0.52, 2);
  double blood_hu = c->blood_hu;
  add_blob(c, PAINT_OVER, blood_hu, (vec){-66, -38, 40}, (vec){30, 19, 30}, -0.6, 2); /* left */
  add_blob(c, PAINT_OVER, blood_hu, (vec){-58, -56, 4}, (vec){30, 15, 34}, -0.5, 2);  /* right */
  add_blob(c, PAINT_OVER, blood_hu, (vec){-52, -28, -26}, (vec){32, 24, 17}, 0, 2); /* its atrium */
  add_blob(c, PAINT_OVER, blood_hu, (vec){-40, 10, 3}, (vec){21, 16, 30}, 0, 2); /* left atrium */
}

static void place_belly(chest *c, hl_rng *r) {
  double spleen = c->liver_hu + 5, air = uniform(r, 8, 20);
  add_blob(c, PAINT_OVER, spleen, (vec){-136, 40, 92}, (vec){38, 38, 20}, 0.5, 2);
  vec stomach = {-126, -22, 58};
  add_blob(c, PAINT_OVER, c->muscle_hu, stomach, (vec){34, 42, 34}, 0, 2);
  add_blob(c, PAINT_OVER, uniform(r, 10, 50), stomach, (vec){31, 39, 31}, 0, 2);
  add_blob(c, PAINT_OVER, AIR_HU, (vec){stomach.z + 4, stomach.y - 22, stomach.x},
           (vec){20, air, 22}, 0, 2);
  for (int side = -1; side <= 1; side += 2) {
    vec kidney = {side < 0 ? -205 : -190, 52, side * 62.0};
    add_blob(c, PAINT_OVER, c->liver_hu + 20, kidney, (vec){52, 24, 26}, 0.4 * side, 2);
  }
}

/* ---- Muscles that are no sheet on the ribs ---- */

static void place_muscles(chest *c) {
  double strong = c->strength, hu = c->muscle_hu;
  for (int side = -1; side <= 1; side += 2) {
    for (int i = 0; i < 2; i++) { /* before and behind the shoulder blade */
      vec from = cage_point(c, 78, side * (0.72 + 0.2 * i), 18);
      vec to = cage_point(c, -22, side * (0.85 + 0.2 * i), 16);
      add_flat(c, PAINT_OVER, hu, from, to, 27 * strong, (vec){0, 0.75, 0.65 * side}, 3);
    }
    for (int z = 150; z > -260; z -= 30) { /* along the spine */
      vec a = {z, spine_y(z) + 38, side * 23.0}, b = {z - 30, spine_y(z - 30) + 38, side * 25.0};
      add_tube(c, PAINT_OVER, hu, a, b, 17 * strong);
    }
    for (int z = 150; z > 90; z -= 30) /* neck and shoulder */
      add_tube(c, PAINT_OVER, hu, (vec){z, 20, side * 46.0}, (vec){z - 30, 24, side * 62.0}, 20);
  }
}

/* ---- Bones ---- */

static void place_vertebra(chest *c, double z) {
  double y = spine_y(z), r = 14.5 - 0.018 * z;
  add_blob(c, PAINT_BONE, MARROW_HU, (vec){z, y, 0}, (vec){9.3, r, 1.2 * r}, 0, 6);
  for (int side = -1; side <= 1; side += 2) {
    add_tube(c, PAINT_BONE, MARROW_HU + 60, (vec){z + 3, y + r - 2, side * 11.0},
             (vec){z, y + r + 15, side * 11.5}, 4);
    add_flat(c, PAINT_BONE, MARROW_HU + 60, (vec){z - 2, y + r + 16, side * 11.0},
             (vec){z - 4, y + r + 23, side * 1.5}, 7, (vec){0, 0.8, 0.6 * side}, 2.4);
    add_tube(c, PAINT_BONE, MARROW_HU + 40, (vec){z, y + r + 13, side * 12.0},
             (vec){z + 3, y + r + 20, side * 31.0}, 4.4);
  }
  add_flat(c, PAINT_BONE, MARROW_HU + 40, (vec){z - 6, y + r + 23, 0}, (vec){z - 26, y + r + 38, 0},
           6, (vec){0, 0, 1}, 2.2);
}

static void place_spine(chest *c) {
  for (double z = 140; z > -270; z -= RIB_PITCH + 1) {
    double y = spine_y(z - 12), r = 14.5 - 0.018 * z;
    add_blob(c, PAINT_OVER, 85, (vec){z - 12, y, 0}, (vec){4, r - 1, 1.18 * r - 1}, 0, 6);
    add_blob(c, PAINT_OVER, 25, (vec){z - 12, y + r + 10, 0}, (vec){14, 7.5, 8.5}, 0, 6);
    add_blob(c, PAINT_OVER, 25, (vec){z, y + r + 10, 0}, (vec){14, 7.5, 8.5}, 0, 6);
    place_vertebra(c, z);
  }
}

/* A ring that leaves the spine backwards and falls towards the front, where cartilage goes on. */
static void place_rib(chest *c, int number, int side, double z0) {
  enum { STEPS = 22 };
  double front = number < 10 ? 2.75 : 2.75 - 0.55 * (number - 9), fall = 46 + 4 * number;
  vec last = {z0, spine_y(z0) + 14, side * 20.0};
  for (int i = 1; i <= STEPS; i++) {
    double share = (double)i / STEPS, angle = mix(0.3, front, share);
    double down = fall * smooth(angle / 2.3), up = angle > 2.3 ? 50 * (angle - 2.3) : 0;
    vec at = cage_point(c, z0 - down + up, side * angle, 4.6);
    bool bone = angle < 2.25;
    vec normal = {0, at.y - 5, at.x};
    if (bone || number < 10)
      add_flat(c, bone ? PAINT_BONE : PAINT_OVER, bone ? MARROW_HU : CARTILAGE_HU, last, at,
               bone ? 5.6 : 6, normal, 1.6);
    last = at;
  }
}

static void place_ribs(chest *c) {
  double first = cage_top(c) - 4;
  for (int i = 0; i < 12; i++)
    for (int side = -1; side <= 1; side += 2) place_rib(c, i + 1, side, first - i * RIB_PITCH);
}

static void place_breastbone(chest *c) {
  const double at[4] = {70, 44, -10, -66}; /* heights of its joints */
  for (int i = 0; i < 3; i++) {
    vec from = cage_point(c, at[i], PI, 7), to = cage_point(c, at[i + 1] + 3, PI, 7);
    add_flat(c, PAINT_BONE, MARROW_HU - 60, from, to, i ? 17 : 24, (vec){0, 1, 0}, i ? 2.7 : 3.6);
  }
}

static void place_shoulder(chest *c, hl_rng *r) {
  double lift = uniform(r, 10, 30); /* arms are up, blades turned outwards */
  for (int side = -1; side <= 1; side += 2) {
    vec top = vec_add(cage_point(c, 72, side * 0.75, 16), (vec){1, 0, 0}, lift);
    vec tip = cage_point(c, -38, side * 1.0, 14), neck = {98, 26, side * 136.0};
    vec normal = {0, 0.75, 0.65 * side};
    add_flat(c, PAINT_BONE, MARROW_HU, top, tip, 20, normal, 7);
    add_flat(c, PAINT_BONE, MARROW_HU, vec_add(top, neck, 0.02), neck, 15, normal, 3.6);
    vec ridge = vec_add(top, (vec){-8, 14, 6.0 * side}, 1);
    add_flat(c, PAINT_BONE, MARROW_HU, ridge, (vec){120, 48, side * 150.0}, 9,
             (vec){1, 0.2, 0.2 * side}, 2.6);
    add_blob(c, PAINT_BONE, MARROW_HU, (vec){112, 14, side * 160.0}, (vec){22, 19, 20}, 0, 2);
    vec inner = cage_point(c, 72, side * 2.75, 9), outer = {118, -22, side * 138.0};
    vec bow = {92, inner.y + 6, side * 82.0};
    add_tube(c, PAINT_BONE, MARROW_HU, inner, bow, 6.2);
    add_tube(c, PAINT_BONE, MARROW_HU, bow, outer, 5.6);
  }
}

/* The walls of the airways, and the blood that lies in the middle. */
static void place_core_organs(chest *c) {
  for (int i = 0; i < c->n_core; i++) {
    bool airway = i < c->n_airways;
    solid *s = add(c, PAINT_OVER, airway ? c->muscle_hu : c->core[i].hu);
    s->t = c->core[i];
    s->t.hu = airway ? c->muscle_hu : c->core[i].hu;
    s->t.r_from += airway ? 1.3 : 0;
    s->t.r_to += airway ? 1.1 : 0;
  }
}

static void place_lumens(chest *c) {
  for (int i = 0; i < c->n_airways; i++) {
    solid *s = add(c, PAINT_OVER, AIR_HU);
    s->t = c->core[i];
  }
}

static void bring_to_size(chest *c) {
  double k = c->scale;
  for (int i = 0; i < c->n_organs; i++) {
    solid *s = &c->organs[i];
    s->t.from = vec_scaled(s->t.from, k);
    s->t.to = vec_scaled(s->t.to, k);
    s->t.r_from *= k;
    s->t.r_to *= k;
    s->radii = vec_scaled(s->radii, k);
  }
}

/* What is painted later lies over what was painted before. */
void organs_place(chest *c, hl_rng *r) {
  place_core(c);
  place_belly(c, r);
  place_heart(c);
  place_core_organs(c);
  place_muscles(c);
  place_spine(c);
  place_ribs(c);
  place_breastbone(c);
  place_shoulder(c, r);
  place_lumens(c);
  bring_to_size(c);
}
