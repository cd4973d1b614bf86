/* Rib cage, lungs, diaphragm, skin: closed formulas in adult mm, made uneven by a few slow waves.
 * The numbers are sizes of a grown chest, read off atlases and scans to within some millimetres. */
#include "phantom.h"

static const double WIDEST_Z = -40, CAGE_POWER = 2.5, FAR_MM = 99;

void chest_random(chest *c, double scale, hl_rng *r) {
  *c = (chest){.scale = scale};
  c->wide = uniform(r, 122, 138);
  c->deep = uniform(r, 88, 100);
  c->tall = uniform(r, 145, 162);
  c->fat = uniform(r, 5, 20);
  c->breast = hl_rng_uniform(r) < 0.5 ? uniform(r, 30, 52) : 0;
  c->dome[0] = uniform(r, -84, -66);
  c->dome[1] = c->dome[0] - uniform(r, 4, 16);
  c->heart = uniform(r, 0.92, 1.14);
  c->strength = uniform(r, 0.65, 1.15);
  for (int side = 0; side < 2; side++) c->fissure[side] = uniform(r, -34, -20);
  c->lung_hu = uniform(r, -888, -842);
  c->gravity = uniform(r, 0.15, 0.55) / scale;
  bool contrast = hl_rng_uniform(r) < 0.6;
  c->blood_hu = contrast ? uniform(r, 130, 300) : uniform(r, 38, 50);
  c->liver_hu = contrast ? uniform(r, 90, 120) : uniform(r, 50, 62);
  c->muscle_hu = uniform(r, 45, 62);
  for (int i = 0; i < LUMPS; i++) {
    c->lump_wave[i] = vec_scaled(random_direction(r), uniform(r, 0.025, 0.09));
    c->lump_phase[i] = uniform(r, 0, 6.28);
    c->lump_mm[i] = uniform(r, 0.4, 1.1);
  }
  organs_place(c, r);
}

static double lumps(const chest *c, vec p) {
  double sum = 0;
  for (int i = 0; i < LUMPS; i++)
    sum += c->lump_mm[i] * sin(vec_dot(c->lump_wave[i], p) + c->lump_phase[i]);
  return sum;
}

/* The larger of two distances with a rounded edge. */
static double round_most(double a, double b, double k) {
  double h = clamp01(0.5 + 0.5 * (a - b) / k);
  return b + h * (a - b) + k * h * (1 - h);
}
static double round_least(double a, double b, double k) {
  return -round_most(-a, -b, k);
}

/* First-order distance to an ellipse (implicit value by its gradient). */
static double ellipse(double y, double x, double half_y, double half_x) {
  double v = y / half_y, u = x / half_x, f = sqrt(u * u + v * v);
  if (f < 1e-6) return -least(half_y, half_x);
  double gy = v / half_y, gx = u / half_x;
  return (f - 1) * f / sqrt(gx * gx + gy * gy);
}

/* ---- Rib cage ---- */

static double power_of(double v) { /* CAGE_POWER */
  return v * v * sqrt(v);
}

/* Share of the way from the widest place to the top. */
static double rise(const chest *c, double z) {
  return most(0, (z - WIDEST_Z) / c->tall);
}

/* The breastbone leans: the upper cage lies further back. */
static double cage_y(const chest *c, double z) {
  double t = rise(c, z);
  return 3 + 20 * t * t;
}

static double cage_distance(const chest *c, vec p) {
  double t = rise(c, p.z), u = fabs(p.x) / c->wide, v = fabs(p.y - cage_y(c, p.z)) / c->deep;
  if (p.y < 0) v *= 1 + 0.12 * u; /* flatter in front */
  double sum = power_of(u) + power_of(v) + power_of(t);
  if (sum < 1e-6) return -c->deep;
  double f = pow(sum, 1 / CAGE_POWER), gx = u / c->wide, gy = v / c->deep, gz = t / c->tall;
  return (f - 1) * f / most(1e-4, sqrt(gx * gx + gy * gy + gz * gz));
}

/* On the cage at a height; angle 0 is the back, positive towards the left, π the front. */
vec cage_point(const chest *c, double z, double angle, double outside) {
  double t = rise(c, z), s = fabs(sin(angle)), k = fabs(cos(angle));
  double room = t < 1 ? pow(1 - power_of(t), 1 / CAGE_POWER) : 0;
  double f = room / pow(power_of(s) + power_of(k), 1 / CAGE_POWER);
  vec at = {0, c->deep * f * cos(angle), c->wide * f * sin(angle)};
  vec on = vec_add(at, vec_unit(at), outside);
  return (vec){z, on.y + cage_y(c, z), on.x};
}

double cage_top(const chest *c) {
  return WIDEST_Z + c->tall;
}

double spine_y(double z) {
  return 50 - 0.0008 * (z + 10) * (z + 10);
}

/* ---- The middle ---- */

static double heart_distance(const chest *c, vec p) {
  solid heart = {.blob = true,
                 .t = {.from = {-57, -34, 17}},
                 .radii = {42 * c->heart, 44 * c->heart, 60 * c->heart},
                 .cosine = 0.86,
                 .sine = 0.5,
                 .power = 2};
  return solid_distance(&heart, p);
}

/* What is farther from a tube than this never feels it. */
static const double REACH_MM = 35;

static double middle_distance(const chest *c, vec p) {
  double d = ellipse(p.y + 6, p.x, 42, 25);
  double front = fabs(p.x + 3) - mix(2.5, 6, smooth((p.z + 70) / 60)); /* where the lungs meet */
  if (p.y < 0) d = least(d, front);
  d = round_least(d, ellipse(p.y - spine_y(p.z) - 16, p.x, 36, 21), 6);
  if (fabs(p.x) > 90) return d;
  d = round_least(d, heart_distance(c, p) - 3, 8);
  for (int i = 0; i < c->n_core; i++) {
    const tube *t = &c->core[i];
    if (p.z > most(t->from.z, t->to.z) + REACH_MM || p.z < least(t->from.z, t->to.z) - REACH_MM)
      continue;
    d = round_least(d, tube_distance(t, p) - 2, 4);
  }
  return d;
}

/* ---- Diaphragm ---- */

static double dome_distance(const chest *c, vec p) {
  int left = p.x > 0;
  double out = fabs(p.x) - 58, back = p.y + 12;
  double a = out > 0 ? 42.0 / (62 * 62) : 7.0 / (62 * 62), b = back > 0 ? 0.0062 : 0.0045;
  double top = c->dome[left] - a * out * out - b * back * back;
  double sx = 2 * a * out, sy = 2 * b * back;
  return (p.z - top) / sqrt(1 + sx * sx + sy * sy);
}

/* ---- Lungs ---- */

static double lung_within(const chest *c, vec p, double cage) {
  if (cage > 12) return cage;
  double d = round_most(cage, -middle_distance(c, p), 5);
  return round_most(d, -dome_distance(c, p), 5);
}

double adult_lung(const chest *c, vec p) {
  return lung_within(c, p, cage_distance(c, p)) + lumps(c, p);
}

double lung_distance(const chest *c, vec at) {
  return c->scale * adult_lung(c, vec_scaled(at, 1 / c->scale));
}

static double major_distance(const chest *c, vec p) {
  int left = p.x > 0;
  double bow = 5 * sin(0.03 * p.x + 0.02 * p.y);
  return (p.z - c->fissure[left] - (left ? 0.9 : 0.75) * p.y - bow) / 1.3;
}

static double minor_distance(const chest *c, vec p) {
  return p.z - c->fissure[0] - 12 - 4 * sin(0.03 * p.y) + 0.05 * p.x;
}

int lobe_at(const chest *c, vec p) {
  if (major_distance(c, p) < 0) return 1;
  return p.x < 0 && minor_distance(c, p) < 0 ? 2 : 0;
}

/* ---- Skin and belly ---- */

static double skin_distance(const chest *c, vec p) {
  double shoulder = 46 * smooth((p.z - 40) / 80), lean = 0.6 * (cage_y(c, p.z) - 3);
  double half_x = c->wide + 19 + 0.8 * c->fat + shoulder, half_y = c->deep + 23 + 0.6 * c->fat;
  double u = fabs(p.x) / half_x, v = fabs(p.y - 12 - lean) / half_y;
  double f = 0.5 * (pow(power_of(u) + power_of(v), 1 / CAGE_POWER) + sqrt(u * u + v * v));
  double gx = u / half_x, gy = v / half_y;
  double d = (f - 1) * f / most(1e-4, sqrt(gx * gx + gy * gy));
  if (c->breast > 0 && p.y < 0) {
    vec nipple = {-38, -c->deep - 4 - 0.25 * c->breast, p.x < 0 ? -72 : 72};
    vec off = vec_add(p, nipple, -1);
    double far = vec_length((vec){0.75 * off.z, 1.5 * off.y, 0.7 * off.x});
    d = round_least(d, far - c->breast, 18);
  }
  return d;
}

static double liver_distance(vec p) {
  const solid liver = {.blob = true,
                       .t = {.from = {-144, -4, -42}},
                       .radii = {84, 88, 94},
                       .cosine = 0.97,
                       .sine = -0.26,
                       .power = 2};
  return solid_distance(&liver, p);
}

/* How thick the muscles lie on the ribs: on the breast, under and behind the arms, along the back.
 */
static double muscle_mm(const chest *c, vec p) {
  double out = fabs(p.x), front = smooth((-p.y - 5) / 45) * smooth((out - 12) / 30);
  double high = smooth((p.z + 15) / 35) * (1 - 0.7 * smooth((p.z - 85) / 30));
  double back = smooth((p.y - 5) / 40), side = smooth((out - 70) / 40);
  return c->strength * (3 + 17 * front * high + back * (9 + 11 * smooth((p.z + 20) / 60)) +
                        3 * side * (1 - front));
}

void chest_fields(const chest *c, vec at, float out[FIELDS]) {
  double s = c->scale;
  vec p = vec_scaled(at, 1 / s);
  double lump = lumps(c, p), skin = skin_distance(c, p) + 1.2 * lump;
  for (int k = 0; k < FIELDS; k++) out[k] = (float)FAR_MM;
  out[FIELD_SKIN] = (float)(s * skin);
  if (skin > 15) return;
  double cage = cage_distance(c, p), major = major_distance(c, p);
  out[FIELD_CAGE] = (float)(s * (cage + lump));
  out[FIELD_MUSCLE] = (float)(s * (cage - 8 - muscle_mm(c, p)));
  out[FIELD_LUNG] = (float)(s * (lung_within(c, p, cage) + lump));
  if (cage > 12) return;
  out[FIELD_LIVER] = (float)(s * liver_distance(p));
  out[FIELD_DOME] = (float)(s * dome_distance(c, p));
  out[FIELD_MAJOR] = (float)(s * major);
  if (p.x < 0 && major > 0) out[FIELD_MINOR] = (float)(s * minor_distance(c, p));
}
