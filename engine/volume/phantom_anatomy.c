/* Trunk, wall, ribs, spine, middle, lungs: closed formulas, bent by a few slow waves. */
#include "phantom.h"

#include <math.h>

static const double AIR = -1000, FAT = -95, MUSCLE = 45, BLOOD = 45, MARROW = 180, CORTEX = 480;

vec random_direction(hl_rng *r) {
  double z = uniform(r, -1, 1), angle = uniform(r, 0, 2 * 3.14159265358979323846);
  double s = sqrt(1 - z * z);
  return (vec){z, s * sin(angle), s * cos(angle)};
}

chest chest_random(hl_rng *r, double height_mm) {
  chest c = {.height_mm = height_mm};
  c.body_y = uniform(r, 66, 74);
  c.body_x = uniform(r, 86, 93);
  c.fat_mm = uniform(r, 4, 9);
  c.wall_mm = uniform(r, 7, 10);
  c.lung_y = c.body_y - c.fat_mm - c.wall_mm;
  c.lung_x = uniform(r, 34, 38);
  c.lung_offset_x = c.body_x - c.fat_mm - c.wall_mm - c.lung_x;
  c.heart_z = uniform(r, -0.1, 0.25) * height_mm;
  c.heart_r = uniform(r, 20, 27);
  for (int side = 0; side < 2; side++) c.dome_z[side] = uniform(r, -26, -2);
  c.rib_pitch = uniform(r, 21, 26);
  c.rib_phase = uniform(r, 0, c.rib_pitch);
  c.rib_tilt = uniform(r, 0.35, 0.55);
  c.lung_hu = uniform(r, -880, -835);
  c.lung_slope = uniform(r, 0.3, 0.9);
  for (int i = 0; i < WARPS; i++) {
    vec d = random_direction(r);
    c.warp_wave[i] = vec_add((vec){0, 0, 0}, d, uniform(r, 0.03, 0.09));
    c.warp_shift[i] = vec_add((vec){0, 0, 0}, random_direction(r), uniform(r, 0.8, 2));
    c.warp_phase[i] = uniform(r, 0, 6.28);
  }
  return c;
}

/* Slow waves bend everything, so that nothing is a perfect ellipse. */
static vec bend(const chest *c, vec p) {
  vec out = p;
  for (int i = 0; i < WARPS; i++)
    out = vec_add(out, c->warp_shift[i], sin(vec_dot(c->warp_wave[i], p) + c->warp_phase[i]));
  return out;
}

/* First-order distance to an ellipse (implicit value by its gradient). */
static double ellipse(double y, double x, double half_y, double half_x) {
  double v = y / half_y, u = x / half_x, f = sqrt(u * u + v * v);
  double gy = v / half_y, gx = u / half_x, gradient = sqrt(gx * gx + gy * gy);
  if (f < 1e-6) return -fmin(half_y, half_x);
  return (f - 1) * f / gradient;
}

/* The larger of two distances with a rounded edge. */
static double round_max(double a, double b, double k) {
  double h = clamp01(0.5 + 0.5 * (a - b) / k);
  return b + h * (a - b) + k * h * (1 - h);
}

/* Heart and great vessels: wide below, narrow above, to the left. */
static double middle_distance(const chest *c, vec p) {
  double up = clamp01((p.z - c->heart_z) / 45);
  double r = c->heart_r * (1 - 0.45 * up);
  double shift = (1 - up) * 9;
  double heart = ellipse(p.y + 8, p.x - shift, r * 1.15, r);
  double spine = ellipse(p.y - 0.66 * c->lung_y, p.x, 21, 17);
  return fmin(heart, spine);
}

static double bent_lung_distance(const chest *c, vec p) {
  int left = p.x > 0;
  double x = fabs(p.x) - c->lung_offset_x;
  double lung = ellipse(p.y, x, c->lung_y, c->lung_x);
  lung = round_max(lung, -middle_distance(c, p), 5);
  double out = x / c->lung_x, back = p.y / c->lung_y;
  double dome = c->dome_z[left] - 16 * (out * out + 0.6 * back * back) - 0.12 * c->height_mm;
  return round_max(lung, dome - p.z, 5);
}

double lung_distance(const chest *c, vec at) {
  return bent_lung_distance(c, bend(c, at));
}

static double mix(double a, double b, double t) {
  return a + t * (b - a);
}

/* Bone with a rim: distance inside decides between cortex and marrow. */
static double bone(double under, double d_mm) {
  if (d_mm > EDGE_MM) return under;
  double hu = mix(under, CORTEX, coverage(d_mm));
  return mix(hu, MARROW, coverage(d_mm + 2.2));
}

/* Ribs run in the wall, falling from back to front. */
static double rib_distance(const chest *c, vec p) {
  double mid_y = c->lung_y + 0.45 * c->wall_mm, mid_x = c->body_x - c->fat_mm - 0.55 * c->wall_mm;
  double across = ellipse(p.y, p.x, mid_y, mid_x);
  double z = p.z - c->rib_tilt * p.y + c->rib_phase;
  double along = z - c->rib_pitch * nearbyint(z / c->rib_pitch);
  double u = across / 2.6, v = along / 4.2;
  return (sqrt(u * u + v * v) - 1) * 3.2;
}

static double spine_hu(const chest *c, vec p, double hu) {
  double y = p.y - 0.58 * c->lung_y;
  if (fabs(p.x) > 22 || y < -16) return hu;
  double disc = fabs(p.z + 7 - 24 * nearbyint((p.z + 7) / 24)) - 3;
  double body = fmax(ellipse(y, p.x, 11, 14), -disc);
  hu = bone(hu, body);
  double canal = ellipse(y - 16, p.x, 5, 6.5);
  hu = bone(hu, fabs(canal) - 2.2);
  return bone(hu, ellipse(y - 25, p.x, 6, 2.2));
}

static double middle_hu(const chest *c, vec p) {
  double fat = sin(0.11 * p.y + 0.07 * p.z + c->rib_phase) + sin(0.13 * p.x - 0.09 * p.z);
  double hu = mix(MUSCLE, FAT, clamp01(fat - 0.9) * clamp01((p.z + 12) / 20));
  hu = mix(hu, BLOOD + 15, coverage(ellipse(p.y - 0.42 * c->lung_y, p.x - 13, 9, 9)));
  double split = clamp01((-4 - p.z) / 25) * 16;
  double windpipe = ellipse(p.y - 6, fabs(p.x) - split, 7, split > 0 ? 6 : 7);
  hu = mix(hu, 60, coverage(windpipe - 1.4));
  return p.z > -30 ? mix(hu, AIR + 10, coverage(windpipe)) : hu;
}

static double trunk_hu(const chest *c, vec p) {
  double skin = ellipse(p.y, p.x, c->body_y, c->body_x);
  if (skin > EDGE_MM) return AIR;
  double hu = mix(AIR, MUSCLE, coverage(skin));
  hu = mix(hu, FAT, coverage(skin + 1.6));
  hu = mix(hu, MUSCLE, coverage(skin + c->fat_mm));
  double inner = skin + c->fat_mm + c->wall_mm;
  if (inner < 0) hu = mix(hu, middle_hu(c, p), coverage(inner + 2));
  if (inner > -4) hu = bone(hu, rib_distance(c, p));
  hu = bone(hu, ellipse(p.y + c->lung_y + 1, p.x, 4.5, 13)); /* breastbone */
  return spine_hu(c, p, hu);
}

/* The couch under the back. */
static double couch_hu(vec p, double hu) {
  double sag = p.y - 84 + 0.0022 * p.x * p.x;
  return mix(hu, -620, coverage(fabs(sag) - 1.2));
}

double chest_hu(const chest *c, vec at) {
  if (ellipse(at.y, at.x, c->body_y, c->body_x) > 10)
    return couch_hu(at, AIR); /* beyond any bend */
  vec p = bend(c, at);
  double lung = bent_lung_distance(c, p);
  if (lung < -3 * EDGE_MM) return c->lung_hu + c->lung_slope * p.y;
  double hu = couch_hu(at, trunk_hu(c, p));
  return mix(hu, c->lung_hu + c->lung_slope * p.y, coverage(lung));
}
